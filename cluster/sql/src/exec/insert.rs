//! Rows of an `INSERT`, one by one.

use alloc::sync::Arc;
use alloc::vec;

use hashbrown::HashSet;

use super::change::{Changed, RowIds, Stored, assigned, check_row, move_row, put, store_row};
use super::{Context, Row};
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::Expr;
use crate::plan::{Conflict, InsertPlan};
use crate::row;

/// An `INSERT` in progress.
pub(super) struct Inserting<'a> {
    plan: &'a InsertPlan,
    row_ids: &'a mut RowIds,
    pub(super) changed: Changed,
    /// Keys that it has written, if it may meet them again.
    written: HashSet<Arc<[u8]>>,
}

impl<'a> Inserting<'a> {
    pub(super) fn new(plan: &'a InsertPlan, row_ids: &'a mut RowIds) -> Inserting<'a> {
        Inserting { plan, row_ids, changed: Changed::default(), written: HashSet::new() }
    }

    /// Inserts `row`.
    pub(super) async fn insert<D: Database>(
        &mut self,
        mut row: Row,
        context: &mut Context<'_, D>,
    ) -> SqlResult<()> {
        let InsertPlan { table, on_conflict, returning, .. } = self.plan;
        let wall_micros = context.env.session.statement_micros;
        let ignores = !matches!(on_conflict, Conflict::Fails);
        let stored =
            store_row(table, &mut row, ignores, context.transaction, self.row_ids, wall_micros).await?;
        if let Conflict::Updates(assignments, filter) = on_conflict {
            let key: Arc<[u8]> = table.descriptor.row_key(&row).into();
            if stored == Stored::Duplicate {
                return self.update(key, row, assignments, filter.as_ref(), context).await;
            }
            self.note_written(key, context)?;
        }
        match stored {
            Stored::Yes => self.changed.note(&row, returning.as_ref(), context).await,
            Stored::Duplicate => Ok(()),
        }
    }

    /// `DO UPDATE`: changes the row at `key`, which `excluded` was to be inserted at.
    async fn update<D: Database>(
        &mut self,
        key: Arc<[u8]>,
        excluded: Row,
        assignments: &[(usize, Expr)],
        filter: Option<&Expr>,
        context: &mut Context<'_, D>,
    ) -> SqlResult<()> {
        if self.written.contains(&key) {
            let message = "ON CONFLICT DO UPDATE command cannot affect row a second time";
            return Err(SqlError::new(SqlState::CARDINALITY_VIOLATION, message).hint(
                "Ensure that no rows proposed for insertion within the same command have duplicate constrained values.",
            ));
        }
        let InsertPlan { table, returning, .. } = self.plan;
        let descriptor = &table.descriptor;
        let Some(value) = context.transaction.get(&key).await? else { return Ok(()) };
        let old = row::read(&value, &table.types, &vec![true; table.types.len()])?;
        let mut both = old.clone();
        both.extend(excluded);
        if !context.passes(filter, &both).await? {
            return Ok(());
        }
        let mut new = assigned(assignments, old, &both, context).await?;
        check_row(descriptor, &mut new)?;
        let new_key = descriptor.row_key(&new);
        if *new_key == *key {
            put(&key, &new, context.transaction)?;
        } else {
            context.transaction.delete(&key)?;
            move_row(descriptor, new_key, &new, context.transaction).await?;
        }
        self.note_written(key, context)?;
        self.changed.note(&new, returning.as_ref(), context).await
    }

    fn note_written<D>(&mut self, key: Arc<[u8]>, context: &mut Context<'_, D>) -> SqlResult<()> {
        context.budget.charge(key.len() + 48)?;
        self.written.insert(key);
        Ok(())
    }
}
