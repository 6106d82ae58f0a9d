//! psycopg against three host processes. The script beside this file holds the expectations.

use std::path::{Path, PathBuf};
use std::process::Command;

use tests_vm::{Cluster, Outcome, repository, run, scratch_dir};

/// A Python with psycopg, made once and kept with what is built; none if this machine cannot make it.
fn python() -> Result<PathBuf, Outcome> {
    let scratch = scratch_dir("psycopg");
    let dir = scratch.with_file_name("psycopg-venv");
    let python = dir.join("bin/python");
    let has_psycopg = |python: &Path| run(Command::new(python).args(["-c", "import psycopg"]));
    if python.exists() && has_psycopg(&python).success {
        return Ok(python);
    }
    let _ = std::fs::remove_dir_all(&dir);
    let path = dir.to_string_lossy();
    let program = python.to_string_lossy();
    let steps = [
        ("python3", vec!["-m", "venv", &path]),
        (&*program, vec!["-m", "pip", "install", "--quiet", "psycopg[binary]"]),
        (&*program, vec!["-c", "import psycopg"]),
    ];
    for (program, words) in steps {
        let outcome = run(Command::new(program).args(words));
        if !outcome.success {
            return Err(outcome);
        }
    }
    Ok(python)
}

#[test]
fn psycopg_finds_what_it_expects() {
    if !tests_vm::is_installed("python3") {
        println!("skipped: python3 is not installed");
        return;
    }
    let python = match python() {
        Ok(python) => python,
        Err(outcome) => {
            let why = outcome.err.lines().last().unwrap_or("no reason given").to_string();
            println!("skipped: psycopg cannot be installed: {why}");
            return;
        }
    };
    let cluster = Cluster::start("psycopg", &["--host"]);
    let script = repository().join("tests/conformance/tests/psycopg_client.py");
    let ports = (1..=3).map(|node| cluster.port(node).to_string());
    let said = run(Command::new(python).arg(script).args(ports)).expect_success("the psycopg script");
    print!("{said}");
    assert!(said.ends_with("all expectations hold\n"));
}
