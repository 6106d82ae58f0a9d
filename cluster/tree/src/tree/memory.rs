//! What a tree has in memory.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use cluster_format::{KeyRange, Version};

use crate::{MemTable, WrittenSince};

/// What is becoming tables, and what the owner has to know of the state then.
#[derive(Clone)]
pub(super) struct Frozen {
    pub(super) records: MemTable,
    pub(super) mark: Arc<[u8]>,
}

/// So many parts of what was flushed are looked through at most.
const FLUSHED_MAX: usize = 16;

/// What is added, what is becoming tables, and what has become tables last.
#[derive(Default)]
pub(super) struct Memory {
    added: MemTable,
    frozen: Option<Frozen>,
    /// What was frozen before, the oldest first, and is in tables now: kept for [`Memory::written_since`] as long as it takes,
    /// with what is frozen, no more than memory may be full of.
    flushed: VecDeque<MemTable>,
    /// What was written behind this version is still here.
    remembered: Version,
}

impl Memory {
    pub(super) fn add(&mut self, key: &Arc<[u8]>, version: Version, value: Option<Arc<[u8]>>) {
        self.added.add(key, version, value);
    }

    pub(super) fn delete_range(&mut self, range: &KeyRange, version: Version) {
        self.added.delete_range(range, version);
    }

    /// What is added. None of it that is there now is newer than [`Memory::newest`].
    pub(super) fn added(&self) -> &MemTable {
        &self.added
    }

    /// The version of what was added last, unless that is in tables.
    pub(super) fn newest(&self) -> Version {
        self.frozen.as_ref().map_or(Version::ZERO, |frozen| frozen.records.newest()).max(self.added.newest())
    }

    pub(super) fn frozen(&self) -> Option<&Frozen> {
        self.frozen.as_ref()
    }

    pub(super) fn remembered(&self) -> Version {
        self.remembered
    }

    /// Bytes of what is in no table.
    pub(super) fn len_bytes(&self) -> usize {
        self.added.len_bytes() + self.frozen.as_ref().map_or(0, |frozen| frozen.records.len_bytes())
    }

    /// What was added is to become tables; it is frozen whenever it has `len_max` bytes, or sooner.
    pub(super) fn freeze(&mut self, mark: Arc<[u8]>, len_max: usize) {
        let next = self.added.succeed();
        let records = core::mem::replace(&mut self.added, next);
        let mut len = records.len_bytes() + self.flushed.iter().map(MemTable::len_bytes).sum::<usize>();
        while len > len_max || self.flushed.len() >= FLUSHED_MAX {
            let Some(oldest) = self.flushed.pop_front() else { break };
            len -= oldest.len_bytes();
            self.remembered = self.remembered.max(oldest.newest());
        }
        self.frozen = Some(Frozen { records, mark });
    }

    /// What was frozen has become tables.
    pub(super) fn flushed(&mut self) {
        self.flushed.extend(self.frozen.take().map(|frozen| frozen.records));
    }

    pub(super) fn written_since(
        &self,
        since: Version,
        look: impl Fn(&WrittenSince<'_>) -> Option<Version>,
    ) -> Option<Version> {
        let frozen = self.frozen.as_ref().map(|frozen| &frozen.records);
        let parts = [&self.added].into_iter().chain(frozen).chain(&self.flushed);
        parts.into_iter().find_map(|records| records.written_since(since, &look))
    }
}
