//! Any history, torn, damaged and repaired, compared with a model that keeps every record as it was written.

use super::*;
use crate::record::{HEADER_LEN, Header};
use crate::scanner::Chain;
use crate::superblock::{FORMAT, Superblock};
use proptest::prelude::*;

/// What is done to a journal that runs.
#[derive(Clone, Debug)]
enum Step {
    /// So many entries, each of so many bytes.
    Append(u64, usize),
    /// They replace the last entries, so many of them, by those of a new term.
    Replace(u64, u64, usize),
    /// A record without entries, which says that more is committed.
    Seal(u64),
    /// A snapshot that is ahead of the log takes its place.
    Snapshot,
    /// Missing entries, so many of them, starting with any of the missing.
    Fill(u64, usize),
    /// Reads on from any version.
    Read(usize),
}

/// What befalls a sector: places are taken modulo what there is.
#[derive(Clone, Debug)]
enum Damage {
    Zeroed(usize),
    Flipped(usize, usize),
    /// It holds what another sector holds: a misdirected write.
    Misdirected(usize, usize),
    Unreadable(usize),
}

/// From one opening to the next: steps, the last append cut short (only these sectors arrive), damage.
type Life = (Vec<Step>, Option<u64>, Vec<Damage>);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1u64..4, 0usize..1500).prop_map(|(count, len)| Step::Append(count, len)),
        2 => (1u64..4, 1u64..4, 0usize..700).prop_map(|(back, count, len)| Step::Replace(back, count, len)),
        4 => (0u64..4).prop_map(Step::Seal),
        1 => Just(Step::Snapshot),
        4 => (1u64..4, any::<usize>()).prop_map(|(count, place)| Step::Fill(count, place)),
        3 => any::<usize>().prop_map(Step::Read),
    ];
    prop::collection::vec(step, 1..15)
}

fn lives() -> impl Strategy<Value = Vec<Life>> {
    let place = any::<usize>;
    let damage = prop_oneof![
        place().prop_map(Damage::Zeroed),
        (place(), place()).prop_map(|(place, byte)| Damage::Flipped(place, byte)),
        (place(), place()).prop_map(|(place, from)| Damage::Misdirected(place, from)),
        place().prop_map(Damage::Unreadable),
    ];
    let life = (steps(), prop::option::of(any::<u64>()), prop::collection::vec(damage, 0..4));
    prop::collection::vec(life, 1..5)
}

/// A record as it was written.
#[derive(Clone)]
struct Written {
    sector: u64,
    /// Header and payload.
    bytes: Vec<u8>,
    record: Record,
    log: Log,
}

/// The log that should be.
#[derive(Clone, Default)]
struct Log {
    start: LogEnd,
    entries: Vec<Arc<Entry>>,
    commit: u64,
    term: u64,
}

impl Log {
    fn end(&self) -> LogEnd {
        self.entries.last().map_or(self.start, |entry| LogEnd::of(entry))
    }

    fn first(&self) -> u64 {
        self.start.position.version.0 + 1
    }

    fn last(&self) -> u64 {
        self.end().position.version.0
    }

    fn from(&self, version: u64) -> &[Arc<Entry>] {
        &self.entries[(version - self.first()) as usize..]
    }

    fn state(&self) -> RecordState {
        RecordState { commit: Version(self.commit), ..state(self.term) }
    }
}

struct Model {
    disk: Disk,
    /// Where the records begin, and the chain and the log before them.
    base: (u64, Chain, Log),
    written: Vec<Written>,
    /// What was torn or lost at the end: some of it may still be there.
    given_up: Vec<Written>,
    flips: usize,
}

impl Model {
    fn log(&self) -> Log {
        self.written.last().map_or(&self.base.2, |written| &written.log).clone()
    }

    /// The record that is being written, and its requests.
    fn note(&mut self, journal: &mut Journal, entries: Vec<Arc<Entry>>, log: Log) -> Vec<DiskRequest> {
        let requests = journal.take_requests();
        let (mut sector, mut bytes) = (0, Vec::new());
        for request in requests.iter().rev() {
            let DiskOperation::Write { sector: at, buffer, .. } = &request.operation else { panic!() };
            sector = *at;
            bytes.splice(0..0, buffer.iter().copied());
        }
        let header = Header::parse(&bytes).unwrap();
        bytes.truncate(HEADER_LEN + header.payload_len);
        let record = Record { state: log.state(), entries, end: log.end(), after_damage: false };
        self.written.push(Written { sector, bytes, record, log });
        requests
    }

    fn missing(&self, journal: &Journal) -> Vec<u64> {
        let log = self.log();
        (log.first()..=log.last()).filter(|version| journal.index.find(Version(*version)).is_none()).collect()
    }

    /// Hands a step's record to the journal; none if it only reads.
    fn append(&mut self, journal: &mut Journal, step: &Step) -> Option<Vec<DiskRequest>> {
        let mut log = self.log();
        let entries = match step {
            Step::Append(count, len) => entries(log.end(), log.term, *count, *len),
            Step::Replace(back, count, len) => {
                let kept = log.last().saturating_sub(*back).max(log.commit).max(log.first() - 1);
                log.entries.truncate((kept + 1 - log.first()) as usize);
                log.term += 1;
                entries(log.end(), log.term, *count, *len)
            }
            Step::Seal(more) => {
                log.commit = (log.commit + more).min(log.last());
                vec![]
            }
            Step::Fill(count, place) => {
                let missing = self.missing(journal);
                let first = *missing.get(place % missing.len().max(1))?;
                let fill = (first..first + count).take_while(|version| missing.contains(version));
                let fill: Vec<_> = fill.map(|version| log.from(version)[0].clone()).collect();
                journal.append(1, log.state(), &fill);
                return Some(self.note(journal, fill, log));
            }
            Step::Snapshot | Step::Read(_) => return None,
        };
        log.entries.extend(entries.iter().cloned());
        journal.append(1, log.state(), &entries);
        Some(self.note(journal, entries, log))
    }

    fn finish(&mut self, journal: &mut Journal, requests: Vec<DiskRequest>) {
        for request in requests {
            journal.completed(self.disk.serve(request)).unwrap();
        }
        assert_eq!(journal.take_events(), [JournalEvent::Appended(1)]);
        assert_eq!(journal.log_end(), self.log().end());
    }

    fn run(&mut self, journal: &mut Journal, step: &Step) {
        match step {
            Step::Read(place) => {
                let log = self.log();
                let first = log.first() + *place as u64 % (log.entries.len() as u64 + 1);
                let found = read(journal, &mut self.disk, first, u64::MAX);
                assert!(log.from(first).starts_with(&found), "nothing false is read");
            }
            Step::Snapshot => {
                let log = self.log();
                let position = LogPosition { term: log.term, version: Version(log.last() + 3) };
                let last = LogEnd { position, digest: Digest::of(&position.version.0.to_le_bytes()) };
                journal.start_anew(b"", last, LogPosition::default());
                assert_eq!(run(journal, &mut self.disk), Ok(vec![JournalEvent::Checkpointed]));
                let log = Log { start: last, entries: vec![], commit: position.version.0, term: log.term };
                // What was written before is never read again.
                self.given_up.retain(|written| written.sector >= journal.head);
                (self.base, self.written) = ((journal.head, journal.chain, log), vec![]);
            }
            _ => {
                if let Some(requests) = self.append(journal, step) {
                    self.finish(journal, requests);
                }
            }
        }
    }

    fn damage(&mut self, damage: &Damage) {
        let start = self.base.0;
        let sectors = self.written.last().map_or(1, |last| last.sector + 2 - start);
        let sector = |place: usize| start + place as u64 % sectors;
        match *damage {
            Damage::Zeroed(place) => self.disk.sector(sector(place)).fill(0),
            Damage::Flipped(place, byte) => {
                // Never the same twice, or it would be undone.
                self.flips += 1;
                self.disk.sector(sector(place))[byte % SECTOR_SIZE] ^= self.flips as u8;
            }
            Damage::Misdirected(place, from) => {
                let from = Disk::range(sector(from), SECTOR_SIZE);
                self.disk.bytes.copy_within(from, sector(place) as usize * SECTOR_SIZE);
            }
            Damage::Unreadable(place) => {
                self.disk.unreadable.insert(sector(place));
            }
        }
    }

    fn is_intact(&self, written: &Written, len: usize) -> bool {
        let bytes = Disk::range(written.sector, len);
        let sectors = written.sector..written.sector + len.div_ceil(SECTOR_SIZE) as u64;
        self.disk.bytes[bytes] == written.bytes[..len] && self.disk.unreadable.range(sectors).next().is_none()
    }

    /// The last header that is left behind the last intact record, and says that a record came before it
    /// that is lost.
    fn proof(&self, last: usize) -> Option<Written> {
        let header = |written: &Written| Header::parse(&written.bytes).unwrap();
        let chain = self.written[..last].last().map(|written| Chain::of(42).through(&header(written)));
        let chain = chain.unwrap_or(self.base.1);
        let left = self.written[last..].iter().chain(&self.given_up);
        let left = left.filter(|written| self.is_intact(written, HEADER_LEN));
        let proofs = left.filter(|written| {
            let header = header(written);
            chain.allows(&header) && header.previous != chain.sum
        });
        proofs.max_by_key(|written| written.sector).cloned()
    }

    /// What opening should report; what is lost at the end is forgotten.
    fn expect(&mut self) -> Vec<Record> {
        let intact: Vec<bool> =
            self.written.iter().map(|written| self.is_intact(written, written.bytes.len())).collect();
        let last = intact.iter().rposition(|intact| *intact).map_or(0, |last| last + 1);
        let proof = self.proof(last);
        let lost = self.written.split_off(last);
        if let Some(proof) = &proof {
            self.written.extend(lost.iter().filter(|written| written.sector < proof.sector).cloned());
            self.written.push(proof.clone());
        }
        self.given_up.extend(lost);
        // A record without its payload counts if it says that others are lost, and the next was written after it.
        let is_header_only = |index: usize| {
            let written = &self.written[index];
            let is_between = || 0 < index && index + 1 < last && !intact[index - 1] && intact[index + 1];
            let is_left = || !intact[index] && self.is_intact(written, HEADER_LEN);
            proof.as_ref().is_some_and(|proof| proof.sector == written.sector) || is_between() && is_left()
        };
        let mut expected = Vec::new();
        for (index, written) in self.written.iter().enumerate() {
            if is_header_only(index) {
                let entries = vec![];
                expected.push(Record { after_damage: true, entries, ..written.record.clone() });
            } else if index < last && intact[index] {
                let after_damage = index > 0 && !intact[index - 1] && !is_header_only(index - 1);
                expected.push(Record { after_damage, ..written.record.clone() });
            }
        }
        expected
    }

    /// Fills every hole, as a node does from its peers.
    fn repair(&mut self, journal: &mut Journal) {
        while let Some(first) = self.missing(journal).first() {
            let place = self.missing(journal).iter().position(|version| version == first).unwrap();
            self.run(journal, &Step::Fill(3, place));
        }
        let log = self.log();
        let found = read(journal, &mut self.disk, log.first(), u64::MAX);
        assert!(found == log.entries, "everything is back");
    }
}

/// Records without the entries' contents, to be read by people.
fn outlines(records: &[Record]) -> Vec<String> {
    let outline = |record: &Record| {
        let versions: Vec<u64> = record.entries.iter().map(|entry| entry.version.0).collect();
        let damage = if record.after_damage { " after damage" } else { "" };
        alloc::format!("{:?} up to {}, commit {}{damage}", versions, record.end.position, record.state.commit)
    };
    records.iter().map(outline).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// Whatever happened: what is intact comes back, nothing else does, and what is lost is known.
    #[test]
    fn a_journal_tells_exactly_what_is_intact(lives in lives(), transfer in 8usize..24) {
        let disk = Disk { transfer_len_max: transfer * SECTOR_SIZE, ..Disk::blank() };
        let base = (RECORDS_START, Chain::of(42), Log::default());
        let mut model = Model { disk, base, written: vec![], given_up: vec![], flips: 0 };
        for (steps, torn, damages) in &lives {
            let expected = model.expect();
            let (mut journal, records) = open(&mut model.disk).unwrap();
            prop_assert_eq!(outlines(&records), outlines(&expected));
            prop_assert!(records == expected);
            prop_assert_eq!(journal.log_end(), model.log().end());
            for step in steps {
                model.run(&mut journal, step);
            }
            if let Some(written) = torn {
                // Unlike any other, or two torn writes could make up a whole one.
                let step = Step::Append(2, 600 + model.disk.lives as usize);
                for request in model.append(&mut journal, &step).unwrap() {
                    model.disk.tear(request, *written);
                }
            }
            damages.iter().for_each(|damage| model.damage(damage));
        }
        let expected = model.expect();
        let (mut journal, records) = open(&mut model.disk).unwrap();
        prop_assert_eq!(outlines(&records), outlines(&expected));
        prop_assert!(records == expected);
        model.repair(&mut journal);
        let (mut journal, _) = open(&mut model.disk).unwrap();
        prop_assert!(model.missing(&journal).is_empty(), "a repair lasts");
        model.repair(&mut journal);
    }

    /// Decoders take any bytes, and so does an opening journal.
    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..2048),
        head in prop::collection::vec(any::<u8>(), HEADER_LEN),
    ) {
        Superblock::parse(&bytes);
        Header::parse(&bytes);
        let mut sector = bytes.clone();
        sector.resize(SECTOR_SIZE, 0);
        sector[..8].copy_from_slice(b"RELIXDSK");
        sector[8..10].copy_from_slice(&FORMAT.to_le_bytes());
        Superblock::parse(&sector);
        let mut head = head;
        head[..4].copy_from_slice(b"RLXJ");
        head[4..6].copy_from_slice(&FORMAT.to_le_bytes());
        // Numbers that no ledger reaches are refused.
        [16, 40, 48, 64, 72, 120, 128].iter().for_each(|number| head[number + 7] = 0);
        head[36..40].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
        head[60..64].copy_from_slice(&cluster_format::crc32c(&bytes).to_le_bytes());
        let sum = cluster_format::crc32c(&head[..HEADER_LEN - 4]);
        head[HEADER_LEN - 4..].copy_from_slice(&sum.to_le_bytes());
        let header = Header::parse(&head).expect("its checksum is right");
        header.entries(&bytes);
    }

    #[test]
    fn a_disk_with_anything_behind_its_superblocks_opens(
        garbage in prop::collection::vec(any::<u8>(), 1..4000),
        place in 0usize..8,
    ) {
        let mut disk = Disk::blank();
        open(&mut disk).unwrap();
        disk.bytes[(RECORDS_START as usize + place) * SECTOR_SIZE..][..garbage.len()].copy_from_slice(&garbage);
        prop_assert!(open(&mut disk).unwrap().1.is_empty());
    }
}
