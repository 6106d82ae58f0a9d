//! Which versions were when, roughly: how far back the tables can be read.

use alloc::collections::VecDeque;

use cluster_format::Version;
use serde::{Deserialize, Serialize};

/// Between two notes, in microseconds: a minute.
const PAUSE_MICROS: i64 = 60_000_000;

/// Most notes: two days.
const NOTES_MAX: usize = 2 * 24 * 60;

/// So many of the newest versions can be read in any case: nodes compare their tables at one of them.
const VERSIONS_KEPT: u64 = 1000;

/// Times and the first version at or after them, both ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct History {
    notes: VecDeque<(i64, Version)>,
}

impl History {
    /// `version` is of this time.
    pub(crate) fn note(&mut self, micros: i64, version: Version) {
        let mut version = version;
        // The leader's clock has gone back: what was noted as later is of this time.
        while let Some((_, later)) = self.notes.pop_back_if(|(time, _)| *time > micros) {
            version = later;
        }
        if self.notes.back().is_some_and(|(newest, _)| micros.saturating_sub(*newest) < PAUSE_MICROS) {
            return;
        }
        if self.notes.len() == NOTES_MAX {
            self.notes.pop_front();
        }
        self.notes.push_back((micros, version));
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

    const MINUTE: i64 = PAUSE_MICROS;

    #[test]
    fn the_horizon_follows_at_a_distance_of_time() {
        let mut history = History::default();
        let mut horizons = alloc::vec::Vec::new();
        for minute in 0..200 {
            let version = Version(minute as u64 * 10_000 + 1);
            history.note(minute * MINUTE, version);
            history.note(minute * MINUTE + 1, version.next());
            horizons.push(history.horizon((minute - 30) * MINUTE, version));
        }
        assert_eq!(horizons[30], Version(1).min(Version(300_001 - VERSIONS_KEPT)));
        assert_eq!(horizons[199], Version(1_690_001));
        assert_eq!(history.notes.len(), 31);
    }

    #[test]
    fn some_of_the_newest_versions_are_kept_however_short_the_time() {
        let mut history = History::default();
        history.note(0, Version(1));
        history.note(10 * MINUTE, Version(500));
        assert_eq!(history.horizon(i64::MAX, Version(500)), Version(0));
        assert_eq!(history.horizon(i64::MAX, Version(50_000)), Version(500));
    }

    #[test]
    fn a_clock_that_leaps_does_not_stop_it() {
        let mut history = History::default();
        history.note(0, Version(1));
        history.note(1_000_000 * MINUTE, Version(5000));
        assert_eq!(history.horizon(999_000 * MINUTE, Version(5000)), Version(1));
        history.note(MINUTE, Version(6000));
        history.note(3 * MINUTE, Version(7000));
        assert_eq!(history.horizon(3 * MINUTE, Version(9000)), Version(7000));
    }

    #[test]
    fn notes_are_bounded() {
        let mut history = History::default();
        for minute in 0..3 * NOTES_MAX as i64 {
            history.note(minute * MINUTE, Version(minute as u64));
        }
        assert_eq!(history.notes.len(), NOTES_MAX);
    }
}
