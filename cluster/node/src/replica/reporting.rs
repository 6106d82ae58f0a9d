//! What the replica has to say on the console.

use alloc::string::{String, ToString};

use cluster_consensus::Refused as HistoryRefused;
use cluster_format::NodeId;
use cluster_journal::Journal;
use cluster_services::storage::StorageStatus;
use drivers_api::Level;

use super::{Phase, Replica};
use crate::message::Refused;
use crate::node::LogLine;

impl Replica {
    /// What `sys.storage` says of this node.
    pub(crate) fn storage(&self, node: NodeId) -> StorageStatus {
        let (disk_free, disk_total) = self.tables.disk_space();
        let (journal_used, journal_total) = self.journal.as_ref().map_or((0, 0), Journal::space);
        StorageStatus {
            node,
            disk_total,
            disk_free,
            journal_total,
            journal_used,
            files: self.tables.files() as u64,
            file_bytes: self.tables.disk_len(),
            memory_bytes: self.tables.memory_len() as u64,
            oldest_version: self.tables.oldest_version(),
            scrubbed_bytes: self.tables.scrubbed_len(),
            files_damaged: self.damaged_tables,
            files_mended: self.mended_tables,
        }
    }

    pub(super) fn say(&mut self, level: Level, line: String) {
        self.log_lines.push(LogLine(level, line));
    }

    pub(super) fn report_stop(&mut self) {
        if let Phase::Stopped(error) = &self.phase {
            let line = alloc::format!("this node does not take part: {error}");
            self.say(Level::Error, line);
        }
    }

    pub(super) fn report(&mut self) {
        let Phase::Running(raft) = &mut self.phase else { return };
        let (removed, refused) = (raft.is_removed(), raft.take_refused());
        if removed && !core::mem::replace(&mut self.said_removed, removed) {
            let line = "this node was removed from the cluster: give it a blank disk to join again";
            self.say(Level::Warn, line.to_string());
        }
        if let Some(HistoryRefused { from, version }) = refused {
            let line = alloc::format!(
                "refused the history of node {from}: its entry {version} does not follow from this node's ledger"
            );
            self.say(Level::Error, line);
        }
    }

    /// The leader has admitted or refused a commit: says so when room has run out.
    pub(crate) fn note_admission(&mut self, refused: Option<Refused>) {
        let line = match refused {
            Some(Refused::Damaged) => "the tables are damaged for good: commits are refused, reads go on",
            Some(Refused::DiskFull) => "the data disk is full: commits are refused, reads go on",
            Some(_) => return,
            None => "",
        };
        if self.refused != refused {
            self.refused = refused;
            if !line.is_empty() {
                self.say(Level::Warn, line.to_string());
            }
        }
    }
}
