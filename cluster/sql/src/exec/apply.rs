//! Joins whose right is run for each row of the left.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use cluster_format::limits::BATCH_ROWS;

use super::{Context, Cursor, Row};
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
    /// Memory in use before the right was run.
    in_use: usize,
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
    ) -> SqlResult<Option<Vec<Row>>> {
        let node = self.node.clone();
        let mut out = Vec::new();
        while out.len() < BATCH_ROWS {
            if self.current.is_none() && !self.start_next(&node, context).await? {
                return Ok((!out.is_empty()).then_some(out));
            }
            self.match_current(&node, &mut out, context).await?;
        }
        Ok(Some(out))
    }

    async fn start_next<D: Database>(
        &mut self,
        node: &Apply,
        context: &mut Context<'_, D>,
    ) -> SqlResult<bool> {
        let row = loop {
            match self.batch.next() {
                Some(row) => break row,
                None => match self.left.next_rows(context).await? {
                    Some(rows) => self.batch = rows.into_iter(),
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
            in_use: context.budget.in_use(),
        }));
        Ok(true)
    }

    async fn match_current<D: Database>(
        &mut self,
        node: &Apply,
        out: &mut Vec<Row>,
        context: &mut Context<'_, D>,
    ) -> SqlResult<()> {
        let Some(current) = &mut self.current else { return Ok(()) };
        loop {
            let right = match current.found.next() {
                Some(right) => right,
                None => {
                    if out.len() >= BATCH_ROWS {
                        return Ok(());
                    }
                    let mut inner = context.within(&current.outer);
                    match current.right.next_rows(&mut inner).await? {
                        Some(rows) => current.found = rows.into_iter(),
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
        context.budget.return_to(current.in_use);
        self.current = None;
        Ok(())
    }
}
