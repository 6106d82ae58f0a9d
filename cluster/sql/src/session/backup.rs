//! `BACKUP`: every row of the tables and their descriptors at one version, batch by batch.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use cluster_backup::{Encoder, FRAME_LEN, Head, PAYLOAD_LEN_MAX, Section};
use cluster_format::KeyRange;
use cluster_format::limits::BATCH_ROWS;
use cluster_store::{Snapshot, yield_now};

use super::{Mode, Outcome, Session, Tag};
use crate::catalog::{self, DESCRIPTORS_LEN_MAX};
use crate::database::{Database, Freshness};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::exec::Budget;

/// What a backup holds in memory: a batch of rows, and a frame of them before and after it is compressed.
const MEMORY_LEN: usize = 3 * PAYLOAD_LEN_MAX;

/// A backup in progress.
pub struct Backup {
    snapshot: Snapshot,
    /// None once the last bytes were fetched.
    encoder: Option<Encoder>,
    /// What is still to be read: the last first.
    ranges: Vec<(Section, KeyRange)>,
    descriptors_len: usize,
    rows: u64,
    _memory: Budget,
}

impl Backup {
    /// What the statement says it did, at its end.
    pub fn tag(&self) -> Tag {
        Tag::Backup(self.rows)
    }
}

impl<D: Database> Session<D> {
    pub(super) async fn begin_backup(&mut self, mode: Mode) -> SqlResult<Outcome> {
        self.check_alone("BACKUP", mode)?;
        let mut memory = Budget::new(self.database.memory());
        memory.charge(MEMORY_LEN)?;
        let snapshot = self.database.snapshot(Freshness::Linearizable).await?;
        if snapshot.get(&catalog::RESTORE).await?.is_some() {
            return Err(catalog::restore_under_way());
        }
        let head = Head {
            version: snapshot.version(),
            wall_micros: self.facts.statement_micros,
            cluster: self.facts.cluster.to_string(),
        };
        // Taken from the end.
        let mut ranges = Vec::from([(Section::Rows, catalog::rows_of_users())]);
        let descriptors = catalog::definitions_of_users().rev();
        ranges.extend(descriptors.map(|range| (Section::Tables, range)));
        Ok(Outcome::Backup(Box::new(Backup {
            snapshot,
            encoder: Some(Encoder::new(&head)),
            ranges,
            descriptors_len: 0,
            rows: 0,
            _memory: memory,
        })))
    }

    /// The next bytes; none at the end.
    pub async fn backup_data(&mut self, backup: &mut Backup) -> SqlResult<Option<Vec<u8>>> {
        let Some(mut encoder) = backup.encoder.take() else { return Ok(None) };
        loop {
            self.check_cancel()?;
            let bytes = encoder.take();
            if !bytes.is_empty() {
                backup.encoder = Some(encoder);
                return Ok(Some(bytes));
            }
            let Some((section, range)) = backup.ranges.last_mut() else {
                // Not of tables that have turned out meanwhile to differ from everyone else's.
                self.database.snapshot(Freshness::Linearizable).await?;
                let (bytes, totals) = encoder.finish();
                backup.rows = totals.rows;
                return Ok(Some(bytes));
            };
            yield_now().await;
            let rows = backup.snapshot.read_within(range, BATCH_ROWS, FRAME_LEN).await?;
            for (key, value) in &rows {
                encoder.add(*section, key, value);
                if *section == Section::Tables {
                    backup.descriptors_len += key.len() + value.len();
                    check_descriptors_len(backup.descriptors_len)?;
                }
            }
            match rows.last() {
                Some((last, _)) => range.start = KeyRange::single(last).end,
                None => drop(backup.ranges.pop()),
            }
        }
    }

    /// An error if anything else belongs to the transaction of `statement`, which has many of its own or none.
    pub(super) fn check_alone(&self, statement: &str, mode: Mode) -> SqlResult<()> {
        if mode.alone && !self.state.is_block() {
            return Ok(());
        }
        let message = format!("{statement} cannot run inside a transaction block, or with other statements");
        Err(SqlError::new(SqlState::ACTIVE_TRANSACTION, message))
    }

    /// 57014 if someone asked for it.
    pub(super) fn check_cancel(&self) -> SqlResult<()> {
        self.cancel.check()
    }
}

/// A backup that cannot be restored is worse than none.
pub(super) fn check_descriptors_len(len: usize) -> SqlResult<()> {
    if len > DESCRIPTORS_LEN_MAX {
        let message = format!(
            "the descriptors of the tables take more than the limit of {DESCRIPTORS_LEN_MAX} bytes of a backup"
        );
        return Err(SqlError::new(SqlState::LIMIT_EXCEEDED, message));
    }
    Ok(())
}
