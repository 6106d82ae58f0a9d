//! Time, as the machine tells it. Pure code never asks for it: it is handed a [`Now`].

use core::ops::Add;
use core::time::Duration;

/// A point on the machine's monotonic clock: nanoseconds since an arbitrary start (usually boot). Never
/// goes backwards, is not comparable between machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant {
    nanos: u64,
}

impl Instant {
    /// The start of the clock.
    pub const ZERO: Instant = Instant { nanos: 0 };

    /// The point `nanos` nanoseconds after the start.
    pub const fn from_nanos(nanos: u64) -> Self {
        Instant { nanos }
    }

    /// Nanoseconds since the start.
    pub const fn as_nanos(self) -> u64 {
        self.nanos
    }

    /// Microseconds since the start, rounded down.
    pub const fn as_micros(self) -> u64 {
        self.nanos / 1_000
    }

    /// The time from `earlier` to here; zero if `earlier` is later.
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.nanos.saturating_sub(earlier.nanos))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, span: Duration) -> Instant {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Instant { nanos: self.nanos.saturating_add(nanos) }
    }
}

/// Wall time: microseconds since 1970-01-01T00:00:00Z. May jump in either direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime {
    /// Microseconds since the Unix epoch.
    pub unix_micros: i64,
}

/// Both clocks, read together at the start of a turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For timeouts and intervals.
    pub monotonic: Instant,
    /// For people and for `timestamp` columns.
    pub wall: WallTime,
}
