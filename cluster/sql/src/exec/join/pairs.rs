//! Rows of both sides that may match, and what is made of those that do.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::Context;
use crate::batch::{BATCH_LEN_MAX, COLUMNS_ROWS, Column, Columns, NO_ROW};
use crate::database::Database;
use crate::error::SqlResult;
use crate::expr::Expr;
use crate::plan::rel::{Join, JoinType};
use crate::types::Datum;

/// Rows of the left, each with one of the right that may match; and those of the left that have no others, in order.
#[derive(Default)]
pub(super) struct Candidates {
    pub(super) left: Vec<u32>,
    pub(super) right: Vec<u32>,
    pub(super) ended: Vec<u32>,
}

/// How many pairs of rows still go together: a batch of them, of long ones fewer.
pub(super) struct Room {
    rows: usize,
    /// What their bytes may be; none if those of all can be no more.
    len: Option<usize>,
}

impl Room {
    /// For pairs of rows that are no longer than these.
    pub(super) fn new(left_len_max: usize, right_len_max: usize) -> Room {
        let is_long = (left_len_max + right_len_max) * COLUMNS_ROWS > BATCH_LEN_MAX;
        Room { rows: COLUMNS_ROWS, len: is_long.then_some(BATCH_LEN_MAX) }
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows == 0 || self.len == Some(0)
    }

    /// One goes in, whose rows are so long.
    #[inline]
    pub(super) fn take(&mut self, len_pair: impl FnOnce() -> usize) {
        self.rows -= 1;
        if let Some(len) = &mut self.len {
            *len = len.saturating_sub(len_pair());
        }
    }
}

/// What is made of candidates.
pub(super) struct Pairing {
    pub(super) node: Arc<Join>,
    /// Which columns of both the condition looks at.
    seen: Vec<bool>,
    /// Whether the row of the left that has more candidates has matched already.
    matched: bool,
}

impl Pairing {
    pub(super) fn new(node: Arc<Join>) -> Pairing {
        let mut seen = vec![false; node.left.width() + node.right.width()];
        node.condition.iter().for_each(|condition| {
            condition.for_each_column(&mut |column| {
                if let Some(seen) = seen.get_mut(column) {
                    *seen = true;
                }
            });
        });
        Pairing { node, seen, matched: false }
    }

    /// The rows that candidates make, which are of `left` and `right`. Notes which of the right have matched, if that matters.
    pub(super) async fn join<D: Database>(
        &mut self,
        mut candidates: Candidates,
        left: &Columns,
        right: &Columns,
        matched: &mut [bool],
        context: &mut Context<'_, D>,
    ) -> SqlResult<Columns> {
        if let Some(condition) = &self.node.condition {
            let kept = self.holding(condition, &candidates, left, right, context).await?;
            let pick = |rows: &[u32]| kept.iter().filter_map(|at| rows.get(*at as usize).copied()).collect();
            (candidates.left, candidates.right) = (pick(&candidates.left), pick(&candidates.right));
        }
        if !matched.is_empty() {
            for row in &candidates.right {
                if let Some(matched) = matched.get_mut(*row as usize) {
                    *matched = true;
                }
            }
        }
        if matches!(self.node.join_type, JoinType::Left | JoinType::Full) {
            candidates = self.settle(candidates);
        }
        Ok(gather(&candidates, left, right, |_| true))
    }

    /// Of which of the candidates `condition` holds.
    pub(super) async fn holding<D: Database>(
        &self,
        condition: &Expr,
        candidates: &Candidates,
        left: &Columns,
        right: &Columns,
        context: &mut Context<'_, D>,
    ) -> SqlResult<Vec<u32>> {
        let is_seen = |column: usize| self.seen.get(column).copied().unwrap_or(false);
        let both = gather(candidates, left, right, is_seen);
        context.select(Some(condition), &both, 0..both.len).await
    }

    /// Pairs that match, and between them the rows of the left that match nothing.
    fn settle(&mut self, candidates: Candidates) -> Candidates {
        let mut pairs = candidates.left.iter().zip(&candidates.right).peekable();
        let mut settled = Candidates::default();
        let mut ended = candidates.ended.iter().peekable();
        while let Some(row) = ended.peek().map(|row| **row).or_else(|| pairs.peek().map(|(left, _)| **left)) {
            while let Some((left, right)) = pairs.next_if(|(left, _)| **left == row) {
                self.matched = true;
                settled.left.push(*left);
                settled.right.push(*right);
            }
            if ended.next_if(|ended| **ended == row).is_some() {
                if !self.matched {
                    settled.left.push(row);
                    settled.right.push(NO_ROW);
                }
                self.matched = false;
            }
        }
        settled
    }
}

/// The columns of both, of these rows; NULL in those that are not `wanted`.
fn gather(
    candidates: &Candidates,
    left: &Columns,
    right: &Columns,
    wanted: impl Fn(usize) -> bool,
) -> Columns {
    let of_left = left.columns.iter().map(|column| (column, &candidates.left));
    let of_right = right.columns.iter().map(|column| (column, &candidates.right));
    let columns = of_left.chain(of_right).enumerate().map(|(at, (column, rows))| match wanted(at) {
        true => column.gather(rows),
        false => Column::Same(Datum::Null),
    });
    Columns { len: candidates.left.len(), columns: columns.collect() }
}
