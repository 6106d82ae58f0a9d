//! A wire between simulated machines.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::task::{Context, Poll};
use core::time::Duration;

use drivers_api::{Frame, Instant, Nic, NicQueueFull};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A simulated NIC: frames it was given, frames it gives.
pub struct SimNic {
    hardware_address: [u8; 6],
    received: VecDeque<Frame>,
    sent: VecDeque<Frame>,
}

impl SimNic {
    /// A NIC with this address.
    pub fn new(hardware_address: [u8; 6]) -> SimNic {
        SimNic { hardware_address, received: VecDeque::new(), sent: VecDeque::new() }
    }

    /// The machine lost its power, and the frames it held.
    pub fn crash(&mut self) {
        self.received.clear();
        self.sent.clear();
    }
}

impl Nic for SimNic {
    fn hardware_address(&self) -> [u8; 6] {
        self.hardware_address
    }

    fn can_transmit(&self) -> bool {
        true
    }

    fn transmit(&mut self, frame: Frame) -> Result<(), NicQueueFull> {
        self.sent.push_back(frame);
        Ok(())
    }

    fn kick(&mut self) {}

    fn poll_receive(&mut self, _context: &mut Context<'_>) -> Poll<Frame> {
        self.received.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

/// What befalls frames between machines. Shares are per thousand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkFaults {
    /// Lost.
    pub loss_per_mille: u32,
    /// Sent twice.
    pub duplicate_per_mille: u32,
    /// One bit flipped.
    pub corrupt_per_mille: u32,
    /// The most a frame is late beyond the wire's latency: frames overtake each other.
    pub jitter: Duration,
}

/// The wire, to which NIC K is attached as port K.
pub struct SimNetwork {
    now: Instant,
    rng: ChaCha8Rng,
    /// By arrival; the number keeps frames of one instant in order.
    flying: BTreeMap<(Instant, u64), (usize, Frame)>,
    sent: u64,
    /// The time a frame takes at least.
    pub latency: Duration,
    /// What befalls frames that do not involve a spared port.
    pub faults: LinkFaults,
    /// Ports whose frames suffer no fault: clients'.
    pub spared: BTreeSet<usize>,
    /// Pairs (from, to) that are cut.
    pub cut: BTreeSet<(usize, usize)>,
}

impl SimNetwork {
    /// A quiet wire.
    pub fn new(seed: u64) -> SimNetwork {
        SimNetwork {
            now: Instant::ZERO,
            rng: ChaCha8Rng::seed_from_u64(seed),
            flying: BTreeMap::new(),
            sent: 0,
            latency: Duration::from_micros(100),
            faults: LinkFaults::default(),
            spared: BTreeSet::new(),
            cut: BTreeSet::new(),
        }
    }

    /// Cuts or mends both directions between every port of `one` and every port of `other`.
    pub fn set_cut(&mut self, one: &[usize], other: &[usize], cut: bool) {
        for &a in one {
            for &b in other {
                for pair in [(a, b), (b, a)] {
                    if cut {
                        self.cut.insert(pair);
                    } else {
                        self.cut.remove(&pair);
                    }
                }
            }
        }
    }

    /// Time is now `now`: frames that have arrived reach their NICs.
    pub fn advance(&mut self, now: Instant, nics: &mut [SimNic]) {
        self.now = now;
        while let Some(entry) = self.flying.first_entry() {
            if entry.key().0 > now {
                return;
            }
            let (to, frame) = entry.remove();
            nics[to].received.push_back(frame);
        }
    }

    /// When the next frame arrives.
    pub fn next_due(&self) -> Option<Instant> {
        self.flying.keys().next().map(|(due, _)| *due)
    }

    /// Takes what port `from` has sent.
    pub fn collect(&mut self, from: usize, nics: &mut [SimNic]) {
        let sent: Vec<Frame> = nics[from].sent.drain(..).collect();
        for frame in sent {
            let destination: Option<[u8; 6]> = frame.bytes().get(..6).and_then(|bytes| bytes.try_into().ok());
            let Some(destination) = destination else { continue };
            let broadcast = destination[0] & 1 == 1;
            for (to, nic) in nics.iter().enumerate() {
                if to != from && (broadcast || nic.hardware_address == destination) {
                    self.launch(from, to, &frame);
                }
            }
        }
    }

    fn launch(&mut self, from: usize, to: usize, frame: &Frame) {
        if self.cut.contains(&(from, to)) {
            return;
        }
        let spared = self.spared.contains(&from) || self.spared.contains(&to);
        let faults = if spared { LinkFaults::default() } else { self.faults };
        let copies = match () {
            () if self.chance(faults.loss_per_mille) => 0,
            () if self.chance(faults.duplicate_per_mille) => 2,
            () => 1,
        };
        for _ in 0..copies {
            let mut frame = frame.clone();
            if self.chance(faults.corrupt_per_mille) {
                let at = self.rng.next_u64() as usize % frame.bytes().len();
                frame.bytes_mut()[at] ^= 1 << (self.rng.next_u32() % 8);
            }
            let jitter = self.rng.next_u64() % (faults.jitter.as_nanos() as u64 + 1);
            let due = self.now + self.latency + Duration::from_nanos(jitter);
            self.sent += 1;
            self.flying.insert((due, self.sent), (to, frame));
        }
    }

    fn chance(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.rng.next_u32() % 1000 < per_mille
    }
}
