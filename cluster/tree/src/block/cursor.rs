//! Goes through a block, in either direction.

use alloc::vec::Vec;

use cluster_format::Version;

use super::{Block, Parts, RESTART_INTERVAL_MAX, Start};
use crate::varint::unzigzag;
use crate::{FrameError, Position, Record};

/// Goes through a block's records. It is at one of them, or at none.
#[derive(Clone, Debug)]
pub struct BlockCursor {
    block: Block,
    /// Where the record begins that it is at, and what it is.
    at: usize,
    current: Option<Parts>,
    /// How many records were read since the last restart, itself included.
    since_restart: usize,
    /// The restart behind it, and where its record begins; none is behind the last.
    next_restart: usize,
    next_restart_at: Option<usize>,
    key: Vec<u8>,
    version: Version,
}

impl BlockCursor {
    /// A cursor at no record.
    pub fn new(block: Block) -> BlockCursor {
        BlockCursor {
            block,
            at: 0,
            current: None,
            since_restart: 0,
            next_restart: 0,
            next_restart_at: None,
            key: Vec::new(),
            version: Version::ZERO,
        }
    }

    /// The record it is at.
    pub fn record(&self) -> Option<Record<'_>> {
        let parts = self.current.as_ref()?;
        Some(Record { position: self.position(), value: self.block.value(parts) })
    }

    fn position(&self) -> Position<'_> {
        Position { key: &self.key, version: self.version }
    }

    /// Goes to the first record; whether there is one.
    pub fn first(&mut self) -> Result<bool, FrameError> {
        self.enter(0)
    }

    /// Goes to the last record; whether there is one.
    pub fn last(&mut self) -> Result<bool, FrameError> {
        let end = self.block.records_end;
        self.last_before(end)
    }

    /// Goes to the first record that is not before `target`; whether there is one.
    pub fn seek(&mut self, target: Position<'_>) -> Result<bool, FrameError> {
        let restart = self.block.last_restart(|index| self.block.restarts_before(index, target))?;
        let mut found = self.enter(restart)?;
        while found && self.position() < target {
            found = self.advance()?;
        }
        Ok(found)
    }

    /// Goes to the next record; whether there is one.
    pub fn advance(&mut self) -> Result<bool, FrameError> {
        let Some(parts) = &self.current else { return Ok(false) };
        let next = Start { record: parts.end, value: parts.value.end };
        if next.record == self.block.records_end {
            self.current = None;
            return Ok(false);
        }
        self.read(next)?;
        Ok(true)
    }

    /// Goes to the record before; whether there is one.
    pub fn retreat(&mut self) -> Result<bool, FrameError> {
        if self.current.is_none() {
            return Ok(false);
        }
        self.last_before(self.at)
    }

    /// Goes to the record at a restart; whether there is one.
    fn enter(&mut self, restart: usize) -> Result<bool, FrameError> {
        self.current = None;
        if restart >= self.block.restarts() {
            return Ok(false);
        }
        let start = self.block.restart(restart)?;
        (self.next_restart, self.next_restart_at) = (restart, Some(start.record));
        self.read(start)?;
        Ok(true)
    }

    /// Goes to the last record that begins before `end`, which is the end of a record.
    fn last_before(&mut self, end: usize) -> Result<bool, FrameError> {
        let restart = self.block.last_restart(|index| Ok(self.block.restart(index)?.record < end))?;
        if end == 0 || !self.enter(restart)? {
            self.current = None;
            return Ok(false);
        }
        while let Some(parts) = &self.current
            && parts.end < end
        {
            self.read(Start { record: parts.end, value: parts.value.end })?;
        }
        // Where records do not end where others begin, it would go nowhere.
        match &self.current {
            Some(parts) if parts.end == end && self.at < end => Ok(true),
            _ => Err(FrameError::Malformed),
        }
    }

    /// Reads the record at `start`, which follows the one that was read last.
    fn read(&mut self, start: Start) -> Result<(), FrameError> {
        self.current = None;
        let mut parts = self.block.parts(start)?;
        if self.next_restart_at == Some(start.record) {
            self.since_restart = 0;
            self.key.clear();
            self.version = Version::ZERO;
            self.next_restart += 1;
            let is_there = self.next_restart < self.block.restarts();
            let next = is_there.then(|| self.block.restart(self.next_restart)).transpose()?;
            self.next_restart_at = next.map(|next| next.record);
        }
        self.since_restart += 1;
        if parts.shared > self.key.len() || self.since_restart > RESTART_INTERVAL_MAX {
            return Err(FrameError::Malformed);
        }
        self.key.truncate(parts.shared);
        self.key.extend_from_slice(&self.block.bytes[parts.rest.clone()]);
        self.version = Version(self.version.0.wrapping_add(unzigzag(parts.difference) as u64));
        parts.rest = 0..0;
        (self.at, self.current) = (start.record, Some(parts));
        Ok(())
    }
}
