//! Joins of inputs that do not depend on each other: the right's rows are kept, found by what must be equal, and
//! the left's pass by.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use cluster_format::limits::BATCH_ROWS;
use hashbrown::HashMap;

use super::{Context, Cursor, Row, row_len};
use crate::database::Database;
use crate::error::SqlResult;
use crate::memo::comparable_form;
use crate::plan::rel::{Join, JoinType};
use crate::types::Datum;

/// A join in progress.
pub(crate) struct JoinCursor {
    node: Arc<Join>,
    left: Cursor,
    left_width: usize,
    right_width: usize,
    /// The right's rows, once they have been read.
    table: Option<Table>,
    batch: vec::IntoIter<Row>,
    current: Option<Current>,
    /// The next row of the right that may have matched nothing, once the left is at its end.
    unmatched: Option<usize>,
    looked_at: usize,
}

/// The right's rows.
struct Table {
    rows: Vec<Row>,
    /// By what they are compared as, the last row, and for each row the one before it that is compared alike; rows count
    /// from 1. Not used if nothing must be equal.
    last: HashMap<Vec<u8>, usize>,
    before: Vec<usize>,
    /// Which have matched, if that matters in the end.
    matched: Vec<bool>,
}

/// A row of the left, and how far its matches have been looked for.
struct Current {
    row: Row,
    /// The next candidate, from 1; 0 if there is none.
    next: usize,
    matched: bool,
}

impl JoinCursor {
    pub(super) fn new(node: Arc<Join>) -> JoinCursor {
        JoinCursor {
            left: Cursor::open(&node.left),
            left_width: node.left.width(),
            right_width: node.right.width(),
            node,
            table: None,
            batch: Vec::new().into_iter(),
            current: None,
            unmatched: None,
            looked_at: 0,
        }
    }

    pub(super) async fn next_batch<D: Database>(
        &mut self,
        context: &mut Context<'_, D>,
    ) -> SqlResult<Option<Vec<Row>>> {
        let node = self.node.clone();
        if self.table.is_none() {
            self.table = Some(build(&node, context).await?);
        }
        let mut out = Vec::new();
        while out.len() < BATCH_ROWS {
            if self.unmatched.is_some() {
                self.give_unmatched(&mut out);
                return Ok((!out.is_empty()).then_some(out));
            }
            if self.current.is_none() && !self.start_next(&node, context).await? {
                match node.join_type {
                    JoinType::Right | JoinType::Full => self.unmatched = Some(0),
                    _ => return Ok((!out.is_empty()).then_some(out)),
                }
                continue;
            }
            self.match_current(&node, &mut out, context).await?;
        }
        Ok(Some(out))
    }

    /// Takes the next row of the left; false at the end.
    async fn start_next<D: Database>(
        &mut self,
        node: &Join,
        context: &mut Context<'_, D>,
    ) -> SqlResult<bool> {
        let row = loop {
            match self.batch.next() {
                Some(row) => break row,
                None => match self.left.next_batch(context).await? {
                    Some(rows) => self.batch = rows.into_iter(),
                    None => return Ok(false),
                },
            }
        };
        let Some(table) = &self.table else { return Ok(false) };
        let next = if node.equal.is_empty() {
            table.rows.len()
        } else {
            let mut values = Row::with_capacity(node.equal.len());
            for (expr, _) in &node.equal {
                values.push(expr.eval(&row, &context.env)?.into_owned());
            }
            match values.iter().any(Datum::is_null) {
                true => 0,
                false => table.last.get(&comparable_form(&values)).copied().unwrap_or(0),
            }
        };
        self.current = Some(Current { row, next, matched: false });
        Ok(true)
    }

    /// Looks for matches of the current row until there is a batch of them, or none is left.
    async fn match_current<D: Database>(
        &mut self,
        node: &Join,
        out: &mut Vec<Row>,
        context: &mut Context<'_, D>,
    ) -> SqlResult<()> {
        let (Some(table), Some(current)) = (&mut self.table, &mut self.current) else { return Ok(()) };
        let keeps_left = matches!(node.join_type, JoinType::Left | JoinType::Full | JoinType::Anti);
        while current.next > 0 {
            if out.len() >= BATCH_ROWS {
                return Ok(());
            }
            let at = current.next - 1;
            current.next =
                if node.equal.is_empty() { at } else { table.before.get(at).copied().unwrap_or(0) };
            let Some(right) = table.rows.get(at) else { break };
            self.looked_at += 1;
            context.breathe(self.looked_at).await?;
            let mut both = None;
            if node.join_type.has_right() || node.condition.is_some() {
                let mut row = Row::with_capacity(self.left_width + self.right_width);
                row.extend(current.row.iter().cloned());
                row.extend(right.iter().cloned());
                if !context.passes(node.condition.as_ref(), &row).await? {
                    continue;
                }
                both = Some(row);
            }
            current.matched = true;
            if let Some(matched) = table.matched.get_mut(at) {
                *matched = true;
            }
            match node.join_type {
                JoinType::Semi => {
                    out.push(core::mem::take(&mut current.row));
                    break;
                }
                JoinType::Anti => break,
                _ => out.extend(both),
            }
        }
        if keeps_left && !current.matched {
            let mut row = core::mem::take(&mut current.row);
            if node.join_type.has_right() {
                row.resize(self.left_width + self.right_width, Datum::Null);
            }
            out.push(row);
        }
        self.current = None;
        Ok(())
    }

    /// The right's rows that have matched nothing.
    fn give_unmatched(&mut self, out: &mut Vec<Row>) {
        let (Some(table), Some(next)) = (&mut self.table, &mut self.unmatched) else { return };
        while out.len() < BATCH_ROWS {
            let Some(matched) = table.matched.get(*next) else { return };
            if !matched && let Some(right) = table.rows.get_mut(*next) {
                let mut row = vec![Datum::Null; self.left_width];
                row.append(right);
                out.push(row);
            }
            *next += 1;
        }
    }
}

/// Reads the right.
async fn build<D: Database>(node: &Join, context: &mut Context<'_, D>) -> SqlResult<Table> {
    let mut table = Table { rows: Vec::new(), last: HashMap::new(), before: Vec::new(), matched: Vec::new() };
    let mut cursor = Cursor::open(&node.right);
    let keeps_right = matches!(node.join_type, JoinType::Right | JoinType::Full);
    let mut values = Row::with_capacity(node.equal.len());
    while let Some(batch) = cursor.next_batch(context).await? {
        for row in batch {
            values.clear();
            for (_, expr) in &node.equal {
                values.push(expr.eval(&row, &context.env)?.into_owned());
            }
            let is_findable = values.iter().all(|value| !value.is_null());
            if !is_findable && !keeps_right {
                continue;
            }
            let mut len = row_len(&row) + 16;
            table.rows.push(row);
            if !node.equal.is_empty() {
                let mut before = 0;
                if is_findable {
                    let form = comparable_form(&values);
                    len += form.len() + 48;
                    before = table.last.insert(form, table.rows.len()).unwrap_or(0);
                }
                table.before.push(before);
            }
            context.budget.charge(len)?;
        }
    }
    if keeps_right {
        table.matched = vec![false; table.rows.len()];
    }
    Ok(table)
}
