//! Joins: the right is kept in memory, by what must be equal, and the left passes by.
//!
//! A batch of the left becomes pairs of rows, its own and those of the right that may match, a bounded number at a time; what
//! else must hold is evaluated for all of them, and what they consist of is gathered for those that are left.

use alloc::borrow::Cow;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use cluster_store::yield_now;
use hashbrown::HashMap;

use super::{Budget, Context, Cursor};
use crate::batch::{BATCH_LEN_MAX, Batch, COLUMNS_ROWS, Column, Columns, Gathered, NO_ROW, Words, numbers};
use crate::database::Database;
use crate::error::SqlResult;
use crate::plan::rel::{Join, JoinType};
use crate::types::Datum;

/// A join in progress.
pub(crate) struct JoinCursor {
    node: Arc<Join>,
    /// Which columns of both the condition looks at.
    seen: Vec<bool>,
    left: Cursor,
    /// So many rows of the left are asked for next, at least: those before have given too few.
    asked: usize,
    /// The right, once it has been read.
    table: Option<Table>,
    current: Option<Current>,
    /// The next row of the right that may have matched nothing, once the left is at its end.
    unmatched: Option<u32>,
}

/// The right's rows.
struct Table {
    columns: Columns,
    row_len_max: usize,
    last: Index,
    /// For each row the one before it that is compared alike; none if nothing must be equal.
    before: Vec<u32>,
    /// Which have matched, if that matters in the end.
    matched: Vec<bool>,
}

/// The last row of those that are compared alike.
enum Index {
    /// By an integer.
    Words(HashMap<i64, u32>),
    /// By bytes that are equal for values that compare equal.
    Forms(HashMap<Vec<u8>, u32>),
}

/// About what an entry takes of either kind, of the latter besides its bytes.
const WORD_ENTRY_LEN: usize = 24;
const FORM_ENTRY_LEN: usize = 48;

/// A batch of the left, and how far its matches have been looked for.
struct Current {
    columns: Columns,
    row_len_max: usize,
    /// For each row, the last one that may match.
    last: Vec<u32>,
    /// The row in hand, and the next one that may match.
    row: usize,
    next: u32,
    /// Whether it has matched already.
    matched: bool,
}

/// Rows of the left, each with one of the right that may match; and those of the left that have no others, in order.
#[derive(Default)]
struct Candidates {
    left: Vec<u32>,
    right: Vec<u32>,
    ended: Vec<u32>,
}

impl JoinCursor {
    pub(super) fn new(node: Arc<Join>) -> JoinCursor {
        let mut seen = vec![false; node.left.width() + node.right.width()];
        node.condition.iter().for_each(|condition| {
            condition.for_each_column(&mut |column| {
                if let Some(seen) = seen.get_mut(column) {
                    *seen = true;
                }
            });
        });
        let left = Cursor::open(&node.left);
        JoinCursor { left, node, seen, asked: 1, table: None, current: None, unmatched: None }
    }

    pub(super) async fn next_batch<D: Database>(
        &mut self,
        context: &mut Context<'_, D>,
        wanted: usize,
    ) -> SqlResult<Option<Batch>> {
        context.check_cancel()?;
        yield_now().await;
        let node = self.node.clone();
        let table = match &mut self.table {
            Some(table) => table,
            None => self.table.insert(build(&node, context).await?),
        };
        if let Some(next) = &mut self.unmatched {
            return Ok(table.unmatched(next, node.left.width()).map(Batch::Columns));
        }
        let asked = wanted.max(self.asked);
        let current = match &mut self.current {
            Some(current) => current,
            None => match self.left.next_wanted(context, asked).await? {
                Some(batch) => {
                    self.asked = (2 * self.asked).min(COLUMNS_ROWS);
                    let columns = batch.into_columns(node.left.width());
                    self.current.insert(table.look_up(columns, &node, context).await?)
                }
                None => {
                    if !matches!(node.join_type, JoinType::Right | JoinType::Full) {
                        return Ok(None);
                    }
                    self.unmatched = Some(0);
                    return Ok(Some(Batch::Rows(Vec::new())));
                }
            },
        };
        let candidates = current.candidates(table, &node);
        let joined = current.join(candidates, table, &node, &self.seen, context).await?;
        if current.row >= current.columns.len {
            self.current = None;
        }
        Ok(Some(Batch::Columns(joined)))
    }
}

impl Current {
    /// The next pairs, a batch of them at most.
    fn candidates(&mut self, table: &Table, node: &Join) -> Candidates {
        // One match is as good as many.
        let is_first_enough = !node.join_type.has_right() && node.condition.is_none();
        // A long row may be in as many pairs as there are matches.
        let is_long = (self.row_len_max + table.row_len_max) * COLUMNS_ROWS > BATCH_LEN_MAX;
        let mut len = 0;
        let mut found = Candidates::default();
        if self.matched && !node.join_type.has_right() {
            // Nor does it matter what else the row in hand would match.
            self.next = NO_ROW;
        }
        while self.row < self.columns.len
            && found.left.len() + found.ended.len() < COLUMNS_ROWS
            && len < BATCH_LEN_MAX
        {
            let row = u32::try_from(self.row).unwrap_or(NO_ROW);
            let row_len = if is_long { self.columns.row_len(self.row) } else { 0 };
            while self.next != NO_ROW && found.left.len() < COLUMNS_ROWS && len < BATCH_LEN_MAX {
                found.left.push(row);
                found.right.push(self.next);
                if is_long {
                    len += row_len + table.columns.row_len(self.next as usize);
                }
                self.next = if is_first_enough { NO_ROW } else { table.before(self.next) };
            }
            if self.next == NO_ROW {
                found.ended.push(row);
                self.row += 1;
                self.next = self.last.get(self.row).copied().unwrap_or(NO_ROW);
            }
        }
        found
    }

    /// The rows that `candidates` make.
    async fn join<D: Database>(
        &mut self,
        mut candidates: Candidates,
        table: &mut Table,
        node: &Join,
        seen: &[bool],
        context: &mut Context<'_, D>,
    ) -> SqlResult<Columns> {
        if let Some(condition) = &node.condition {
            let is_seen = |column: usize| seen.get(column).copied().unwrap_or(false);
            let both = self.gather(&candidates.left, &candidates.right, table, is_seen);
            let kept = context.select(Some(condition), &both, 0..both.len).await?;
            let pick = |rows: &[u32]| kept.iter().filter_map(|at| rows.get(*at as usize).copied()).collect();
            (candidates.left, candidates.right) = (pick(&candidates.left), pick(&candidates.right));
        }
        for row in &candidates.right {
            if let Some(matched) = table.matched.get_mut(*row as usize) {
                *matched = true;
            }
        }
        if !matches!(node.join_type, JoinType::Inner | JoinType::Right) {
            candidates = self.settle(candidates, node.join_type);
        }
        Ok(match node.join_type.has_right() {
            true => self.gather(&candidates.left, &candidates.right, table, |_| true),
            false => self.columns.gather(&candidates.left),
        })
    }

    /// Of pairs that match, those that are given: once for each row of the left if it is just asked whether there are any, and
    /// those that match nothing if they are asked for.
    fn settle(&mut self, candidates: Candidates, join_type: JoinType) -> Candidates {
        let keeps_left = matches!(join_type, JoinType::Left | JoinType::Full | JoinType::Anti);
        let mut pairs = candidates.left.iter().zip(&candidates.right).peekable();
        let mut settled = Candidates::default();
        let mut ended = candidates.ended.iter().peekable();
        while let Some(row) = ended.peek().map(|row| **row).or_else(|| pairs.peek().map(|(left, _)| **left)) {
            while let Some((left, right)) = pairs.next_if(|(left, _)| **left == row) {
                let is_given = match join_type {
                    JoinType::Semi => !self.matched,
                    JoinType::Anti => false,
                    _ => true,
                };
                self.matched = true;
                if is_given {
                    settled.left.push(*left);
                    settled.right.push(*right);
                }
            }
            if ended.next_if(|ended| **ended == row).is_some() {
                if keeps_left && !self.matched {
                    settled.left.push(row);
                    settled.right.push(NO_ROW);
                }
                self.matched = false;
            }
        }
        settled
    }

    /// The columns of both, of these rows; NULL in those that are not `wanted`.
    fn gather(&self, left: &[u32], right: &[u32], table: &Table, wanted: impl Fn(usize) -> bool) -> Columns {
        let of_left = self.columns.columns.iter().map(|column| (column, left));
        let of_right = table.columns.columns.iter().map(|column| (column, right));
        let columns = of_left.chain(of_right).enumerate().map(|(at, (column, rows))| match wanted(at) {
            true => column.gather(rows),
            false => Column::Same(Datum::Null),
        });
        Columns { len: left.len(), columns: columns.collect() }
    }
}

impl Table {
    /// The one before `row` that may match what it may.
    fn before(&self, row: u32) -> u32 {
        match self.before.is_empty() {
            // All of them may.
            true => row.checked_sub(1).unwrap_or(NO_ROW),
            false => self.before.get(row as usize).copied().unwrap_or(NO_ROW),
        }
    }

    /// A batch of the left, with the last rows that may match its rows.
    async fn look_up<D: Database>(
        &self,
        columns: Columns,
        node: &Join,
        context: &mut Context<'_, D>,
    ) -> SqlResult<Current> {
        let last = if node.equal.is_empty() {
            let last = self.columns.len.checked_sub(1).and_then(|last| u32::try_from(last).ok());
            vec![last.unwrap_or(NO_ROW); columns.len]
        } else {
            let mut form = Vec::new();
            let mut all = Vec::with_capacity(columns.len);
            while all.len() < columns.len {
                let exprs = node.equal.iter().map(|(left, _)| left);
                let (keys, len) = context.compute(exprs, &columns, all.len()..columns.len).await?;
                all.extend((0..len).map(|at| match has_null(&keys, at) {
                    true => NO_ROW,
                    false => self.last.get(&keys, at, &mut form),
                }));
            }
            all
        };
        let next = last.first().copied().unwrap_or(NO_ROW);
        let row_len_max = columns.row_len_max();
        Ok(Current { columns, row_len_max, last, row: 0, next, matched: false })
    }

    /// The right's next rows that have matched nothing; none at the end.
    fn unmatched(&self, next: &mut u32, left_width: usize) -> Option<Columns> {
        let rest = self.matched.iter().zip(0..).skip(*next as usize);
        let mut rows =
            rest.filter(|(matched, _)| !**matched).map(|(_, row)| row).inspect(|row| *next = row + 1);
        let right = self.columns.gather_next(&mut rows)?;
        let left = (0..left_width).map(|_| Column::Same(Datum::Null));
        Some(Columns { len: right.len, columns: left.chain(right.columns).collect() })
    }
}

fn has_null(keys: &[Cow<'_, Column>], at: usize) -> bool {
    keys.iter().any(|key| key.is_null(at))
}

/// The integers that are looked for, if it is they.
fn integers<'a>(keys: &'a [Cow<'_, Column>]) -> Option<&'a Words> {
    match keys {
        [key] => match &**key {
            Column::Words(words) if words.kind.is_integer() => Some(words),
            _ => None,
        },
        _ => None,
    }
}

fn write_form(keys: &[Cow<'_, Column>], at: usize, form: &mut Vec<u8>) {
    form.clear();
    keys.iter().for_each(|key| key.write_comparable(at, form));
}

impl Index {
    /// The last row whose keys are those at `at`, none of which is NULL.
    fn get(&self, keys: &[Cow<'_, Column>], at: usize, form: &mut Vec<u8>) -> u32 {
        let found = match self {
            Index::Words(index) => match integers(keys) {
                Some(words) => words.get(at).and_then(|word| index.get(&word)),
                None => keys.first().and_then(|key| key.get(at).as_i64()).and_then(|word| index.get(&word)),
            },
            Index::Forms(index) => {
                write_form(keys, at, form);
                index.get(form)
            }
        };
        found.copied().unwrap_or(NO_ROW)
    }

    /// Notes `row`, whose keys are those at `at`. Returns the last one before it that has the same, and how many bytes of
    /// memory it takes.
    fn insert(&mut self, keys: &[Cow<'_, Column>], at: usize, row: u32) -> (u32, usize) {
        let (before, len) = match self {
            Index::Words(index) => match integers(keys).and_then(|words| words.get(at)) {
                Some(word) => (index.insert(word, row), WORD_ENTRY_LEN),
                None => (None, 0),
            },
            Index::Forms(index) => {
                let mut form = Vec::new();
                write_form(keys, at, &mut form);
                let len = form.len() + FORM_ENTRY_LEN;
                (index.insert(form, row), len)
            }
        };
        (before.unwrap_or(NO_ROW), len)
    }

    /// From here on, by bytes: the keys are not integers.
    fn by_forms(&mut self, budget: &mut Budget) -> SqlResult<()> {
        let Index::Words(index) = self else { return Ok(()) };
        let mut forms = HashMap::with_capacity(index.len());
        for (word, row) in index.iter() {
            let form = crate::memo::comparable_form(&[Datum::Int8(*word)]);
            budget.charge(form.len() + FORM_ENTRY_LEN - WORD_ENTRY_LEN)?;
            forms.insert(form, *row);
        }
        *self = Index::Forms(forms);
        Ok(())
    }
}

/// Reads the right.
async fn build<D: Database>(node: &Join, context: &mut Context<'_, D>) -> SqlResult<Table> {
    let width = node.right.width();
    let mut cursor = Cursor::open(&node.right);
    let keeps_right = matches!(node.join_type, JoinType::Right | JoinType::Full);
    let mut rows = Gathered::new(width);
    let (mut last, mut before) = (Index::Words(HashMap::new()), Vec::new());
    while let Some(batch) = cursor.next_batch(context).await? {
        let mut columns = batch.into_columns(width);
        let mut len = 0;
        if !node.equal.is_empty() {
            let (mut kept, mut start) = (Vec::with_capacity(columns.len), 0);
            while start < columns.len {
                let exprs = node.equal.iter().map(|(_, right)| right);
                let (keys, count) = context.compute(exprs, &columns, start..columns.len).await?;
                for (at, number) in numbers(start..start + count).enumerate() {
                    let is_findable = !has_null(&keys, at);
                    if is_findable {
                        if integers(&keys).is_none() {
                            last.by_forms(context.budget)?;
                        }
                        let (same, entry_len) =
                            last.insert(&keys, at, u32::try_from(before.len()).unwrap_or(NO_ROW));
                        before.push(same);
                        len += entry_len;
                    } else if keeps_right {
                        before.push(NO_ROW);
                    } else {
                        continue;
                    }
                    kept.push(number);
                }
                start += count;
            }
            columns.keep(&kept);
        }
        // And which row comes before each, and whether it has matched.
        len += columns.len * (size_of::<u32>() + 1);
        context.budget.charge(len + columns.len_gathered())?;
        rows.append(columns);
    }
    let columns = rows.finish();
    let matched = if keeps_right { vec![false; columns.len] } else { Vec::new() };
    let row_len_max = columns.row_len_max();
    Ok(Table { columns, row_len_max, last, before, matched })
}
