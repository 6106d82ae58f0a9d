//! One direction between two ports: what becomes of each frame, by the link's fault and by dice of its own.
//!
//! ```text
//!   frame ── down, cut, lost? ── doubled? ──┬── queue, by the rate ── delay, jitter ── held back? ── arrives
//!                                           └── the same for its copy
//! ```

use std::time::Duration;

use drivers_api::Instant;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::links::{FIRST_FABRIC, Fault, LinkCounters, Port};

/// Bytes that wait for a link with a rate, at most.
pub const QUEUE_LEN_MAX: u64 = 128 << 10;

/// Bytes that are on their way on a link, at most. Whoever sends that much without an answer sends in vain.
pub const IN_FLIGHT_LEN_MAX: u64 = 8 << 20;

/// A link's state.
pub struct Link {
    pub fault: Fault,
    /// A partition cuts it.
    pub is_cut: bool,
    pub counters: LinkCounters,
    rng: ChaCha8Rng,
    /// By then, what waits has left the queue.
    busy_until: Instant,
    /// The latest arrival of those that are not held back: without jitter, what comes behind is not earlier.
    latest: Instant,
    /// Bytes on their way.
    in_flight_len: u64,
}

/// The dice of one frame, each from 0 to below 1. Frames take all of them, whatever the fault: what befalls the one does not
/// depend on what has befallen the others.
#[derive(Default)]
struct Dice {
    loss: f64,
    duplicate: f64,
    /// For each copy: jitter, reorder.
    copies: [[f64; 2]; 2],
}

impl Link {
    /// A link without fault, with its own stream of the seed's.
    pub fn new(seed: u64, fabric: u8, from: Port, to: Port) -> Link {
        Link {
            fault: Fault::default(),
            is_cut: false,
            counters: LinkCounters::default(),
            rng: stream(seed, fabric, from, to),
            busy_until: Instant::ZERO,
            latest: Instant::ZERO,
            in_flight_len: 0,
        }
    }

    /// Its dice begin anew, from `seed`.
    pub fn seed(&mut self, seed: u64, fabric: u8, from: Port, to: Port) {
        self.rng = stream(seed, fabric, from, to);
    }

    /// What is on its way arrives now, and nothing waits for it.
    pub fn clear(&mut self, now: Instant) {
        (self.busy_until, self.latest) = (now, now);
    }

    /// A frame of `len` bytes is sent while the link `is_plugged` or not; when it arrives, for each copy that does.
    /// Whoever calls says when they have.
    pub fn carry(&mut self, now: Instant, len: u64, is_plugged: bool) -> [Option<Instant>; 2] {
        self.counters.sent += 1;
        let dice = if self.fault.is_by_chance() { self.roll() } else { Dice::default() };
        if !is_plugged || !self.fault.up || self.is_cut || dice.loss < self.fault.loss {
            self.counters.lost += 1;
            return [None; 2];
        }
        let [first, second] = dice.copies;
        let arrival = self.send(now, len, first);
        if dice.duplicate >= self.fault.duplicate {
            return [arrival, None];
        }
        self.counters.duplicated += 1;
        [arrival, self.send(now, len, second)]
    }

    /// One copy; none if a queue is full.
    fn send(&mut self, now: Instant, len: u64, [jitter, reorder]: [f64; 2]) -> Option<Instant> {
        let fault = self.fault;
        if self.waiting_len(now) + len > QUEUE_LEN_MAX || self.in_flight_len + len > IN_FLIGHT_LEN_MAX {
            self.counters.dropped += 1;
            return None;
        }
        let has_left = match fault.rate_kbit {
            None => now,
            Some(rate) => {
                self.busy_until = self.busy_until.max(now) + sending_time(len, rate);
                self.busy_until
            }
        };
        let jitter = Duration::from_nanos((jitter * fault.jitter_ms as f64 * 1e6) as u64);
        let arrival = has_left + Duration::from_millis(fault.delay_ms) + jitter;
        let arrival = if reorder < fault.reorder {
            self.counters.reordered += 1;
            arrival + Duration::from_millis(fault.reorder_ms)
        } else {
            let in_order = arrival.max(self.latest);
            self.latest = in_order;
            if fault.jitter_ms > 0 { arrival } else { in_order }
        };
        self.counters.in_flight += 1;
        self.in_flight_len += len;
        Some(arrival)
    }

    /// A frame of `len` bytes that was sent has arrived.
    pub fn arrive(&mut self, len: u64) {
        self.counters.in_flight -= 1;
        self.in_flight_len -= len;
        self.counters.arrived += 1;
        self.counters.arrived_bytes += len;
    }

    /// Bytes in the queue, which leave it as the rate lets them.
    fn waiting_len(&self, now: Instant) -> u64 {
        let nanos = self.busy_until.since(now).as_nanos();
        self.fault.rate_kbit.map_or(0, |rate| (nanos * u128::from(rate) / NANOS_AND_KBITS) as u64)
    }

    fn roll(&mut self) -> Dice {
        // The 53 upper bits, which a float holds.
        let mut die = || (self.rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        Dice { loss: die(), duplicate: die(), copies: [[die(), die()], [die(), die()]] }
    }
}

/// Nanoseconds of a second times bits of a byte, over bits of a kbit: bytes are nanoseconds times kbit/s over this.
const NANOS_AND_KBITS: u128 = 8_000_000;

/// How long it takes to send so many bytes; rounded up, so that no more is sent than the rate lets through.
fn sending_time(len: u64, rate_kbit: u64) -> Duration {
    Duration::from_nanos((u128::from(len) * NANOS_AND_KBITS).div_ceil(rate_kbit.into()) as u64)
}

/// Each link has a stream of its own, so that what befalls its frames does not depend on those of others.
fn stream(seed: u64, fabric: u8, from: Port, to: Port) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let fabric = u64::from(fabric - FIRST_FABRIC);
    rng.set_stream(fabric << 16 | u64::from(from) << 8 | u64::from(to));
    rng
}
