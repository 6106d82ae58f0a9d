//! A cluster that has nothing to do leaves the host alone.

use std::time::Duration;

use tests_vm::{Cluster, CpuMeter, resident_kib, turn};

/// The aim is 15 % of one core; a loaded machine measures more, a spin measures 100.
const PERCENT_MAX: f64 = 40.0;

#[test]
fn three_idle_vms_use_little_of_one_core() {
    let _turn = turn();
    let cluster = Cluster::start("idle", &[]);
    std::thread::sleep(Duration::from_secs(2));
    let pids = cluster.pids();
    assert_eq!(pids.len(), 4, "the fabric and three VMs");
    let meter = CpuMeter::start(&pids);
    std::thread::sleep(Duration::from_secs(10));
    let (percents, elapsed) = meter.percents();
    let sum: f64 = percents.iter().sum();
    println!(
        "idle: {sum:.1} % of one core in all over {elapsed:.1?} (aim: 15); fabric and VMs: {percents:.1?}"
    );
    let resident: Vec<u64> = pids.iter().filter_map(|pid| resident_kib(*pid)).map(|kib| kib / 1024).collect();
    println!("idle: resident MiB of the same processes: {resident:?}");
    assert!(sum < PERCENT_MAX, "{sum:.1} %");
}
