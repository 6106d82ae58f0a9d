//! Tables that arrive through Raft, for a log that is too far behind.

use alloc::string::ToString;
use alloc::sync::Arc;

use cluster_format::{Mistake, SnapshotChunk, SnapshotHead};
use cluster_store::{Incoming, Tables};
use drivers_api::Level;

use super::{Phase, Replica};

impl Replica {
    /// A snapshot has arrived whole, and is durable.
    pub(super) fn install(&mut self, head: &Arc<SnapshotHead>) {
        let (Some(incoming), Phase::Running(raft)) = (self.incoming.take(), &mut self.phase) else { return };
        match incoming.finish() {
            Ok(tables) => {
                raft.installed(head);
                self.replace_tables(tables);
                let line = alloc::format!("installed a snapshot of version {}", head.last.version);
                self.say(Level::Info, line);
            }
            Err(error) => {
                raft.snapshot_refused();
                self.say(Level::Error, error.to_string());
            }
        }
    }

    pub(super) fn write_chunk(&mut self, chunk: SnapshotChunk) {
        let (Phase::Running(raft), Some(journal)) = (&mut self.phase, &mut self.journal) else { return };
        if chunk.index == 0 {
            self.incoming = Some(Incoming::new(chunk.head.clone()));
        }
        let taken =
            self.incoming.as_mut().map(|incoming| match self.planted.is(Mistake::SnapshotLosesTail) {
                true if chunk.is_last => Ok(()),
                _ => incoming.add(&chunk),
            });
        if !matches!(taken, Some(Ok(()))) || !journal.has_room_for_chunk(&chunk) {
            self.incoming = None;
            raft.snapshot_refused();
            return self.say(Level::Error, "a piece of a snapshot cannot be taken".to_string());
        }
        self.writer.write_chunk(raft, journal, &chunk);
    }

    pub(super) fn replace_tables(&mut self, tables: Tables) {
        self.agreement.restart(tables.version(), tables.state());
        self.tables = tables;
        self.replaced = true;
    }

    /// Whether the tables were replaced as a whole since the last call.
    pub(crate) fn take_replaced(&mut self) -> bool {
        core::mem::take(&mut self.replaced)
    }
}
