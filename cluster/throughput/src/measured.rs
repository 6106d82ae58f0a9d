//! What an asker has measured, as the line that it prints.

use core::fmt;
use core::time::Duration;

use crate::Part;

/// What stands before the figures.
const MARK: &str = "throughput: ";

/// How long a part took, connecting included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// What was asked for.
    pub part: Part,
    /// Until all of it was there; whole microseconds.
    pub took: Duration,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Part { connections, requests, answer_len } = self.part;
        let micros = self.took.as_micros();
        write!(f, "{MARK}{connections} connections, {requests} answers of {answer_len} bytes, {micros} us")
    }
}

impl Measured {
    /// What a line of a console says, if it is such a line; others may have put something before it.
    pub fn parse(line: &str) -> Option<Measured> {
        let (_, said) = line.split_once(MARK)?;
        let mut numbers = said.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
        let mut next = || numbers.next()?.parse::<u64>().ok();
        let part = Part { connections: next()?, requests: next()?, answer_len: next()? };
        Some(Measured { part, took: Duration::from_micros(next()?) })
    }
}
