//! The simulator's workloads, on clusters that are real: the leader dies while money moves, lists grow and tasks are done, and
//! while messages, files, workflows and schedules are on their way.

use std::sync::Arc;
use std::time::Duration;

use tests_vm::{Cluster, Load, turn};
use tests_workloads::{Appends, Bank, Files, Mail, Tasks, Ticks, Workflows};

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
    cluster.catches_up(leader);
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

/// Kills a node and waits until all of `loads` have come further without it; then it comes back.
fn all_go_on_without(cluster: &Cluster, victim: u8, loads: &[Load]) {
    let witness = cluster.others(victim)[0];
    cluster.fault(&["kill", &victim.to_string()]);
    let committed = || loads.iter().map(Load::committed).collect::<Vec<u64>>();
    let done = || {
        let done = "SELECT count(*) FILTER (WHERE program = 'statement' AND queue <> 'clock'), count(*) FILTER (WHERE program = 'keeper'), \
                    count(*) FILTER (WHERE program = 'order'), (SELECT count(*) FROM ticks) FROM sys.tasks WHERE state = 'done'";
        let done = cluster.try_client(witness).ok()?.row(done).ok()?;
        Some(done.split('|').map(|count| count.parse().expect("a number")).collect::<Vec<u64>>())
    };
    let before = (committed(), cluster.wait("tasks that are done", done));
    let further = |now: &[u64], before: &[u64]| now.iter().zip(before).all(|(now, before)| *now > before + 2);
    cluster.wait(&format!("all go on without node {victim}"), || {
        (further(&committed(), &before.0) && further(&done()?, &before.1)).then_some(())
    });
    cluster.fault(&["restart", &victim.to_string()]);
    cluster.catches_up(victim);
}

fn services_keep_what_they_promise(name: &str, up_options: &[&str]) {
    let _turn = turn();
    let cluster = Cluster::start(name, up_options);
    let ports: Vec<u16> = (1..=3).map(|node| cluster.port(node)).collect();
    // No more than VMs that share a core or two can do: each message lets all orders that wait look for it.
    let load = |workload, clients, think| {
        Load::start_thinking(workload, &ports, clients, Duration::from_millis(think))
    };
    let loads = vec![
        // It ends first: others wait until no task is left.
        load(Arc::new(Ticks { every_second: true }), 1, 500),
        load(Arc::new(Mail::default()), 2, 100),
        load(Arc::new(Files::default()), 1, 1000),
        load(Arc::new(Workflows::default()), 1, 1000),
        load(Arc::new(Tasks::default()), 1, 500),
    ];
    let leader = cluster.leader();
    all_go_on_without(&cluster, leader, &loads);
    all_go_on_without(&cluster, cluster.others(leader)[0], &loads);
    loads.into_iter().for_each(Load::finish);
}

#[test]
fn services_of_vms_keep_what_they_promise_when_nodes_are_killed() {
    services_keep_what_they_promise("services", &[]);
}

#[test]
fn services_of_host_processes_keep_what_they_promise_when_nodes_are_killed() {
    services_keep_what_they_promise("host-services", &["--host"]);
}
