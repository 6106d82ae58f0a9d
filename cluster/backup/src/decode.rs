//! Reading a backup. Its bytes are untrusted: any are a backup or an error.

use alloc::vec::Vec;

use cluster_format::limits::{KEY_LEN_MAX, ROW_LEN_MAX};

use crate::frame::{self, Frame, Kind, Sum, Wrong, u32_at};
use crate::{BackupError, FORMAT, Head, MAGIC, PREAMBLE_LEN, ROW_OVERHEAD, Section, Totals};

/// A backup that is being read: bytes go in, as they come, and parts come out.
///
/// ```text
///   Preamble ---> Head ---> Tables ---> Rows ---> Ended         each a step of `part`
///                           |  ^        |  ^
///                           +--+        +--+
/// ```
pub struct Decoder {
    state: State,
    sum: Sum,
    /// Bytes that are not yet read, behind those that are.
    bytes: Vec<u8>,
    consumed: usize,
    /// The place in the backup that `bytes` begin at.
    offset: u64,
    totals: Totals,
    last_key: Vec<u8>,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// What tells backups from other files.
    Preamble,
    /// What it is of.
    Head,
    /// Which tables there are, rows, or the end.
    Tables,
    /// Rows, or the end.
    Rows,
    /// Nothing.
    Ended,
}

/// A part of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// What it is of; comes first.
    Head(Head),
    /// Some keys and values.
    Rows(Rows),
    /// All there were. Nothing comes behind it.
    End(Totals),
}

/// Some keys and values of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    /// What they are about.
    pub section: Section,
    /// Checked to be whole rows.
    payload: Vec<u8>,
    /// The byte of the backup that their frame begins at.
    pub at: u64,
}

impl Rows {
    /// Keys and values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = self.payload.as_slice();
        core::iter::from_fn(move || {
            let (key, value, behind) = split_row(rest)?;
            rest = behind;
            Some((key, value))
        })
    }
}

/// The first key and value, and what comes behind; none if there is no whole one within the limits.
fn split_row(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (lens, behind) = bytes.split_at_checked(ROW_OVERHEAD)?;
    let (key_len, value_len) = (u32_at(lens, 0), u32_at(lens, 4));
    if key_len > KEY_LEN_MAX || value_len > ROW_LEN_MAX {
        return None;
    }
    let (key, behind) = behind.split_at_checked(key_len)?;
    let (value, behind) = behind.split_at_checked(value_len)?;
    Some((key, value, behind))
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder::new()
    }
}

impl Decoder {
    /// A backup of which nothing has been read.
    pub fn new() -> Decoder {
        Decoder {
            state: State::Preamble,
            sum: Sum::of(&[]),
            bytes: Vec::new(),
            consumed: 0,
            offset: 0,
            totals: Totals::default(),
            last_key: Vec::new(),
        }
    }

    /// Takes the next bytes. All parts should be asked for before the next call: what is not is kept.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.consumed);
        self.offset += self.consumed as u64;
        self.consumed = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next part; none if more bytes must come first. After an error there is nothing but that error.
    pub fn part(&mut self) -> Result<Option<Part>, BackupError> {
        if self.state == State::Preamble && !self.preamble()? {
            return Ok(None);
        }
        let at = self.offset + self.consumed as u64;
        let ahead = &self.bytes[self.consumed..];
        if self.state == State::Ended {
            return if ahead.is_empty() { Ok(None) } else { Err(BackupError::Damaged { at }) };
        }
        let frame = match frame::read(ahead, &self.sum) {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(None),
            Err(Wrong::Damaged) => return Err(BackupError::Damaged { at }),
            Err(Wrong::Malformed) => return Err(BackupError::Malformed { at }),
        };
        let (len, sum) = (frame.len, frame.sum);
        let (part, state) = match (self.state, frame.kind) {
            (State::Head, Kind::Head) => (head(&frame), State::Tables),
            (State::Tables, Kind::Tables) => (self.rows(Section::Tables, frame.payload, at), State::Tables),
            (State::Tables | State::Rows, Kind::Rows) => {
                (self.rows(Section::Rows, frame.payload, at), State::Rows)
            }
            (State::Tables | State::Rows, Kind::End) => (end(&frame, &self.totals), State::Ended),
            _ => (None, self.state),
        };
        let part = part.ok_or(BackupError::Malformed { at })?;
        (self.state, self.sum) = (state, sum);
        self.consumed += len;
        Ok(Some(part))
    }

    /// Reads what tells backups from other files; false if there is more to come.
    fn preamble(&mut self) -> Result<bool, BackupError> {
        let len = self.bytes.len().min(MAGIC.len());
        if self.bytes[..len] != MAGIC[..len] {
            return Err(BackupError::NotABackup);
        }
        let Some(preamble) = self.bytes.get(..PREAMBLE_LEN) else { return Ok(false) };
        match u32_at(preamble, MAGIC.len()) as u32 {
            0 => return Err(BackupError::Damaged { at: 0 }),
            FORMAT => {}
            format => return Err(BackupError::Newer { format }),
        }
        self.sum = Sum::of(preamble);
        self.consumed = PREAMBLE_LEN;
        self.state = State::Head;
        Ok(true)
    }

    /// The rows of a frame; none if they are not whole, within the limits and in order.
    fn rows(&mut self, section: Section, payload: Vec<u8>, at: u64) -> Option<Part> {
        let mut rest = payload.as_slice();
        while !rest.is_empty() {
            let (key, value, behind) = split_row(rest)?;
            // No key of the store is empty.
            if *key <= *self.last_key {
                return None;
            }
            self.last_key.clear();
            self.last_key.extend_from_slice(key);
            self.totals.add(section, key, value);
            rest = behind;
        }
        Some(Part::Rows(Rows { section, payload, at }))
    }

    /// There are no more bytes: what the backup amounts to, if all of it was there and was asked for.
    pub fn finish(mut self) -> Result<Totals, BackupError> {
        match self.part()? {
            None if self.state == State::Ended => Ok(self.totals),
            _ => Err(BackupError::Truncated),
        }
    }
}

fn head(frame: &Frame) -> Option<Part> {
    cluster_format::decode(&frame.payload).ok().map(Part::Head)
}

fn end(frame: &Frame, totals: &Totals) -> Option<Part> {
    let said: Totals = cluster_format::decode(&frame.payload).ok()?;
    (said == *totals).then_some(Part::End(said))
}
