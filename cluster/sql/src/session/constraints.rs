//! Constraints that wait for the end of a transaction.

use alloc::format;

use cluster_store::Transaction;

use super::run::settle;
use super::transaction::State;
use super::{Session, Tag};
use crate::ast::TableName;
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::eval::Env;
use crate::exec::{Budget, Context, Deferred, check_deferred, find_constraint};
use crate::memo::Memo;

impl<D: Database> Session<D> {
    /// `SET CONSTRAINTS`
    pub(super) async fn set_constraints(&mut self, names: &[TableName], waits: bool) -> SqlResult<Tag> {
        if !matches!(self.state, State::Explicit(_)) {
            let message = "SET CONSTRAINTS can only be used in transaction blocks";
            self.warn(SqlState::NO_TRANSACTION, message);
        }
        let Session { state, database, facts, cancel, .. } = self;
        let transaction = state.transaction(database).await?;
        let memo = Memo::default();
        let mut budget = Budget::new(database.memory());
        let env = Env::new(&[], facts, &memo);
        let mut context = Context { database: &*database, transaction, env, cancel, budget: &mut budget };
        if names.is_empty() {
            facts.deferred.lock().set_all(waits);
        }
        for name in names {
            let mut found = None;
            for schema in facts.path.candidates(&name.schema) {
                if let Some(may_wait) = find_constraint(schema, &name.name, &mut context).await? {
                    found = Some((schema, may_wait));
                    break;
                }
            }
            match found {
                Some((schema, true)) => facts.deferred.lock().set(schema, &name.name, waits),
                Some((_, false)) => {
                    let message = format!("constraint \"{}\" is not deferrable", name.name);
                    return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
                }
                None => {
                    let message = format!("constraint \"{}\" does not exist", name.name);
                    return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
                }
            }
        }
        if !waits {
            check_deferred(false, &mut context).await?;
        }
        Ok(Tag::Defined("SET CONSTRAINTS"))
    }

    /// The end of a transaction: see [`settle`].
    pub(super) async fn check_at_end(&mut self, transaction: &mut Transaction) -> SqlResult<()> {
        let tells = self.facts.told.lock().count() > 0;
        if !tells && self.facts.deferred.lock().is_empty() && self.facts.sequences.lock().own.is_empty() {
            return Ok(());
        }
        let Session { database, facts, cancel, .. } = self;
        let memo = Memo::default();
        let mut budget = Budget::new(database.memory());
        let env = Env::new(&[], facts, &memo);
        let mut context = Context { database: &*database, transaction, env, cancel, budget: &mut budget };
        settle(&mut context).await
    }

    /// The transaction is over, or gone.
    pub(super) fn forget_deferred(&mut self) {
        *self.facts.deferred.lock() = Deferred::new(self.database.memory());
    }
}
