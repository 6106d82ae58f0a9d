//! SQL beside PostgreSQL: `pgbench`, point reads, and queries over a million rows.
//!
//! `cargo bench -p tests-bench --bench sql [-- --quick] [--only sql] [--rows N] [--subjects relix1,relix3,postgres]`
//!
//! One host node, three of them, and one PostgreSQL with fsync on, one after the other on the same disk.

mod pgbench;
mod queries;

use std::collections::BTreeMap;
use std::time::Duration;

use tests_bench::report::{print_aligned, print_header, shown};
use tests_conformance::postgres::{self, Postgres};
use tests_vm::Cluster;
use tokio::runtime::Runtime;

/// How much work a run is.
struct Effort {
    rows: u64,
    /// How long each load lasts.
    load: Duration,
    /// How often each query is asked; the median counts.
    repeats: usize,
}

/// Figures by what is measured, in the order of measuring.
#[derive(Default)]
struct Figures {
    rows: Vec<String>,
    by_row: BTreeMap<String, f64>,
}

impl Figures {
    fn set(&mut self, row: &str, figure: f64) {
        println!("  {row}: {}", shown(Some(figure)));
        self.rows.push(row.into());
        self.by_row.insert(row.into(), figure);
    }

    fn get(&self, row: &str) -> Option<f64> {
        self.by_row.get(row).copied()
    }
}

/// Rows in which less is better begin so.
const IN_MS: &str = "ms: ";

/// Measures everything through these ports, each a node of one system.
fn measure(runtime: &Runtime, ports: &[u16], effort: &Effort) -> Figures {
    let mut figures = Figures::default();
    match postgres::pgbench() {
        Some(program) => pgbench::measure(&program, ports, effort, &mut figures),
        None => println!("  pgbench is not installed: not in this run"),
    }
    runtime.block_on(queries::measure(ports, effort, &mut figures)).expect("the queries are answered");
    figures
}

/// `relix`'s advantage over `peer`: above 1 where it is better.
fn advantage(row: &str, relix: Option<f64>, peer: Option<f64>) -> Option<f64> {
    let (relix, peer) = (relix?, peer?);
    Some(if row.starts_with(IN_MS) { peer / relix } else { relix / peer })
}

fn print(columns: &[(&str, Figures)]) {
    let Some((_, first)) = columns.first() else { return };
    let (peers, relix): (Vec<_>, Vec<_>) = columns.iter().partition(|(name, _)| *name == "PostgreSQL");
    let peer = peers.first();
    let mut heading = vec![String::new()];
    heading.extend(columns.iter().map(|(name, _)| name.to_string()));
    heading.extend(peer.iter().flat_map(|_| relix.iter().map(|(name, _)| format!("{name}, ahead by"))));
    let mut table = vec![heading];
    for row in &first.rows {
        let mut line = vec![row.clone()];
        line.extend(columns.iter().map(|(_, figures)| shown(figures.get(row))));
        if let Some((_, peer)) = peer {
            line.extend(
                relix.iter().map(|(_, figures)| shown(advantage(row, figures.get(row), peer.get(row)))),
            );
        }
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
    let (rows, load, repeats) = if has("--quick") { (100_000, 2, 3) } else { (1_000_000, 10, 5) };
    let rows = value("--rows").map(|rows| rows.parse().expect("--rows wants a number")).unwrap_or(rows);
    let effort = Effort { rows, load: Duration::from_secs(load), repeats };
    let wants =
        |name: &str| value("--subjects").is_none_or(|wanted| wanted.split(',').any(|word| word == name));
    let runtime = Runtime::new().expect("a runtime");
    let mut columns = Vec::new();
    let server = wants("postgres").then(Postgres::start).flatten();
    let version = server.as_ref().map(Postgres::version);
    let version = version.unwrap_or_else(|| "PostgreSQL is not in this run".into());
    let command = format!("cargo bench -p tests-bench --bench sql -- {}", words.join(" "));
    print_header(command.trim_end_matches(" -- "), &[version]);
    for (name, key, nodes) in [("1 node", "relix1", 1u8), ("3 nodes", "relix3", 3)] {
        if wants(key) {
            println!("{name}");
            let cluster = Cluster::start(&format!("bench-{key}"), &["--host", "--nodes", &nodes.to_string()]);
            let ports: Vec<u16> = (1..=nodes).map(|node| cluster.port(node)).collect();
            columns.push((name, measure(&runtime, &ports, &effort)));
        }
    }
    if let Some(server) = server {
        println!("PostgreSQL");
        columns.push(("PostgreSQL", measure(&runtime, &[server.port], &effort)));
    }
    print(&columns);
}
