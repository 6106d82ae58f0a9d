//! What expressions mean behind `GROUP BY`.

use alloc::format;
use alloc::vec::Vec;

use crate::bind::{Scope, WindowCall};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::Expr;

/// The keys that rows are grouped by.
pub(super) struct Groups<'a> {
    keys: Vec<Expr>,
    scope: &'a Scope,
}

impl<'a> Groups<'a> {
    pub(super) fn new(keys: Vec<Expr>, scope: &'a Scope) -> Groups<'a> {
        Groups { keys, scope }
    }

    /// The keys, and how many there are.
    pub(super) fn finish(self) -> (Vec<Expr>, usize) {
        let len = self.keys.len();
        (self.keys, len)
    }

    /// Makes `expr` see the groups' keys instead of the rows.
    pub(super) fn lift(&mut self, expr: &mut Expr) -> SqlResult<()> {
        if let Some(key) = self.keys.iter().position(|key| key == expr) {
            *expr = Expr::Column(key);
            return Ok(());
        }
        match expr {
            // What an aggregate sees are rows; where its result is will be known at the end.
            Expr::Aggregate(_) => Ok(()),
            Expr::Column(index) => {
                let index = *index;
                if !self.is_determined(index) {
                    let name = self.scope.name_of(index);
                    let message = format!(
                        "column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate function"
                    );
                    return Err(SqlError::new(SqlState::GROUPING_ERROR, message));
                }
                self.keys.push(Expr::Column(index));
                *expr = Expr::Column(self.keys.len() - 1);
                Ok(())
            }
            other => other.for_each_child(|child| self.lift(child)),
        }
    }

    /// As [`Groups::lift`], of all that a window function looks at.
    pub(super) fn lift_window(&mut self, call: &mut WindowCall) -> SqlResult<()> {
        call.for_each_expr(&mut |expr| self.lift(expr))?;
        call.partition.iter_mut().try_for_each(|expr| self.lift(expr))?;
        call.order.iter_mut().try_for_each(|key| self.lift(&mut key.expr))
    }

    /// Whether the keys say what the column at `index` is: those of its table's primary key are among them.
    fn is_determined(&self, index: usize) -> bool {
        let is_key = |column: &usize| self.keys.contains(&Expr::Column(*column));
        let tables = self.scope.tables.iter();
        tables
            .filter(|table| table.row.contains(&index) && !table.key.is_empty())
            .any(|table| table.key.iter().all(is_key))
    }
}
