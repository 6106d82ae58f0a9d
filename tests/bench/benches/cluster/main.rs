//! `cargo bench -p tests-bench --bench cluster [-- --quick] [--only vm|host|failover]`

mod etcd;

use std::time::Duration;

use tests_bench::load::{self, SqlSession};
use tests_bench::relix::{Effort, loads, measure};
use tests_bench::report::{Column, Figures, print, print_header, quoted_etcd_vms};
use tests_conformance::postgres::Postgres;
use tokio::runtime::Runtime;

use etcd::{Etcd, EtcdSession};

fn main() {
    // Cargo adds '--bench'.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let quick = words.iter().any(|word| word == "--quick");
    let only = words.iter().position(|word| word == "--only").and_then(|at| words.get(at + 1));
    if only.is_some_and(|only| ["consensus", "store", "volume", "sql", "services"].contains(&only.as_str())) {
        return;
    }
    let only = only.map(String::as_str);
    if let Some(unknown) = only.filter(|only| !["vm", "host", "failover"].contains(only)) {
        eprintln!(
            "--only {unknown}: there is vm, host, failover, sql, services, consensus, store and volume"
        );
        std::process::exit(2);
    }
    let mut effort = match quick {
        true => Effort { load: Duration::from_secs(2), boots: 1, failovers: 1 },
        false => Effort { load: Duration::from_secs(6), boots: 3, failovers: 10 },
    };
    let failover_only = only == Some("failover");
    if failover_only {
        effort.load = Duration::ZERO;
    }
    let runtime = Runtime::new().expect("a runtime");
    let mut postgres = Postgres::start();
    let version = postgres.as_ref().map(Postgres::version);
    let missing = |name: &str| format!("{name} is not installed: not in this run");
    let etcd_version = tests_vm::is_installed("etcd").then(Etcd::version);
    let versions =
        [version.unwrap_or_else(|| missing("PostgreSQL")), etcd_version.unwrap_or_else(|| missing("etcd"))];
    let command = format!("cargo bench -p tests-bench -- {}", words.join(" "));
    print_header(command.trim_end_matches(" -- "), &versions);
    println!();
    let mut columns = Vec::new();
    for (name, key, options) in [("3 VMs", "vm", &[][..]), ("3 processes", "host", &["--host"])] {
        if failover_only || only.is_none_or(|only| only == key) {
            let figures = measure(&runtime, &format!("bench-{key}"), options, effort);
            columns.push(Column { name, figures });
        }
    }
    let mut peers = Vec::new();
    let peers_too = !failover_only;
    if let Some(etcd) = peers_too.then(|| Etcd::start(&runtime)).flatten() {
        let mut figures = Figures::default();
        loads::<EtcdSession>(&runtime, &etcd.ports, effort, &mut figures);
        peers.push(Column { name: "etcd", figures });
    }
    if let Some(postgres) = postgres.take().filter(|_| peers_too) {
        let mut figures = Figures::default();
        runtime.block_on(load::prepare(postgres.port)).expect("the table");
        loads::<SqlSession>(&runtime, &[postgres.port], effort, &mut figures);
        peers.push(Column { name: "PostgreSQL", figures });
    }
    println!();
    print(&columns, &peers, &Column { name: "etcd VMs", figures: quoted_etcd_vms() });
}
