//! What a tree has in memory.

use alloc::sync::Arc;

use cluster_format::Version;

use crate::{MemTable, WrittenSince};

/// What is becoming tables, and what the owner has to know of the state then.
#[derive(Clone)]
pub(super) struct Frozen {
    pub(super) records: MemTable,
    pub(super) mark: Arc<[u8]>,
}

/// What is added, what is becoming tables, and what has become tables last.
#[derive(Default)]
pub(super) struct Memory {
    added: MemTable,
    /// The version of the last record that was added.
    newest: Version,
    frozen: Option<Frozen>,
    /// Kept until memory is full again, for [`Memory::written_since`].
    flushed: Option<MemTable>,
    /// What was written behind this version is still here.
    remembered: Version,
}

impl Memory {
    pub(super) fn add(&mut self, key: &Arc<[u8]>, version: Version, value: Option<Arc<[u8]>>) {
        self.newest = version;
        self.added.add(key, version, value);
    }

    /// What is added. None of it that is there now is newer than [`Memory::newest`].
    pub(super) fn added(&self) -> &MemTable {
        &self.added
    }

    pub(super) fn newest(&self) -> Version {
        self.newest
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

    /// What was added is to become tables.
    pub(super) fn freeze(&mut self, mark: Arc<[u8]>) {
        // What is added from now on may take as much memory as what is frozen.
        if let Some(forgotten) = self.flushed.take() {
            self.remembered = self.remembered.max(forgotten.newest());
        }
        self.frozen = Some(Frozen { records: core::mem::take(&mut self.added), mark });
    }

    /// What was frozen has become tables.
    pub(super) fn flushed(&mut self) {
        self.flushed = self.frozen.take().map(|frozen| frozen.records);
    }

    pub(super) fn written_since(
        &self,
        since: Version,
        look: impl Fn(&WrittenSince<'_>) -> Option<Version>,
    ) -> Option<Version> {
        let frozen = self.frozen.as_ref().map(|frozen| &frozen.records);
        let parts = [Some(&self.added), frozen, self.flushed.as_ref()];
        parts.into_iter().flatten().find_map(|records| records.written_since(since, &look))
    }
}
