//! The console: levelled log lines.

use core::fmt;

use crate::Instant;

/// How much a line matters. Ordered: `Error` is the most severe and the smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something a user must act on.
    Error,
    /// Something went wrong and was dealt with.
    Warn,
    /// A change of state worth a line.
    Info,
    /// For whoever looks for a fault.
    Debug,
}

impl Level {
    /// Five columns, so that lines align.
    pub const fn label(self) -> &'static str {
        match self {
            Level::Error => "ERROR",
            Level::Warn => "WARN ",
            Level::Info => "INFO ",
            Level::Debug => "DEBUG",
        }
    }
}

/// Takes log lines. Adds time and node itself; never fails, never blocks for long.
pub trait Console {
    /// Prints one line (`line` holds no newline).
    fn log(&mut self, level: Level, line: fmt::Arguments<'_>);

    /// Gives the lines that the machine has said of itself since the last call, beside those that it was asked to, and when.
    /// There are none where nobody but the node says anything.
    fn said(&mut self, _take: &mut dyn FnMut(Instant, Level, &str)) {}
}
