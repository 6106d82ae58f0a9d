//! Joins: the right is kept in memory, by what must be equal, and the left passes by.
//!
//! A batch of the left becomes pairs of rows, its own and those of the right that may match, a bounded number at a time; what
//! else must hold is evaluated for all of them, and what they consist of is gathered for those that are left. So the rows of the
//! left come out in the order in which they came in.

mod merge;
mod pairs;
mod semi;
mod table;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_store::yield_now;

pub(super) use self::merge::MergeCursor;
use self::pairs::{Candidates, Pairing, Room};
use self::semi::Probe;
use self::table::{Table, build};
use super::{Budget, Context, Cursor};
use crate::batch::{Batch, COLUMNS_ROWS, Columns, NO_ROW, number};
use crate::database::Database;
use crate::error::SqlResult;
use crate::plan::rel::Join;

/// A join in progress.
pub(crate) struct JoinCursor {
    pairing: Pairing,
    left: Left,
    /// The right, once it has been read.
    table: Option<Table>,
    current: Option<Current>,
    /// The next row of the right that may have matched nothing, once the left is at its end.
    unmatched: Option<u32>,
}

/// The left of a join, by batches.
struct Left {
    cursor: Cursor,
    width: usize,
    /// How many there were. The more of them have given too few rows, the longer the next are.
    batches: usize,
}

impl Left {
    fn open(node: &Join) -> Left {
        Left { cursor: Cursor::open(&node.left), width: node.left.width(), batches: 0 }
    }

    /// The next rows, for one who wants so many that match; none at the end.
    async fn next_columns<D: Database>(
        &mut self,
        context: &mut Context<'_, D>,
        wanted: usize,
    ) -> SqlResult<Option<Columns>> {
        let batch = self.cursor.next_wanted(context, wanted.max(self.batches / 8)).await?;
        self.batches += usize::from(batch.is_some());
        Ok(batch.map(|batch| batch.into_columns(self.width)))
    }
}

/// A batch of the left.
enum Current {
    Passing(Passing),
    /// Of which it is just asked which rows match any.
    Probe(Probe),
}

/// A batch of the left, and how far its matches have been looked for.
struct Passing {
    columns: Columns,
    row_len_max: usize,
    /// For each row, the last one that may match.
    last: Vec<u32>,
    /// The row in hand, and the next one that may match.
    row: usize,
    next: u32,
}

impl JoinCursor {
    pub(super) fn new(node: Arc<Join>) -> JoinCursor {
        let left = Left::open(&node);
        let pairing = Pairing::new(node);
        JoinCursor { pairing, left, table: None, current: None, unmatched: None }
    }

    pub(super) async fn next_batch<D: Database>(
        &mut self,
        context: &mut Context<'_, D>,
        wanted: usize,
    ) -> SqlResult<Option<Batch>> {
        context.check_cancel()?;
        yield_now().await;
        let node = self.pairing.node.clone();
        let table = match &mut self.table {
            Some(table) => table,
            None => self.table.insert(build(&node, context).await?),
        };
        if let Some(next) = &mut self.unmatched {
            return Ok(table.unmatched(next, node.left.width()).map(Batch::Columns));
        }
        let current = match self.current.take() {
            Some(current) => current,
            None => match self.left.next_columns(context, wanted).await? {
                Some(columns) => {
                    let last = table.look_up(&columns, &node, context).await?;
                    match node.join_type.has_right() {
                        true => Current::Passing(Passing::new(columns, last)),
                        false => Current::Probe(Probe::new(columns, last, node.condition.is_some())),
                    }
                }
                None if !node.join_type.keeps_right() => return Ok(None),
                None => {
                    self.unmatched = Some(0);
                    return Ok(Some(Batch::Rows(Vec::new())));
                }
            },
        };
        Ok(Some(match current {
            Current::Passing(mut passing) => {
                let candidates = passing.candidates(table);
                let Table { columns, matched, .. } = table;
                let joined =
                    self.pairing.join(candidates, &passing.columns, columns, matched, context).await?;
                if passing.row < passing.columns.len {
                    self.current = Some(Current::Passing(passing));
                }
                Batch::Columns(joined)
            }
            Current::Probe(mut probe) => {
                probe.look(table, &self.pairing, context).await?;
                if probe.is_settled() {
                    return Ok(Some(Batch::Columns(probe.given(node.join_type))));
                }
                self.current = Some(Current::Probe(probe));
                Batch::Rows(Vec::new())
            }
        }))
    }
}

impl Passing {
    fn new(columns: Columns, last: Vec<u32>) -> Passing {
        let next = last.first().copied().unwrap_or(NO_ROW);
        Passing { row_len_max: columns.row_len_max(), columns, last, row: 0, next }
    }

    /// The next pairs, a batch of them at most.
    fn candidates(&mut self, table: &Table) -> Candidates {
        let mut room = Room::new(self.row_len_max, table.row_len_max);
        let mut found = Candidates::default();
        while self.row < self.columns.len && found.ended.len() < COLUMNS_ROWS && !room.is_full() {
            let row = number(self.row);
            table.add_candidates(&self.columns, row, &mut self.next, usize::MAX, &mut room, &mut found);
            if self.next == NO_ROW {
                found.ended.push(row);
                self.row += 1;
                self.next = self.last.get(self.row).copied().unwrap_or(NO_ROW);
            }
        }
        found
    }
}
