//! Joins whose right is run for each row of the left.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use cluster_format::limits::BATCH_ROWS;

use super::{Context, Cursor, Row, row_len};
use crate::batch::BATCH_LEN_MAX;
use crate::database::Database;
use crate::error::SqlResult;
use crate::plan::rel::{Apply, JoinType};
use crate::types::Datum;

/// A dependent join in progress.
pub(crate) struct ApplyCursor {
    node: Arc<Apply>,
    left: Cursor,
    width: usize,
    batch: vec::IntoIter<Row>,
    current: Option<Box<Current>>,
}

/// A row of the left, with the right as it is for it.
struct Current {
    row: Row,
    outer: Row,
    right: Cursor,
    found: vec::IntoIter<Row>,
    matched: bool,
    /// What the right has charged so far, in bytes: others charge between its batches.
    charged: usize,
}

/// What is given next.
struct Out {
    rows: Vec<Row>,
    /// Their bytes.
    len: usize,
    wanted: usize,
}

impl Out {
    fn push(&mut self, row: Row) {
        self.len += row_len(&row);
        self.rows.push(row);
    }

    fn is_full(&self) -> bool {
        self.left() == 0 || self.len >= BATCH_LEN_MAX
    }

    /// How many rows are still wanted.
    fn left(&self) -> usize {
        self.wanted.saturating_sub(self.rows.len())
    }
}

impl ApplyCursor {
    pub(super) fn new(node: Arc<Apply>) -> ApplyCursor {
        let width = node.left.width() + node.right.width();
        ApplyCursor {
            left: Cursor::open(&node.left),
            node,
            width,
            batch: Vec::new().into_iter(),
            current: None,
        }
    }

    pub(super) async fn next_rows<D: Database>(
        &mut self,
        context: &mut Context<'_, D>,
        wanted: usize,
    ) -> SqlResult<Option<Vec<Row>>> {
        let node = self.node.clone();
        let mut out = Out { rows: Vec::new(), len: 0, wanted: wanted.min(BATCH_ROWS) };
        while !out.is_full() {
            if self.current.is_none() && !self.start_next(&node, context, out.left()).await? {
                return Ok((!out.rows.is_empty()).then_some(out.rows));
            }
            self.match_current(&node, &mut out, context).await?;
        }
        Ok(Some(out.rows))
    }

    async fn start_next<D: Database>(
        &mut self,
        node: &Apply,
        context: &mut Context<'_, D>,
        wanted: usize,
    ) -> SqlResult<bool> {
        let row = loop {
            match self.batch.next() {
                Some(row) => break row,
                None => match self.left.next_wanted(context, wanted).await? {
                    Some(batch) => self.batch = batch.into_rows().into_iter(),
                    None => return Ok(false),
                },
            }
        };
        let outer = context.eval_all(&node.outer, &row).await?;
        self.current = Some(Box::new(Current {
            row,
            outer,
            right: Cursor::open(&node.right),
            found: Vec::new().into_iter(),
            matched: false,
            charged: 0,
        }));
        Ok(true)
    }

    async fn match_current<D: Database>(
        &mut self,
        node: &Apply,
        out: &mut Out,
        context: &mut Context<'_, D>,
    ) -> SqlResult<()> {
        let Some(current) = &mut self.current else { return Ok(()) };
        loop {
            if out.is_full() {
                return Ok(());
            }
            let right = match current.found.next() {
                Some(right) => right,
                None => {
                    let wanted = if node.join_type.has_right() { out.left() } else { 1 };
                    let before = context.budget.in_use();
                    let mut inner = context.within(&current.outer);
                    let found = current.right.next_wanted(&mut inner, wanted).await?;
                    current.charged = (current.charged + context.budget.in_use()).saturating_sub(before);
                    match found {
                        Some(batch) => current.found = batch.into_rows().into_iter(),
                        None => break,
                    }
                    continue;
                }
            };
            let mut both = Row::with_capacity(self.width);
            both.extend(current.row.iter().cloned());
            both.extend(right);
            if !context.passes(node.condition.as_ref(), &both).await? {
                continue;
            }
            current.matched = true;
            match node.join_type {
                JoinType::Semi => {
                    out.push(core::mem::take(&mut current.row));
                    break;
                }
                JoinType::Anti => break,
                _ => out.push(both),
            }
        }
        if !current.matched && matches!(node.join_type, JoinType::Left | JoinType::Anti) {
            let mut row = core::mem::take(&mut current.row);
            if node.join_type.has_right() {
                row.resize(self.width, Datum::Null);
            }
            out.push(row);
        }
        context.budget.refund(current.charged);
        self.current = None;
        Ok(())
    }
}
