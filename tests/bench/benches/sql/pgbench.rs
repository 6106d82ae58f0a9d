//! PostgreSQL's own bench, as its package brings it.

use std::path::Path;
use std::process::Command;

use tests_vm::run;

use crate::{Effort, Figures};

/// What is run: the name, the options.
const KINDS: [(&str, &[&str]); 4] = [
    ("TPC-B-like", &[]),
    ("TPC-B-like, prepared", &["-M", "prepared"]),
    ("select-only", &["-S"]),
    ("select-only, prepared", &["-S", "-M", "prepared"]),
];

/// Loads scale 1 and runs all kinds with one client and with eight, all connected to the first port: pgbench knows
/// of one server.
///
/// # Panics
/// If pgbench fails.
pub fn measure(program: &Path, ports: &[u16], effort: &Effort, figures: &mut Figures) {
    let port = ports[0].to_string();
    let ask = |arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(["-h", "127.0.0.1", "-U", "relix", "-p", &port]).args(arguments).arg("relix");
        run(&mut command).expect_success(&format!("pgbench {arguments:?}"))
    };
    ask(&["-i", "-q", "-s", "1"]);
    let seconds = effort.load.as_secs().to_string();
    for (name, options) in KINDS {
        for clients in ["1", "8"] {
            let said = ask(&[&["-n", "-c", clients, "-T", &seconds], options].concat());
            let failed = said.lines().find_map(|line| line.strip_prefix("number of failed transactions: "));
            if let Some(failed) = failed.filter(|failed| !failed.starts_with("0 ")) {
                println!("  {name}, c={clients}: {failed} transactions failed");
            }
            let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next());
            let rate: f64 = rate.and_then(|rate| rate.parse().ok()).expect("pgbench says its rate");
            figures.set(&format!("pgbench {name}/s, c={clients}"), rate);
        }
    }
}
