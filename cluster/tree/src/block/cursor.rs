//! Goes through a block, in either direction.

use alloc::vec::Vec;

use super::{Block, Parts, Start, Walk};
use crate::{FrameError, Position, Record, Value};

/// Goes through a block's records. It is at one of them, or at none.
#[derive(Clone, Debug)]
pub struct BlockCursor {
    block: Block,
    /// Where the record begins that it is at, and what it is.
    at: usize,
    current: Option<Parts>,
    walk: Walk,
    key: Vec<u8>,
}

impl BlockCursor {
    /// A cursor at no record.
    pub fn new(block: Block) -> BlockCursor {
        BlockCursor { block, at: 0, current: None, walk: Walk::default(), key: Vec::new() }
    }

    /// The record it is at.
    pub fn record(&self) -> Option<Record<'_>> {
        let parts = self.current.as_ref()?;
        Some(Record { position: self.position(), value: self.block.value(parts) })
    }

    /// Where the record stands that was read last.
    #[inline]
    pub(crate) fn position(&self) -> Position<'_> {
        Position { key: &self.key, version: self.walk.version }
    }

    /// Where the record stands that it is at.
    #[inline]
    pub(crate) fn place(&self) -> Option<Position<'_>> {
        self.current.is_some().then(|| self.position())
    }

    /// The value of the record that it is at.
    #[inline]
    pub(crate) fn value(&self) -> Option<Value<'_>> {
        self.current.as_ref().map(|parts| self.block.value(parts))
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
        let restart = self.block.restart_before(target)?;
        let mut found = self.enter(restart)?;
        while found && self.position() < target {
            found = self.advance()?;
        }
        Ok(found)
    }

    /// Goes to the next record; whether there is one.
    pub fn advance(&mut self) -> Result<bool, FrameError> {
        let Some(parts) = &self.current else { return Ok(false) };
        let next = parts.next();
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
        if restart >= self.block.restarts {
            return Ok(false);
        }
        let (walk, start) = Walk::from(&self.block, restart)?;
        self.walk = walk;
        self.read(start)?;
        Ok(true)
    }

    /// Goes to the last record that begins before `end`, which is the end of a record.
    fn last_before(&mut self, end: usize) -> Result<bool, FrameError> {
        let is_before = |restart| Ok(self.block.restart(restart)?.record < end);
        let restart = self.block.last_restart(0, self.block.restarts, is_before)?;
        if end == 0 || !self.enter(restart)? {
            self.current = None;
            return Ok(false);
        }
        while let Some(parts) = &self.current
            && parts.end < end
        {
            self.read(parts.next())?;
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
        let mut parts = self.walk.step(&self.block, start)?;
        self.key.truncate(parts.shared);
        self.key.extend_from_slice(&self.block.bytes[parts.rest.clone()]);
        parts.rest = 0..0;
        (self.at, self.current) = (start.record, Some(parts));
        Ok(())
    }
}
