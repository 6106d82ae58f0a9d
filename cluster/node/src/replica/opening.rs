//! The journal is open: what it gave back becomes a member.

use alloc::boxed::Box;
use alloc::string::ToString;

use cluster_consensus::{Config, Raft};
use cluster_format::Incarnation;
use cluster_journal::JournalError;
use drivers_api::{Level, Now};

use super::{Phase, Replica};

impl Replica {
    pub(super) fn opened(
        &mut self,
        now: Now,
        formatted: bool,
        incarnation: Incarnation,
        damaged_regions: u64,
    ) {
        let running_without_raft = Phase::Stopped(JournalError::Foreign);
        let (Phase::Recovering(recovery), Some(config)) =
            (core::mem::replace(&mut self.phase, running_without_raft), self.raft_config.take())
        else {
            return;
        };
        let recovered = recovery.finish(&self.tables);
        let (last, applied, promised) = (recovered.log.last(), recovered.applied, recovered.promised);
        self.say(
            Level::Info,
            match formatted {
                true => "the data disk was blank and has been formatted".to_string(),
                false => alloc::format!(
                    "recovered the ledger up to version {} (term {}), applied {applied}",
                    last.version,
                    last.term
                ),
            },
        );
        if damaged_regions > 0 {
            let lost = match last < promised {
                true => {
                    alloc::format!("versions {} to {} are missing", last.version.next(), promised.version)
                }
                false => "nothing that counts was lost".to_string(),
            };
            self.say(
                Level::Warn,
                alloc::format!("the data disk is damaged in {damaged_regions} places: {lost}"),
            );
        }
        if !formatted {
            self.writer.reopened(now);
        }
        #[cfg(feature = "mistakes")]
        if self.planted.is(cluster_format::Mistake::RequestsForgottenOnRestart) {
            self.tables.forget_requests();
        }
        self.agreement.restart(self.tables.version(), self.tables.requests_hash());
        // A record may take a quarter of the room for records.
        let room = self.journal.as_ref().map_or(0, |journal| journal.entries_len_max() / 2);
        let write_len_max = config.write_len_max.min(room as usize);
        let config = Config { incarnation, write_len_max, ..config };
        self.phase = Phase::Running(Box::new(Raft::new(config, recovered, now)));
    }
}
