//! Members in a network: elections, replication, membership, snapshots, and what must never be.

mod golden;
mod hostile;
mod model;
mod network;
mod scenarios;

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use cluster_format::limits::APPEND_LEN_MAX;
use cluster_format::{
    Digest, Entry, Incarnation, LogPosition, Membership, NodeId, Payload, Planted, SnapshotChunk,
    SnapshotHead, Version,
};
use drivers_api::{Instant, Now, WallTime};

use crate::{AppendOutcome, Config, Log, Message, MessageBody, Raft, Recovered, Timing, Vote};

use network::Network;

#[test]
fn three_members_elect_one_leader_and_commit() {
    let mut network = Network::new(3, 1);
    network.run(500);
    assert!(network.leader().is_some());
    for _ in 0..20 {
        assert!(network.propose());
    }
    network.run(100);
    assert_eq!(network.committed.len(), 21, "20 entries and the start of the term");
}

#[test]
fn a_member_alone_serves_itself() {
    let mut network = Network::new(1, 1);
    network.run(500);
    assert!(network.propose());
    network.run(20);
    assert_eq!(network.committed.len(), 2);
}

#[test]
fn a_leader_cut_off_steps_down_and_the_others_go_on() {
    let mut network = Network::new(3, 2);
    network.run(500);
    let old = network.leader().expect("a leader");
    network.cut = vec![old];
    network.run(3_000);
    let new = network.leader().expect("another leader");
    assert_ne!(old, new);
    let raft = |network: &Network| network.members[usize::from(old.0) - 1].raft.as_ref().unwrap().term();
    let term = raft(&network);
    assert!(!network.members[usize::from(old.0) - 1].raft.as_ref().unwrap().is_leader());
    network.cut.clear();
    network.run(1_000);
    assert_eq!(network.leader(), Some(new), "pre-vote: the one that was away disturbs nobody");
    assert!(raft(&network) > term);
}

#[test]
fn reads_are_confirmed_by_a_quorum_only() {
    let mut network = Network::new(3, 3);
    network.run(500);
    let now = network.time();
    let leader = usize::from(network.leader().unwrap().0) - 1;
    network.members[leader].raft.as_mut().unwrap().read(now, 7).unwrap();
    network.members[leader].raft.as_mut().unwrap().read(now, 8).unwrap();
    network.run(20);
    let now = network.time();
    let answers = network.members[leader].raft.as_mut().unwrap().take_reads(now);
    network.run(20);
    let now = network.time();
    let more = network.members[leader].raft.as_mut().unwrap().take_reads(now);
    assert_eq!([answers, more].concat(), [(7, Some(Version(1))), (8, Some(Version(1)))]);

    network.cut = vec![NodeId(leader as u8 + 1)];
    let now = network.time();
    network.members[leader].raft.as_mut().unwrap().read(now, 9).unwrap();
    network.run(3_000);
    let now = network.time();
    let answers = network.members[leader].raft.as_mut().unwrap().take_reads(now);
    assert_eq!(answers, [(9, None)]);
}

#[test]
fn a_backlog_that_only_the_next_leader_can_commit_does_not_stop_it() {
    let mut network = Network::new(3, 4);
    network.run(500);
    for _ in 0..50 {
        network.propose();
    }
    network.run(100);
    // All lose power; what they flushed is more than they now keep in memory, and none of it is applied.
    (0..3).for_each(|index| network.crash(index));
    network.log_len_max = 1;
    (0..3).for_each(|index| network.start(index));
    network.run(2_000);
    let last = network.committed.last_key_value().map(|(version, _)| *version);
    assert_eq!(last, Some(Version(52)), "50 entries and two starts of a term");
}

#[test]
fn a_member_that_lost_its_disk_votes_for_nobody_until_it_has_the_log_again() {
    let mut network = Network::new(3, 5);
    network.run(500);
    let leader = usize::from(network.leader().unwrap().0) - 1;
    let (blank, behind) = ((leader + 1) % 3, (leader + 2) % 3);
    network.crash(behind);
    for _ in 0..10 {
        network.propose();
    }
    network.run(100);
    let committed = network.committed.len();
    network.crash(leader);
    network.wipe(blank);
    network.start(blank);
    network.start(behind);
    network.run(5_000);
    assert_eq!(network.leader(), None, "the two that are up do not have what was committed");
    network.start(leader);
    network.run(3_000);
    assert!(network.committed.len() > committed);
    assert_eq!(network.members[blank].disk.entries.len(), network.committed.len(), "it has caught up");
}

#[test]
fn committed_entries_survive_crashes_loss_and_partitions() {
    for seed in 0..60 {
        let mut network = Network::new(if seed % 2 == 0 { 3 } else { 5 }, seed);
        network.loss_percent = seed % 4 * 10;
        let count = network.members.len() as u64;
        for _ in 0..40 {
            let victim = network.below(count) as usize;
            match network.below(6) {
                0 => network.crash(victim),
                1 => network.cut = vec![NodeId(victim as u8 + 1)],
                2 => network.cut.clear(),
                _ => {
                    for index in 0..network.members.len() {
                        if network.members[index].raft.is_none() && network.below(2) == 0 {
                            network.start(index);
                        }
                    }
                }
            }
            for _ in 0..network.below(10) {
                network.propose();
            }
            let span = 20 + network.below(800);
            network.run(span);
        }
        network.heal_and_converge(seed);
    }
}

/// A follower whose log begins behind a snapshot of version 200, and ends with an entry that no leader after
/// its own ever had.
fn follower_behind_a_snapshot() -> Raft {
    let last = LogPosition { term: 6, version: Version(200) };
    let mut log =
        Log::behind(&SnapshotHead { last, membership: Membership::founding(3), ..Default::default() });
    let own = LogPosition { term: 7, version: Version(201) };
    log.push(Arc::new(Entry::new(own, 0, log.last_digest(), Payload::TermStart)));
    let config = Config {
        id: NodeId(2),
        incarnation: Incarnation(2),
        timing: Timing::default(),
        seed: [2; 32],
        log_len_max: 1 << 20,
        append_len_max: APPEND_LEN_MAX,
        write_len_max: 1 << 20,
        priority: 0,
        planted: Planted::NONE,
    };
    let recovered = Recovered {
        vote: Vote { term: 8, voted_for: None },
        log,
        commit: last.version,
        applied: last.version,
        promised: LogPosition::default(),
        incoming: None,
    };
    Raft::new(config, recovered, now())
}

fn now() -> Now {
    Now { monotonic: Instant::ZERO, wall: WallTime { unix_micros: 0 } }
}

/// What it answers to an append of term 8.
fn outcome_of(raft: &mut Raft, previous: LogPosition, entries: Vec<Arc<Entry>>) -> AppendOutcome {
    let body = MessageBody::Append { previous, entries, commit: Version(200), round: 1 };
    raft.receive(now(), NodeId(1), Message { term: 8, incarnation: Incarnation(1), body });
    let answers = raft.take_messages().into_iter().filter_map(|(_, message)| match message.body {
        MessageBody::AppendReply { outcome, .. } => Some(outcome),
        _ => None,
    });
    answers.last().expect("an answer")
}

#[test]
fn entries_that_a_snapshot_covers_are_acknowledged_as_all_of_it() {
    let mut raft = follower_behind_a_snapshot();
    let previous = LogPosition { term: 6, version: Version(146) };
    let position = LogPosition { term: 6, version: Version(147) };
    let entry = Arc::new(Entry::new(position, 0, Digest::ZERO, Payload::TermStart));
    // If it acknowledged nothing, it would be sent the same again, for ever.
    assert_eq!(outcome_of(&mut raft, previous, vec![entry]), AppendOutcome::Matched(Version(200)));
}

#[test]
fn a_follower_with_an_entry_too_many_says_what_is_committed() {
    let mut raft = follower_behind_a_snapshot();
    let previous = LogPosition { term: 6, version: Version(201) };
    let (probed, last, commit) = (Version(201), Version(201), Version(200));
    assert_eq!(outcome_of(&mut raft, previous, vec![]), AppendOutcome::Mismatch { probed, last, commit });
}

#[test]
fn a_snapshot_that_the_log_has_overtaken_is_forgotten() {
    let mut raft = follower_behind_a_snapshot();
    let last = LogPosition { term: 8, version: Version(203) };
    let head = Arc::new(SnapshotHead { last, ..Default::default() });
    let chunk = SnapshotChunk { head, index: 0, is_last: false, body: Arc::from([]) };
    let body = MessageBody::Snapshot(chunk);
    raft.receive(now(), NodeId(1), Message { term: 8, incarnation: Incarnation(1), body });
    assert!(raft.take_chunk_write(now()).is_some());
    raft.chunk_written();
    raft.tick(now());
    assert!(raft.is_receiving_snapshot());
    // Whoever sent it is gone, and another leader sends entries instead.
    let mut previous = raft.log().base();
    let mut digest = Digest::ZERO;
    let entries = (201..204).map(|version| {
        let position = LogPosition { term: 8, version: Version(version) };
        let entry = Arc::new(Entry::new(position, 0, digest, Payload::TermStart));
        digest = entry.digest();
        entry
    });
    let entries: Vec<_> = entries.collect();
    outcome_of(&mut raft, previous, entries);
    previous = raft.log().last();
    assert_eq!(previous, last);
    raft.tick(now());
    assert!(!raft.is_receiving_snapshot());
}

#[test]
fn a_member_with_new_tables_keeps_its_promise() {
    let mut raft = follower_behind_a_snapshot();
    let (kept, rebuilt) = (raft.kept_through(), LogPosition { term: 5, version: Version(150) });
    assert_eq!((kept, raft.missing()), (raft.log().last(), None));
    let head = SnapshotHead { last: rebuilt, membership: Membership::founding(3), ..Default::default() };
    assert!(!raft.can_resume_behind(&head));
    raft.rebuilt(now(), &head);
    assert_eq!((raft.log().last(), raft.commit()), (rebuilt, rebuilt.version));
    assert_eq!((raft.missing(), raft.promised()), (Some(Version(151)), kept));
    assert!(raft.take_committed(usize::MAX).is_empty());
}
