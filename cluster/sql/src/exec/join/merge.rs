//! Merge joins: both sides come in the order of what must be equal, and pass by each other.
//!
//! ```text
//! left     1   2   2   4        the row in hand is the first 2
//! right    1   2   2   2   3    the run that is equal to it: it is that of the next row, too
//! ```
//!
//! Of either side there is a batch in hand, and of the right all of a run, however many batches that takes: what is in hand of the
//! right is charged for.
//! A key that is NULL is equal to none, so it does not matter where such rows stand in the order.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::Range;

use cluster_store::yield_now;

use super::pairs::{Candidates, Pairing, Room};
use super::table::behind_nulls;
use super::{Context, Cursor, Left};
use crate::batch::{Batch, COLUMNS_ROWS, Column, Columns, Gathered, number, numbers};
use crate::database::Database;
use crate::error::SqlResult;
use crate::expr::Expr;
use crate::plan::rel::{Join, JoinType};
use crate::types::Datum;

/// A merge join in progress.
pub(crate) struct MergeCursor {
    pairing: Pairing,
    keys: Vec<Key>,
    left_input: Left,
    left: Side,
    right_input: Cursor,
    right: Side,
    /// The rows of the right that are equal, from that in hand on, if any are known to be equal to one of the left.
    run: Option<Run>,
    /// Of the rows of the right, those that have matched, if that matters; and how many are given if they have not.
    matched: Vec<bool>,
    given: usize,
    /// What is charged for the rows of the right, in bytes.
    charged: usize,
}

/// A column of the left, and that of the right that must be equal to it.
struct Key {
    left: usize,
    right: usize,
    descending: bool,
}

/// What is in hand of one of the inputs.
struct Side {
    rows: Columns,
    row_len_max: usize,
    /// The row in hand.
    at: usize,
    /// Whether no others come behind these.
    is_last: bool,
}

#[derive(Clone, Copy)]
struct Run {
    end: usize,
    /// Whether what comes behind it is known not to be equal.
    is_whole: bool,
    /// Whether the left's row in hand is known to be equal, and what it is paired with next if it is.
    is_met: bool,
    next: usize,
}

/// What must be done for more candidates to be found.
enum Next {
    /// Nothing: more are in hand.
    Found,
    ReadLeft,
    ReadRight,
    /// No others match.
    End,
}

impl Side {
    fn new(width: usize) -> Side {
        let rows = Columns { len: 0, columns: vec![Column::Same(Datum::Null); width] };
        Side { rows, row_len_max: 0, at: 0, is_last: false }
    }

    /// Whether all rows have passed.
    fn is_out(&self) -> bool {
        self.at >= self.rows.len
    }

    /// Whether the row at `at` has NULL in this column.
    fn is_null(&self, column: usize, at: usize) -> bool {
        self.rows.columns.get(column).is_none_or(|column| column.is_null(at))
    }
}

impl MergeCursor {
    /// `descending` has, for each pair that must be equal, which way both come.
    pub(in crate::exec) fn new(node: Arc<Join>, descending: &[bool]) -> MergeCursor {
        let key = |((left, right), descending): (&(Expr, Expr), &bool)| match (left, right) {
            (Expr::Column(left), Expr::Column(right)) => {
                Some(Key { left: *left, right: *right, descending: *descending })
            }
            _ => None,
        };
        let keys: Vec<Key> = node.equal.iter().zip(descending).filter_map(key).collect();
        debug_assert_eq!(keys.len(), node.equal.len(), "only columns come in an order");
        debug_assert!(node.join_type.has_right() || node.condition.is_none(), "such joins are not planned");
        let (left, right) = (Side::new(node.left.width()), Side::new(node.right.width()));
        MergeCursor {
            left_input: Left::open(&node),
            right_input: Cursor::open(&node.right),
            pairing: Pairing::new(node),
            keys,
            left,
            right,
            run: None,
            matched: Vec::new(),
            given: 0,
            charged: 0,
        }
    }

    pub(in crate::exec) async fn next_batch<D: Database>(
        &mut self,
        context: &mut Context<'_, D>,
        wanted: usize,
    ) -> SqlResult<Option<Batch>> {
        loop {
            context.check_cancel()?;
            yield_now().await;
            let join_type = self.pairing.node.join_type;
            let (found, next) = self.candidates(join_type);
            if !found.left.is_empty() || !found.ended.is_empty() {
                return self.join(found, join_type, context).await.map(|rows| Some(Batch::Columns(rows)));
            }
            let is_over = match next {
                Next::Found => false,
                Next::End => true,
                Next::ReadLeft => !self.read_left(context, wanted).await?,
                Next::ReadRight => {
                    if let Some(unmatched) = self.unmatched(self.right.at) {
                        return Ok(Some(Batch::Columns(unmatched)));
                    }
                    self.read_right(context).await?;
                    false
                }
            };
            if is_over {
                // What is left of the right matches nothing.
                if let Some(unmatched) = self.unmatched(self.right.rows.len) {
                    return Ok(Some(Batch::Columns(unmatched)));
                }
                if self.right.is_last || !join_type.keeps_right() {
                    self.let_go(context);
                    return Ok(None);
                }
                (self.right.at, self.run) = (self.right.rows.len, None);
                self.read_right(context).await?;
            }
        }
    }

    /// The next pairs, a batch of them at most, as far as they can be told from what is in hand.
    fn candidates(&mut self, join_type: JoinType) -> (Candidates, Next) {
        let mut room = Room::new(self.left.row_len_max, self.right.row_len_max);
        let mut found = Candidates::default();
        while !room.is_full() && found.ended.len() < COLUMNS_ROWS {
            if self.left.is_out() {
                return (found, Next::ReadLeft);
            }
            if self.keys.iter().any(|key| self.left.is_null(key.left, self.left.at)) {
                self.pass_left(join_type, &mut found);
                continue;
            }
            let Some(run) = self.run else {
                if self.right.is_out() {
                    match () {
                        _ if !self.right.is_last => return (found, Next::ReadRight),
                        _ if !join_type.keeps_left() => return (found, Next::End),
                        _ => self.pass_left(join_type, &mut found),
                    }
                } else {
                    self.pass_one(join_type, &mut found);
                }
                continue;
            };
            if !run.is_whole {
                if !self.extend(run) {
                    return (found, Next::ReadRight);
                }
            } else if !run.is_met {
                match self.compare() {
                    Ordering::Equal => self.run = Some(Run { is_met: true, next: self.right.at, ..run }),
                    _ => (self.right.at, self.run) = (run.end, None),
                }
            } else {
                self.pair(run, &mut room, &mut found, join_type);
            }
        }
        (found, Next::Found)
    }

    /// The left's row in hand has no other candidates.
    fn pass_left(&mut self, join_type: JoinType, found: &mut Candidates) {
        if join_type.keeps_left() {
            found.ended.push(number(self.left.at));
        }
        self.left.at += 1;
    }

    /// Lets pass whichever of the rows in hand comes first. If they are equal, a run begins.
    fn pass_one(&mut self, join_type: JoinType, found: &mut Candidates) {
        if self.keys.iter().any(|key| self.right.is_null(key.right, self.right.at)) {
            self.right.at += 1;
            return;
        }
        match self.compare() {
            Ordering::Less => self.pass_left(join_type, found),
            Ordering::Greater => self.right.at += 1,
            Ordering::Equal if join_type.has_right() => {
                let (end, next) = (self.right.at + 1, self.right.at);
                self.run = Some(Run { end, is_whole: false, is_met: true, next });
            }
            // One match is as good as many.
            Ordering::Equal => {
                if join_type == JoinType::Semi {
                    found.left.push(number(self.left.at));
                }
                self.left.at += 1;
            }
        }
    }

    /// How the left's row in hand comes to that of the right.
    fn compare(&self) -> Ordering {
        for key in &self.keys {
            let columns = (self.left.rows.columns.get(key.left), self.right.rows.columns.get(key.right));
            let (Some(left), Some(right)) = columns else { continue };
            let order = left.order_to(self.left.at, right, self.right.at);
            if order.is_ne() {
                return if key.descending { order.reverse() } else { order };
            }
        }
        Ordering::Equal
    }

    /// Looks for the end of the run; whether it has been found.
    fn extend(&mut self, mut run: Run) -> bool {
        let at = self.right.at;
        let is_same = |end: usize| {
            let columns = self.keys.iter().filter_map(|key| self.right.rows.columns.get(key.right));
            columns.into_iter().all(|column| !column.is_null(end) && column.order(at, end).is_eq())
        };
        while run.end < self.right.rows.len && is_same(run.end) {
            run.end += 1;
        }
        run.is_whole = run.end < self.right.rows.len || self.right.is_last;
        self.run = Some(run);
        run.is_whole
    }

    /// Pairs the left's row in hand with those of the run.
    fn pair(&mut self, mut run: Run, room: &mut Room, found: &mut Candidates, join_type: JoinType) {
        let start = run.next;
        while run.next < run.end && !room.is_full() {
            room.take(|| self.left.rows.row_len(self.left.at) + self.right.rows.row_len(run.next));
            run.next += 1;
        }
        found.right.extend(numbers(start..run.next));
        found.left.resize(found.right.len(), number(self.left.at));
        if run.next == run.end {
            run.is_met = false;
            self.pass_left(join_type, found);
        }
        self.run = Some(run);
    }

    /// The rows that are made of what was found.
    async fn join<D: Database>(
        &mut self,
        found: Candidates,
        join_type: JoinType,
        context: &mut Context<'_, D>,
    ) -> SqlResult<Columns> {
        let left = &self.left.rows;
        match join_type {
            JoinType::Semi => Ok(left.gather(&found.left)),
            JoinType::Anti => Ok(left.gather(&found.ended)),
            _ => self.pairing.join(found, left, &self.right.rows, &mut self.matched, context).await,
        }
    }

    /// Takes the next rows of the left in hand, all others having passed; whether there are any.
    async fn read_left<D: Database>(
        &mut self,
        context: &mut Context<'_, D>,
        wanted: usize,
    ) -> SqlResult<bool> {
        if !self.left.is_last {
            match self.left_input.next_columns(context, wanted).await? {
                None => self.left.is_last = true,
                Some(rows) => {
                    self.left.row_len_max = rows.row_len_max();
                    (self.left.rows, self.left.at) = (rows, 0);
                }
            }
        }
        Ok(!self.left.is_last)
    }

    /// Lets go of the right's rows that have passed, and takes the next ones in hand, behind those that have not.
    async fn read_right<D: Database>(&mut self, context: &mut Context<'_, D>) -> SqlResult<()> {
        let Some(batch) = self.right_input.next_batch(context).await? else {
            self.right.is_last = true;
            return Ok(());
        };
        let width = self.pairing.node.right.width();
        let more = batch.into_columns(width);
        let len_more = more.len_gathered();
        let row_len_max = more.row_len_max();
        let passed = core::mem::take(&mut self.right.at);
        let mut rows = core::mem::replace(&mut self.right.rows, Columns { len: 0, columns: Vec::new() });
        let are_left = passed < rows.len;
        if passed > 0 {
            context.budget.refund(core::mem::take(&mut self.charged));
            if are_left {
                rows.keep(&numbers(passed..rows.len).collect::<Vec<u32>>());
                self.charge(rows.len_gathered(), context)?;
            }
        }
        self.charge(len_more, context)?;
        if are_left {
            let mut all = Gathered::new(width);
            all.append(rows);
            all.append(more);
            self.right.rows = all.finish();
            self.right.row_len_max = row_len_max.max(self.right.row_len_max);
        } else {
            (self.right.rows, self.right.row_len_max) = (more, row_len_max);
        }
        if self.pairing.node.join_type.keeps_right() {
            self.matched.drain(..passed);
            self.matched.resize(self.right.rows.len, false);
            self.given -= passed;
        }
        if let Some(run) = &mut self.run {
            (run.end, run.next) = (run.end - passed, run.next - passed);
        }
        Ok(())
    }

    /// Charges for so many bytes of the right.
    fn charge<D: Database>(&mut self, len: usize, context: &mut Context<'_, D>) -> SqlResult<()> {
        context.budget.charge(len)?;
        self.charged += len;
        Ok(())
    }

    /// Lets go of the right: it is over.
    fn let_go<D: Database>(&mut self, context: &mut Context<'_, D>) {
        (self.right.rows, self.right.at, self.run) = (Columns { len: 0, columns: Vec::new() }, 0, None);
        self.right.is_last = true;
        context.budget.refund(core::mem::take(&mut self.charged));
    }

    /// The next rows of the right up to that at `end` that have matched nothing, if they are asked for and there are any.
    fn unmatched(&mut self, end: usize) -> Option<Columns> {
        if !self.pairing.node.join_type.keeps_right() {
            return None;
        }
        let Range { start, end } = numbers(self.given..end);
        let is_unmatched = |row: &u32| self.matched.get(*row as usize) == Some(&false);
        let given = &mut self.given;
        let mut rows = (start..end).filter(is_unmatched).inspect(|row| *given = *row as usize + 1);
        let unmatched = self.right.rows.gather_next(&mut rows);
        if unmatched.is_none() {
            self.given = end as usize;
        }
        unmatched.map(|right| behind_nulls(self.pairing.node.left.width(), right))
    }
}
