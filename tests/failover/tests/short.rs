//! A part of the suite that takes little: each must show that nothing is lost and all go on; how fast is not asked.

use tests_failover::report::{self, Result};
use tests_failover::scenario::SCENARIOS;

fn is_clean(name: &str, on_host: bool) {
    let _turn = tests_vm::turn();
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).expect("a scenario");
    let outcome = tests_failover::play(scenario, on_host, &["bank", "append", "queue", "files"]);
    assert!(
        outcome.is_clean(),
        "{} lost, {} doubled, {:?}",
        outcome.lost,
        outcome.doubled,
        outcome.anomalies
    );
    println!("{}", report::table(&[Result { scenario, outcomes: vec![outcome] }]));
}

#[test]
fn vms_whose_leader_is_cut_off() {
    is_clean("leader-cut-off", false);
}

#[test]
fn host_processes_whose_leader_stands_still() {
    is_clean("leader-paused", true);
}

#[test]
fn host_processes_that_are_all_killed() {
    is_clean("all-killed", true);
}
