//! Tables on a simulated disk.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use cluster_format::{
    Commit, Digest, Entry, KeyRange, LogPosition, Membership, NodeId, Origin, Payload, RequestId, StateHash,
    Version, Write,
};
use drivers_api::{Disk, Instant};
use drivers_sim::SimDisk;
use proptest::prelude::*;

use crate::settings::RETENTION;
use crate::*;

mod retention;
mod transactions;

const OPTIONS: TablesOptions = TablesOptions { memory_len_max: 4000, cache_len_max: 100_000 };

struct Machine {
    disk: SimDisk,
    now: Instant,
    tables: Tables,
    /// The root that is durable, and up to where its tables hold the ledger.
    root: (Vec<u8>, Through),
    events: Vec<TablesEvent>,
}

impl Machine {
    fn new(life: u64) -> Machine {
        let disk = SimDisk::new(16 * 2048, life);
        let tables = open(&disk, &[], life);
        let root = (Vec::new(), Through::default());
        Machine { disk, now: Instant::ZERO, tables, root, events: Vec::new() }
    }

    /// The power fails, and comes back; the ledger is applied again from where the tables are.
    fn restart(&mut self, ledger: &[Entry], life: u64) {
        self.disk.crash();
        self.events.clear();
        self.tables = open(&self.disk, &self.root.0, life);
        self.settle();
        assert_eq!(self.events, [TablesEvent::Opened]);
        assert_eq!(*self.tables.through(), self.root.1);
        self.apply(&ledger[self.tables.version().0 as usize..]);
    }

    fn turn(&mut self) -> bool {
        let mut more = self.tables.advance();
        for event in self.tables.take_events() {
            more = true;
            match event {
                TablesEvent::Root { root, through, .. } => {
                    self.root = (root, through);
                    self.tables.root_durable();
                }
                event => self.events.push(event),
            }
        }
        for request in self.tables.grid().take_requests() {
            more = true;
            self.disk.submit(request).unwrap();
        }
        if let Some(due) = self.disk.next_due() {
            more = true;
            self.now = self.now.max(due);
            self.disk.advance(self.now);
        }
        while let Poll::Ready(completion) = self.disk.poll_completion(&mut Context::from_waker(Waker::noop()))
        {
            self.tables.grid().completed(completion);
        }
        more
    }

    fn settle(&mut self) {
        while self.turn() {}
    }

    fn run<T>(&mut self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return value;
            }
            self.turn();
        }
    }

    fn apply(&mut self, ledger: &[Entry]) {
        for entry in ledger {
            while !self.tables.has_room() {
                assert!(self.turn());
            }
            self.tables.apply(entry).unwrap();
            self.turn();
        }
    }

    fn rows(&mut self, version: Version) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let snapshot = self.tables.snapshot().as_of(version);
        let all = KeyRange { start: [][..].into(), end: [0xff][..].into() };
        let rows = self.run(snapshot.read(&all, Direction::Forward, usize::MAX)).unwrap();
        rows.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
    }

    /// All rows, so many bytes at a time.
    fn slices(&mut self, version: Version, len_max: usize) -> Vec<Slice> {
        let snapshot = self.tables.snapshot().as_of(version);
        let mut slices: Vec<Slice> = Vec::new();
        loop {
            let after = slices.last().and_then(|slice| slice.last.clone());
            if after.is_none() && !slices.is_empty() {
                return slices;
            }
            slices.push(self.run(snapshot.slice(after.as_deref(), len_max)).unwrap());
        }
    }
}

fn open(disk: &SimDisk, root: &[u8], life: u64) -> Tables {
    Tables::open(&disk.geometry(), 64, OPTIONS, root, life << 32, Membership::founding(3))
}

/// Who writes it sets the retention, to as many minutes as the value is to have bytes.
const SETTING: u8 = 59;

/// From this key on, changes delete the range from so many keys earlier on, before they write to it.
const RANGE: u8 = 64;

fn range(number: u8) -> KeyRange {
    let start = number - RANGE;
    // The last ones go on to the end, settings and all.
    match number {
        125.. => KeyRange { start: [][..].into(), end: [0xff][..].into() },
        _ => KeyRange { start: [start][..].into(), end: [start + start % 9][..].into() },
    }
}

/// A ledger in which each of so many sessions writes again and again.
fn ledger(changes: &[(u8, Option<usize>)]) -> Vec<Entry> {
    let mut ledger: Vec<Entry> = Vec::new();
    for (version, (key, len)) in (1..).zip(changes) {
        let (key_bytes, value) = match *key {
            SETTING => (RETENTION.key(), len.map(|len| format!("{len}min").into_bytes())),
            RANGE.. => (vec![*key - RANGE + 1], len.map(|len| vec![version as u8; len])),
            key => (vec![key], len.map(|len| vec![version as u8; len])),
        };
        let commit = Commit {
            request: RequestId { session: u64::from(*key) % 5, sequence: version },
            origin: Origin { node: NodeId(1) },
            read_version: Version(version - 1),
            reads: Vec::new(),
            deletes: (*key >= RANGE).then(|| range(*key)).into_iter().collect(),
            writes: [Write { key: key_bytes.into(), value: value.map(Arc::from) }].into(),
        };
        let payload = match version % 50 {
            7 => Payload::Membership(Arc::new(Membership::founding((version % 7) as u8 + 1))),
            _ => Payload::Commit(Arc::new(commit)),
        };
        let previous = ledger.last().map_or(Digest::ZERO, |entry| entry.digest());
        let position = LogPosition { term: 1, version: Version(version) };
        ledger.push(Entry::new(position, version as i64 * 100_000, previous, payload));
    }
    ledger
}

/// What the rows are as of `version`.
fn model(ledger: &[Entry], version: Version) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut rows = BTreeMap::new();
    for entry in &ledger[..version.0 as usize] {
        let Payload::Commit(commit) = &entry.payload else { continue };
        commit.deletes.iter().for_each(|range| rows.retain(|key: &Vec<u8>, _| !range.contains(key)));
        for Write { key, value } in &commit.writes {
            match value {
                Some(value) => _ = rows.insert(key.to_vec(), value.to_vec()),
                None => _ = rows.remove(&**key),
            }
        }
    }
    rows
}

fn changes(count: usize) -> impl Strategy<Value = Vec<(u8, Option<usize>)>> {
    let len =
        prop_oneof![6 => (0..400usize).prop_map(Some), 1 => (0..40_000usize).prop_map(Some), 2 => Just(None)];
    prop::collection::vec((prop_oneof![20 => 0..60u8, 1 => RANGE..127], len), 1..count)
}

/// Each of ten rows is written again and again.
fn rewritten(versions: usize) -> Vec<(u8, Option<usize>)> {
    (0..versions).map(|at| (at as u8 % 10, Some(1000))).collect()
}

/// What must be equal on all nodes, whatever has happened to each.
fn beside_rows(tables: &Tables) -> (Through, Membership, StateHash, Vec<RequestState>, Settings) {
    let requests = (0..5).flat_map(|session| (0..300).map(move |sequence| RequestId { session, sequence }));
    let states = requests.map(|request| tables.request_state(request)).collect();
    let membership = (**tables.membership()).clone();
    (*tables.through(), membership, tables.requests_hash(), states, tables.settings().clone())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn what_was_applied_is_there_whatever_happened_in_between(
        changes in changes(300),
        restarts in prop::collection::vec(0..300usize, 0..4),
        freezes in prop::collection::vec(0..300usize, 0..4),
        len_max in 1..5000usize,
    ) {
        let ledger = ledger(&changes);
        let mut machine = Machine::new(1);
        machine.settle();
        for at in 0..ledger.len() {
            machine.apply(&ledger[at..=at]);
            if freezes.contains(&at) {
                machine.tables.freeze();
            }
            for life in (2..).zip(&restarts).filter(|(_, restart)| **restart == at).map(|(life, _)| life) {
                machine.restart(&ledger[..=at], life);
            }
        }
        // Another, which has had no disk.
        let mut other = Machine::new(100);
        other.tables = Tables::in_memory();
        ledger.iter().for_each(|entry| other.tables.apply(entry).unwrap());
        // The members as of version 0 are told to neither.
        if ledger.len() > 6 {
            prop_assert_eq!(beside_rows(&machine.tables), beside_rows(&other.tables));
        }
        let newest = machine.tables.version();
        for version in [newest, Version(newest.0 / 2)] {
            prop_assert_eq!(machine.rows(version), model(&ledger, version));
            prop_assert_eq!(machine.slices(version, len_max), other.slices(version, len_max));
        }
        // A row that is lost shows.
        let rows = model(&ledger, newest);
        if let Some(key) = rows.keys().find(|key| key.len() == 1) {
            let lost = [(key[0], None)];
            let mut longer: Vec<_> = changes.clone();
            longer.extend(lost);
            let entry = self::ledger(&longer).pop().unwrap();
            if matches!(entry.payload, Payload::Commit(_)) {
                other.tables.apply(&entry).unwrap();
                prop_assert_ne!(machine.slices(newest, len_max), other.slices(newest.next(), len_max));
            }
        }
    }

    #[test]
    fn conflicts_are_those_that_the_ledger_shows(
        changes in changes(300),
        restart in 0..300usize,
        commits in prop::collection::vec((0..300u64, 0..60u8, 0..60u8, 0..60u8, any::<bool>()), 1..30),
    ) {
        let ledger = ledger(&changes);
        let mut machine = Machine::new(1);
        machine.settle();
        for at in 0..ledger.len() {
            machine.apply(&ledger[at..=at]);
            if restart == at {
                machine.restart(&ledger[..=at], 2);
            }
            for (back, start, len, written, deletes) in &commits {
                let read_version = Version(machine.tables.version().0.saturating_sub(*back));
                let reads = KeyRange { start: [*start][..].into(), end: [start + len][..].into() };
                let is_in_conflict = ledger[read_version.0 as usize..=at].iter().any(|entry| {
                    let Payload::Commit(commit) = &entry.payload else { return false };
                    commit.writes.iter().any(|write| reads.contains(&write.key) || *write.key == [*written])
                        || commit.deletes.iter().any(|range| range.overlaps(&reads) || range.contains(&[*written]))
                });
                let writes = [Write { key: [*written][..].into(), value: None }].into();
                let request = RequestId { session: 1, sequence: 1 };
                let origin = Origin { node: NodeId(1) };
                let (reads, deletes) = if *deletes { (vec![], vec![reads]) } else { (vec![reads], vec![]) };
                let commit = Commit { request, origin, read_version, reads, deletes, writes };
                let checked = machine.tables.check(&commit);
                match checked {
                    Err(Conflict::TooOld) => prop_assert!(*back > 1 || restart == at),
                    Err(Conflict::Written(version)) => prop_assert!(is_in_conflict && version > read_version),
                    Ok(()) => prop_assert!(!is_in_conflict),
                }
            }
        }
    }

    #[test]
    fn tables_that_arrive_are_those_that_were_sent(theirs in changes(200), ours in changes(100)) {
        let (theirs, ours) = (ledger(&theirs), ledger(&ours));
        let (mut sender, mut receiver) = (Machine::new(1), Machine::new(50));
        sender.apply(&theirs);
        receiver.apply(&ours);
        while !sender.tables.freeze() {
            prop_assert!(sender.turn());
        }
        sender.settle();
        receiver.settle();
        let (outgoing, head) = sender.tables.outgoing(Version::ZERO).expect("it was frozen");
        prop_assert_eq!(head.last.version, sender.tables.version());
        let mut incoming = receiver.tables.incoming(&head);
        for index in 0.. {
            let piece = sender.run(outgoing.piece(index)).unwrap().expect("a piece");
            let written = incoming.add(index, &piece).unwrap();
            receiver.run(written).unwrap();
            if outgoing.is_last(index) {
                break;
            }
        }
        let arrived = receiver.run(incoming.finish()).unwrap();
        let other = cluster_format::SnapshotHead { digest: Digest::of(b"another"), ..head.clone() };
        let (mut wrong, _) = (receiver.tables.incoming(&other), ());
        prop_assert!(wrong.add(7, &[]).is_err());
        receiver.tables.replace(&head, arrived).unwrap();
        receiver.settle();
        prop_assert!(receiver.events.contains(&TablesEvent::Replaced));
        for life in [60, 61] {
            prop_assert_eq!(beside_rows(&receiver.tables), beside_rows(&sender.tables));
            prop_assert_eq!(receiver.rows(head.last.version), model(&theirs, head.last.version));
            receiver.restart(&theirs, life);
        }
    }

    /// A mark is what a disk or a peer says.
    #[test]
    fn any_root_is_opened_or_refused(root in prop::collection::vec(any::<u8>(), 1..64)) {
        let mut machine = Machine::new(1);
        machine.tables = open(&machine.disk, &root, 2);
        machine.settle();
        prop_assert!(matches!(machine.events.first(), Some(TablesEvent::NotOpened | TablesEvent::Lost(_))));
    }
}

#[test]
fn tables_on_a_larger_disk_are_all_there_and_have_more_room() {
    let ledger = ledger(&rewritten(3000));
    let mut machine = Machine::new(1);
    machine.apply(&ledger);
    machine.settle();
    let before = machine.tables.disk_space().1;
    for life in 2..5 {
        machine.disk.resize(life * 16 * 2048);
        match life {
            3 => machine.tables.grow(life * 16 * 2048),
            _ => machine.restart(&ledger, life),
        }
        assert_eq!(machine.tables.disk_space().1, before + (life - 1) * (16 << 20));
        for version in [Version(1500), Version(3000)] {
            assert_eq!(machine.rows(version), model(&ledger, version));
        }
    }
}

/// Found by tests/fuzz: no entry could follow.
#[test]
fn a_root_behind_the_end_of_all_ledgers_is_refused() {
    let mut machine = Machine::new(1);
    machine.apply(&ledger(&[(1, Some(5))]));
    while !machine.tables.freeze() {
        machine.turn();
    }
    machine.settle();
    let (tree, through, membership): (cluster_tree::Root, Through, Membership) =
        cluster_format::decode(&machine.root.0).unwrap();
    let last = cluster_format::LogPosition { version: Version(u64::MAX), ..through.last };
    let root = cluster_format::encode(&(tree, Through { last, ..through }, membership));
    machine.events.clear();
    machine.tables = open(&machine.disk, &root, 2);
    machine.settle();
    assert_eq!(machine.events.first(), Some(&TablesEvent::NotOpened));
}

/// As the superblock has room for it: its limit is that of cluster/journal.
#[test]
fn the_longest_root_fits_the_superblock() {
    let mut machine = Machine::new(1);
    let member = |node| cluster_format::Member {
        node: NodeId(node),
        incarnation: cluster_format::Incarnation(u64::MAX),
    };
    let membership = Membership {
        voters: (0..7).map(member).collect(),
        learners: (7..32).map(member).collect(),
        removed: (0..64).map(|node| member(100 + node)).collect(),
    };
    assert!(membership.is_bounded());
    let mut entry = ledger(&[(1, Some(5))]).remove(0);
    entry.payload = Payload::Membership(Arc::new(membership));
    machine.apply(&[entry]);
    while !machine.tables.freeze() {
        machine.turn();
    }
    machine.settle();
    assert!((1000..2048).contains(&machine.root.0.len()), "{}", machine.root.0.len());
}

/// The journal has tables written whenever its ring fills, however little they hold.
#[test]
fn what_was_flushed_early_is_remembered_as_long_as_there_is_room() {
    let changes: Vec<(u8, Option<usize>)> = (0..20).map(|key| (key, Some(1))).collect();
    let ledger = ledger(&changes);
    let mut machine = Machine::new(1);
    machine.settle();
    for at in 0..ledger.len() {
        machine.apply(&ledger[at..=at]);
        if at % 4 == 3 {
            machine.tables.freeze();
            machine.settle();
        }
    }
    let commit = |key: u8| Commit {
        request: RequestId { session: 1, sequence: 1 },
        origin: Origin { node: NodeId(1) },
        read_version: Version(1),
        reads: [KeyRange::single(&[key])].into(),
        deletes: Vec::new(),
        writes: Vec::new(),
    };
    assert_eq!(machine.tables.check(&commit(5)), Err(Conflict::Written(Version(6))));
    assert_eq!(machine.tables.check(&commit(50)), Ok(()));
}
