//! A disk in memory. What is in flight when the machine crashes is torn: of each write, any sectors may
//! have arrived.

use alloc::collections::{BTreeMap, VecDeque};
use core::task::{Context, Poll};
use core::time::Duration;

use drivers_api::{
    Disk, DiskCompletion, DiskError, DiskGeometry, DiskOperation, DiskRequest, Instant, SECTOR_SIZE,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

type Sector = [u8; SECTOR_SIZE];

/// A simulated disk. It outlives the node that uses it.
pub struct SimDisk {
    geometry: DiskGeometry,
    sectors: BTreeMap<u64, Sector>,
    in_flight: VecDeque<(Instant, DiskRequest)>,
    now: Instant,
    rng: ChaCha8Rng,
    /// The most a request takes; each takes between a half and all of it.
    pub latency: Duration,
    /// Every request fails from now on.
    pub broken: bool,
}

impl SimDisk {
    /// A blank disk of `sectors` sectors.
    pub fn new(sectors: u64, seed: u64) -> SimDisk {
        SimDisk {
            geometry: DiskGeometry { sectors, queue_depth: 64, transfer_len_max: 256 * 1024 },
            sectors: BTreeMap::new(),
            in_flight: VecDeque::new(),
            now: Instant::ZERO,
            rng: ChaCha8Rng::seed_from_u64(seed),
            latency: Duration::from_micros(200),
            broken: false,
        }
    }

    /// Time is now `now`.
    pub fn advance(&mut self, now: Instant) {
        self.now = now;
    }

    /// When the next request completes.
    pub fn next_due(&self) -> Option<Instant> {
        self.in_flight.front().map(|(due, _)| *due)
    }

    /// The machine lost its power: of the writes in flight, any sectors have arrived.
    pub fn crash(&mut self) {
        for (_, request) in core::mem::take(&mut self.in_flight) {
            let DiskOperation::Write { sector, buffer, .. } = request.operation else { continue };
            for (index, piece) in (0..).zip(buffer.chunks_exact(SECTOR_SIZE)) {
                if self.rng.next_u32() & 1 == 1 {
                    self.put(sector + index, piece);
                }
            }
        }
    }

    /// Flips a bit of a sector, as a decaying medium does.
    pub fn flip_bit(&mut self, sector: u64, bit: usize) {
        let bytes = self.sectors.entry(sector).or_insert([0; SECTOR_SIZE]);
        bytes[bit / 8 % SECTOR_SIZE] ^= 1 << (bit % 8);
    }

    fn put(&mut self, sector: u64, piece: &[u8]) {
        let mut bytes = [0; SECTOR_SIZE];
        bytes.copy_from_slice(piece);
        self.sectors.insert(sector, bytes);
    }

    fn perform(&mut self, operation: &mut DiskOperation) -> Result<(), DiskError> {
        if self.broken {
            return Err(DiskError::Device);
        }
        match operation {
            DiskOperation::Read { sector, buffer } => {
                for (index, piece) in (0..).zip(buffer.chunks_exact_mut(SECTOR_SIZE)) {
                    piece.copy_from_slice(self.sectors.get(&(*sector + index)).unwrap_or(&[0; SECTOR_SIZE]));
                }
            }
            DiskOperation::Write { sector, buffer, .. } => {
                let (first, count) = (*sector, (buffer.len() / SECTOR_SIZE) as u64);
                if first + count > self.geometry.sectors {
                    return Err(DiskError::OutOfRange);
                }
                for index in 0..count {
                    let start = index as usize * SECTOR_SIZE;
                    let piece = &buffer[start..start + SECTOR_SIZE];
                    let mut bytes = [0; SECTOR_SIZE];
                    bytes.copy_from_slice(piece);
                    self.sectors.insert(first + index, bytes);
                }
            }
            DiskOperation::Flush => {}
        }
        Ok(())
    }
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
        let jitter = Duration::from_nanos(self.rng.next_u64() % (half.as_nanos() as u64).max(1));
        // In order, as the queue is one; a real disk may reorder, and the contract says so.
        let earliest = self.in_flight.back().map_or(Instant::ZERO, |(due, _)| *due);
        self.in_flight.push_back(((self.now + half + jitter).max(earliest), request));
        Ok(())
    }

    fn kick(&mut self) {}

    fn poll_completion(&mut self, _context: &mut Context<'_>) -> Poll<DiskCompletion> {
        if self.next_due().is_none_or(|due| due > self.now) {
            return Poll::Pending;
        }
        let Some((_, DiskRequest { id, mut operation })) = self.in_flight.pop_front() else {
            return Poll::Pending;
        };
        let result = self.perform(&mut operation);
        Poll::Ready(DiskCompletion { id, operation, result })
    }
}
