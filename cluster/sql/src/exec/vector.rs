//! Expressions over whole batches of columns.

use alloc::borrow::Cow;
use alloc::vec;
use alloc::vec::Vec;

use super::{Context, Row};
use crate::batch::{Column, ColumnBuilder, Columns, narrow, values_of};
use crate::database::Database;
use crate::error::SqlResult;
use crate::expr::Expr;
use crate::types::Datum;

/// One row after the other of a batch, as far as an expression looks at it.
struct RowView {
    used: Vec<usize>,
    row: Row,
}

impl RowView {
    fn new(expr: &Expr, columns: &Columns) -> RowView {
        let mut used = Vec::new();
        expr.for_each_column(&mut |column| {
            if !used.contains(&column) {
                used.push(column);
            }
        });
        RowView { used, row: vec![Datum::Null; columns.columns.len()] }
    }

    fn at(&mut self, at: usize, columns: &Columns) -> &Row {
        columns.fill(at, &self.used, &mut self.row);
        &self.row
    }
}

impl<D: Database> Context<'_, D> {
    /// The rows of `columns` for which `predicate` holds, in order.
    pub(super) async fn select(
        &mut self,
        predicate: Option<&Expr>,
        columns: &Columns,
    ) -> SqlResult<Vec<u32>> {
        let mut rows: Vec<u32> = (0..u32::try_from(columns.len).unwrap_or(u32::MAX)).collect();
        let conjuncts = match predicate {
            None => return Ok(rows),
            Some(Expr::And(all)) => all.as_slice(),
            Some(one) => core::slice::from_ref(one),
        };
        // What two of them ask of a sequence, they ask row by row.
        let conjuncts = match conjuncts.iter().filter(|conjunct| conjunct.is_volatile()).count() {
            0 | 1 => conjuncts,
            _ => predicate.map_or(conjuncts, core::slice::from_ref),
        };
        for conjunct in conjuncts {
            if narrow(conjunct, columns, &mut rows, &self.env) {
                continue;
            }
            let mut view = RowView::new(conjunct, columns);
            let mut kept = Vec::with_capacity(rows.len());
            for (at, row) in rows.into_iter().enumerate() {
                self.breathe(at).await?;
                if self.passes(Some(conjunct), view.at(row as usize, columns)).await? {
                    kept.push(row);
                }
            }
            rows = kept;
        }
        Ok(rows)
    }

    /// The values of `expr` for all rows of `columns`.
    pub(super) async fn compute<'c>(
        &mut self,
        expr: &Expr,
        columns: &'c Columns,
    ) -> SqlResult<Cow<'c, Column>> {
        if let Some(values) = values_of(expr, columns, &self.env) {
            return Ok(values);
        }
        let mut view = RowView::new(expr, columns);
        let mut values = ColumnBuilder::new();
        for at in 0..columns.len {
            self.breathe(at).await?;
            values.push(self.eval(expr, view.at(at, columns)).await?);
        }
        Ok(Cow::Owned(values.finish()))
    }

    /// The values of each of `exprs`.
    pub(super) async fn compute_all<'c>(
        &mut self,
        exprs: impl Iterator<Item = &'c Expr>,
        columns: &'c Columns,
    ) -> SqlResult<Vec<Cow<'c, Column>>> {
        let mut all = Vec::new();
        for expr in exprs {
            all.push(self.compute(expr, columns).await?);
        }
        Ok(all)
    }
}
