//! `VACUUM` and `ANALYZE`.

use super::{Mode, Outcome, Session, Tag};
use crate::ast::Maintenance;
use crate::catalog;
use crate::database::{Database, Freshness};
use crate::error::{SqlError, SqlResult, SqlState};

impl<D: Database> Session<D> {
    pub(super) async fn maintain(&mut self, maintenance: &Maintenance, mode: Mode) -> SqlResult<Outcome> {
        let command = if maintenance.vacuums { "VACUUM" } else { "ANALYZE" };
        if maintenance.vacuums && (self.state.is_block() || !mode.alone) {
            let message = "VACUUM cannot run inside a transaction block";
            return Err(SqlError::new(SqlState::ACTIVE_TRANSACTION, message));
        }
        let snapshot = self.database.snapshot(Freshness::Local).await?;
        let mut transaction = cluster_store::Transaction::reading(snapshot, self.database.memory().lease());
        for name in &maintenance.tables {
            let mut is_there = false;
            for schema in self.facts.path.candidates(&name.schema) {
                is_there |= catalog::find(&mut transaction, schema, &name.name).await?.is_some();
            }
            if !is_there {
                return Err(catalog::undefined_table(name.schema.as_deref(), &name.name).at(name.position));
            }
        }
        Ok(Outcome::Done(Tag::Defined(command)))
    }
}
