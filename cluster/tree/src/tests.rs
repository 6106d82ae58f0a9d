//! Tables against a plain map of all versions, and any bytes against the decoders.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use cluster_format::{KeyRange, Version};
use drivers_api::SECTOR_SIZE;
use proptest::prelude::*;

use crate::*;

mod durability;
mod golden;
mod machine;
mod mending;
mod transfer;

/// Frames in memory, at hand at once.
#[derive(Default)]
struct Memory {
    tables: BTreeMap<TableId, Vec<u8>>,
    reads: Cell<u64>,
}

impl Frames for Memory {
    async fn read(&self, table: &Table, kind: FrameKind, frame: &FrameRef) -> Result<Arc<[u8]>, ReadError> {
        self.reads.set(self.reads.get() + 1);
        let id = table.head.id;
        let start = frame.offset as usize * SECTOR_SIZE;
        let bytes = &self.tables[&id][start..start + frame.sectors as usize * SECTOR_SIZE];
        Frame::parse(bytes, id, kind, frame).map_err(|error| ReadError::Frame(id, *frame, error))
    }
}

fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    // It lets others run now and then.
    let mut polls = (0..1000).map(|_| future.as_mut().poll(&mut Context::from_waker(Waker::noop())));
    match polls.find(Poll::is_ready) {
        Some(Poll::Ready(value)) => value,
        _ => panic!("everything is at hand"),
    }
}

/// A number of versions in memory, and older ones in layers of tables, the newest layer first.
#[derive(Default)]
struct Tree {
    frames: Memory,
    memory: MemTable,
    layers: Vec<Vec<Arc<Table>>>,
    tables: u64,
    newest: Version,
    horizon: Version,
}

impl Tree {
    fn add(&mut self, key: &[u8], version: u64, value: Option<&[u8]>) {
        self.newest = Version(version);
        self.memory.add(&key.into(), self.newest, value.map(Arc::from));
    }

    fn sources(&self) -> Vec<Source<'_>> {
        let layers = self.layers.iter().map(|layer| Source::run(layer));
        [Source::memory(&self.memory, Version(u64::MAX))].into_iter().chain(layers).collect()
    }

    fn get(&self, key: &[u8], version: Version) -> Option<Arc<[u8]>> {
        if let Some((_, value)) = self.memory.get(key, version) {
            return value;
        }
        for table in self.layers.iter().flatten() {
            if let Some((_, value)) = now(table.get(&self.frames, HashedKey::new(key), version)).unwrap() {
                return value;
            }
        }
        None
    }

    fn read(&self, asked: RangeRead<'_>) -> Vec<Row> {
        let tombstones = RangeTombstones::default();
        let (sources, mut rows) = (self.sources(), Vec::new());
        let dead = Dead { memory: &self.memory, newest: self.newest };
        now(read(&self.frames, sources, &tombstones, dead, asked, &mut rows)).unwrap();
        rows
    }

    /// The records of `sources` that `retention` keeps, in tables of about so many sectors.
    fn write(
        &mut self,
        sources: Vec<Source<'_>>,
        mut retention: Retention,
        sectors_max: u32,
    ) -> Vec<Arc<Table>> {
        let start = Position::first_of(&[]);
        let mut merge = now(Merge::new(&self.frames, sources, start, Direction::Forward)).unwrap();
        let mut written = Vec::new();
        let mut builder: Option<TableBuilder> = None;
        let mut last = Vec::new();
        while let Some(Position { key, version }) = merge.position() {
            let key = key.to_vec();
            let value = now(merge.value().unwrap().hold().get(&self.frames)).unwrap();
            if retention.keeps(Position { key: &key, version }, value.is_none()) {
                // The versions of one key stay together.
                let is_full =
                    |one: &mut TableBuilder| one.sectors_at_most(&key, value.as_deref()) > sectors_max;
                if let Some(full) = builder.take_if(|one| is_full(one) && last != key) {
                    written.push(full.finish());
                }
                let builder = builder.get_or_insert_with(|| {
                    self.tables += 1;
                    TableBuilder::new(TableId(self.tables))
                });
                builder.add(&key, version, value.as_deref());
                last = key;
            }
            now(merge.advance(&self.frames)).unwrap();
        }
        written.extend(builder.map(TableBuilder::finish));
        drop(merge);
        let mut tables = Vec::new();
        for (head, frames) in written {
            let bytes = frames.iter().flat_map(|frame| frame.bytes.iter().copied()).collect::<Vec<u8>>();
            assert_eq!(bytes.len(), head.sectors as usize * SECTOR_SIZE);
            self.frames.tables.insert(head.id, bytes);
            tables.push(Arc::new(Table { head, cells: CellRun { first: 0, count: 0 } }));
        }
        tables
    }

    fn flush(&mut self) {
        if self.memory.len_bytes() == 0 {
            return;
        }
        let next = self.memory.succeed();
        let memory = core::mem::replace(&mut self.memory, next);
        let layer = self.write(
            vec![Source::memory(&memory, Version(u64::MAX))],
            Retention::new(Version::ZERO, false),
            u32::MAX,
        );
        self.layers.insert(0, layer);
    }

    /// Makes one layer of some neighbours.
    fn compact(&mut self, first: usize, count: usize, horizon: Version) {
        let first = first.min(self.layers.len());
        let end = (first + count).min(self.layers.len());
        let is_oldest = end == self.layers.len();
        self.horizon = self.horizon.max(horizon);
        let layers: Vec<_> = self.layers.drain(first..end).collect();
        let sources = layers.iter().map(|layer| Source::run(layer)).collect();
        let layer = self.write(sources, Retention::new(self.horizon, is_oldest), 12);
        if !layer.is_empty() {
            self.layers.insert(first, layer);
        }
    }
}

/// What happens to a tree.
#[derive(Clone, Debug)]
enum Step {
    Put(u8, usize),
    Delete(u8),
    Flush,
    Compact {
        first: usize,
        count: usize,
        kept: u64,
    },
    /// Of all keys, as of some versions ago.
    Read(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (any::<u8>(), prop_oneof![8 => 0..200usize, 1 => 0..20_000usize]).prop_map(|(key, len)| Step::Put(key % 60, len)),
        4 => any::<u8>().prop_map(|key| Step::Delete(key % 60)),
        1 => Just(Step::Flush),
        1 => (0..4usize, 1..4usize, 0..60u64)
            .prop_map(|(first, count, kept)| Step::Compact { first, count, kept }),
        2 => prop_oneof![Just(0), 0..60u64].prop_map(Step::Read),
    ];
    proptest::collection::vec(step, 1..300)
}

/// Keys of different lengths that begin alike.
fn key(number: u8) -> Vec<u8> {
    let mut key = b"table/row/".to_vec();
    key.extend(core::iter::repeat_n(b'x', usize::from(number % 7)));
    key.push(number);
    key
}

fn value(version: u64, len: usize) -> Vec<u8> {
    let mut value = version.to_be_bytes().to_vec();
    // Half of it does not compress.
    value.extend(
        (0..len as u64).map(|at| if at % 2 == 0 { 7 } else { ((at * version * 2_654_435_761) >> 16) as u8 }),
    );
    value
}

type Model = BTreeMap<Vec<u8>, BTreeMap<u64, Option<Vec<u8>>>>;

fn in_model(model: &Model, key: &[u8], version: u64) -> Option<Vec<u8>> {
    model.get(key)?.range(..=version).next_back()?.1.clone()
}

/// How much is asked for.
fn most() -> impl Strategy<Value = Most> {
    let len = prop_oneof![Just(usize::MAX), 1..2000usize];
    (1..20usize, len).prop_map(|(rows, len)| Most { rows, len })
}

/// As many of `rows` as were asked for.
fn first(rows: Vec<(Vec<u8>, Vec<u8>)>, most: Most) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut len = 0;
    let is_wanted = |(key, value): &(Vec<u8>, Vec<u8>)| {
        let before = len;
        len += key.len() + value.len();
        before < most.len
    };
    rows.into_iter().take(most.rows).take_while(is_wanted).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn a_tree_of_tables_reads_as_a_map_of_all_versions(
        steps in steps(),
        asked in proptest::collection::vec((any::<u8>(), any::<u8>(), any::<u64>(), most()), 40),
    ) {
        let mut tree = Tree::default();
        let mut model = Model::new();
        let mut version = 0;
        for step in steps {
            match step {
                Step::Put(number, len) => {
                    version += 1;
                    let value = value(version, len);
                    tree.add(&key(number), version, Some(&value));
                    model.entry(key(number)).or_default().insert(version, Some(value));
                }
                Step::Delete(number) => {
                    version += 1;
                    tree.add(&key(number), version, None);
                    model.entry(key(number)).or_default().insert(version, None);
                }
                Step::Flush => tree.flush(),
                Step::Compact { first, count, kept } => {
                    tree.compact(first, count, Version(version.saturating_sub(kept)));
                }
                Step::Read(ago) => {
                    let at = version.saturating_sub(ago).max(tree.horizon.0);
                    let all = KeyRange { start: key(0)[..].into(), end: [0xff][..].into() };
                    let asked =
                        RangeRead { range: &all, version: Version(at), direction: Direction::Forward, most: Most::rows(100) };
                    let read = tree.read(asked).into_iter().map(|(key, value)| (key.to_vec(), value.to_vec()));
                    let rows = model.keys().filter_map(|key| Some((key.clone(), in_model(&model, key, at)?)));
                    prop_assert_eq!(read.collect::<Vec<_>>(), rows.collect::<Vec<_>>());
                }
            }
        }
        let horizon = tree.horizon.0;
        for (one, other, at, most) in asked {
            let at = horizon + at % (version - horizon + 1);
            let found = tree.get(&key(one % 64), Version(at));
            prop_assert_eq!(found.map(|found| found.to_vec()), in_model(&model, &key(one % 64), at));
            let (start, end) = (key(one % 64), key(other % 64));
            let range = KeyRange { start: start[..].into(), end: end[..].into() };
            let inside = model.keys().filter(|key| range.contains(key));
            let rows = inside.filter_map(|key| Some((key.clone(), in_model(&model, key, at)?)));
            let forward: Vec<_> = rows.collect();
            let backward = forward.iter().rev().cloned().collect();
            for (direction, expected) in [(Direction::Forward, forward), (Direction::Backward, backward)] {
                let expected = first(expected, most);
                let read = tree.read(RangeRead { range: &range, version: Version(at), direction, most });
                let read: Vec<_> = read.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
                prop_assert_eq!(read, expected);
            }
        }
    }

    #[test]
    fn what_is_found_in_a_block_is_what_a_cursor_comes_to(
        keys in proptest::collection::btree_map(proptest::collection::vec(0..3u8, 0..5), 0..3u64, 1..60),
        for_index in any::<bool>(),
        target in proptest::collection::vec(0..3u8, 0..6),
        version in 0..5u64,
        prefix in proptest::collection::vec(0..3u8, 0..3),
        stretch in 1..5usize,
    ) {
        // Some of what keys have in common is longer than a head.
        let stretched = |key: &[u8]| -> Vec<u8> {
            prefix.iter().copied().chain(key.iter().flat_map(|byte| core::iter::repeat_n(*byte, stretch))).collect()
        };
        let target = if version == 4 { target } else { stretched(&target) };
        let mut builder = if for_index { BlockBuilder::for_index() } else { BlockBuilder::default() };
        for (key, newest) in &keys {
            let key = &stretched(key)[..];
            for version in (0..=*newest).rev() {
                let value = if version == 1 { Value::Deleted } else { Value::Inline(key) };
                builder.add(Record { position: Position { key, version: Version(version) }, value });
            }
        }
        let block = Block::parse(builder.finish().into()).unwrap();
        let target = Position { key: &target, version: Version(version) };
        let mut cursor = BlockCursor::new(block.clone());
        cursor.seek(target).unwrap();
        let sought = cursor.record().map(|Record { position: Position { key, version }, value }| Found {
            is_same_key: key == target.key,
            version,
            value,
        });
        prop_assert_eq!(block.find(target).unwrap(), sought);
    }

    #[test]
    fn any_bytes_make_a_block_or_an_error(bytes in proptest::collection::vec(prop_oneof![0..12u8, any::<u8>()], 0..400), count in 0..4u32, step in 0..40u32) {
        let mut block = bytes.clone();
        // Half of them have restarts that could be.
        if bytes.len() % 2 == 0 {
            let records_end = (bytes.len() as u32 / 2).min(step * 8);
            let heads = (0..count).flat_map(|index| [index / 2, index]);
            let starts = (0..count).flat_map(|index| [index * step, index * step * 2]);
            let numbers = heads.chain(starts).chain([step % 3, records_end, count]);
            numbers.for_each(|number| block.extend(number.to_le_bytes()));
        }
        let Ok(block) = Block::parse(block.into()) else { return Ok(()) };
        let target = Position { key: &bytes[..bytes.len().min(2)], version: Version(3) };
        for go in [BlockCursor::first, BlockCursor::last] {
            let mut cursor = BlockCursor::new(block.clone());
            let _ = go(&mut cursor);
            while let Ok(true) = cursor.advance() {}
            let _ = go(&mut cursor);
            while let Ok(true) = cursor.retreat() {}
            let _ = cursor.seek(target);
            let _ = cursor.retreat();
        }
        let _ = block.find(target);
    }

    #[test]
    fn any_bytes_make_a_manifest_or_an_error(bytes in proptest::collection::vec(prop_oneof![0..3u8, any::<u8>()], 0..300)) {
        let _ = cluster_format::decode::<Root>(&bytes);
        if let Ok(manifest) = cluster_format::decode::<Manifest>(&bytes) {
            manifest.levels.tables().for_each(|table| _ = table.is_well_formed());
        }
        let _ = Filter::parse(bytes.into()).map(|filter| filter.may_have(HashedKey::new(b"key")));
    }

    #[test]
    fn any_bytes_make_a_frame_or_an_error(
        payload in proptest::collection::vec(0..4u8, 0..3000),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 1..4),
        sectors in 0..4usize,
    ) {
        let (table, kind) = (TableId(7), FrameKind::Rows);
        let Frame { bytes, reference } = Frame::build(table, 3, kind, &payload);
        let parsed = Frame::parse(&bytes, table, kind, &reference);
        prop_assert_eq!(parsed.as_deref(), Ok(&payload[..]));
        prop_assert_eq!(Frame::parse(&bytes, table, FrameKind::Value, &reference), Err(FrameError::Malformed));
        prop_assert_eq!(Frame::parse(&bytes, TableId(8), kind, &reference), Err(FrameError::Malformed));
        let older = Frame::build(table, 9, kind, b"an older frame");
        let another = FrameError::Another { table, offset: 9 };
        prop_assert_eq!(Frame::parse(&older.bytes, table, kind, &reference), Err(another));
        let mut damaged = bytes.to_vec();
        for (at, flip) in flips {
            let at = at.index(damaged.len());
            damaged[at] ^= flip;
        }
        // What was flipped may have been padding, or flipped back.
        match Frame::parse(&damaged, table, kind, &reference) {
            Ok(parsed) => prop_assert_eq!(&*parsed, &payload[..]),
            Err(error) => prop_assert_eq!(error, FrameError::Damaged),
        }
        damaged.truncate(sectors * SECTOR_SIZE);
        let _ = Frame::parse(&damaged, table, kind, &reference);
    }
}

#[test]
fn a_point_read_takes_three_frames_and_an_absent_key_mostly_one() {
    let mut tree = Tree::default();
    for number in 0..20_000u32 {
        tree.add(&number.to_be_bytes(), number.into(), Some(&[7; 90]));
    }
    tree.flush();
    let newest = Version(20_000);
    for number in (0..20_000u32).step_by(997) {
        tree.frames.reads.set(0);
        assert!(tree.get(&number.to_be_bytes(), newest).is_some());
        assert_eq!(tree.frames.reads.get(), 3, "filter, index, rows");
    }
    tree.frames.reads.set(0);
    let absent = (0..1000u32).map(|number| [&number.to_be_bytes()[..], &[1]].concat());
    assert!(absent.into_iter().all(|key| tree.get(&key, newest).is_none()));
    let wasted = tree.frames.reads.get() - 1000;
    assert!(wasted < 100, "{wasted} frames were read for keys that are not there");
}

#[test]
fn what_was_deleted_is_passed_over_once() {
    let mut tree = Tree::default();
    let key = |number: u64| number.to_be_bytes();
    for number in 0..20_000 {
        tree.add(&key(number), 1 + number, Some(&[7; 90]));
    }
    tree.flush();
    let mut version = 20_000;
    let mut first_costs = |tree: &mut Tree, deleted: core::ops::Range<u64>, added: Option<u64>| {
        for number in deleted {
            version += 1;
            tree.add(&key(number), version, None);
        }
        if let Some(number) = added {
            version += 1;
            tree.add(&key(number), version, Some(b"new"));
        }
        tree.frames.reads.set(0);
        let range = KeyRange { start: [][..].into(), end: [0xff][..].into() };
        let asked = RangeRead {
            range: &range,
            version: Version(version),
            direction: Direction::Forward,
            most: Most::rows(1),
        };
        let row = tree.read(asked).pop().map(|(first, _)| u64::from_be_bytes(first[..].try_into().unwrap()));
        (row.unwrap(), tree.frames.reads.get())
    };
    let (first, cost) = first_costs(&mut tree, 0..10_000, None);
    assert!(first == 10_000 && cost > 50, "{cost} frames");
    assert_eq!(first_costs(&mut tree, 0..0, None), (10_000, 2), "index and rows");
    tree.flush();
    let (first, cost) = first_costs(&mut tree, 10_000..10_100, Some(20_001));
    assert!(first == 10_100 && cost < 10, "{cost} frames");
    assert_eq!(first_costs(&mut tree, 0..0, Some(77)).0, 77, "it is not passed over");
    let (first, cost) = first_costs(&mut tree, 77..78, None);
    assert!(first == 10_100 && cost < 10, "{cost} frames");
}

/// Or going backwards through it would take the square of its length.
#[test]
fn a_block_without_its_restarts_is_refused_on_the_way_back() {
    let mut builder = BlockBuilder::default();
    let keys: Vec<[u8; 1]> = (0..40).map(|key| [key]).collect();
    for key in &keys {
        builder.add(Record { position: Position { key, version: Version(1) }, value: Value::Deleted });
    }
    let mut bytes = builder.finish();
    // Five restarts, of sixteen bytes each, and the trailer; only the first is left.
    let records_end = bytes.len() - 5 * 16 - 12;
    bytes.truncate(records_end);
    let (head, start, trailer) = ([0, 0], [0, 0], [0, records_end as u32, 1]);
    bytes.extend(head.into_iter().chain(start).chain(trailer).flat_map(u32::to_le_bytes));
    let mut cursor = BlockCursor::new(Block::parse(bytes.into()).unwrap());
    assert_eq!(cursor.last(), Err(FrameError::Malformed));
    assert_eq!(cursor.seek(Position { key: &keys[9], version: Version(1) }), Ok(true));
    assert_eq!(cursor.retreat(), Ok(true));
}

/// Found by tests/fuzz: it would take twenty-four times its length in memory.
#[test]
fn a_list_of_very_many_runs_is_refused() {
    let levels = |count| Levels {
        young: vec![Run::new(); count],
        levels: vec![Run::new(); count],
        ..Levels::default()
    };
    let decoded = |levels: &Levels| cluster_format::decode::<Levels>(&cluster_format::encode(levels));
    assert_eq!(decoded(&levels(64)), Ok(levels(64)));
    assert!(decoded(&levels(65)).is_err());
}
