//! The leader dies under load: nothing acknowledged is lost, nothing is done twice, and the rest goes on.

use std::time::{Duration, Instant};

use tests_vm::{Cluster, Discrepancies, InsertStream, Record, ids_at, longest_silence, turn};

/// What clients were told and what the table holds are one story, at every node.
pub fn check_every_outcome(cluster: &Cluster, records: &[Record], table: &str) {
    let seen = ids_at(cluster, 1, table);
    for node in cluster.others(1) {
        assert_eq!(ids_at(cluster, node, table), seen, "nodes 1 and {node} agree");
    }
    let seen = seen.expect("SELECT");
    assert_eq!(Discrepancies::of(records, &seen), Discrepancies::default());
    let acknowledged = records.iter().filter(|record| record.outcome.is_ok()).count();
    let unknown = records.iter().filter(|r| r.outcome.as_ref().is_err_and(|f| f.may_have_happened())).count();
    println!("  {acknowledged} acknowledged, {unknown} of unknown outcome, {} rows", seen.len());
}

/// Two streams of inserts into `written`: by clients of the survivors, and by one that starts at `leader`
/// and loses it.
pub struct Streams {
    survivors: InsertStream,
    bereft: InsertStream,
}

impl Streams {
    /// Makes the table and starts both.
    pub fn start(cluster: &Cluster, leader: u8) -> Streams {
        // Without a primary key: whatever is done twice is there twice.
        cluster.client(1).query("CREATE TABLE written (id bigint)").expect("CREATE TABLE");
        let others: Vec<u16> = cluster.others(leader).iter().map(|node| cluster.port(*node)).collect();
        let all = [&[cluster.port(leader)], &others[..]].concat();
        let survivors = InsertStream::start("written", 1, others);
        Streams { survivors, bereft: InsertStream::start("written", 1_000_000, all) }
    }

    /// Waits until the survivors' clients are told that one more of their inserts has taken place.
    pub fn go_on(&self, cluster: &Cluster) {
        let before = self.survivors.acknowledged();
        cluster.wait("writes to go on", || (self.survivors.acknowledged() > before).then_some(()));
    }

    /// Ends both; what became of all inserts, and the longest silence at the survivors from `event` on.
    pub fn finish(self, event: Instant) -> (Vec<Record>, Duration) {
        let mut records = self.survivors.finish();
        let silence = longest_silence(&records, event, Instant::now());
        records.extend(self.bereft.finish());
        (records, silence)
    }
}

fn the_leader_dies(name: &str, up_options: &[&str]) {
    let _turn = turn();
    let cluster = Cluster::start(name, up_options);
    let leader = cluster.leader();
    let streams = Streams::start(&cluster, leader);
    std::thread::sleep(Duration::from_secs(2));
    let killed = Instant::now();
    cluster.fault(&["kill", &leader.to_string()]);
    cluster.wait("another leader", || cluster.status().leader.filter(|id| *id != leader));
    streams.go_on(&cluster);
    std::thread::sleep(Duration::from_secs(2));
    let restarted = Instant::now();
    cluster.fault(&["restart", &leader.to_string()]);
    cluster.client(leader).row("SELECT 1").expect("the restarted node answers");
    println!("{name}: the restarted node answers after {:.2?}", restarted.elapsed());
    std::thread::sleep(Duration::from_secs(1));
    let (records, silence) = streams.finish(killed);
    println!("{name}: leader killed to next acknowledged write at the others: {silence:.2?} (aim: 1 s)");
    check_every_outcome(&cluster, &records, "written");
    cluster.catches_up(leader);
}

#[test]
fn vms_survive_the_loss_of_their_leader() {
    the_leader_dies("failover", &[]);
}

#[test]
fn host_processes_survive_the_loss_of_their_leader() {
    the_leader_dies("host-failover", &["--host"]);
}

#[test]
fn every_member_may_die_in_turn() {
    let _turn = turn();
    let cluster = Cluster::start("rolling", &["--host"]);
    cluster.client(1).query("CREATE TABLE written (id bigint)").expect("CREATE TABLE");
    let stream = InsertStream::start("written", 1, (1..=3).map(|node| cluster.port(node)).collect());
    for node in 1..=3u8 {
        std::thread::sleep(Duration::from_millis(700));
        cluster.fault(&["kill", &node.to_string()]);
        std::thread::sleep(Duration::from_millis(700));
        cluster.fault(&["restart", &node.to_string()]);
        // A majority must stand before the next one falls.
        cluster.client(node).row("SELECT count(*) FROM written").expect("the restarted node answers");
        cluster.catches_up(node);
    }
    let records = stream.finish();
    check_every_outcome(&cluster, &records, "written");
}

/// The power button is pressed, not the plug pulled.
fn a_leader_is_restarted_in_order(name: &str, up_options: &[&str]) {
    let _turn = turn();
    let cluster = Cluster::start(name, up_options);
    let leader = cluster.leader();
    let streams = Streams::start(&cluster, leader);
    std::thread::sleep(Duration::from_secs(1));
    let restarted = Instant::now();
    cluster.fault(&["restart", &leader.to_string()]);
    streams.go_on(&cluster);
    cluster.catches_up(leader);
    let (records, silence) = streams.finish(restarted);
    println!("{name}: leader restarted, longest silence at the others: {silence:.2?}");
    check_every_outcome(&cluster, &records, "written");
    let log = cluster.log(leader);
    assert!(log.contains("asked to stop") && log.contains("stops: may be switched off"), "{log}");
    let others = cluster.others(leader);
    assert!(others.iter().any(|node| cluster.log(*node).contains("leader in term 2")), "one has taken over");
}

#[test]
fn a_leader_with_a_power_button_hands_over() {
    a_leader_is_restarted_in_order("restarted", &[]);
}

#[test]
fn a_leader_with_a_power_button_of_another_kind_hands_over() {
    a_leader_is_restarted_in_order("restarted-microvm", &["--machine", "microvm"]);
}

#[test]
fn a_leader_that_is_a_host_process_hands_over() {
    a_leader_is_restarted_in_order("restarted-host", &["--host"]);
}
