//! `DISTINCT`, `INTERSECT` and `EXCEPT`: rows that are the same as others.

use alloc::sync::Arc;
use alloc::vec::Vec;

use hashbrown::{HashMap, HashSet};

use super::{Context, Cursor, Row};
use crate::ast::SetOperator;
use crate::database::Database;
use crate::error::SqlResult;
use crate::key::{self, KeyOrder};
use crate::plan::rel::{Distinct, Set};
use crate::types::Datum;

/// About what an entry of a set takes besides its bytes.
const ENTRY_LEN: usize = 48;

/// Bytes that are equal for values that are the same, NULL being the same as NULL.
pub(super) fn same_form<'a>(values: impl IntoIterator<Item = &'a Datum>) -> Vec<u8> {
    let mut bytes = Vec::new();
    values.into_iter().for_each(|datum| write_same_form(datum, &mut bytes));
    bytes
}

/// Appends such bytes of one value.
pub(super) fn write_same_form(value: &Datum, bytes: &mut Vec<u8>) {
    key::write(value, KeyOrder::Ascending, bytes);
}

/// The first of the rows that are the same.
pub(crate) struct DistinctCursor {
    node: Arc<Distinct>,
    input: Cursor,
    seen: HashSet<Vec<u8>>,
}

impl DistinctCursor {
    pub(super) fn new(node: Arc<Distinct>) -> DistinctCursor {
        DistinctCursor { input: Cursor::open(&node.input), node, seen: HashSet::new() }
    }

    pub(super) async fn next_batch<D: Database>(
        &mut self,
        context: &mut Context<'_, D>,
    ) -> SqlResult<Option<Vec<Row>>> {
        let Some(mut rows) = self.input.next_batch(context).await? else { return Ok(None) };
        let mut charged = 0;
        rows.retain(|row| {
            let values = self.node.columns.iter().filter_map(|column| row.get(*column));
            let form = same_form(values);
            let len = form.len() + ENTRY_LEN;
            let is_new = self.seen.insert(form);
            charged += if is_new { len } else { 0 };
            is_new
        });
        context.budget.charge(charged)?;
        Ok(Some(rows))
    }
}

/// `INTERSECT` or `EXCEPT` in progress.
pub(crate) struct SetCursor {
    node: Arc<Set>,
    left: Cursor,
    /// How often the right has each row, once it has been read.
    right: Option<HashMap<Vec<u8>, u64>>,
    /// What has been given already, if each row is given once.
    given: HashSet<Vec<u8>>,
}

impl SetCursor {
    pub(super) fn new(node: Arc<Set>) -> SetCursor {
        SetCursor { left: Cursor::open(&node.left), node, right: None, given: HashSet::new() }
    }

    pub(super) async fn next_batch<D: Database>(
        &mut self,
        context: &mut Context<'_, D>,
    ) -> SqlResult<Option<Vec<Row>>> {
        let right = match &mut self.right {
            Some(right) => right,
            None => self.right.insert(counted(&self.node, context).await?),
        };
        let Some(mut rows) = self.left.next_batch(context).await? else { return Ok(None) };
        let mut charged = 0;
        rows.retain(|row| {
            let form = same_form(row);
            let count = right.get_mut(&form).filter(|count| **count > 0);
            let is_wanted = match (self.node.operator, count) {
                (SetOperator::Intersect, Some(count)) | (SetOperator::Except, Some(count)) => {
                    // With ALL, each row of the right stands for one of the left.
                    *count -= u64::from(self.node.all);
                    self.node.operator == SetOperator::Intersect
                }
                (operator, None) => operator == SetOperator::Except,
                (SetOperator::Union, _) => true,
            };
            if !is_wanted || self.node.all {
                return is_wanted;
            }
            let len = form.len() + ENTRY_LEN;
            let is_new = self.given.insert(form);
            charged += if is_new { len } else { 0 };
            is_new
        });
        context.budget.charge(charged)?;
        Ok(Some(rows))
    }
}

async fn counted<D: Database>(node: &Set, context: &mut Context<'_, D>) -> SqlResult<HashMap<Vec<u8>, u64>> {
    let mut cursor = Cursor::open(&node.right);
    let mut counts: HashMap<Vec<u8>, u64> = HashMap::new();
    while let Some(rows) = cursor.next_batch(context).await? {
        for row in rows {
            let form = same_form(&row);
            let len = form.len() + ENTRY_LEN;
            let count = counts.entry(form).or_insert(0);
            if *count == 0 {
                context.budget.charge(len)?;
            }
            *count += 1;
        }
    }
    Ok(counts)
}
