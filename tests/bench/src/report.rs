//! The figures, aligned.

use std::collections::BTreeMap;
use std::process::Command;

use crate::load::{CLIENTS, Load, Work};

/// What was measured of one subject, by row name.
#[derive(Clone, Debug, Default)]
pub struct Figures(BTreeMap<String, f64>);

impl Figures {
    /// Notes one.
    pub fn set(&mut self, row: &str, figure: f64) {
        self.0.insert(row.into(), figure);
    }

    /// Notes what came of a load.
    pub fn set_load(&mut self, work: Work, clients: usize, load: Load) {
        let [rate, p50, p99] = load_rows(work, clients);
        self.set(&rate, load.per_second);
        self.set(&p50, load.p50_ms);
        self.set(&p99, load.p99_ms);
        if load.failed > 0 {
            println!("{rate}: {} statements failed", load.failed);
        }
    }

    fn get(&self, row: &str) -> Option<f64> {
        self.0.get(row).copied()
    }
}

/// From launch to a leader and an answer from every node.
pub const BOOT: &str = "boot to serving, s";
/// What a node says it uses.
pub const MEMORY: &str = "memory in use by a node, MiB";
/// What the host sees of a node's process.
pub const RESIDENT: &str = "resident process of a node, MiB";
/// From the end of the leader to the next acknowledged write elsewhere.
pub const FAILOVER: &str = "leader killed to next write, s";
/// From the start of a node that was killed to its first answer.
pub const RESTART: &str = "node restarted to serving, s";

fn load_rows(work: Work, clients: usize) -> [String; 3] {
    let noun = if work == Work::Insert { "commits" } else { "point reads" };
    let of = if clients == 1 { "1 client".to_string() } else { format!("{clients} clients") };
    [format!("{noun}/s, {of}"), format!("  {noun} p50 ms, {of}"), format!("  {noun} p99 ms, {of}")]
}

fn rows() -> Vec<String> {
    let mut rows = [BOOT, MEMORY, RESIDENT].map(String::from).to_vec();
    for work in [Work::Insert, Work::Read] {
        rows.extend(CLIENTS.iter().flat_map(|clients| load_rows(work, *clients)));
    }
    rows.extend([FAILOVER, RESTART].map(String::from));
    rows
}

/// Three Linux VMs with etcd 3.5, measured earlier on a machine of this kind (QEMU 7.2 TCG, 2 cores, fsync on).
/// Not of this run.
pub fn quoted_etcd_vms() -> Figures {
    let mut vms = Figures::default();
    vms.set(BOOT, 14.6);
    vms.set(RESTART, 9.9);
    vms.set(FAILOVER, 1.9);
    for (clients, rate, p50) in [(1, 20.0, 46.0), (8, 39.0, 189.0), (64, 130.0, 471.0)] {
        let [rate_row, p50_row, _] = load_rows(Work::Insert, clients);
        vms.set(&rate_row, rate);
        vms.set(&p50_row, p50);
    }
    vms.set(&load_rows(Work::Read, 1)[0], 45.0);
    vms
}

/// One column.
pub struct Column {
    /// Its heading.
    pub name: &'static str,
    /// What stands in it.
    pub figures: Figures,
}

/// Prints the table: `columns`, `peers`, the ratio of each column to each peer, then `quoted`.
pub fn print(columns: &[Column], peers: &[Column], quoted: &Column) {
    let pairs: Vec<(&Column, &Column)> =
        columns.iter().flat_map(|column| peers.iter().map(move |peer| (column, peer))).collect();
    let mut table = vec![vec![String::new()]];
    table[0].extend(columns.iter().chain(peers).map(|column| column.name.to_string()));
    table[0].extend(pairs.iter().map(|(column, peer)| format!("{} / {}", column.name, peer.name)));
    table[0].push(format!("({})", quoted.name));
    for row in rows() {
        let figure = |column: &Column| column.figures.get(&row);
        let mut line = vec![row.clone()];
        line.extend(columns.iter().chain(peers).map(|column| shown(figure(column))));
        let ratio = |(column, peer): &(&Column, &Column)| Some(figure(column)? / figure(peer)?);
        line.extend(pairs.iter().map(|pair| shown(ratio(pair))));
        line.push(shown(figure(quoted)));
        table.push(line);
    }
    print_aligned(&table);
}

/// Prints a table: the first cell of each line to the left, the others to the right.
pub fn print_aligned(table: &[Vec<String>]) {
    let columns = table.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| table.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
        .collect();
    for line in table {
        let name = format!("{:<width$}", line[0], width = widths[0]);
        let cells = line.iter().zip(&widths).skip(1).map(|(cell, width)| format!("{cell:>width$}"));
        println!("{name}  {}", cells.collect::<Vec<_>>().join("  "));
    }
}

/// A figure with three digits that say something.
pub fn shown(figure: Option<f64>) -> String {
    match figure {
        None => "-".into(),
        Some(figure) if figure >= 100.0 => format!("{figure:.0}"),
        Some(figure) if figure >= 10.0 => format!("{figure:.1}"),
        Some(figure) => format!("{figure:.2}"),
    }
}

/// When and on what this runs, and who asks.
pub fn print_header(command: &str, peers: &[String]) {
    print_setup(command, peers);
    println!(
        "  clients  in one process on the same cores, spread over the nodes; tokio-postgres, and gRPC for etcd"
    );
    println!(
        "  quoted   in brackets: etcd 3.5 in VMs, measured earlier on a machine of this kind, not of this run"
    );
}

/// When and on what this runs.
pub fn print_setup(command: &str, peers: &[String]) {
    let first_line = |program: &str, words: &[&str]| {
        let output = Command::new(program).args(words).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).lines().next()?.to_string())
    };
    let unknown = || "unknown".to_string();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    println!("Relix bench: {command}");
    println!("  date     {}", first_line("date", &["-u", "+%F %H:%M UTC"]).unwrap_or_else(unknown));
    println!("  machine  {cores} cores, {}", model.map_or("unknown", |(_, model)| model));
    println!("  QEMU     {}", first_line("qemu-system-x86_64", &["--version"]).unwrap_or_else(unknown));
    println!("  load     {}", std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    peers.iter().for_each(|peer| println!("  peer     {peer}"));
}
