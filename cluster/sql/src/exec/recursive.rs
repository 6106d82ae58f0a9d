//! `WITH RECURSIVE`: what the last step gave is what the next one reads.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use hashbrown::HashSet;

use super::cursor::batch;
use super::distinct::same_form;
use super::{Context, Cursor, Row, row_len};
use crate::database::Database;
use crate::error::SqlResult;
use crate::plan::rel::Recursive;

/// A recursion in progress: the rows of each step are given before the next is taken.
pub(crate) struct RecursiveCursor {
    node: Arc<Recursive>,
    ready: vec::IntoIter<Row>,
    /// What the next step reads; none before the first.
    working: Option<Vec<Row>>,
    working_len: usize,
    seen: HashSet<Vec<u8>>,
}

impl RecursiveCursor {
    pub(super) fn new(node: Arc<Recursive>) -> RecursiveCursor {
        RecursiveCursor {
            node,
            ready: Vec::new().into_iter(),
            working: None,
            working_len: 0,
            seen: HashSet::new(),
        }
    }

    pub(super) async fn next_rows<D: Database>(
        &mut self,
        context: &mut Context<'_, D>,
    ) -> SqlResult<Option<Vec<Row>>> {
        if let Some(rows) = batch(&mut self.ready) {
            return Ok(Some(rows));
        }
        context.check_cancel()?;
        let node = self.node.clone();
        let input = match self.working.take() {
            None => &node.base,
            Some(working) if working.is_empty() => {
                self.working = Some(working);
                return Ok(None);
            }
            Some(working) => {
                context.env.memo.note_working(node.id.0, Arc::new(working));
                &node.step
            }
        };
        let rows = self.step(input, context).await?;
        self.ready = rows.clone().into_iter();
        self.working = Some(rows);
        Ok(Some(Vec::new()))
    }

    /// All rows of `input` that are wanted.
    async fn step<D: Database>(
        &mut self,
        input: &crate::plan::Rel,
        context: &mut Context<'_, D>,
    ) -> SqlResult<Vec<Row>> {
        let mut cursor = Cursor::open(input);
        let (mut rows, mut len) = (Vec::new(), 0);
        while let Some(batch) = cursor.next_rows(context).await? {
            for row in batch {
                if !self.node.all {
                    let form = same_form(&row);
                    let form_len = form.len() + 48;
                    if !self.seen.insert(form) {
                        continue;
                    }
                    context.budget.charge(form_len)?;
                }
                // Once to be read by the next step, once to be given.
                let row_len = 2 * row_len(&row);
                context.budget.charge(row_len)?;
                len += row_len;
                rows.push(row);
            }
        }
        context.budget.refund(core::mem::replace(&mut self.working_len, len));
        Ok(rows)
    }
}
