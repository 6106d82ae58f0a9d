//! `VACUUM` and `ANALYZE`.

use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_store::{Conflict, Snapshot, Transaction};

use super::run::ATTEMPTS_MAX;
use super::{Mode, Outcome, Session, Tag, analyze};
use crate::ast::{Maintenance, TableName};
use crate::catalog::{self, Descriptor, Stored, StoredTable};
use crate::database::{Database, DatabaseError, Freshness, snapshot_after};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::eval::Env;
use crate::exec::{Budget, Context};
use crate::memo::Memo;
use crate::path::SearchPath;

impl<D: Database> Session<D> {
    /// Space is taken back by itself, so `VACUUM` alone has nothing to do. Statistics are made of what this node has
    /// applied, and are stored in a transaction of their own, whatever block the statement is in: what was read for them
    /// may change meanwhile.
    pub(super) async fn maintain(&mut self, maintenance: &Maintenance, mode: Mode) -> SqlResult<Outcome> {
        let command = if maintenance.vacuums { "VACUUM" } else { "ANALYZE" };
        if maintenance.vacuums && (self.state.is_block() || !mode.alone) {
            let message = "VACUUM cannot run inside a transaction block";
            return Err(SqlError::new(SqlState::ACTIVE_TRANSACTION, message));
        }
        let snapshot = self.database.snapshot(Freshness::Local).await?;
        let mut transaction = Transaction::reading(snapshot.clone(), self.database.memory().lease());
        let names = self.committed(&maintenance.tables, &mut transaction).await?;
        let tables = match maintenance.tables.is_empty() || !names.is_empty() {
            true => tables_of(&names, &self.facts.path, &mut transaction).await?,
            false => Vec::new(),
        };
        if !maintenance.analyzes {
            return Ok(Outcome::Done(Tag::Defined(command)));
        }
        let statistics = self.statistics_of(&tables, &mut transaction).await?;
        if !statistics.is_empty() {
            self.store_statistics(snapshot, &statistics).await?;
        }
        Ok(Outcome::Done(Tag::Defined(command)))
    }

    /// Makes statistics of the table called `id` anew, as `ANALYZE` does, unless it is changed or dropped meanwhile. Whether
    /// there is such a table.
    pub async fn analyze_table(&mut self, id: u32) -> SqlResult<bool> {
        let snapshot = self.database.snapshot(Freshness::Local).await?;
        let mut transaction = Transaction::reading(snapshot.clone(), self.database.memory().lease());
        let all = catalog::everything(&mut transaction).await?;
        let named = all.into_iter().find_map(|(schema, name, descriptor)| match descriptor {
            Descriptor::Table(table) if table.id == id => Some((schema, name)),
            _ => None,
        });
        let Some((schema, name)) = named else { return Ok(false) };
        let Some(table) = catalog::find_table(&mut transaction, &schema, &name).await? else {
            return Ok(false);
        };
        let statistics = self.statistics_of(core::slice::from_ref(&table), &mut transaction).await?;
        let mut storing = analyze::storing(&self.database, snapshot, &statistics)?;
        storing.get(&table.key).await?;
        let (commit, _held) = storing.into_commit(self.request_ids.take(), self.database.origin());
        self.database.commit(commit).await?;
        Ok(true)
    }

    /// The key of the statistics of each table, and their bytes.
    async fn statistics_of(
        &self,
        tables: &[Arc<StoredTable>],
        transaction: &mut Transaction,
    ) -> SqlResult<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut statistics = Vec::new();
        for table in tables {
            let memo = Memo::default();
            let env = Env::new(&[], &self.facts, &memo);
            let mut budget = Budget::new(self.database.memory());
            let mut context = Context {
                database: &self.database,
                transaction: &mut *transaction,
                env,
                cancel: &self.cancel,
                budget: &mut budget,
            };
            statistics.push(analyze::analyze(table, &mut context).await?);
        }
        Ok(statistics)
    }

    /// Stores statistics over any that were made meanwhile: of both, neither is wrong.
    async fn store_statistics(
        &mut self,
        mut snapshot: Snapshot,
        statistics: &[(Vec<u8>, Vec<u8>)],
    ) -> SqlResult<()> {
        for _ in 1..ATTEMPTS_MAX {
            match self.store_once(snapshot, statistics).await {
                Ok(Err(conflict)) => snapshot = snapshot_after(&self.database, conflict).await?,
                done => return done.map(drop),
            }
        }
        Err(DatabaseError::Conflict(Conflict::TooOld).into())
    }

    async fn store_once(
        &mut self,
        snapshot: Snapshot,
        statistics: &[(Vec<u8>, Vec<u8>)],
    ) -> SqlResult<Result<(), Conflict>> {
        let storing = analyze::storing(&self.database, snapshot, statistics)?;
        let (commit, _held) = storing.into_commit(self.request_ids.take(), self.database.origin());
        match self.database.commit(commit).await {
            Ok(_) => Ok(Ok(())),
            Err(DatabaseError::Conflict(conflict)) => Ok(Err(conflict)),
            Err(error) => Err(error.into()),
        }
    }
}

impl<D: Database> Session<D> {
    /// `names` without those that only the open transaction knows: there are no statistics of what is not committed.
    async fn committed(
        &mut self,
        names: &[TableName],
        reading: &mut Transaction,
    ) -> SqlResult<Vec<TableName>> {
        let path = self.facts.path.clone();
        let mut committed = Vec::with_capacity(names.len());
        for name in names {
            let is_own =
                self.state.is_block() && catalog::find_along(reading, &path, name).await?.is_none() && {
                    let transaction = self.state.transaction(&self.database).await?;
                    catalog::find_along(transaction, &path, name).await?.is_some()
                };
            if !is_own {
                committed.push(name.clone());
            }
        }
        Ok(committed)
    }
}

/// The tables that `names` stand for; all there are if none are named.
async fn tables_of(
    names: &[TableName],
    path: &SearchPath,
    transaction: &mut Transaction,
) -> SqlResult<Vec<Arc<StoredTable>>> {
    let mut tables = Vec::new();
    if names.is_empty() {
        for (schema, name, descriptor) in catalog::everything(transaction).await? {
            if let Descriptor::Table(_) = descriptor {
                tables.extend(catalog::find_table(transaction, &schema, &name).await?);
            }
        }
        return Ok(tables);
    }
    for name in names {
        match catalog::find_along(transaction, path, name).await? {
            Some(Stored::Table(table)) => tables.push(table),
            Some(_) => {}
            None => {
                return Err(catalog::undefined_table(name.schema.as_deref(), &name.name).at(name.position));
            }
        }
    }
    Ok(tables)
}
