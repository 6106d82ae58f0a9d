//! Expressions over whole batches of columns.

use alloc::borrow::Cow;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use super::{Context, Row};
use crate::batch::{BATCH_LEN_MAX, Column, ColumnBuilder, Columns, narrow, numbers, values_of};
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

/// An expression that is evaluated row by row.
struct Evaluated<'a> {
    expr: &'a Expr,
    view: RowView,
    /// The place of its values among others.
    place: usize,
    values: ColumnBuilder,
}

impl<D: Database> Context<'_, D> {
    /// Keeps those of `rows` for which the first of `conjuncts` hold, as many as can be told of without looking at one row after
    /// the other; how many these are. They do not fail, so it does not matter whom anybody asks for more of these rows.
    pub(super) fn narrow_by_first(
        &self,
        conjuncts: &[Expr],
        columns: &Columns,
        rows: &mut Vec<u32>,
    ) -> usize {
        conjuncts.iter().take_while(|conjunct| narrow(conjunct, columns, rows, &self.env)).count()
    }

    /// The next of `rows` for which all of `conjuncts` hold, `wanted` of them, or all if nothing need be evaluated for that. The
    /// rows behind these are left where they are.
    pub(super) async fn take_passing(
        &mut self,
        conjuncts: &[Expr],
        columns: &Columns,
        rows: &mut vec::IntoIter<u32>,
        wanted: usize,
    ) -> SqlResult<Vec<u32>> {
        // What two of them ask of a sequence, they ask row by row.
        let is_row_by_row =
            wanted < rows.len() || conjuncts.iter().filter(|conjunct| conjunct.is_volatile()).count() > 1;
        if is_row_by_row && !conjuncts.is_empty() {
            return self.take_each(conjuncts, columns, rows, wanted).await;
        }
        let mut left: Vec<u32> = rows.collect();
        for conjunct in conjuncts {
            if !narrow(conjunct, columns, &mut left, &self.env) {
                let one = core::slice::from_ref(conjunct);
                left = self.take_each(one, columns, &mut left.into_iter(), usize::MAX).await?;
            }
        }
        Ok(left)
    }

    /// The same, one row after the other.
    async fn take_each(
        &mut self,
        conjuncts: &[Expr],
        columns: &Columns,
        rows: &mut vec::IntoIter<u32>,
        wanted: usize,
    ) -> SqlResult<Vec<u32>> {
        let view = |expr| (expr, RowView::new(expr, columns));
        let mut views: Vec<(&Expr, RowView)> = conjuncts.iter().map(view).collect();
        let (mut kept, mut seen) = (Vec::new(), 0);
        'rows: while kept.len() < wanted
            && let Some(row) = rows.next()
        {
            self.breathe(seen).await?;
            seen += 1;
            for (conjunct, view) in &mut views {
                if !self.passes(Some(conjunct), view.at(row as usize, columns)).await? {
                    continue 'rows;
                }
            }
            kept.push(row);
        }
        Ok(kept)
    }

    /// Those of `rows` for which `predicate` holds, in order.
    pub(super) async fn select(
        &mut self,
        predicate: Option<&Expr>,
        columns: &Columns,
        rows: Range<usize>,
    ) -> SqlResult<Vec<u32>> {
        let rows: Vec<u32> = numbers(rows).collect();
        match predicate.map(Expr::conjuncts) {
            None => Ok(rows),
            Some(all) => self.take_passing(all, columns, &mut rows.into_iter(), usize::MAX).await,
        }
    }

    /// The values of each of `exprs` for the first of `rows`, and how many these are: at least one if there is one, and no more
    /// once the values take [`BATCH_LEN_MAX`] bytes. What is evaluated is so row by row, as whatever asks a sequence, or fails,
    /// must be.
    pub(super) async fn compute<'c>(
        &mut self,
        exprs: impl Iterator<Item = &'c Expr>,
        columns: &'c Columns,
        rows: Range<usize>,
    ) -> SqlResult<(Vec<Cow<'c, Column>>, usize)> {
        let (mut all, mut evaluated) = (Vec::new(), Vec::new());
        let mut len_same = 0;
        for (place, expr) in exprs.enumerate() {
            all.push(match values_of(expr, columns, &self.env) {
                Some(values) => {
                    if let Column::Same(value) = &*values {
                        len_same += value.len_memory();
                    }
                    values
                }
                None => {
                    let (view, values) = (RowView::new(expr, columns), ColumnBuilder::new());
                    evaluated.push(Evaluated { expr, view, place, values });
                    Cow::Owned(Column::Same(Datum::Null))
                }
            });
        }
        let (mut count, mut len) = (0, 0);
        if evaluated.is_empty() {
            count = rows.len().min((BATCH_LEN_MAX / len_same.max(1)).max(1));
            len = BATCH_LEN_MAX;
        }
        while count < rows.len() && len < BATCH_LEN_MAX {
            self.breathe(count).await?;
            len += len_same;
            for Evaluated { expr, view, values, .. } in &mut evaluated {
                let value = self.eval(expr, view.at(rows.start + count, columns)).await?;
                len += value.len_memory();
                values.push(value);
            }
            count += 1;
        }
        if count < columns.len {
            let some: Vec<u32> = numbers(rows.start..rows.start + count).collect();
            all.iter_mut().for_each(|values| *values = Cow::Owned(values.gather(&some)));
        }
        for Evaluated { place, values, .. } in evaluated {
            if let Some(slot) = all.get_mut(place) {
                *slot = Cow::Owned(values.finish());
            }
        }
        Ok((all, count))
    }
}
