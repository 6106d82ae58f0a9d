//! Lines that the kernel has said, until whoever keeps them takes them: there is room for some before there is a heap.

use core::fmt::{self, Write};

use drivers_api::{Instant, Level};
use heapless::{Deque, String};

/// Lines that wait; further ones are counted.
pub const LINES_MAX: usize = 64;

/// Bytes of a line that are kept.
pub const LINE_LEN_MAX: usize = 160;

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it was said.
    pub at: Instant,
    /// How much it matters.
    pub level: Level,
    /// The line, cut.
    pub text: String<LINE_LEN_MAX>,
}

/// Lines that wait.
#[derive(Debug, Default)]
pub struct Lines {
    waiting: Deque<Line, LINES_MAX>,
    missed: usize,
}

impl Lines {
    /// None.
    pub const fn new() -> Lines {
        Lines { waiting: Deque::new(), missed: 0 }
    }

    /// A line is said.
    pub fn note(&mut self, at: Instant, level: Level, line: fmt::Arguments<'_>) {
        let mut cut = Cut(String::new());
        // What finds no room is cut off.
        let _ = cut.write_fmt(line);
        if self.waiting.push_back(Line { at, level, text: cut.0 }).is_err() {
            self.missed += 1;
        }
    }

    /// The next one, in the order in which they were said; and at last how many found no room.
    pub fn take(&mut self, now: Instant) -> Option<Line> {
        if let Some(line) = self.waiting.pop_front() {
            return Some(line);
        }
        let missed = core::mem::take(&mut self.missed);
        if missed == 0 {
            return None;
        }
        self.note(now, Level::Warn, format_args!("{missed} further lines of the kernel found no room"));
        self.waiting.pop_front()
    }
}

/// Takes as much of a text as there is room for.
struct Cut(String<LINE_LEN_MAX>);

impl Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let fits = text.floor_char_boundary(LINE_LEN_MAX - self.0.len());
        self.0.push_str(&text[..fits]).map_err(|_| fmt::Error)?;
        // Nothing follows what was cut.
        if fits < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_in_order_cut_and_those_without_room_are_counted() {
        let mut lines = Lines::new();
        assert_eq!(lines.take(Instant::ZERO), None);
        for number in 0..LINES_MAX + 3 {
            lines.note(
                Instant::from_nanos(number as u64),
                Level::Info,
                format_args!("line {number} {:é<200}", ""),
            );
        }
        for number in 0..LINES_MAX {
            let line = lines.take(Instant::ZERO).expect("a line");
            assert_eq!(line.at, Instant::from_nanos(number as u64));
            assert!(
                line.text.starts_with(&*alloc::format!("line {number} é"))
                    && line.text.len() >= LINE_LEN_MAX - 1
            );
        }
        let last = lines.take(Instant::ZERO).expect("a line");
        assert_eq!((last.level, &*last.text), (Level::Warn, "3 further lines of the kernel found no room"));
        assert_eq!(lines.take(Instant::ZERO), None);
    }
}
