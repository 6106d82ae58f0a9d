//! What the node has said on its console, until it is in `sys.log`.
//!
//! Lines are gathered for a second and written together: so a node that has nothing to say writes nothing, and one that has
//! much commits once a second. Nothing is said of how that goes, which would never end.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;

use cluster_services::log::{LINE_LEN_MAX, Line};
use drivers_api::{Instant, Level, Now};

/// So long lines are gathered, and so long it takes until the next attempt when they could not be written.
const PAUSE: Duration = Duration::from_secs(1);

/// Lines that wait, at most; further ones are counted.
const LINES_MAX: usize = 256;

/// What is still to be written.
#[derive(Debug, Default)]
pub(crate) struct Said {
    lines: VecDeque<Line>,
    /// How many found no room.
    missed: u64,
    is_writing: bool,
    /// When they are written.
    at: Option<Instant>,
}

impl Said {
    /// A line was said.
    pub(crate) fn note(&mut self, now: Now, level: Level, text: &str) {
        self.note_at(now.monotonic, now, level, text);
    }

    /// A line was said a little before.
    pub(crate) fn note_at(&mut self, at: Instant, now: Now, level: Level, text: &str) {
        let ago = i64::try_from(now.monotonic.since(at).as_micros()).unwrap_or(i64::MAX);
        let at_micros = now.wall.unix_micros.saturating_sub(ago);
        if self.lines.len() >= LINES_MAX {
            self.missed += 1;
            return;
        }
        let text = text.get(..text.floor_char_boundary(LINE_LEN_MAX)).unwrap_or_default();
        self.lines.push_back(Line { at_micros, level, text: text.into() });
        self.schedule(now);
    }

    fn schedule(&mut self, now: Now) {
        if self.at.is_none() && !self.is_writing && !self.lines.is_empty() {
            self.at = Some(now.monotonic + PAUSE);
        }
    }

    /// The lines that are to be written now, if it is time. [`Said::end`] follows.
    pub(crate) fn begin(&mut self, now: Now) -> Option<Vec<Line>> {
        self.schedule(now);
        if self.at.is_none_or(|at| at > now.monotonic) {
            return None;
        }
        (self.is_writing, self.at) = (true, None);
        let mut lines: Vec<Line> = self.lines.drain(..).collect();
        if self.missed > 0 {
            let text =
                format!("{} further lines found no room in sys.log", core::mem::take(&mut self.missed));
            lines.push(Line { at_micros: now.wall.unix_micros, level: Level::Warn, text });
        }
        Some(lines)
    }

    /// They are written, or wait for the next attempt.
    pub(crate) fn end(&mut self, lines: Vec<Line>, is_written: bool) {
        self.is_writing = false;
        if !is_written {
            for line in lines.into_iter().rev() {
                if self.lines.len() < LINES_MAX {
                    self.lines.push_front(line);
                } else {
                    self.missed += 1;
                }
            }
        }
    }

    /// When there is something to write.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.at
    }
}

#[cfg(test)]
mod tests {
    use drivers_api::WallTime;

    use super::*;

    fn at(millis: u64) -> Now {
        let monotonic = Instant::ZERO + Duration::from_millis(millis);
        Now { monotonic, wall: WallTime { unix_micros: 7 } }
    }

    #[test]
    fn lines_are_gathered_for_a_second_and_wait_for_another_if_they_cannot_be_written() {
        let mut said = Said::default();
        assert_eq!((said.begin(at(0)), said.deadline()), (None, None));
        said.note(at(100), Level::Info, "one");
        said.note(at(900), Level::Warn, "two");
        assert_eq!(said.deadline(), Some(at(1100).monotonic));
        assert_eq!(said.begin(at(1099)), None);
        let lines = said.begin(at(1100)).expect("it is time");
        assert_eq!(lines.iter().map(|line| &*line.text).collect::<Vec<_>>(), ["one", "two"]);
        said.note(at(1200), Level::Info, "three");
        assert_eq!((said.begin(at(9000)), said.deadline()), (None, None), "the others are being written");
        said.end(lines, false);
        assert_eq!((said.begin(at(9000)), said.deadline()), (None, Some(at(10_000).monotonic)));
        let lines = said.begin(at(10_000)).expect("it is time");
        assert_eq!(lines.iter().map(|line| &*line.text).collect::<Vec<_>>(), ["one", "two", "three"]);
        said.end(lines, true);
        assert_eq!((said.begin(at(99_000)), said.deadline()), (None, None));
    }

    #[test]
    fn lines_without_room_are_counted() {
        let mut said = Said::default();
        (0..LINES_MAX + 5).for_each(|_| said.note(at(0), Level::Error, &"ä".repeat(LINE_LEN_MAX)));
        let lines = said.begin(at(1000)).expect("it is time");
        assert_eq!(lines.len(), LINES_MAX + 1);
        assert_eq!(lines[0].text.len(), LINE_LEN_MAX);
        assert_eq!(lines[LINES_MAX].text, "5 further lines found no room in sys.log");
    }
}
