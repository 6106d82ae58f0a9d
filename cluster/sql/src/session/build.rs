//! Indexes of tables that are too long to be put into one in a transaction.
//!
//! ```text
//!   none ---- a definition ----> building ---- all rows are in it ----> ready
//!    ^                               |
//!    +--- a failure, or silence -----+
//! ```
//! The first transaction makes the index known: from then on, whoever changes rows changes it, too, on every node, because a
//! transaction that went by an older descriptor meets a conflict. Then rows are put into it, some in each transaction, in
//! the order of their keys; what is there already is left. The last transaction lets it be read. What fails is undone; what
//! a session left behind that [is no more](crate::builders), by whoever defines something next.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::KeyRange;
use cluster_format::limits::BATCH_ROWS;
use cluster_store::{Direction, Snapshot, Transaction, yield_now};

use super::definition::{alter, rows};
use super::run::ATTEMPTS_MAX;
use super::{Mode, Outcome, Prepared, Session};
use crate::ast::{AlterTable, ConstraintKind, CreateIndex, Statement, TableChange, TableName};
use crate::builders;
use crate::catalog::{self, Deferral, Descriptor, Index, IndexConstraint, IndexState, Stored, StoredTable};
use crate::database::{Database, DatabaseError, Freshness, snapshot_after};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::eval::Env;
use crate::exec::{Budget, Context, delete_all, ensure_in_index};
use crate::key;
use crate::memo::Memo;
use crate::types::Datum;

/// Tables of so many rows, or less, are put into an index by the transaction that makes it.
const ROWS_AT_ONCE: usize = 4 * BATCH_ROWS;

/// Rows that are put into an index in one transaction, at most and at least: fewer after a conflict.
const STEP_ROWS_MAX: usize = 4 * BATCH_ROWS;
const STEP_ROWS_MIN: usize = 16;

/// An index that is built: its table, and its place there.
struct Building {
    table: Arc<StoredTable>,
    at: usize,
}

/// How far the building of an index is.
#[derive(Default)]
struct Progress {
    /// The schema and the name that its table had last.
    table: (String, String),
    /// The rows that are still to be put into it, once that is known.
    range: Option<KeyRange>,
}

impl<D: Database> Session<D> {
    /// Runs a definition that is alone in its transaction, or in several, if it makes an index of a long table.
    pub(super) async fn define_alone(
        &mut self,
        prepared: &Prepared,
        params: &[Datum],
        mode: Mode,
    ) -> SqlResult<Outcome> {
        self.sweep_builds().await;
        let is_long = match table_to_index(prepared.statement()) {
            Some(table) => self.is_long(table).await?,
            None => false,
        };
        if !is_long {
            return self.write(prepared, params, mode).await;
        }
        // Whoever sweeps on this node knows by this that the session is still there.
        let _building = self.database.builders().begin(self.request_ids.session());
        self.facts.builder = Some(self.request_ids.session());
        let defined = self.write(prepared, params, mode).await;
        self.facts.builder = None;
        let outcome = defined?;
        let builder = self.request_ids.session();
        match self.build(builder).await {
            Ok(()) => Ok(outcome),
            Err(error) => {
                // If this fails too, whoever comes later does it.
                let _ = self.undo_build(builder).await;
                Err(error)
            }
        }
    }

    /// Whether the table has more rows than are put into an index at once, as far as this node knows.
    async fn is_long(&mut self, name: &TableName) -> SqlResult<bool> {
        let snapshot = self.database.snapshot(Freshness::Local).await?;
        let mut transaction = Transaction::reading(snapshot, self.database.memory().lease());
        let found = catalog::find_along(&mut transaction, &self.facts.path, name).await?;
        let Some(Stored::Table(table)) = found else { return Ok(false) };
        let range = KeyRange::prefix(&key::table_prefix(table.descriptor.id));
        Ok(end_of_step(&mut transaction, range, ROWS_AT_ONCE).await?.1)
    }

    /// Puts all rows into the indexes that `builder` builds, and lets them be read.
    async fn build(&mut self, builder: u64) -> SqlResult<()> {
        let mut progress = Progress::default();
        let mut step_rows = STEP_ROWS_MAX;
        let mut attempts = 0;
        let mut conflict = None;
        loop {
            self.cancel.check()?;
            let snapshot = match conflict.take() {
                Some(conflict) => snapshot_after(&self.database, conflict).await?,
                None => self.database.snapshot(Freshness::Local).await?,
            };
            let step = self.build_step(builder, snapshot, &mut progress, step_rows).await?;
            let Some((transaction, next)) = step else {
                if progress.range.is_none() {
                    // There was nothing to make.
                    return Ok(());
                }
                let message = "the index was dropped, or its table, while it was built";
                return Err(SqlError::new(SqlState::OBJECT_NOT_IN_STATE, message));
            };
            let (commit, _held) = transaction.into_commit(self.request_ids.take(), self.database.origin());
            match self.database.commit(commit).await {
                Ok(_) => {
                    let Some(next) = next else { return Ok(()) };
                    if let Some(range) = &mut progress.range {
                        range.start = next;
                    }
                    step_rows = (2 * step_rows).min(STEP_ROWS_MAX);
                    attempts = 0;
                }
                Err(DatabaseError::Conflict(met)) if attempts < ATTEMPTS_MAX => {
                    conflict = Some(met);
                    step_rows = (step_rows / 2).max(STEP_ROWS_MIN);
                    attempts += 1;
                }
                // Whatever became of it may be done again, but for the last step.
                Err(DatabaseError::Unknown) if attempts < ATTEMPTS_MAX && next.is_some() => attempts += 1,
                Err(error) => return Err(error.into()),
            }
            yield_now().await;
        }
    }

    /// The next transaction, and from where on the one behind it goes; if there is none, the index can be read. Nothing if
    /// there is no index that is built.
    async fn build_step(
        &mut self,
        builder: u64,
        snapshot: Snapshot,
        progress: &mut Progress,
        step_rows: usize,
    ) -> SqlResult<Option<(Transaction, Option<Arc<[u8]>>)>> {
        let mut reading = Transaction::reading(snapshot.clone(), self.database.memory().lease());
        let version = snapshot.version();
        let mut transaction = Transaction::new(snapshot, self.database.memory().lease());
        let Some(Building { table, at }) = find_building(builder, &progress.table, &mut reading).await?
        else {
            return Ok(None);
        };
        progress.table = (table.descriptor.schema.clone(), table.descriptor.name.clone());
        if !table.is_current(&mut transaction).await? {
            return Ok(None);
        }
        let mut range = match &progress.range {
            Some(range) => range.clone(),
            None => rows_there(&table, &mut reading).await?,
        };
        progress.range = Some(range.clone());
        // What is read counts as read to its end, so that is found first.
        let (end, is_cut) = end_of_step(&mut reading, range.clone(), step_rows).await?;
        range.end = end.clone();
        let memo = Memo::default();
        let env = Env::new(&[], &self.facts, &memo);
        let needed = alloc::vec![true; table.types.len()];
        let mut scan = transaction.scan(range, Direction::Forward);
        loop {
            let batch = scan.next_batch(&transaction).await?;
            if batch.is_empty() {
                break;
            }
            for (key, value) in batch {
                let row = table.read(&value, &needed)?;
                let added = ensure_in_index(&table, at, &key, &row, &mut transaction, &env).await;
                added.map_err(|error| match error.state {
                    SqlState::UNIQUE_VIOLATION => rows::not_unique(&table, at, error),
                    _ => alter::broken(error, &table.descriptor.name),
                })?;
            }
        }
        let note = catalog::build_key(builder);
        if is_cut {
            transaction.put(&note, &builders::note(self.database.origin().node, version))?;
            return Ok(Some((transaction, Some(end))));
        }
        let mut descriptor = table.descriptor.clone();
        if let Some(index) = descriptor.indexes.get_mut(at) {
            index.state = IndexState::Ready;
            if index.constraint == IndexConstraint::PrimaryKey {
                for column in index.columns() {
                    if let Some(column) = descriptor.columns.get_mut(usize::from(column)) {
                        column.not_null = true;
                    }
                }
            }
        }
        transaction.put(&table.key, &Descriptor::Table(descriptor).encode())?;
        transaction.delete(&note)?;
        Ok(Some((transaction, None)))
    }

    /// Takes away the index that `builder` builds, if there is one, and its note.
    async fn undo_build(&mut self, builder: u64) -> SqlResult<()> {
        for _ in 0..ATTEMPTS_MAX {
            let snapshot = self.database.snapshot(Freshness::Linearizable).await?;
            let mut transaction = Transaction::new(snapshot, self.database.memory().lease());
            let note = catalog::build_key(builder);
            if transaction.get(&note).await?.is_none() {
                return Ok(());
            }
            transaction.delete(&note)?;
            // The table may have gone, and its index with it.
            while let Some(building) = find_building(builder, &Default::default(), &mut transaction).await? {
                self.remove_building(building, &mut transaction).await?;
            }
            let (commit, _held) = transaction.into_commit(self.request_ids.take(), self.database.origin());
            match self.database.commit(commit).await {
                Err(DatabaseError::Conflict(_)) => yield_now().await,
                done => return done.map(drop).map_err(Into::into),
            }
        }
        Ok(())
    }

    async fn remove_building(
        &mut self,
        Building { table, at }: Building,
        transaction: &mut Transaction,
    ) -> SqlResult<()> {
        let mut descriptor = table.descriptor.clone();
        let index = descriptor.indexes.remove(at);
        transaction.delete(&catalog::descriptor_key(&descriptor.schema, &index.name))?;
        transaction.put(&table.key, &Descriptor::Table(descriptor).encode())?;
        let memo = Memo::default();
        let env = Env::new(&[], &self.facts, &memo);
        let mut budget = Budget::new(self.database.memory());
        // Nothing stops this.
        let cancel = crate::CancelFlag::default();
        let database = &self.database;
        let mut context = Context { database, transaction, env, cancel: &cancel, budget: &mut budget };
        delete_all(index.id, &mut context).await
    }

    /// Takes away what sessions have left that built indexes and are no more. What cannot be taken away now is left to who
    /// comes later.
    pub(super) async fn sweep_builds(&mut self) {
        for builder in self.lost_builders().await.unwrap_or_default() {
            let _ = self.undo_build(builder).await;
        }
    }

    async fn lost_builders(&mut self) -> SqlResult<Vec<u64>> {
        let snapshot = self.database.snapshot(Freshness::Local).await?;
        let mut reading = Transaction::reading(snapshot, self.database.memory().lease());
        let notes = catalog::builds(&mut reading).await?;
        if notes.is_empty() {
            return Ok(Vec::new());
        }
        let (node, now) = (self.database.origin().node, self.database.wall_micros());
        Ok(self.database.builders().lost(notes, node, now))
    }
}

/// The table whose rows are put into what `statement` makes, if that is an index and nothing else.
fn table_to_index(statement: &Statement) -> Option<&TableName> {
    match statement {
        Statement::CreateIndex(CreateIndex { table, .. }) => Some(table),
        Statement::AlterTable(AlterTable { table, changes, .. }) => match changes.as_slice() {
            [TableChange::AddConstraint(constraint)] if constraint.deferral == Deferral::No => {
                match constraint.kind {
                    ConstraintKind::Unique(_) | ConstraintKind::PrimaryKey(_) => Some(table),
                    _ => None,
                }
            }
            _ => None,
        },
        _ => None,
    }
}

/// The end of the first `count` rows in `range`, or of the range if it has no more, and whether it has more.
async fn end_of_step(
    transaction: &mut Transaction,
    range: KeyRange,
    count: usize,
) -> SqlResult<(Arc<[u8]>, bool)> {
    let end = range.end.clone();
    let mut scan = transaction.scan(range, Direction::Forward);
    let mut seen = 0;
    loop {
        let batch = scan.next_batch(transaction).await?;
        if batch.is_empty() {
            return Ok((end, false));
        }
        if let Some((key, _)) = batch.get(count - seen) {
            return Ok((key.clone(), true));
        }
        seen += batch.len();
    }
}

/// The rows that are there when an index is made known. Those that come later come with what they have in it.
async fn rows_there(table: &StoredTable, transaction: &mut Transaction) -> SqlResult<KeyRange> {
    let mut range = KeyRange::prefix(&key::table_prefix(table.descriptor.id));
    let last = transaction.scan(range.clone(), Direction::Backward).next_batch(transaction).await?;
    range.end = match last.first() {
        Some((key, _)) => KeyRange::single(key).end,
        None => range.start.clone(),
    };
    Ok(range)
}

/// The index that `builder` builds, perhaps of the table that has this schema and name.
async fn find_building(
    builder: u64,
    known: &(String, String),
    transaction: &mut Transaction,
) -> SqlResult<Option<Building>> {
    let built = |table: &Arc<StoredTable>| {
        let is_built = |state: &IndexState| *state == IndexState::Building { builder };
        let at = table.descriptor.indexes.iter().position(|index| is_built(&index.state))?;
        Some(Building { table: table.clone(), at })
    };
    if let Some(table) = catalog::find_table(transaction, &known.0, &known.1).await?
        && let Some(building) = built(&table)
    {
        return Ok(Some(building));
    }
    for (schema, name, descriptor) in catalog::everything(transaction).await? {
        let Descriptor::Table(table) = descriptor else { continue };
        if table.indexes.iter().all(Index::is_ready) {
            continue;
        }
        if let Some(table) = catalog::find_table(transaction, &schema, &name).await?
            && let Some(building) = built(&table)
        {
            return Ok(Some(building));
        }
    }
    Ok(None)
}
