//! What a wire between two VMs carries, two of Relix and two of Linux, in turn, in one run: `cargo bench -p tests-bench
//! --bench wire [-- --quick] [--repeats N] [--subjects relix,linux] [--kvm] [--datagrams]`.
//!
//! Both have the same machines, the same card, and each pair a wire of its own: a socket of the host, by which QEMU joins
//! the cards directly. One VM serves, one asks, by the same code (`cluster-throughput`) over the system's own TCP: Relix's
//! in its kernel, Linux's in a static program that is its only process.

mod cpio;
mod linux;
mod machine;

use std::fs;
use std::path::Path;

use cluster_throughput::{Measured, PARTS, Part};
use machine::{Guest, MEMORY_MIB, MTU, Wire, measure};
use tests_bench::report::{print_aligned, print_setup, shown};
use tests_vm::build;

/// Pairs of each kind, one kind after the other in turn; the median counts.
const REPEATS: usize = 3;

/// Pairs that may come to no end before the bench is given up. Each is told of.
const TRIES: usize = 3;

fn relix(kvm: bool) -> Guest {
    let kernel = build(&["-p", "kernel-main", "--profile", "kernel"], &[]);
    let append =
        |role: &str, ip: &str| format!("relix.node=1 relix.ip={ip}/24 relix.panic=off relix.wire={role}");
    Guest { name: "Relix", kernel, initrd: None, kvm, disk: Some(64 << 20), append }
}

/// Megabytes a second of a stream, or requests a second.
fn figure(measured: &Measured) -> f64 {
    let Part { requests, answer_len, .. } = measured.part;
    let amount = if requests == 1 { answer_len as f64 / 1e6 } else { requests as f64 };
    amount / measured.took.as_secs_f64()
}

fn name(part: &Part) -> String {
    match part {
        Part { requests: 1, .. } => "stream, MB/s".into(),
        Part { connections: 1, .. } => "requests/s, 1 connection".into(),
        Part { connections, .. } => format!("requests/s, {connections} connections"),
    }
}

fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let has = |word: &str| words.iter().any(|other| other == word);
    let value = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    // The other benches' options are not for this one.
    if has("--only") && !has("wire") {
        return;
    }
    let told = value("--repeats").map(|repeats| repeats.parse().expect("a number of repeats"));
    let repeats = told.unwrap_or(if has("--quick") { 1 } else { REPEATS });
    let wants = |name: &str| value("--subjects").is_none_or(|list| list.split(',').any(|word| word == name));
    let kvm = has("--kvm");
    let wire = if has("--datagrams") { Wire::Datagrams } else { Wire::Stream };
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wire");
    fs::create_dir_all(&dir).expect("a folder for the machines");
    let mut guests = Vec::new();
    if wants("relix") {
        guests.push(relix(kvm));
    }
    let linux = if wants("linux") { linux::prepare(&dir, kvm) } else { Err("it is not asked for".into()) };
    let peer = match &linux {
        Ok(guest) => {
            format!("{}, mitigations=off", guest.kernel.file_name().unwrap_or_default().to_string_lossy())
        }
        Err(why) => format!("Linux is left out: {why}"),
    };
    guests.extend(linux);
    let command = format!("cargo bench -p tests-bench --bench wire -- {}", words.join(" "));
    print_setup(command.trim_end_matches(" -- "), &[peer]);
    let accel = if kvm { "KVM" } else { "TCG" };
    println!(
        "\nTwo VMs on a wire ({wire:?} of QEMU, {accel}, 1 core and {MEMORY_MIB} MiB each, MTU {MTU}), medians of {repeats}:\n"
    );
    // A folder of its own for each process: its sockets and disks.
    let scratch = dir.join(std::process::id().to_string());
    fs::create_dir_all(&scratch).expect("a folder for sockets");
    let mut figures = vec![vec![Vec::new(); PARTS.len()]; guests.len()];
    for _ in 0..repeats {
        for (guest, figures) in guests.iter().zip(&mut figures) {
            let measured = (0..TRIES).find_map(|_| {
                let failed = |said| {
                    println!("{}: a pair has not come to an end, and is left out:\n{said}\n", guest.name)
                };
                measure(guest, wire, &scratch).map_err(failed).ok()
            });
            let measured = measured.expect("a pair that comes to an end");
            figures.iter_mut().zip(&measured).for_each(|(figures, measured)| figures.push(figure(measured)));
        }
    }
    print(&guests, &figures);
    let _ = fs::remove_dir_all(&scratch);
    guests.iter().filter_map(|guest| guest.initrd.as_ref()).for_each(|initrd| drop(fs::remove_file(initrd)));
}

/// Prints medians, the first guest's by the second's, and what each median is of.
fn print(guests: &[Guest], figures: &[Vec<Vec<f64>>]) {
    let mut table = vec![vec![String::new()]];
    table[0].extend(guests.iter().map(|guest| guest.name.to_string()));
    table[0].push("ratio".into());
    table[0].extend(guests.iter().map(|guest| format!("all of {}", guest.name)));
    for (at, part) in PARTS.iter().enumerate() {
        let medians: Vec<Option<f64>> = figures.iter().map(|figures| median(figures[at].clone())).collect();
        let ratio = match medians[..] {
            [Some(own), Some(peer)] => Some(own / peer),
            _ => None,
        };
        let mut line = vec![name(part)];
        line.extend(medians.into_iter().map(shown));
        line.push(shown(ratio));
        line.extend(figures.iter().map(|figures| {
            figures[at].iter().map(|figure| shown(Some(*figure))).collect::<Vec<_>>().join(" ")
        }));
        table.push(line);
    }
    print_aligned(&table);
}
