//! PostgreSQL's own bench, as its package brings it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tests_vm::run;

/// What is run: the name, the options.
pub const KINDS: [(&str, &[&str]); 4] = [
    ("TPC-B-like", &[]),
    ("TPC-B-like, prepared", &["-M", "prepared"]),
    ("select-only", &["-S"]),
    ("select-only, prepared", &["-S", "-M", "prepared"]),
];

/// Makes the tables of scale 1.
///
/// # Panics
/// If pgbench fails.
pub fn load(program: &Path, port: u16) {
    ask(program, port, &["-i", "-q", "-s", "1"]);
}

/// How many transactions of a kind `clients` have done in a second, all connected to one port: pgbench knows of one server.
///
/// # Panics
/// If pgbench fails, or one of its transactions has.
pub fn rate(program: &Path, port: u16, options: &[&str], clients: usize, duration: Duration) -> f64 {
    let (clients, seconds) = (clients.to_string(), duration.as_secs().to_string());
    let said = ask(program, port, &[&["-n", "-c", &clients, "-T", &seconds], options].concat());
    let value = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
    assert_eq!(value("number of failed transactions: "), Some("0"), "no transaction fails:\n{said}");
    value("tps = ").and_then(|rate| rate.parse().ok()).expect("pgbench says its rate")
}

fn ask(program: &Path, port: u16, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(["-h", "127.0.0.1", "-U", "relix", "-p", &port.to_string()]).args(arguments).arg("relix");
    run(&mut command).expect_success(&format!("pgbench {arguments:?}"))
}
