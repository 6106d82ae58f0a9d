//! The simulator's workloads, on clusters that are real: the leader dies while money moves, lists grow and tasks are done.

use std::sync::Arc;
use std::time::Duration;

use tests_vm::{Cluster, Load, turn};
use tests_workloads::{Appends, Bank, Tasks};

use crate::failover::catches_up;

fn workloads_survive_the_loss_of_the_leader(name: &str, up_options: &[&str]) {
    let _turn = turn();
    let cluster = Cluster::start(name, up_options);
    let ports: Vec<u16> = (1..=3).map(|node| cluster.port(node)).collect();
    let bank = Load::start(Arc::new(Bank::default()), &ports, 3);
    let appends = Load::start(Arc::new(Appends::default()), &ports, 3);
    let tasks = Load::start(Arc::new(Tasks::default()), &ports, 2);
    std::thread::sleep(Duration::from_secs(2));
    let leader = cluster.leader();
    cluster.fault(&["kill", &leader.to_string()]);
    let committed = || [bank.committed(), appends.committed(), tasks.committed()];
    let before = committed();
    cluster.wait("all go on without their leader", || {
        committed().iter().zip(before).all(|(now, before)| *now > before + 10).then_some(())
    });
    cluster.fault(&["restart", &leader.to_string()]);
    catches_up(&cluster, leader);
    bank.finish();
    appends.finish();
    tasks.finish();
}

#[test]
fn vms_keep_every_invariant_when_their_leader_dies() {
    workloads_survive_the_loss_of_the_leader("workloads", &[]);
}

#[test]
fn host_processes_keep_every_invariant_when_their_leader_dies() {
    workloads_survive_the_loss_of_the_leader("host-workloads", &["--host"]);
}
