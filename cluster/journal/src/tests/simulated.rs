//! The journal on a disk that suffers every fault there is, within what one disk's log can notice: nothing
//! is lost unnoticed, whatever is lost can be put back, and that lasts.

use core::task::{Context, Poll, Waker};
use core::time::Duration;

use super::*;
use drivers_api::Disk as _;
use drivers_sim::{DiskFaults, SimDisk};
use proptest::prelude::*;

const FAULTS: DiskFaults = DiskFaults {
    spikes_per_million: 50_000,
    spike: Duration::from_millis(5),
    reorder: true,
    lost_per_million: 30_000,
    misdirected_per_million: 20_000,
    late_per_million: 30_000,
    lateness: Duration::from_millis(20),
    unreadable_per_million: 20_000,
};

struct Simulation {
    disk: SimDisk,
    now: drivers_api::Instant,
    lives: u64,
    log: Vec<Arc<Entry>>,
}

impl Simulation {
    /// Serves all requests; the events they cause. A disk none of whose superblocks can be read is refused, and of no
    /// interest here.
    fn run(&mut self, journal: &mut Journal) -> Result<Vec<JournalEvent>, TestCaseError> {
        let mut unreadable_copies = 0;
        let mut context = Context::from_waker(Waker::noop());
        let mut events = journal.take_events();
        loop {
            journal.recover();
            journal.take_requests().into_iter().for_each(|request| self.disk.submit(request).unwrap());
            let Some(due) = self.disk.next_due() else { return Ok(events) };
            self.now = self.now.max(due);
            self.disk.advance(self.now);
            while let Poll::Ready(completion) = self.disk.poll_completion(&mut context) {
                if let DiskOperation::Read { sector, .. } = &completion.operation {
                    unreadable_copies += usize::from(completion.result.is_err() && COPIES.contains(sector));
                }
                prop_assume!(unreadable_copies < COPIES.len());
                journal.completed(completion).unwrap();
                events.append(&mut journal.take_events());
            }
        }
    }

    fn open(&mut self) -> Result<(Journal, Vec<JournalEvent>), TestCaseError> {
        self.lives += 1;
        let identity = identity("test", 1);
        let mut journal = Journal::open(self.disk.geometry(), identity, self.lives, Planted::NONE).unwrap();
        let events = self.run(&mut journal)?;
        let is_open = matches!(events.last(), Some(JournalEvent::Opened { .. }));
        prop_assert!(is_open);
        Ok((journal, events))
    }

    /// Nobody takes a checkpoint here: a history that is longer than the ring is none of interest.
    fn append(&mut self, journal: &mut Journal, entries: &[Arc<Entry>]) -> Result<(), TestCaseError> {
        prop_assume!(journal.has_room_for(entries));
        journal.append(1, state(1), entries);
        prop_assert_eq!(self.run(journal)?, [JournalEvent::Appended(1)]);
        prop_assert_eq!(journal.log_end(), end_of(&self.log));
        Ok(())
    }

    /// Appends what is missing, as a node does with what its peers send.
    fn repair(&mut self, journal: &mut Journal) -> Result<(), TestCaseError> {
        let missing = |version: &u64| journal.index.find(Version(*version)).is_none();
        let missing: Vec<u64> = (1..=self.log.len() as u64).filter(missing).collect();
        for run in missing.chunk_by(|a, b| a + 1 == *b) {
            let entries = self.log[run[0] as usize - 1..][..run.len()].to_vec();
            self.append(journal, &entries)?;
        }
        Ok(())
    }

    fn read(&mut self, journal: &mut Journal) -> Result<Vec<Arc<Entry>>, TestCaseError> {
        journal.read(2, Version(1), Version(u64::MAX), usize::MAX);
        match self.run(journal)?.pop() {
            Some(JournalEvent::Read(2, entries)) => Ok(entries),
            other => panic!("{other:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn nothing_is_lost_unnoticed(
        seed in any::<u64>(),
        lives in prop::collection::vec((prop::collection::vec(0usize..100, 1..25), 0usize..4), 1..5),
    ) {
        let disk = SimDisk::new(SECTORS_MIN * 4, seed);
        let mut simulation = Simulation { disk, now: drivers_api::Instant::ZERO, lives: 0, log: vec![] };
        simulation.open()?;
        for (appends, decay) in lives {
            simulation.disk.faults = FAULTS;
            let (mut journal, events) = simulation.open()?;
            prop_assert_eq!(journal.log_end(), end_of(&simulation.log), "the end is known");
            for event in &events {
                let JournalEvent::Recovered(Record { entries, .. }) = event else { continue };
                for entry in entries {
                    prop_assert!(simulation.log[entry.version.0 as usize - 1] == *entry, "nothing is made up");
                }
            }
            simulation.repair(&mut journal)?;
            for append in appends {
                // Most are short; some take several requests; some are seals.
                let (count, len) = match append { 0 => (1, 600_000), 1..20 => (0, 0), len => (2, 20 * len) };
                let more = entries(end_of(&simulation.log), 1, count, len);
                simulation.log.extend(more.iter().cloned());
                simulation.append(&mut journal, &more)?;
            }
            let found = simulation.read(&mut journal)?;
            prop_assert!(simulation.log.starts_with(&found));
            journal.append(1, state(1), &entries(end_of(&simulation.log), 1, 3, 600));
            journal.take_requests().into_iter().for_each(|request| simulation.disk.submit(request).unwrap());
            simulation.disk.crash();
            simulation.disk.rot(decay, RECORDS_START..u64::MAX);
            simulation.disk.spoil(decay, RECORDS_START..u64::MAX);
            simulation.disk.faults = DiskFaults::default();
            // What was torn may have arrived whole: it was never acknowledged, and counts all the same.
            let (mut journal, _) = simulation.open()?;
            if journal.log_end() != end_of(&simulation.log) {
                let more = entries(end_of(&simulation.log), 1, 3, 600);
                simulation.log.extend(more);
            }
            prop_assert_eq!(journal.log_end(), end_of(&simulation.log));
            simulation.repair(&mut journal)?;
            prop_assert!(simulation.read(&mut journal)? == simulation.log, "everything is back");
            // As a node does when nothing follows: the last record alone might be damaged unnoticed.
            simulation.append(&mut journal, &[])?;
        }
    }
}
