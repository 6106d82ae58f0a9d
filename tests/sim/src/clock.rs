//! A node's own clocks, which need not agree with anybody's.

use std::time::Duration;

use drivers_api::{Instant, Now, WallTime};

/// Wall time at the start: 2026-01-01T00:00:00Z.
const WALL_START_MICROS: i64 = 1_767_225_600_000_000;

/// How far a clock's rate may be off, in parts per million.
pub const DRIFT_PPM_MAX: i64 = 500_000;

/// How far it may be off where leases depend on it: a tenth of a lease is kept back for clocks that differ.
pub const DRIFT_PPM_MAX_WITH_LEASE: i64 = 50_000;

/// The clocks of one machine: the monotonic one starts at 0 when it boots and never goes back, at a rate of
/// its own, but may leap; wall time may jump; and both stand still while the machine does.
#[derive(Clone, Copy, Debug)]
pub struct SimClock {
    /// The simulated time at which both clocks were last set, and what they showed.
    set_at: Instant,
    monotonic: Instant,
    wall_micros: i64,
    drift_ppm: i64,
    is_stopped: bool,
}

impl SimClock {
    /// Right clocks.
    pub fn new() -> SimClock {
        SimClock {
            set_at: Instant::ZERO,
            monotonic: Instant::ZERO,
            wall_micros: WALL_START_MICROS,
            drift_ppm: 0,
            is_stopped: false,
        }
    }

    /// What the machine's clocks show at the simulated time `at`.
    pub fn now(&self, at: Instant) -> Now {
        let elapsed = scaled(at.since(self.set_at), self.rate());
        let unix_micros = self.wall_micros.saturating_add(elapsed.as_micros() as i64);
        Now { monotonic: self.monotonic + elapsed, wall: WallTime { unix_micros } }
    }

    /// The first simulated time at which the monotonic clock shows `local` or more. Nobody asks while it stands
    /// still.
    pub fn when(&self, local: Instant) -> Instant {
        assert!(!self.is_stopped, "no time comes");
        let mut at = self.set_at + scaled_back(local.since(self.monotonic), self.rate());
        while self.now(at).monotonic < local {
            at = at + Duration::from_nanos(1);
        }
        at
    }

    /// From `at` on the clocks go too fast or too slowly.
    pub fn drift(&mut self, at: Instant, drift_ppm: i64) {
        self.settle(at);
        self.drift_ppm = drift_ppm.clamp(-DRIFT_PPM_MAX, DRIFT_PPM_MAX);
    }

    /// Wall time jumps.
    pub fn jump(&mut self, at: Instant, micros: i64) {
        self.settle(at);
        self.wall_micros = self.wall_micros.saturating_add(micros);
    }

    /// The monotonic clock leaps forward, and wall time with it.
    pub fn leap(&mut self, at: Instant, span: Duration) {
        self.jump(at, span.as_micros() as i64);
        self.monotonic = self.monotonic + span;
    }

    /// From `at` on both clocks stand still.
    pub fn stop(&mut self, at: Instant) {
        self.settle(at);
        self.is_stopped = true;
    }

    /// From `at` on they go again, if they stood still.
    pub fn go_on(&mut self, at: Instant) {
        self.settle(at);
        self.is_stopped = false;
    }

    /// The machine boots: its monotonic clock begins anew.
    pub fn boot(&mut self, at: Instant) {
        self.go_on(at);
        self.monotonic = Instant::ZERO;
    }

    fn settle(&mut self, at: Instant) {
        let now = self.now(at);
        (self.set_at, self.monotonic, self.wall_micros) = (at, now.monotonic, now.wall.unix_micros);
    }

    fn rate(&self) -> u128 {
        if self.is_stopped { 0 } else { (1_000_000 + self.drift_ppm) as u128 }
    }
}

impl Default for SimClock {
    fn default() -> SimClock {
        SimClock::new()
    }
}

fn scaled(span: Duration, rate: u128) -> Duration {
    Duration::from_nanos((span.as_nanos() * rate / 1_000_000) as u64)
}

fn scaled_back(span: Duration, rate: u128) -> Duration {
    Duration::from_nanos((span.as_nanos() * 1_000_000 / rate) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drifting_clocks_never_go_back_and_deadlines_are_met() {
        let mut clock = SimClock::new();
        let second = |n: u64| Instant::from_nanos(n * 1_000_000_007);
        let mut last = clock.now(Instant::ZERO).monotonic;
        for (n, drift) in [(1, 40_000), (2, -500_000), (3, 1), (4, -333), (5, 500_000)] {
            clock.drift(second(n), drift);
            let now = clock.now(second(n)).monotonic;
            assert!(now > last);
            last = now;
            for local in [now, now + Duration::from_nanos(1), now + Duration::from_millis(777)] {
                let at = clock.when(local);
                assert!(clock.now(at).monotonic >= local);
                assert!(clock.now(at).monotonic <= local + Duration::from_nanos(2));
            }
        }
    }

    #[test]
    fn a_stopped_clock_goes_on_from_where_it_stood_and_a_leap_shows_at_once() {
        let mut clock = SimClock::new();
        let second = |n: u64| Instant::from_nanos(n * 1_000_000_000);
        clock.stop(second(1));
        assert_eq!(clock.now(second(3)), clock.now(second(1)));
        clock.drift(second(2), 500_000);
        clock.go_on(second(4));
        assert_eq!(clock.now(second(4)).monotonic, second(1));
        assert_eq!(clock.now(second(6)).monotonic, second(4));
        clock.leap(second(6), Duration::from_secs(5));
        assert_eq!((clock.now(second(6)).monotonic, clock.when(second(12))), (second(9), second(8)));
        clock.stop(second(8));
        clock.boot(second(9));
        assert_eq!(clock.now(second(11)).monotonic, second(3));
    }

    #[test]
    fn only_wall_time_jumps_and_only_boots_begin_anew() {
        let mut clock = SimClock::new();
        let at = Instant::from_nanos(5_000_000_000);
        let before = clock.now(at);
        clock.jump(at, -3_600_000_000);
        let after = clock.now(at);
        assert_eq!(after.monotonic, before.monotonic);
        assert_eq!(after.wall.unix_micros, before.wall.unix_micros - 3_600_000_000);
        clock.boot(at);
        assert_eq!(clock.now(at).monotonic, Instant::ZERO);
        assert_eq!(clock.now(at).wall, after.wall);
    }
}
