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

/// Three Linux VMs with etcd 3.5, and three native processes: measured earlier on a machine of this kind
/// (QEMU 7.2 TCG, 2 cores, fsync on). Not of this run.
pub fn quoted_etcd() -> (Figures, Figures) {
    let (mut vms, mut native) = (Figures::default(), Figures::default());
    vms.set(BOOT, 14.6);
    vms.set(RESTART, 9.9);
    vms.set(FAILOVER, 1.9);
    for (clients, rate, p50) in [(1, 20.0, 46.0), (8, 39.0, 189.0), (64, 130.0, 471.0)] {
        let [rate_row, p50_row, _] = load_rows(Work::Insert, clients);
        vms.set(&rate_row, rate);
        vms.set(&p50_row, p50);
    }
    vms.set(&load_rows(Work::Read, 1)[0], 45.0);
    for (clients, puts, reads) in [(1, 400.0, 1234.0), (8, 1113.0, 4077.0), (64, 2911.0, 6312.0)] {
        native.set(&load_rows(Work::Insert, clients)[0], puts);
        native.set(&load_rows(Work::Read, clients)[0], reads);
    }
    (vms, native)
}

/// One column.
pub struct Column {
    /// Its heading.
    pub name: &'static str,
    /// What stands in it.
    pub figures: Figures,
}

/// Prints the table: `columns`, ratios of all to `peer` if there is one, then `quoted`.
pub fn print(columns: &[Column], peer: Option<&Column>, quoted: &[Column]) {
    let mut table = vec![vec![String::new()]];
    table[0].extend(columns.iter().chain(peer).map(|column| column.name.to_string()));
    table[0].extend(peer.iter().flat_map(|_| columns.iter().map(|column| format!("{} / peer", column.name))));
    table[0].extend(quoted.iter().map(|column| format!("({})", column.name)));
    for row in rows() {
        let figure = |column: &Column| column.figures.get(&row);
        let mut line = vec![row.clone()];
        line.extend(columns.iter().chain(peer).map(|column| shown(figure(column))));
        if let Some(peer) = peer {
            let ratio = |column: &Column| Some(figure(column)? / figure(peer)?);
            line.extend(columns.iter().map(|column| shown(ratio(column))));
        }
        line.extend(quoted.iter().map(|column| shown(figure(column))));
        table.push(line);
    }
    let widths: Vec<usize> = (0..table[0].len())
        .map(|column| table.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
        .collect();
    for line in table {
        let name = format!("{:<width$}", line[0], width = widths[0]);
        let cells = line.iter().zip(&widths).skip(1).map(|(cell, width)| format!("{cell:>width$}"));
        println!("{name}  {}", cells.collect::<Vec<_>>().join("  "));
    }
}

/// A figure with three digits that say something.
fn shown(figure: Option<f64>) -> String {
    match figure {
        None => "-".into(),
        Some(figure) if figure >= 100.0 => format!("{figure:.0}"),
        Some(figure) if figure >= 10.0 => format!("{figure:.1}"),
        Some(figure) => format!("{figure:.2}"),
    }
}

/// When and on what this runs.
pub fn print_header(command: &str, peer: Option<&str>) {
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
    println!("  peer     {}", peer.unwrap_or("PostgreSQL is not installed: no peer in this run"));
    println!("  clients  tokio-postgres in one process on the same cores, spread over the nodes");
    println!("  quoted   in brackets: etcd 3.5, measured earlier on a machine of this kind, not of this run");
}
