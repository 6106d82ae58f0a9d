//! The right of a join, kept in memory by what must be equal.

use alloc::borrow::Cow;
use alloc::vec;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::pairs::{Candidates, Room};
use super::{Budget, Context, Cursor};
use crate::batch::{self, Column, Columns, Gathered, NO_ROW, Words, numbers};
use crate::database::Database;
use crate::error::SqlResult;
use crate::plan::rel::Join;
use crate::types::Datum;

/// The right's rows.
pub(super) struct Table {
    pub(super) columns: Columns,
    pub(super) row_len_max: usize,
    last: Index,
    /// For each row the one before it that is compared alike; none if nothing must be equal.
    before: Vec<u32>,
    /// Which have matched, if that matters in the end.
    pub(super) matched: Vec<bool>,
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

impl Table {
    /// The one before `row` that may match what it may.
    fn before(&self, row: u32) -> u32 {
        match self.before.is_empty() {
            // All of them may.
            true => row.checked_sub(1).unwrap_or(NO_ROW),
            false => self.before.get(row as usize).copied().unwrap_or(NO_ROW),
        }
    }

    /// Adds those that may match `row` of the left to what is found: `next` and what comes before it, `most` of them, as far as
    /// there is room. What comes then is `next`.
    pub(super) fn add_candidates(
        &self,
        left: &Columns,
        row: u32,
        next: &mut u32,
        most: usize,
        room: &mut Room,
        found: &mut Candidates,
    ) {
        let end = found.right.len().saturating_add(most);
        while *next != NO_ROW && found.right.len() < end && !room.is_full() {
            found.right.push(*next);
            room.take(|| left.row_len(row as usize) + self.columns.row_len(*next as usize));
            *next = self.before(*next);
        }
        found.left.resize(found.right.len(), row);
    }

    /// For each row of a batch of the left, the last one that may match it.
    pub(super) async fn look_up<D: Database>(
        &self,
        columns: &Columns,
        node: &Join,
        context: &mut Context<'_, D>,
    ) -> SqlResult<Vec<u32>> {
        if node.equal.is_empty() {
            let last = self.columns.len.checked_sub(1).and_then(|last| u32::try_from(last).ok());
            return Ok(vec![last.unwrap_or(NO_ROW); columns.len]);
        }
        let mut form = Vec::new();
        let mut all = Vec::with_capacity(columns.len);
        while all.len() < columns.len {
            let exprs = node.equal.iter().map(|(left, _)| left);
            let (keys, len) = context.compute(exprs, columns, all.len()..columns.len).await?;
            all.extend((0..len).map(|at| match has_null(&keys, at) {
                true => NO_ROW,
                false => self.last.get(&keys, at, &mut form),
            }));
        }
        Ok(all)
    }

    /// The right's next rows that have matched nothing, from `next` on; none at the end.
    pub(super) fn unmatched(&self, next: &mut u32, left_width: usize) -> Option<Columns> {
        let rest = self.matched.iter().zip(0..).skip(*next as usize);
        let mut rows =
            rest.filter(|(matched, _)| !**matched).map(|(_, row)| row).inspect(|row| *next = row + 1);
        Some(behind_nulls(left_width, self.columns.gather_next(&mut rows)?))
    }
}

/// Rows of the right that match nothing: the left's columns are NULL.
pub(super) fn behind_nulls(left_width: usize, right: Columns) -> Columns {
    let left = (0..left_width).map(|_| Column::Same(Datum::Null));
    Columns { len: right.len, columns: left.chain(right.columns).collect() }
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
    fn insert(
        &mut self,
        keys: &[Cow<'_, Column>],
        at: usize,
        row: u32,
        budget: &mut Budget,
    ) -> SqlResult<(u32, usize)> {
        if let Index::Words(index) = self {
            match integers(keys).and_then(|words| words.get(at)) {
                Some(word) => return Ok((index.insert(word, row).unwrap_or(NO_ROW), WORD_ENTRY_LEN)),
                None => self.by_forms(budget)?,
            }
        }
        let Index::Forms(index) = self else { return Ok((NO_ROW, 0)) };
        let mut form = Vec::new();
        write_form(keys, at, &mut form);
        let len = form.len() + FORM_ENTRY_LEN;
        Ok((index.insert(form, row).unwrap_or(NO_ROW), len))
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
pub(super) async fn build<D: Database>(node: &Join, context: &mut Context<'_, D>) -> SqlResult<Table> {
    let width = node.right.width();
    let mut cursor = Cursor::open(&node.right);
    let keeps_right = node.join_type.keeps_right();
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
                        let (same, entry_len) =
                            last.insert(&keys, at, batch::number(before.len()), context.budget)?;
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
