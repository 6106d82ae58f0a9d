//! A disk in memory. What is in flight when the machine crashes is torn: of each write, any sectors may
//! have arrived. So is what has completed, unless it was to be durable, or was flushed since. Beyond that,
//! whatever its [`DiskFaults`] say.
//!
//! Faults stay within what a log on this one disk can notice later, see `settling.rs`: a single disk that
//! silently forgot the newest of what it acknowledged could make any cluster lie.

mod cache;
mod faults;
mod medium;
mod settling;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;
use core::task::{Context, Poll};
use core::time::Duration;

use drivers_api::{
    Disk, DiskCompletion, DiskError, DiskGeometry, DiskOperation, DiskRequest, Instant, SECTOR_SIZE,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use cache::Cache;
pub use faults::{DiskFaultCounts, DiskFaults};
use medium::{Medium, sectors_of};
use settling::{DoneWrite, Settling, Wrong};

/// What of the writes that nobody was promised has arrived when the power fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// None of them.
    Nothing,
    /// All of them.
    Everything,
    /// Those in flight, and none of those in the disk's cache: the newest first.
    Newest,
    /// Those in the disk's cache, and none of those in flight.
    Oldest,
    /// Each of those in flight as a whole or not at all, and all or none of those in the cache.
    Writes,
    /// Any sectors of each.
    Sectors,
}

/// A request that the disk is busy with.
#[derive(Clone)]
struct InFlight {
    due: Instant,
    /// Counts requests.
    number: u64,
    /// How many had completed when it was submitted: a flush concerns those.
    completed: u64,
    request: DiskRequest,
}

/// A simulated disk. It outlives the node that uses it.
#[derive(Clone)]
pub struct SimDisk {
    geometry: DiskGeometry,
    medium: Medium,
    /// By submission.
    in_flight: Vec<InFlight>,
    submitted: u64,
    completed: u64,
    cache: Cache,
    settling: Settling,
    /// Late writes that have settled.
    late: Vec<DoneWrite>,
    now: Instant,
    rng: ChaCha8Rng,
    counts: DiskFaultCounts,
    /// The most a request takes; each takes between a half and all of it.
    pub latency: Duration,
    /// What befalls requests.
    pub faults: DiskFaults,
    /// Nothing completes before this time.
    pub stuck_until: Instant,
    /// Every request fails from now on.
    pub broken: bool,
}

impl SimDisk {
    /// A blank disk of `sectors` sectors, without faults.
    pub fn new(sectors: u64, seed: u64) -> SimDisk {
        SimDisk {
            geometry: DiskGeometry { sectors, queue_depth: 64, transfer_len_max: 256 * 1024 },
            medium: Medium::default(),
            in_flight: Vec::new(),
            submitted: 0,
            completed: 0,
            cache: Cache::default(),
            settling: Settling::default(),
            late: Vec::new(),
            now: Instant::ZERO,
            rng: ChaCha8Rng::seed_from_u64(seed),
            counts: DiskFaultCounts::default(),
            latency: Duration::from_micros(200),
            faults: DiskFaults::default(),
            stuck_until: Instant::ZERO,
            broken: false,
        }
    }

    /// Time is now `now`.
    pub fn advance(&mut self, now: Instant) {
        self.now = now;
        self.arrive(|_, due| due <= now);
    }

    /// When the next request completes.
    pub fn next_due(&self) -> Option<Instant> {
        let due = self.in_flight.iter().map(|request| request.due).min()?;
        Some(due.max(self.stuck_until))
    }

    /// The faults that have happened so far.
    pub fn fault_counts(&self) -> DiskFaultCounts {
        self.counts
    }

    /// The machine lost its power: of the writes in flight, and of those in the disk's cache, any sectors have
    /// arrived. A late write may have arrived or not.
    pub fn crash(&mut self) {
        self.crash_with(Arrived::Sectors);
    }

    /// What the disk would be if the power failed now.
    pub fn crashed(&self, arrived: Arrived, seed: u64) -> SimDisk {
        let mut disk = SimDisk { rng: ChaCha8Rng::seed_from_u64(seed), ..self.clone() };
        disk.crash_with(arrived);
        disk
    }

    fn crash_with(&mut self, arrived: Arrived) {
        self.put_right();
        self.lose_cache(arrived);
        for write in core::mem::take(&mut self.late) {
            if self.rng.next_u32() & 1 == 1 {
                self.put(write.sector, &write.buffer);
            }
        }
        for InFlight { request, .. } in core::mem::take(&mut self.in_flight) {
            let DiskOperation::Write { sector, buffer, .. } = request.operation else { continue };
            let whole = match arrived {
                Arrived::Nothing | Arrived::Oldest => Some(false),
                Arrived::Everything | Arrived::Newest => Some(true),
                Arrived::Writes => Some(self.rng.next_u32() & 1 == 1),
                Arrived::Sectors => None,
            };
            let mut count = 0;
            for (sector, bytes) in sectors_of(sector, &buffer) {
                if whole.unwrap_or_else(|| self.rng.next_u32() & 1 == 1) {
                    count += 1;
                    self.put(sector, &bytes);
                }
            }
            self.counts.torn += u64::from(count > 0 && count < buffer.len() / SECTOR_SIZE);
        }
        self.settling.crashed();
    }

    /// Gives the disk another size, whether its machine is on or off. What is added is blank; what lay behind a nearer end
    /// is gone. Whoever runs the machine is to let it look.
    ///
    /// # Panics
    /// If the disk becomes smaller while requests are in flight, which may be for what goes.
    pub fn resize(&mut self, sectors: u64) {
        let is_idle = self.in_flight.is_empty();
        assert!(is_idle || sectors >= self.geometry.sectors, "what is in flight lies within the disk");
        self.geometry.sectors = sectors;
        self.medium.cut(sectors);
    }

    fn lose_cache(&mut self, arrived: Arrived) {
        let SimDisk { cache, medium, rng, .. } = self;
        let whole = match arrived {
            Arrived::Nothing | Arrived::Newest => Some(false),
            Arrived::Everything | Arrived::Oldest => Some(true),
            Arrived::Writes => Some(rng.next_u32() & 1 == 1),
            Arrived::Sectors => None,
        };
        // The first choice is what is durable, the last what was written last.
        cache.crash(medium, |bound| match whole {
            Some(true) => bound - 1,
            Some(false) => 0,
            None => rng.next_u64() % bound,
        });
    }

    /// Whether a power failure can lose something more, or less, once the next request has completed, which it does now.
    pub fn is_about_to_write(&self) -> bool {
        let next = self.next().map(|index| &self.in_flight[index].request.operation);
        next.is_some_and(|operation| !matches!(operation, DiskOperation::Read { .. }))
    }

    /// Which of the requests in flight completes now, if any does.
    fn next(&self) -> Option<usize> {
        self.next_due().filter(|due| *due <= self.now)?;
        let requests = self.in_flight.iter().enumerate();
        requests.min_by_key(|(_, request)| (request.due, request.number)).map(|(index, _)| index)
    }

    /// Flips a bit of a sector, as a decaying medium does.
    pub fn flip_bit(&mut self, sector: u64, bit: usize) {
        self.counts.rotten += 1;
        self.medium.flip_bit(sector, bit);
    }

    /// Flips a bit in each of up to `count` sectors in `sectors` that were ever written. Those written last
    /// are spared.
    pub fn rot(&mut self, count: usize, sectors: Range<u64>) {
        for sector in self.draw_written(count, sectors) {
            let bit = self.below(SECTOR_SIZE as u64 * 8) as usize;
            self.flip_bit(sector, bit);
        }
    }

    /// Makes up to `count` sectors unreadable, chosen as [`SimDisk::rot`] does, until they are written.
    pub fn spoil(&mut self, count: usize, sectors: Range<u64>) {
        for sector in self.draw_written(count, sectors) {
            self.spoil_sector(sector);
        }
    }

    /// Makes a sector unreadable until it is written.
    pub fn spoil_sector(&mut self, sector: u64) {
        self.counts.unreadable += u64::from(self.medium.spoil(sector));
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.rng.next_u64() % bound.max(1)
    }

    fn chance(&mut self, per_million: u32) -> bool {
        per_million > 0 && self.below(1_000_000) < u64::from(per_million)
    }

    fn within(&mut self, span: Duration) -> Duration {
        Duration::from_nanos(self.below(span.as_nanos() as u64))
    }

    /// Up to `count` sectors of those in `range` that were ever written and may suffer a fault.
    fn draw_written(&mut self, count: usize, range: Range<u64>) -> Vec<u64> {
        let settling = &self.settling;
        let mut written: Vec<u64> =
            self.medium.written(range).filter(|sector| !settling.covers(*sector)).collect();
        let mut drawn = Vec::new();
        while drawn.len() < count && !written.is_empty() {
            let index = self.below(written.len() as u64) as usize;
            drawn.push(written.swap_remove(index));
        }
        drawn
    }

    /// Sectors arrive.
    fn put(&mut self, sector: u64, buffer: &[u8]) {
        for (sector, bytes) in sectors_of(sector, buffer) {
            self.medium.put(sector, bytes);
        }
    }

    /// Lets the late writes arrive that `which` selects.
    fn arrive(&mut self, which: impl Fn(&DoneWrite, Instant) -> bool) {
        let selected = |write: &DoneWrite| matches!(write.wrong, Some(Wrong::Late(due)) if which(write, due));
        let mut due: Vec<DoneWrite> = self.late.extract_if(.., |write| selected(write)).collect();
        due.extend(self.settling.writes().filter(|write| selected(write)).filter_map(take_late));
        for write in due {
            self.put(write.sector, &write.buffer);
        }
    }

    /// Withdraws what is wrong with writes that have not settled: does them again, and those after them.
    fn put_right(&mut self) {
        let mut again = false;
        for write in self.settling.writes() {
            let wrong = write.wrong.take();
            self.counts.withdrawn += u64::from(wrong.is_some());
            again |= wrong.is_some();
            match wrong {
                None => {}
                Some(Wrong::Lost) => self.counts.lost -= 1,
                Some(Wrong::Late(_)) => self.counts.late -= 1,
                Some(Wrong::Misdirected(victims)) => {
                    self.counts.misdirected -= 1;
                    for (sector, bytes, before) in victims {
                        if *self.medium.get(sector) == bytes {
                            self.medium.put(sector, before);
                        }
                    }
                }
            }
            if again {
                for (sector, bytes) in sectors_of(write.sector, &write.buffer) {
                    self.medium.put(sector, bytes);
                }
            }
        }
    }

    /// Does what a request asks for that was submitted after so many had `completed`.
    fn perform(&mut self, operation: &mut DiskOperation, completed: u64) -> Result<(), DiskError> {
        if self.broken {
            return Err(DiskError::Device);
        }
        match operation {
            DiskOperation::Read { sector, buffer } => {
                let sectors = self.range_of(*sector, buffer)?;
                if self.chance(self.faults.unreadable_per_million) {
                    self.spoil(1, sectors.clone());
                }
                if !self.medium.is_readable(sectors.clone()) {
                    return Err(DiskError::Device);
                }
                for (sector, piece) in sectors.zip(buffer.chunks_exact_mut(SECTOR_SIZE)) {
                    piece.copy_from_slice(self.medium.get(sector));
                }
            }
            DiskOperation::Write { sector, buffer, durable: true } => {
                self.range_of(*sector, buffer)?;
                self.write(*sector, buffer);
                self.cache.forget(*sector, buffer.len());
                self.cache.flush(completed);
            }
            DiskOperation::Write { sector, buffer, durable: false } => {
                self.range_of(*sector, buffer)?;
                self.cache.note(self.completed, *sector, buffer.len(), &self.medium);
                self.write(*sector, buffer);
            }
            DiskOperation::Flush => self.cache.flush(completed),
        }
        Ok(())
    }

    fn range_of(&self, sector: u64, buffer: &[u8]) -> Result<Range<u64>, DiskError> {
        let end = sector.saturating_add((buffer.len() / SECTOR_SIZE) as u64);
        if end > self.geometry.sectors { Err(DiskError::OutOfRange) } else { Ok(sector..end) }
    }

    /// Writes, or does what goes for it.
    fn write(&mut self, sector: u64, buffer: &[u8]) {
        let buffer: Box<[u8]> = buffer.into();
        // Writes to the same place keep their order.
        let end = sector + (buffer.len() / SECTOR_SIZE) as u64;
        self.arrive(|late, _| late.sector < end && sector < late.sectors().end);
        let faults = self.faults;
        let wrong = if self.chance(faults.lost_per_million) {
            self.counts.lost += 1;
            Some(Wrong::Lost)
        } else if self.chance(faults.misdirected_per_million) {
            self.misdirect(sector, &buffer)
        } else if self.chance(faults.late_per_million) {
            self.counts.late += 1;
            Some(Wrong::Late(self.now + self.within(faults.lateness)))
        } else {
            self.put(sector, &buffer);
            None
        };
        self.settling.push(DoneWrite { sector, buffer, wrong });
    }

    /// Writes to another place: half of the time one that holds something. What has not settled there is spared, as by
    /// decay.
    fn misdirect(&mut self, sector: u64, buffer: &[u8]) -> Option<Wrong> {
        let last = self.geometry.sectors - (buffer.len() / SECTOR_SIZE) as u64;
        let near = self.rng.next_u32() & 1 == 1;
        let written = if near { self.draw_written(1, 0..last + 1).first().copied() } else { None };
        let place = written.unwrap_or_else(|| self.below(last + 1));
        let mut victims = sectors_of(place, buffer).map(|(victim, _)| victim);
        if place == sector || victims.any(|victim| self.settling.covers(victim)) {
            self.put(sector, buffer);
            return None;
        }
        self.counts.misdirected += 1;
        let victims = sectors_of(place, buffer)
            .map(|(sector, bytes)| (sector, bytes, *self.medium.get(sector)))
            .collect();
        self.put(place, buffer);
        Some(Wrong::Misdirected(victims))
    }
}

/// Takes a late write out of those that have not settled.
fn take_late(write: &mut DoneWrite) -> Option<DoneWrite> {
    let wrong = write.wrong.take_if(|wrong| matches!(wrong, Wrong::Late(_)))?;
    Some(DoneWrite { sector: write.sector, buffer: write.buffer.clone(), wrong: Some(wrong) })
}

impl Disk for SimDisk {
    fn geometry(&self) -> DiskGeometry {
        self.geometry
    }

    fn submit(&mut self, request: DiskRequest) -> Result<(), DiskRequest> {
        if self.in_flight.len() >= usize::from(self.geometry.queue_depth) {
            return Err(request);
        }
        let half = self.latency / 2;
        let mut due = self.now + half + self.within(half);
        if self.chance(self.faults.spikes_per_million) {
            self.counts.spikes += 1;
            due = due + self.within(self.faults.spike);
        }
        if !self.faults.reorder {
            due = self.in_flight.last().map_or(due, |before| before.due.max(due));
        }
        self.submitted += 1;
        let (number, completed) = (self.submitted, self.completed);
        self.in_flight.push(InFlight { due, number, completed, request });
        Ok(())
    }

    fn kick(&mut self) {}

    fn poll_completion(&mut self, _context: &mut Context<'_>) -> Poll<DiskCompletion> {
        let Some(index) = self.next() else { return Poll::Pending };
        let InFlight { due, completed, request: DiskRequest { id, mut operation }, .. } =
            self.in_flight.remove(index);
        self.completed += 1;
        self.counts.reordered += u64::from(index > 0);
        self.counts.stuck += u64::from(due < self.stuck_until);
        let result = self.perform(&mut operation, completed);
        self.counts.errors += u64::from(result.is_err());
        let is_write = |request: &InFlight| matches!(request.request.operation, DiskOperation::Write { .. });
        if !self.in_flight.iter().any(is_write) {
            let settled = self.settling.quiet();
            self.late.extend(settled);
        }
        Poll::Ready(DiskCompletion { id, operation, result })
    }
}

#[cfg(test)]
mod tests;
