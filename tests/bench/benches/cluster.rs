//! `cargo bench -p tests-bench [-- --quick] [--only vm|host]`

use std::time::Duration;

use tests_bench::load;
use tests_bench::postgres::Postgres;
use tests_bench::relix::{Effort, loads, measure};
use tests_bench::report::{Column, Figures, print, print_header, quoted_etcd};

fn main() {
    // Cargo adds '--bench'.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let quick = words.iter().any(|word| word == "--quick");
    let only = words.iter().position(|word| word == "--only").and_then(|at| words.get(at + 1));
    let effort = match quick {
        true => Effort { load: Duration::from_secs(2), repeats: 1 },
        false => Effort { load: Duration::from_secs(6), repeats: 3 },
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let peer = Postgres::start();
    let version = peer.as_ref().map(Postgres::version);
    let command = format!("cargo bench -p tests-bench -- {}", words.join(" "));
    print_header(command.trim_end_matches(" -- "), version.as_deref());
    println!();
    let mut columns = Vec::new();
    for (name, key, options) in [("3 VMs", "vm", &[][..]), ("3 processes", "host", &["--host"])] {
        if only.is_none_or(|only| only == key) {
            let figures = measure(&runtime, &format!("bench-{key}"), options, effort);
            columns.push(Column { name, figures });
        }
    }
    let peer = peer.map(|postgres| {
        let mut figures = Figures::default();
        runtime.block_on(load::prepare(postgres.port)).expect("the table");
        loads(&runtime, &[postgres.port], effort, &mut figures);
        Column { name: "PostgreSQL", figures }
    });
    let (vms, native) = quoted_etcd();
    let quoted = [Column { name: "etcd VMs", figures: vms }, Column { name: "etcd native", figures: native }];
    println!();
    print(&columns, peer.as_ref(), &quoted);
}
