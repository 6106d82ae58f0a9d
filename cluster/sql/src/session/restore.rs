//! `RESTORE`: a backup becomes the tables of a cluster that has none.
//!
//! ```text
//!   take over ---> clear ---> rows, frame by frame ---> descriptors, and the end      one transaction each,
//!       |            |                  |                                              clearing takes several
//!       +------------+------------------+---> undo: take over, clear, end
//! ```
//! Rows are seen once there is a descriptor of their table, and all descriptors come in the last transaction: a restore
//! has happened, or it has not. From the first to the last a mark in the store says which restore may write. Each
//! transaction reads it, so that one that another has taken over from can do no harm; and no table is made while it is
//! there. After a power failure it stays, and the next restore clears what this one has left.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use cluster_backup::{BackupError, Decoder, PAYLOAD_LEN_MAX, Part, Rows, Section};
use cluster_format::{KeyRange, Write};
use cluster_store::{StoreError, Transaction, yield_now};

use super::backup::check_descriptors_len;
use super::run::ATTEMPTS_MAX;
use super::{Mode, Outcome, Session, Tag};
use crate::builders::NOBODY;
use crate::catalog::{self, Kind};
use crate::database::{Database, DatabaseError, Freshness};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::exec::Budget;

/// What a restore holds in memory beside its transaction: a frame before and after it is decompressed, and its rows.
const MEMORY_LEN: usize = 3 * PAYLOAD_LEN_MAX;

/// Rows that one transaction clears.
const CLEARED_ROWS_MAX: usize = 4096;

/// Bytes of them: their values are read, too.
const CLEARED_LEN_MAX: usize = 1 << 20;

/// A restore in progress.
pub struct Restore {
    /// What the mark says while this restore may write.
    mark: [u8; 8],
    decoder: Decoder,
    /// The descriptors of tables, which are written last.
    descriptors: Vec<Write>,
    descriptors_len: usize,
    /// The tables that rows may be of.
    tables: BTreeSet<u32>,
    /// The first id that no table of the backup has.
    next_id: u32,
    memory: Budget,
    /// Whether a transaction of it may take place that is not known to have.
    is_doubtful: bool,
}

impl<D: Database> Session<D> {
    pub(super) async fn begin_restore(&mut self, mode: Mode) -> SqlResult<Outcome> {
        self.check_alone("RESTORE", mode)?;
        let mut memory = Budget::new(self.database.memory());
        memory.charge(MEMORY_LEN)?;
        let mark = self.database.new_session_id().to_be_bytes();
        let next_id = match self.take_over(mark).await {
            Err(error) if error.state == SqlState::DISK_FULL => {
                self.abandon().await;
                return Err(error);
            }
            taken => taken?,
        };
        let restore = Restore {
            mark,
            decoder: Decoder::new(),
            descriptors: Vec::new(),
            descriptors_len: 0,
            tables: BTreeSet::new(),
            next_id,
            memory,
            is_doubtful: false,
        };
        if let Err(error) = self.clear(mark).await {
            self.undo_restore(&restore).await;
            return Err(error);
        }
        Ok(Outcome::Restore(Box::new(restore)))
    }

    /// Takes away what an interrupted restore has left, since there is no room to do it over: deleting is always possible.
    async fn abandon(&mut self) {
        let Ok(snapshot) = self.database.snapshot(Freshness::Linearizable).await else { return };
        let left = snapshot.get(&catalog::RESTORE).await.ok().flatten();
        if let Some(mark) = left.and_then(|mark| mark.as_ref().try_into().ok())
            && self.clear(mark).await.is_ok()
        {
            let _ = self.commit_marked(mark, end).await;
        }
    }

    /// Sets the mark, on a cluster without tables, and returns the next table's id.
    async fn take_over(&mut self, mark: [u8; 8]) -> SqlResult<u32> {
        for attempt in 1.. {
            let snapshot = self.database.snapshot(Freshness::Linearizable).await?;
            let mut transaction = Transaction::new(snapshot, self.database.memory().lease());
            if catalog::has_tables(&mut transaction).await? {
                let message = "there are tables already: a backup is restored into a cluster without any";
                return Err(SqlError::new(SqlState::OBJECT_NOT_IN_STATE, message)
                    .hint("Drop them, or start another cluster: 'relix --dir DIR up --base-port PORT'."));
            }
            let next_id = catalog::next_id(&mut transaction).await?;
            // Whoever has the mark now finds out by it.
            transaction.get(&catalog::RESTORE).await?;
            transaction.put(&catalog::RESTORE, &mark)?;
            match self.try_commit(transaction).await {
                Err(DatabaseError::Conflict(_)) if attempt < ATTEMPTS_MAX => yield_now().await,
                done => return done.map(|()| next_id).map_err(SqlError::from),
            }
        }
        Err(taken_over())
    }

    /// Deletes the rows that a restore has left, unless another has taken over from the one with this mark.
    async fn clear(&mut self, mark: [u8; 8]) -> SqlResult<()> {
        let mut range = catalog::rows_of_users();
        loop {
            let snapshot = self.database.snapshot(Freshness::Local).await?;
            let rows = snapshot.read_within(&range, CLEARED_ROWS_MAX, CLEARED_LEN_MAX).await?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            if self.commit_marked(mark, |transaction| transaction.delete_range(&range)).await? {
                return Ok(());
            }
            // So many ranges are deleted that these rows have to go one by one.
            range.start = KeyRange::single(last).end;
            let delete =
                |transaction: &mut Transaction| rows.iter().try_for_each(|(key, _)| transaction.delete(key));
            self.commit_marked(mark, delete).await?;
        }
    }

    /// Takes a piece of the backup. After an error, [`Session::undo_restore`] is due.
    pub async fn restore_data(&mut self, restore: &mut Restore, bytes: &[u8]) -> SqlResult<()> {
        self.check_cancel()?;
        restore.decoder.push(bytes);
        while let Some(part) = restore.decoder.part().map_err(unreadable)? {
            if let Part::Rows(rows) = part {
                let writes = restore.rows(&rows)?;
                if !writes.is_empty() {
                    self.commit_restored(restore, &writes).await?;
                }
            }
        }
        Ok(())
    }

    /// The end of the backup: shows its tables. After an error, [`Session::undo_restore`] is due.
    pub async fn restore_done(&mut self, restore: &mut Restore) -> SqlResult<Tag> {
        let decoder = core::mem::take(&mut restore.decoder);
        let totals = decoder.finish().map_err(unreadable)?;
        let mut last = core::mem::take(&mut restore.descriptors);
        last.push(catalog::write_next_id(restore.next_id));
        last.push(Write { key: catalog::RESTORE[..].into(), value: None });
        self.commit_restored(restore, &last).await?;
        Ok(Tag::Restore(totals.rows))
    }

    /// Leaves the cluster as it was. If that fails, too, the mark stays, and says what to do.
    pub async fn undo_restore(&mut self, restore: &Restore) {
        // Writing the mark anew keeps out a transaction of this restore whose outcome is not known.
        let again = |transaction: &mut Transaction| transaction.put(&catalog::RESTORE, &restore.mark);
        let is_alone = match self.commit_marked(restore.mark, again).await {
            Ok(()) => true,
            // A full disk takes no mark, but it takes deletions.
            Err(error) => error.state == SqlState::DISK_FULL && !restore.is_doubtful,
        };
        if is_alone && self.clear(restore.mark).await.is_ok() {
            let _ = self.commit_marked(restore.mark, end).await;
        }
    }

    /// Commits what is restored.
    async fn commit_restored(&mut self, restore: &mut Restore, writes: &[Write]) -> SqlResult<()> {
        let put = |transaction: &mut Transaction| {
            writes.iter().try_for_each(|Write { key, value }| match value {
                Some(value) => transaction.put(key, value),
                None => transaction.delete(key),
            })
        };
        let committed = self.commit_marked(restore.mark, put).await;
        restore.is_doubtful |=
            committed.as_ref().is_err_and(|error| error.state == SqlState::OUTCOME_UNKNOWN);
        committed
    }

    /// Commits what `change` does, unless another restore has taken over from the one with this mark.
    async fn commit_marked<T>(
        &mut self,
        mark: [u8; 8],
        change: impl Fn(&mut Transaction) -> Result<T, StoreError>,
    ) -> SqlResult<T> {
        for attempt in 1.. {
            let snapshot = self.database.snapshot(Freshness::Local).await?;
            let mut transaction = Transaction::new(snapshot, self.database.memory().lease());
            if transaction.get(&catalog::RESTORE).await?.as_deref() != Some(&mark) {
                return Err(taken_over());
            }
            let changed = change(&mut transaction)?;
            match self.try_commit(transaction).await {
                Err(DatabaseError::Conflict(_)) if attempt < ATTEMPTS_MAX => yield_now().await,
                done => return done.map(|()| changed).map_err(SqlError::from),
            }
        }
        Err(taken_over())
    }

    async fn try_commit(&mut self, transaction: Transaction) -> Result<(), DatabaseError> {
        let (commit, _held) = transaction.into_commit(self.request_ids.take(), self.database.origin());
        self.database.commit(commit).await.map(drop)
    }
}

impl Restore {
    /// What to write of some rows at once; descriptors of tables are kept for later.
    fn rows(&mut self, rows: &Rows) -> SqlResult<Vec<Write>> {
        let mut writes = Vec::new();
        for (key, value) in rows.iter() {
            let written = || Write { key: key.into(), value: Some(value.into()) };
            match catalog::kind_of(key, value) {
                Some(kind) if (rows.section == Section::Rows) != matches!(kind, Kind::Row(_)) => {
                    return Err(unreadable(BackupError::Malformed { at: rows.at }));
                }
                Some(Kind::Row(table)) if self.tables.contains(&table) => writes.push(written()),
                Some(Kind::NextId(id)) => self.next_id = self.next_id.max(id),
                Some(Kind::Descriptor(ids))
                    if !catalog::descriptors_of_services().contains(key)
                        && ids.iter().all(|id| self.tables.insert(*id)) =>
                {
                    let len = key.len() + value.len();
                    self.descriptors_len += len;
                    check_descriptors_len(self.descriptors_len)?;
                    self.memory.charge(len)?;
                    for id in ids {
                        self.next_id = self.next_id.max(id.saturating_add(1));
                    }
                    self.descriptors.push(written());
                    // Whoever was building an index of it does so no more.
                    let nobody = |builder| Write {
                        key: catalog::build_key(builder).into(),
                        value: Some(NOBODY.into()),
                    };
                    self.descriptors.extend(catalog::builders_of(value).into_iter().map(nobody));
                }
                _ => return Err(unreadable(BackupError::Malformed { at: rows.at })),
            }
        }
        Ok(writes)
    }
}

/// The restore that has the mark is over.
fn end(transaction: &mut Transaction) -> Result<(), StoreError> {
    transaction.delete(&catalog::RESTORE)
}

fn unreadable(error: BackupError) -> SqlError {
    SqlError::new(SqlState::DATA_CORRUPTED, alloc::format!("{error}")).hint("Nothing was restored.")
}

fn taken_over() -> SqlError {
    let message = "another restore has taken over, or this one has ended already";
    SqlError::new(SqlState::OBJECT_NOT_IN_STATE, message)
}
