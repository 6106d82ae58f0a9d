//! Which versions were when, roughly: how far back the tables can be read.

use alloc::collections::VecDeque;

use cluster_format::Version;
use serde::{Deserialize, Serialize};

/// Between two notes, in microseconds: a minute at least.
const PAUSE_MICROS_MIN: i64 = 60_000_000;

/// So many notes are between the horizon and now, so the horizon is late by one part in as many: a day has one a minute.
const NOTES: i64 = 24 * 60;

/// Most notes. More than usual are there when what is to be kept has become longer.
const NOTES_MAX: usize = 2 * NOTES as usize;

/// So many of the newest versions can be read in any case: nodes compare their tables at one of them.
const VERSIONS_KEPT: u64 = 1000;

/// Times and the first version at or after them, both ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct History {
    notes: VecDeque<(i64, Version)>,
}

impl History {
    /// `version` is of this time, and everything of the last `retention` microseconds is to be kept.
    pub(crate) fn note(&mut self, micros: i64, version: Version, retention: i64) {
        let pause = (retention / NOTES).max(PAUSE_MICROS_MIN);
        let mut version = version;
        // The leader's clock has gone back: what was noted as later is of this time.
        while let Some((_, later)) = self.notes.pop_back_if(|(time, _)| *time > micros) {
            version = later;
        }
        if self.notes.back().is_some_and(|(newest, _)| micros.saturating_sub(*newest) < pause) {
            return;
        }
        if self.notes.len() >= NOTES_MAX {
            self.thin();
        }
        self.notes.push_back((micros, version));
    }

    /// Forgets every other note: what is kept may be more than has to be, never less.
    fn thin(&mut self) {
        let mut is_kept = false;
        self.notes.retain(|_| {
            is_kept = !is_kept;
            is_kept
        });
    }

    /// The oldest version that can be read if everything from `micros` on can; `newest` is the newest there is.
    pub(crate) fn horizon(&mut self, micros: i64, newest: Version) -> Version {
        while self.notes.get(1).is_some_and(|(second, _)| *second <= micros) {
            self.notes.pop_front();
        }
        let first = self.notes.front().map_or(newest, |(_, version)| *version);
        first.min(Version(newest.0.saturating_sub(VERSIONS_KEPT)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = PAUSE_MICROS_MIN;

    const DAY: i64 = 24 * 60 * MINUTE;

    #[test]
    fn the_horizon_follows_at_a_distance_of_time() {
        let mut history = History::default();
        let mut horizons = alloc::vec::Vec::new();
        for minute in 0..200 {
            let version = Version(minute as u64 * 10_000 + 1);
            history.note(minute * MINUTE, version, 30 * MINUTE);
            history.note(minute * MINUTE + 1, version.next(), 30 * MINUTE);
            horizons.push(history.horizon((minute - 30) * MINUTE, version));
        }
        assert_eq!(horizons[30], Version(1).min(Version(300_001 - VERSIONS_KEPT)));
        assert_eq!(horizons[199], Version(1_690_001));
        assert_eq!(history.notes.len(), 31);
    }

    #[test]
    fn some_of_the_newest_versions_are_kept_however_short_the_time() {
        let mut history = History::default();
        history.note(0, Version(1), DAY);
        history.note(10 * MINUTE, Version(500), DAY);
        assert_eq!(history.horizon(i64::MAX, Version(500)), Version(0));
        assert_eq!(history.horizon(i64::MAX, Version(50_000)), Version(500));
    }

    #[test]
    fn a_clock_that_leaps_does_not_stop_it() {
        let mut history = History::default();
        history.note(0, Version(1), DAY);
        history.note(1_000_000 * MINUTE, Version(5000), DAY);
        assert_eq!(history.horizon(999_000 * MINUTE, Version(5000)), Version(1));
        history.note(MINUTE, Version(6000), DAY);
        history.note(3 * MINUTE, Version(7000), DAY);
        assert_eq!(history.horizon(3 * MINUTE, Version(9000)), Version(7000));
    }

    /// Notes of a version a minute, for so many days; the last horizon must be of the time that is to be kept, or so.
    fn live(history: &mut History, minutes: core::ops::Range<i64>, days: i64) {
        let (mut horizon, retention) = (Version::ZERO, days * DAY);
        for minute in minutes.clone() {
            let version = Version(minute as u64 * 1000);
            history.note(minute * MINUTE, version, retention);
            assert!(history.notes.len() <= NOTES_MAX);
            horizon = history.horizon(minute * MINUTE - retention, version);
        }
        let lag = minutes.end - horizon.0 as i64 / 1000;
        assert!(lag >= days * 24 * 60 && lag <= days * 24 * 60 * 101 / 100 + 2, "{lag} minutes");
    }

    #[test]
    fn months_can_be_kept_after_a_day_and_a_day_after_months() {
        let mut history = History::default();
        live(&mut history, 0..3 * 24 * 60, 1);
        live(&mut history, 3 * 24 * 60..200 * 24 * 60, 90);
        live(&mut history, 200 * 24 * 60..202 * 24 * 60, 1);
    }

    #[test]
    fn notes_are_bounded_and_the_oldest_stays() {
        let mut history = History::default();
        for minute in 0..3 * NOTES_MAX as i64 {
            history.note(minute * MINUTE, Version(minute as u64), DAY);
        }
        assert!((NOTES_MAX / 2..=NOTES_MAX).contains(&history.notes.len()), "{}", history.notes.len());
        assert_eq!(history.notes.front(), Some(&(0, Version(0))));
    }
}
