//! pgbench against three host nodes: eight clients that change the same few rows, without a failed transaction.

use std::path::Path;
use std::process::Command;

use tests_conformance::postgres::pgbench;
use tests_vm::{Cluster, run};

fn ask(pgbench: &Path, cluster: &Cluster, arguments: &[&str]) -> String {
    let mut command = Command::new(pgbench);
    command.args(["-h", "127.0.0.1", "-U", "relix", "-p", &cluster.port(1).to_string()]);
    command.args(arguments).arg("relix");
    run(&mut command).expect_success(&format!("pgbench {arguments:?}"))
}

#[test]
fn pgbench_runs_clean() {
    let Some(pgbench) = pgbench() else {
        println!("skipped: pgbench is not installed (apt install postgresql)");
        return;
    };
    let cluster = Cluster::start("pgbench", &["--host"]);
    ask(&pgbench, &cluster, &["-i", "-q"]);
    for mode in [&[][..], &["-S"], &["-M", "prepared"], &["-S", "-M", "extended"]] {
        let mut arguments = vec!["-c", "8", "-t", "25"];
        arguments.extend(mode);
        let said = ask(&pgbench, &cluster, &arguments);
        assert!(said.contains("transactions actually processed: 200/200"), "{mode:?}: {said}");
        assert!(said.contains("failed transactions: 0 "), "{mode:?}: {said}");
    }
}
