//! Rows of an `INSERT`, one by one.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use hashbrown::HashSet;

use super::change::{Changed, assigned, assigned_columns, calls_any, check_unchanged};
use super::store::{Replaced, check_row, find_duplicate, replace_rows, store_row};
use super::trigger::before_row;
use super::{Context, Row};
use crate::catalog::Event;
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::Expr;
use crate::plan::{Conflict, InsertPlan};

/// An `INSERT` in progress.
pub(super) struct Inserting<'a> {
    plan: &'a InsertPlan,
    changed: Changed,
    /// The columns that `DO UPDATE` assigns.
    assigned: Vec<usize>,
    /// Keys that it has written, if it may meet them again.
    written: HashSet<Arc<[u8]>>,
    /// What `RETURNING` makes of the rows that are still to come, where that had to be computed before any was stored.
    ahead: VecDeque<Option<Row>>,
}

impl<'a> Inserting<'a> {
    pub(super) fn new(plan: &'a InsertPlan) -> Inserting<'a> {
        let (changed, written, ahead) = Default::default();
        let assigned = match &plan.on_conflict {
            Conflict::Updates { assignments, .. } => assigned_columns(assignments),
            Conflict::Fails | Conflict::Ignored(_) => Vec::new(),
        };
        Inserting { plan, changed, assigned, written, ahead }
    }

    /// Calls what is to be called before any row is inserted, or changed.
    pub(super) async fn begin<D: Database>(&mut self, context: &mut Context<'_, D>) -> SqlResult<()> {
        let InsertPlan { table, on_conflict, related, .. } = self.plan;
        let (fired, id) = (&mut self.changed.references.fired, table.descriptor.id);
        fired.begin(related, id, Event::Insert, &[], context).await?;
        if let Conflict::Updates { .. } = on_conflict {
            fired.begin(related, id, Event::Update, &self.assigned, context).await?;
        }
        Ok(())
    }

    /// Computes what `RETURNING` makes of `rows`, all of which are to be inserted. What fails is left for later: the row may
    /// not be inserted after all, and others may fail before it.
    pub(super) async fn return_ahead<D: Database>(
        &mut self,
        rows: &mut [Row],
        context: &mut Context<'_, D>,
    ) -> SqlResult<()> {
        let Some(returning) = &self.plan.returning else { return Ok(()) };
        for row in rows {
            let returned = match check_row(&self.plan.table, row, &context.env) {
                Ok(()) => context.eval_all(&returning.outputs, row).await.ok(),
                Err(_) => None,
            };
            returned.iter().try_for_each(|row| context.budget.charge_row(row))?;
            self.ahead.push_back(returned);
        }
        Ok(())
    }

    /// Inserts `row`.
    pub(super) async fn insert<D: Database>(
        &mut self,
        row: Row,
        context: &mut Context<'_, D>,
    ) -> SqlResult<()> {
        let InsertPlan { table, on_conflict, returning, related, .. } = self.plan;
        let id = table.descriptor.id;
        let returned = self.ahead.pop_front().flatten();
        let becomes = before_row(related, id, Event::Insert, (&Row::new(), row), &[], context).await?;
        let Some(mut row) = becomes else { return Ok(()) };
        check_row(table, &mut row, &context.env)?;
        let keys = match on_conflict {
            Conflict::Fails => &[][..],
            Conflict::Ignored(keys) => keys,
            Conflict::Updates { key, .. } => core::slice::from_ref(key),
        };
        for key in keys {
            let found = find_duplicate(table, *key, &row, context.transaction, &context.env).await?;
            match (found, on_conflict) {
                (None, _) => {}
                (Some(found), Conflict::Updates { assignments, filter, .. }) => {
                    return self.update(found, row, assignments, filter.as_ref(), context).await;
                }
                (Some(_), _) => return Ok(()),
            }
        }
        let key = store_row(table, &row, context.transaction, &context.env).await?;
        if let Conflict::Updates { .. } = on_conflict {
            self.note_written(key, context)?;
        }
        self.changed.references.want(related, id, &row, context)?;
        let fired = &mut self.changed.references.fired;
        fired.note(related, id, Event::Insert, (&Row::new(), &row), &[], context)?;
        if let Some(returned) = returned {
            self.changed.count += 1;
            self.changed.returned.push(returned);
            return Ok(());
        }
        self.changed.note(&row, returning.as_ref(), context).await
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
        if self.written.contains(&key) || context.transaction.has_changed(&key) {
            let message = "ON CONFLICT DO UPDATE command cannot affect row a second time";
            return Err(SqlError::new(SqlState::CARDINALITY_VIOLATION, message).hint(
                "Ensure that no rows proposed for insertion within the same command have duplicate constrained values.",
            ));
        }
        let InsertPlan { table, returning, related, .. } = self.plan;
        let Some(value) = context.transaction.get(&key).await? else { return Ok(()) };
        let old = table.read(&value, &vec![true; table.types.len()])?;
        let mut both = old.clone();
        both.extend(excluded);
        if !context.passes(filter, &both).await? {
            return Ok(());
        }
        let new = assigned(assignments, old.clone(), &both, context).await?;
        let id = table.descriptor.id;
        let becomes = before_row(related, id, Event::Update, (&old, new), &self.assigned, context).await?;
        let Some(mut new) = becomes else { return Ok(()) };
        check_row(table, &mut new, &context.env)?;
        if calls_any(related, id, assignments.iter().map(|(_, expr)| expr), None) {
            check_unchanged(table, &key, &old, context).await?;
        }
        self.note_written(key.clone(), context)?;
        let replaced = [Replaced { key, old, new: new.clone() }];
        if related.tables.is_empty() {
            replace_rows(table, &replaced, context.transaction, &context.env).await?;
            let [Replaced { old, new, .. }] = &replaced;
            self.changed.references.fired.note(
                related,
                id,
                Event::Update,
                (old, new),
                &self.assigned,
                context,
            )?;
        } else {
            self.changed.references.replace(related, id, replaced.into(), &self.assigned, context).await?;
        }
        self.changed.note(&new, returning.as_ref(), context).await
    }

    /// What all of this has changed.
    pub(super) fn finish(self) -> Changed {
        self.changed
    }

    fn note_written<D>(&mut self, key: Arc<[u8]>, context: &mut Context<'_, D>) -> SqlResult<()> {
        context.budget.charge(key.len() + 48)?;
        self.written.insert(key);
        Ok(())
    }
}
