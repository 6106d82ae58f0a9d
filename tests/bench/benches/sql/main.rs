//! SQL beside PostgreSQL: `pgbench`, point reads, and queries over a million rows.
//!
//! `cargo bench -p tests-bench --bench sql [-- --quick] [--only sql] [--rows N] [--subjects relix1,relix3,postgres]`
//!
//! One host node, three of them, and one PostgreSQL with fsync on, on the same disk: all are up, and take turns, so that what
//! else the machine does in these minutes befalls all of them alike, and so does what the others do while they are not asked.

mod pgbench;
mod queries;

use std::time::Duration;

use tests_bench::report::{print_aligned, print_header, shown};
use tests_conformance::postgres::{self, Postgres};
use tests_vm::Cluster;
use tokio::runtime::Runtime;

/// How much work a run is.
struct Effort {
    rows: u64,
    /// How long each load lasts, each time.
    load: Duration,
    /// How often each system is measured; the median counts.
    rounds: usize,
}

/// What is measured, and the ports of its nodes.
struct Subject {
    name: &'static str,
    ports: Vec<u16>,
}

/// The peer that the others are compared with.
const PEER: &str = "PostgreSQL";

/// One thing that was measured of all subjects, once in each round.
struct Row {
    name: String,
    /// Whether less is better.
    is_time: bool,
    /// By subject, then by round.
    figures: Vec<Vec<f64>>,
}

impl Row {
    /// Measures all subjects in turn, `rounds` times.
    fn measure(
        name: String,
        is_time: bool,
        subjects: &[Subject],
        rounds: usize,
        mut ask: impl FnMut(&Subject) -> f64,
    ) -> Row {
        let mut figures = vec![Vec::new(); subjects.len()];
        for _ in 0..rounds {
            for (subject, figures) in subjects.iter().zip(&mut figures) {
                figures.push(ask(subject));
            }
        }
        let row = Row { name, is_time, figures };
        let said = row.figures.iter().map(|figures| shown(Some(median(figures.clone()))));
        println!("  {}: {}", row.name, said.collect::<Vec<_>>().join(", "));
        row
    }

    /// By how much a subject is ahead of another: the median of what it was in each round.
    fn advantage(&self, of: usize, over: usize) -> f64 {
        let pairs = self.figures[of].iter().zip(&self.figures[over]);
        median(pairs.map(|(of, over)| if self.is_time { over / of } else { of / over }).collect())
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn measure(runtime: &Runtime, subjects: &[Subject], effort: &Effort) -> Vec<Row> {
    let mut rows = Vec::new();
    match postgres::pgbench() {
        Some(program) => {
            subjects.iter().for_each(|subject| pgbench::load(&program, subject.ports[0]));
            for (name, options) in pgbench::KINDS {
                for clients in [1, 8] {
                    let name = format!("pgbench {name}/s, c={clients}");
                    rows.push(Row::measure(name, false, subjects, effort.rounds, |subject| {
                        pgbench::rate(&program, subject.ports[0], options, clients, effort.load)
                    }));
                }
            }
        }
        None => println!("  pgbench is not installed: not in this run"),
    }
    let answered = "the queries are answered";
    rows.push(Row::measure("COPY, rows/s".into(), false, subjects, 1, |subject| {
        runtime.block_on(queries::load(subject.ports[0], effort.rows)).expect(answered)
    }));
    for clients in [1, 8] {
        let name = format!("point reads/s, {clients} clients");
        rows.push(Row::measure(name, false, subjects, effort.rounds, |subject| {
            let reads = queries::point_reads(&subject.ports, clients, effort.rows, effort.load);
            runtime.block_on(reads).expect(answered)
        }));
    }
    for (name, query) in queries::QUERIES {
        rows.push(Row::measure(format!("ms: {name}"), true, subjects, effort.rounds, |subject| {
            runtime.block_on(queries::time_ms(subject.ports[0], query)).expect(answered)
        }));
    }
    rows
}

fn print(subjects: &[Subject], rows: &[Row]) {
    let peer = subjects.iter().position(|subject| subject.name == PEER);
    let compared: Vec<usize> = (0..subjects.len()).filter(|at| peer.is_some() && peer != Some(*at)).collect();
    let mut heading = vec![String::new()];
    heading.extend(subjects.iter().map(|subject| subject.name.to_string()));
    heading.extend(compared.iter().map(|at| format!("{}, ahead by", subjects[*at].name)));
    let mut table = vec![heading];
    for row in rows {
        let mut line = vec![row.name.clone()];
        line.extend(row.figures.iter().map(|figures| shown(Some(median(figures.clone())))));
        line.extend(
            peer.iter().flat_map(|peer| compared.iter().map(|at| shown(Some(row.advantage(*at, *peer))))),
        );
        table.push(line);
    }
    println!();
    print_aligned(&table);
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let has = |word: &str| words.iter().any(|other| other == word);
    let value = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    // The other benches' options are not for this one.
    if has("--only") && !has("sql") {
        return;
    }
    let (rows, load, rounds) = if has("--quick") { (100_000, 1, 3) } else { (1_000_000, 3, 5) };
    let rows = value("--rows").map(|rows| rows.parse().expect("--rows wants a number")).unwrap_or(rows);
    let effort = Effort { rows, load: Duration::from_secs(load), rounds };
    let wants =
        |name: &str| value("--subjects").is_none_or(|wanted| wanted.split(',').any(|word| word == name));
    let runtime = Runtime::new().expect("a runtime");
    let server = wants("postgres").then(Postgres::start).flatten();
    let version = server.as_ref().map(Postgres::version);
    let version = version.unwrap_or_else(|| "PostgreSQL is not in this run".into());
    let command = format!("cargo bench -p tests-bench --bench sql -- {}", words.join(" "));
    print_header(command.trim_end_matches(" -- "), &[version]);
    let kinds = [("1 node", "relix1", 1u8), ("3 nodes", "relix3", 3)];
    let clusters: Vec<(&str, u8, Cluster)> = kinds
        .into_iter()
        .filter(|(_, key, _)| wants(key))
        .map(|(name, key, nodes)| {
            let options = ["--host", "--nodes", &nodes.to_string()];
            (name, nodes, Cluster::start(&format!("bench-{key}"), &options))
        })
        .collect();
    let ports = |cluster: &Cluster, nodes| (1..=nodes).map(|node| cluster.port(node)).collect();
    let mut subjects: Vec<Subject> = clusters
        .iter()
        .map(|(name, nodes, cluster)| Subject { name, ports: ports(cluster, *nodes) })
        .collect();
    subjects.extend(server.iter().map(|server| Subject { name: PEER, ports: vec![server.port] }));
    println!("{}", subjects.iter().map(|subject| subject.name).collect::<Vec<_>>().join(", "));
    let rows = measure(&runtime, &subjects, &effort);
    print(&subjects, &rows);
}
