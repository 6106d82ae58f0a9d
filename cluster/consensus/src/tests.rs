//! A cluster of members on a lossy network, driven by one seed.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use cluster_format::{Commit, Digest, Entry, NodeId, Origin, Payload, RequestId, Version};
use drivers_api::{Instant, Now, WallTime};
use proptest::prelude::{Just, Strategy, any, prop, prop_assert, prop_oneof, proptest};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::{
    AppendOutcome, Config, Log, LogPosition, LogWrite, Message, MessageBody, Raft, Recovered, Timing, Vote,
};

/// What a member's disk holds.
#[derive(Clone, Default)]
struct Disk {
    vote: Vote,
    entries: Vec<Arc<Entry>>,
}

struct Member {
    raft: Option<Raft>,
    disk: Disk,
    writing: Option<LogWrite>,
}

struct Network {
    log_len_max: usize,
    now: Instant,
    rng: ChaCha8Rng,
    members: Vec<Member>,
    /// Messages on their way: (due, from, to, message).
    flying: Vec<(Instant, NodeId, NodeId, Message)>,
    loss_percent: u64,
    /// Pairs that cannot hear each other.
    cut: Vec<NodeId>,
    /// Every entry any member ever committed: all must agree.
    committed: BTreeMap<Version, Arc<Entry>>,
    leaders: BTreeMap<u64, NodeId>,
}

impl Network {
    fn new(members: u8, seed: u64) -> Network {
        let members = (0..members).map(|_| Member { raft: None, disk: Disk::default(), writing: None });
        let mut network = Network {
            log_len_max: 1 << 20,
            now: Instant::ZERO,
            rng: ChaCha8Rng::seed_from_u64(seed),
            members: members.collect(),
            flying: vec![],
            loss_percent: 0,
            cut: vec![],
            committed: BTreeMap::new(),
            leaders: BTreeMap::new(),
        };
        for index in 0..network.members.len() {
            network.start(index);
        }
        network
    }

    fn time(&self) -> Now {
        Now { monotonic: self.now, wall: WallTime { unix_micros: 0 } }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.rng.next_u64() % bound
    }

    fn start(&mut self, index: usize) {
        let voters = (1..=self.members.len() as u8).map(NodeId).collect();
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let config = Config {
            id: NodeId(index as u8 + 1),
            voters,
            timing: Timing::default(),
            seed,
            log_len_max: self.log_len_max,
        };
        let now = self.time();
        let member = &mut self.members[index];
        let mut log = Log::default();
        member.disk.entries.iter().for_each(|entry| log.push(entry.clone()));
        let recovered = Recovered { vote: member.disk.vote, log, ..Recovered::default() };
        member.raft = Some(Raft::new(config, recovered, now));
        member.writing = None;
    }

    /// A crash loses the write in flight, whole.
    fn crash(&mut self, index: usize) {
        self.members[index].raft = None;
        self.members[index].writing = None;
    }

    fn propose(&mut self) -> bool {
        let now = self.time();
        let session = self.rng.next_u64();
        let commit = Commit {
            request: RequestId { session, sequence: 1 },
            origin: Origin { node: NodeId(1) },
            read_version: Version::ZERO,
            reads: vec![],
            writes: vec![],
        };
        let leader =
            self.members.iter_mut().filter_map(|member| member.raft.as_mut()).find(|r| r.is_leader());
        leader.is_some_and(|raft| raft.propose(now, Payload::Commit(Arc::new(commit))).is_ok())
    }

    /// One millisecond.
    fn step(&mut self) {
        self.now = self.now + Duration::from_millis(1);
        let now = self.time();
        let arrived: Vec<_> = self.flying.extract_if(.., |(due, ..)| *due <= now.monotonic).collect();
        for (_, from, to, message) in arrived {
            if let Some(raft) = &mut self.members[usize::from(to.0) - 1].raft {
                raft.receive(now, from, message);
            }
        }
        for index in 0..self.members.len() {
            self.turn(index, now);
        }
    }

    fn turn(&mut self, index: usize, now: Now) {
        let write_ends = self.below(3) == 0;
        let member = &mut self.members[index];
        let Some(raft) = &mut member.raft else { return };
        raft.tick(now);
        if write_ends && let Some(write) = member.writing.take() {
            member.disk.vote = write.vote;
            if let Some(first) = write.entries.first() {
                member.disk.entries.truncate(first.version.0 as usize - 1);
                member.disk.entries.extend(write.entries);
            }
            raft.written(now, write.mark);
        }
        if member.writing.is_none() {
            member.writing = raft.take_write();
        }
        if raft.is_leader() {
            let leader = *self.leaders.entry(raft.term()).or_insert(raft.id);
            assert_eq!(leader, raft.id, "two leaders in term {}", raft.term());
        }
        for entry in raft.take_committed(usize::MAX) {
            let known = self.committed.entry(entry.version).or_insert_with(|| entry.clone());
            assert!(*known == entry, "two histories at {}", entry.version);
        }
        let from = raft.id;
        let messages = raft.take_messages();
        for (to, message) in messages {
            let lost = self.below(100) < self.loss_percent;
            let parted = self.cut.contains(&from) != self.cut.contains(&to);
            let due = self.now + Duration::from_millis(1 + self.below(4));
            if !lost && !parted {
                self.flying.push((due, from, to, message));
            }
        }
    }

    fn run(&mut self, milliseconds: u64) {
        (0..milliseconds).for_each(|_| self.step());
    }

    fn leader(&self) -> Option<NodeId> {
        let rafts = self.members.iter().filter_map(|member| member.raft.as_ref());
        rafts.filter(|raft| raft.is_leader()).max_by_key(|raft| raft.term()).map(|raft| raft.id)
    }
}

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
    network.crash(blank);
    network.members[blank].disk = Disk::default();
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
        heal_and_converge(&mut network, seed);
    }
}

/// Liveness: with everyone back and no faults, all logs become equal and hold all that was committed.
fn heal_and_converge(network: &mut Network, seed: u64) {
    network.cut.clear();
    network.loss_percent = 0;
    for index in 0..network.members.len() {
        if network.members[index].raft.is_none() {
            network.start(index);
        }
    }
    network.run(5_000);
    assert!(network.propose(), "seed {seed}: a leader");
    network.run(1_000);
    let last = network.committed.last_key_value().map(|(version, _)| *version);
    for member in &network.members {
        let raft = member.raft.as_ref().unwrap();
        assert_eq!(Some(raft.commit()), last, "seed {seed}: {raft:?}");
        let log: Vec<_> = network.committed.values().cloned().collect();
        assert!(member.disk.entries == log, "seed {seed}: {raft:?} holds something else than was committed");
    }
}

/// A message that says anything at all.
fn any_message() -> impl Strategy<Value = Message> {
    let number = prop_oneof![0u64..12, Just(u64::MAX), Just(u64::MAX / 2), any::<u64>()];
    let position = (number.clone(), number.clone());
    let position = position.prop_map(|(term, version)| LogPosition { term, version: Version(version) });
    let entry = (number.clone(), number.clone()).prop_map(|(version, term)| {
        Arc::new(Entry {
            version: Version(version),
            term,
            wall_micros: 0,
            previous: Digest::ZERO,
            payload: Payload::TermStart,
        })
    });
    let append = (position.clone(), prop::collection::vec(entry, 0..4), number.clone(), number.clone());
    let outcome = prop_oneof![
        number.clone().prop_map(|version| AppendOutcome::Matched(Version(version))),
        (number.clone(), number.clone()).prop_map(|(probed, last)| AppendOutcome::Mismatch {
            probed: Version(probed),
            last: Version(last)
        }),
    ];
    let body = prop_oneof![
        position.clone().prop_map(|last| MessageBody::PreVoteRequest { last }),
        any::<bool>().prop_map(|granted| MessageBody::PreVoteReply { granted }),
        position.prop_map(|last| MessageBody::VoteRequest { last }),
        any::<bool>().prop_map(|granted| MessageBody::VoteReply { granted }),
        append.prop_map(|(previous, entries, commit, round)| MessageBody::Append {
            previous,
            entries,
            commit: Version(commit),
            round
        }),
        (number.clone(), outcome).prop_map(|(round, outcome)| MessageBody::AppendReply { round, outcome }),
    ];
    (number, body).prop_map(|(term, body)| Message { term, body })
}

proptest! {
    /// Whatever a broken peer says, a member stays standing and keeps what it committed.
    #[test]
    fn no_message_brings_a_member_down(
        steps in prop::collection::vec((2u8..4, any_message(), 0u64..700), 1..40),
    ) {
        let mut network = Network::new(3, 9);
        network.run(400);
        for (from, message, pause) in steps {
            let committed = network.members[0].raft.as_ref().unwrap().commit();
            network.now = network.now + Duration::from_millis(pause);
            let now = network.time();
            let member = &mut network.members[0];
            let raft = member.raft.as_mut().unwrap();
            raft.receive(now, NodeId(from), message);
            raft.tick(now);
            if let Some(write) = raft.take_write() {
                raft.written(now, write.mark);
            }
            raft.take_messages();
            prop_assert!(raft.commit() >= committed);
        }
    }
}
