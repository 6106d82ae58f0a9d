//! How many tasks of a queue may begin in a time: a leaky bucket as a meter (GCRA: ITU-T I.371), one moment for each queue.
//!
//! Each task that begins takes its part of the period, from where those before it have taken theirs. So many as the limit may
//! begin at once, if none has in the period before, and then one after each part.

use cluster_calendar::{Interval, Timestamptz};

/// Longest period, in microseconds: a year. What is longer is as long as that.
const PERIOD_MAX: i64 = 366 * DAY;

const DAY: i64 = 24 * 3600 * 1_000_000;

/// The limit of a queue, and what of it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    /// Tasks that may begin in a period.
    limit: i64,
    /// Microseconds; months have thirty days.
    period: i64,
    /// Until when what has begun has taken its parts, in microseconds since the Unix epoch; no further than a period from now.
    taken_until: i64,
    now: i64,
}

impl Rate {
    /// At `now`, in microseconds since the Unix epoch. Whatever the values are, there is some rate.
    pub(super) fn new(limit: i32, period: Interval, taken_until: Timestamptz, now: i64) -> Rate {
        let days = i64::from(period.months).saturating_mul(30).saturating_add(period.days.into());
        let period = days.saturating_mul(DAY).saturating_add(period.micros).clamp(1, PERIOD_MAX);
        let taken_until = taken_until.unix_micros().clamp(now, now.saturating_add(period));
        Rate { limit: i64::from(limit).max(1), period, taken_until, now }
    }

    /// How many may begin now.
    pub(super) fn room(&self) -> i32 {
        let free = self.period - (self.taken_until - self.now);
        i32::try_from(i128::from(free) * i128::from(self.limit) / i128::from(self.period)).unwrap_or(i32::MAX)
    }

    /// When the next one may begin.
    pub(super) fn next(&self) -> i64 {
        // Rounded up, so that there is room then.
        let part = (self.period - 1) / self.limit + 1;
        (self.taken_until - self.period + part).max(self.now)
    }

    /// Until when parts are taken if so many begin now.
    pub(super) fn taken_by(&self, tasks: usize) -> Timestamptz {
        let parts = i128::from(self.period) * i128::try_from(tasks).unwrap_or(0) / i128::from(self.limit);
        let taken = self.taken_until.saturating_add(i64::try_from(parts).unwrap_or(i64::MAX));
        Timestamptz::from_unix_micros(taken).unwrap_or(Timestamptz::INFINITY)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_000_000_000_000_000;

    fn rate(limit: i32, micros: i64, taken: i64) -> Rate {
        let taken = Timestamptz::from_unix_micros(taken).expect("a time");
        Rate::new(limit, Interval { months: 0, days: 0, micros }, taken, NOW)
    }

    #[test]
    fn whatever_a_row_says_is_some_rate() {
        let ever = Interval { months: i32::MAX, days: i32::MAX, micros: i64::MAX };
        let never = Interval { months: -4 * 12, days: 1461, micros: 0 };
        for period in [ever, never] {
            for taken in [Timestamptz::INFINITY, Timestamptz::MINUS_INFINITY] {
                for limit in [i32::MIN, 1, i32::MAX] {
                    let rate = Rate::new(limit, period, taken, NOW);
                    assert!(
                        rate.room() >= 0
                            && rate.next() >= NOW
                            && rate.taken_by(usize::MAX).unix_micros() > NOW
                    );
                }
            }
        }
    }

    proptest! {
        /// A burst, and then one after each part, whatever the numbers.
        #[test]
        fn there_is_room_for_one_when_the_next_is_due_and_not_before(limit in 1..2_000_000, period in 1..100_000_000_000i64) {
            let fresh = rate(limit, period, 0);
            prop_assert_eq!(fresh.room(), limit);
            let full = Rate { taken_until: fresh.taken_by(fresh.room() as usize).unix_micros(), ..fresh };
            prop_assert_eq!(full.room(), 0);
            let due = Rate { now: full.next(), ..full };
            prop_assert!(due.room() >= 1);
            let early = Rate { now: full.next() - 1, ..full };
            prop_assert!(early.now < NOW || early.room() < 2);
        }
    }
}
