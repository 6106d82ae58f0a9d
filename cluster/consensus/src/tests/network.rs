//! A cluster of members on a lossy network, driven by one seed.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use cluster_format::limits::APPEND_LEN_MAX;
use cluster_format::{
    Commit, Digest, Entry, Incarnation, LogPosition, Marks, Membership, NodeId, Origin, Payload, Planted,
    RequestId, SnapshotChunk, SnapshotHead, Version, decode, encode,
};
use drivers_api::{Instant, Now, WallTime};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::{ChunkWanted, Config, Log, LogWrite, Message, Raft, Recovered, Timing, Vote};

/// Digests in one piece of a snapshot.
const CHUNK_LEN: usize = 3;

/// What a member's disk holds.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    pub(crate) incarnation: Incarnation,
    pub(crate) vote: Vote,
    /// The snapshot that the log begins behind, and its tables.
    pub(crate) base: Option<(Arc<SnapshotHead>, Tables)>,
    pub(crate) entries: Vec<Arc<Entry>>,
    pub(crate) incoming: Vec<SnapshotChunk>,
    /// Where the log once ended, if something of it was lost.
    pub(crate) promised: LogPosition,
}

impl Disk {
    fn base_version(&self) -> u64 {
        self.base.as_ref().map_or(0, |(head, _)| head.last.version.0)
    }

    /// Loses everything from `first` on, and knows that it did.
    pub(crate) fn lose_from(&mut self, first: Version) {
        let last = self.entries.last().map(|entry| entry.position()).unwrap_or_default();
        self.promised = self.promised.max(last);
        self.entries.retain(|entry| entry.version < first);
    }
}

/// What a member has applied: the digest of each committed entry.
#[derive(Clone, Default, PartialEq, Debug)]
pub(crate) struct Tables(pub(crate) Vec<Digest>);

impl Tables {
    pub(crate) fn content(&self) -> Digest {
        self.0.iter().fold(Digest::ZERO, |content, digest| content.chain(digest))
    }

    /// What a snapshot of them would be, at the member that has applied them.
    pub(crate) fn head(&self, raft: &Raft) -> SnapshotHead {
        let version = Version(self.0.len() as u64);
        let last = LogPosition { term: raft.log().term_at(version).expect("it is in the log"), version };
        let membership = (**raft.log().membership_at(version)).clone();
        let digest = self.0.last().copied().unwrap_or_default();
        SnapshotHead { last, digest, membership, content: self.content(), content_len: self.0.len() as u64 }
    }
}

pub(crate) enum Writing {
    Log(LogWrite),
    Chunk(SnapshotChunk),
}

pub(crate) struct Member {
    pub(crate) raft: Option<Raft>,
    pub(crate) disk: Disk,
    pub(crate) tables: Tables,
    pub(crate) priority: u8,
    /// Nothing that is being written is ever done.
    pub(crate) stuck: bool,
    pub(crate) writing: Option<Writing>,
    outgoing: Option<(Arc<SnapshotHead>, Tables)>,
}

pub(crate) struct Network {
    pub(crate) log_len_max: usize,
    pub(crate) timing: Timing,
    pub(crate) planted: Planted,
    /// The members that an empty log begins with.
    pub(crate) founding: Membership,
    pub(crate) now: Instant,
    rng: ChaCha8Rng,
    pub(crate) members: Vec<Member>,
    /// Messages on their way: (due, from, to, message).
    flying: Vec<(Instant, NodeId, NodeId, Message)>,
    pub(crate) loss_percent: u64,
    /// Those who cannot hear the others, and are not heard.
    pub(crate) cut: Vec<NodeId>,
    /// Every entry any member ever committed: all must agree.
    pub(crate) committed: BTreeMap<Version, Arc<Entry>>,
    leaders: BTreeMap<u64, NodeId>,
    pub(crate) marks: Marks,
}

impl Network {
    pub(crate) fn new(founders: u8, seed: u64) -> Network {
        Network::with_joiners(founders, 0, seed)
    }

    /// Nodes behind the founders are blank and down.
    pub(crate) fn with_joiners(founders: u8, joiners: u8, seed: u64) -> Network {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut member = || Member {
            raft: None,
            disk: Disk { incarnation: Incarnation(rng.next_u64() | 1), ..Disk::default() },
            tables: Tables::default(),
            priority: 0,
            stuck: false,
            writing: None,
            outgoing: None,
        };
        let members = (0..founders + joiners).map(|_| member()).collect();
        let mut network = Network {
            log_len_max: 1 << 20,
            timing: Timing::default(),
            planted: Planted::NONE,
            founding: Membership::founding(founders),
            now: Instant::ZERO,
            rng,
            members,
            flying: vec![],
            loss_percent: 0,
            cut: vec![],
            committed: BTreeMap::new(),
            leaders: BTreeMap::new(),
            marks: Marks::NONE,
        };
        (0..usize::from(founders)).for_each(|index| network.start(index));
        network
    }

    pub(crate) fn time(&self) -> Now {
        Now { monotonic: self.now, wall: WallTime { unix_micros: 0 } }
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.rng.next_u64() % bound
    }

    pub(crate) fn start(&mut self, index: usize) {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let now = self.time();
        let member = &mut self.members[index];
        let Disk { incarnation, vote, base, entries, incoming, promised } = &member.disk;
        let config = Config {
            id: NodeId(index as u8 + 1),
            incarnation: *incarnation,
            timing: self.timing,
            seed,
            log_len_max: self.log_len_max,
            append_len_max: APPEND_LEN_MAX,
            write_len_max: 1 << 20,
            priority: member.priority,
            planted: self.planted,
        };
        let (mut log, tables) = match base {
            Some((head, tables)) => (Log::behind(head), tables.clone()),
            None => (Log::new(self.founding.clone()), Tables::default()),
        };
        entries.iter().for_each(|entry| log.push(entry.clone()));
        let applied = log.base().version;
        let incoming = incoming.first().map(|chunk| (chunk.head.clone(), incoming.len() as u64));
        let (vote, promised) = (*vote, *promised);
        let recovered = Recovered { vote, log, commit: applied, applied, promised, incoming };
        member.raft = Some(Raft::new(config, recovered, now));
        member.tables = tables;
        member.writing = None;
        member.outgoing = None;
    }

    /// A crash loses the write in flight, whole.
    pub(crate) fn crash(&mut self, index: usize) {
        if let Some(raft) = self.members[index].raft.take() {
            self.marks.merge(raft.marks());
        }
        self.members[index].writing = None;
    }

    /// The node comes back with a blank disk.
    pub(crate) fn wipe(&mut self, index: usize) {
        self.crash(index);
        let incarnation = Incarnation(self.rng.next_u64() | 1);
        self.members[index].disk = Disk { incarnation, ..Disk::default() };
    }

    pub(crate) fn raft(&mut self, index: usize) -> &mut Raft {
        self.members[index].raft.as_mut().expect("a member that is up")
    }

    pub(crate) fn propose(&mut self) -> bool {
        let now = self.time();
        let session = self.rng.next_u64();
        let commit = Commit {
            request: RequestId { session, sequence: 1 },
            origin: Origin { node: NodeId(1) },
            read_version: Version::ZERO,
            reads: vec![],
            deletes: vec![],
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
        let write_ends = self.below(3) == 0 && !self.members[index].stuck;
        let member = &mut self.members[index];
        let Some(raft) = &mut member.raft else { return };
        if now.monotonic >= raft.deadline() {
            raft.tick(now);
        }
        member.give_chunks(now);
        member.give_entries();
        if write_ends {
            member.end_write(now);
        }
        member.begin_write(now);
        let Some(raft) = &mut member.raft else { return };
        if raft.is_leader() {
            let leader = *self.leaders.entry(raft.term()).or_insert(raft.id);
            assert_eq!(leader, raft.id, "two leaders in term {}", raft.term());
        }
        for entry in raft.take_committed(usize::MAX) {
            let known = self.committed.entry(entry.version).or_insert_with(|| entry.clone());
            assert!(*known == entry, "two histories at {}", entry.version);
            member.tables.0.push(entry.digest());
            assert_eq!(member.tables.0.len() as u64, entry.version.0, "in order, once each");
        }
        assert_eq!(raft.take_refused(), None, "nobody forges here");
        let (from, messages) = (raft.id, raft.take_messages());
        let count = self.members.len() as u8;
        let copies = messages.into_iter().flat_map(|(to, message)| {
            let receivers = if to == NodeId::EVERYONE { 1..=count } else { to.0..=to.0 };
            receivers.map(move |to| (NodeId(to), message.clone()))
        });
        for (to, message) in copies {
            let lost = self.below(100) < self.loss_percent;
            let parted = self.cut.contains(&from) != self.cut.contains(&to);
            let due = self.now + Duration::from_millis(1 + self.below(4));
            if !lost && !parted {
                self.flying.push((due, from, to, message));
            }
        }
    }

    pub(crate) fn run(&mut self, milliseconds: u64) {
        (0..milliseconds).for_each(|_| self.step());
    }

    pub(crate) fn leader(&self) -> Option<NodeId> {
        let rafts = self.members.iter().filter_map(|member| member.raft.as_ref());
        rafts.filter(|raft| raft.is_leader()).max_by_key(|raft| raft.term()).map(|raft| raft.id)
    }

    /// The index of the leader, of which there must be one.
    pub(crate) fn leader_index(&self) -> usize {
        usize::from(self.leader().expect("a leader").0) - 1
    }

    /// Liveness: with everyone back and no faults, all logs become equal and hold all that was committed.
    pub(crate) fn heal_and_converge(&mut self, seed: u64) {
        self.cut.clear();
        self.loss_percent = 0;
        for index in 0..self.members.len() {
            self.members[index].stuck = false;
            if self.members[index].raft.is_none() {
                self.start(index);
            }
        }
        self.run(6_000);
        assert!(self.propose(), "seed {seed}: a leader among {:?}", self.debug());
        self.run(1_500);
        let last = self.committed.last_key_value().map(|(version, _)| *version);
        for member in &self.members {
            let raft = member.raft.as_ref().unwrap();
            if raft.is_removed() {
                continue;
            }
            assert_eq!(Some(raft.commit()), last, "seed {seed}: {raft:?}");
            let base = member.disk.base_version();
            let log: Vec<_> = self.committed.range(Version(base + 1)..).map(|(_, e)| e.clone()).collect();
            assert!(member.disk.entries == log, "seed {seed}: {raft:?} holds something else");
            assert_eq!(member.tables.0.len() as u64, raft.commit().0);
        }
    }

    pub(crate) fn debug(&self) -> Vec<alloc::string::String> {
        self.members.iter().map(|member| alloc::format!("{:?}", member.raft)).collect()
    }

    /// Marks of all members.
    pub(crate) fn all_marks(&self) -> Marks {
        let mut marks = self.marks;
        self.members.iter().filter_map(|member| member.raft.as_ref()).for_each(|r| marks.merge(r.marks()));
        marks
    }
}

impl Member {
    pub(crate) fn begin_write(&mut self, now: Now) {
        let Some(raft) = self.raft.as_mut().filter(|_| self.writing.is_none()) else { return };
        self.writing = match raft.take_chunk_write(now) {
            Some(chunk) => Some(Writing::Chunk(chunk)),
            None => raft.take_write(now).map(Writing::Log),
        };
    }

    pub(crate) fn end_write(&mut self, now: Now) {
        let Some(raft) = &mut self.raft else { return };
        match self.writing.take() {
            None => {}
            Some(Writing::Log(write)) => {
                self.disk.vote = write.vote;
                if let Some(first) = write.entries.first() {
                    let kept = first.version.0 - 1 - self.disk.base_version();
                    self.disk.entries.truncate(kept as usize);
                    self.disk.entries.extend(write.entries);
                }
                raft.written(now, write.mark);
            }
            Some(Writing::Chunk(chunk)) => {
                self.disk.incoming.retain(|earlier| earlier.head == chunk.head);
                let (head, is_last) = (chunk.head.clone(), chunk.is_last);
                self.disk.incoming.push(chunk);
                if !is_last {
                    return raft.chunk_written();
                }
                let chunks = core::mem::take(&mut self.disk.incoming);
                let digests = chunks.iter().flat_map(|chunk| decode::<Vec<Digest>>(&chunk.body).unwrap());
                self.tables = Tables(digests.collect());
                assert_eq!(self.tables.content(), head.content, "the snapshot is whole");
                self.disk.base = Some((head.clone(), self.tables.clone()));
                self.disk.entries.clear();
                raft.installed(&head);
            }
        }
    }

    pub(crate) fn give_chunks(&mut self, now: Now) {
        let Some(raft) = &mut self.raft else { return };
        for ChunkWanted { peer, head, index } in raft.take_chunks_wanted() {
            if head.is_none() {
                let head = self.tables.head(raft);
                self.outgoing = Some((Arc::new(head), self.tables.clone()));
            }
            let known = self.outgoing.as_ref().filter(|(known, _)| head.is_none_or(|head| *known == head));
            let chunk = known.map(|(head, tables)| {
                let start = index as usize * CHUNK_LEN;
                let end = (start + CHUNK_LEN).min(tables.0.len());
                let body = encode(&tables.0[start..end].to_vec()).into();
                SnapshotChunk { head: head.clone(), index, is_last: end == tables.0.len(), body }
            });
            raft.chunk_fetched(now, peer, chunk);
        }
    }

    pub(crate) fn give_entries(&mut self) {
        let Some(raft) = &mut self.raft else { return };
        for wanted in raft.take_wanted() {
            let behind_base = wanted.first.0.checked_sub(self.disk.base_version() + 1);
            let count = (wanted.through.0 + 1 - wanted.first.0).min(5) as usize;
            let entries = behind_base.map_or(vec![], |skip| {
                self.disk.entries.iter().skip(skip as usize).take(count).cloned().collect()
            });
            raft.fetched(wanted.peer, wanted.first, entries);
        }
    }
}
