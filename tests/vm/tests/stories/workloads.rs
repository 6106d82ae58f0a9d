//! The simulator's workloads, on clusters that are real: the leader dies while money moves and lists grow.

use std::sync::Arc;
use std::time::Duration;

use tests_vm::{Cluster, Load, turn};
use tests_workloads::{Appends, Bank};

use crate::failover::catches_up;

fn workloads_survive_the_loss_of_the_leader(name: &str, up_options: &[&str]) {
    let _turn = turn();
    let cluster = Cluster::start(name, up_options);
    let ports: Vec<u16> = (1..=3).map(|node| cluster.port(node)).collect();
    let bank = Load::start(Arc::new(Bank::default()), &ports, 3);
    let appends = Load::start(Arc::new(Appends::default()), &ports, 3);
    std::thread::sleep(Duration::from_secs(2));
    let leader = cluster.leader();
    cluster.fault(&["kill", &leader.to_string()]);
    let before = (bank.committed(), appends.committed());
    cluster.wait("both go on without their leader", || {
        (bank.committed() > before.0 + 10 && appends.committed() > before.1 + 10).then_some(())
    });
    cluster.fault(&["restart", &leader.to_string()]);
    catches_up(&cluster, leader);
    bank.finish();
    appends.finish();
}

#[test]
fn vms_keep_every_invariant_when_their_leader_dies() {
    workloads_survive_the_loss_of_the_leader("workloads", &[]);
}

#[test]
fn host_processes_keep_every_invariant_when_their_leader_dies() {
    workloads_survive_the_loss_of_the_leader("host-workloads", &["--host"]);
}
