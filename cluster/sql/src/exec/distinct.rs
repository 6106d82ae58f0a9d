//! `DISTINCT`, `INTERSECT` and `EXCEPT`: rows that are the same as others.

use alloc::sync::Arc;
use alloc::vec::Vec;

use hashbrown::{HashMap, HashSet};

use super::{Context, Cursor};
use crate::ast::SetOperator;
use crate::batch::{Batch, Columns, put_form};
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
    values.into_iter().for_each(|datum| key::write(datum, KeyOrder::Ascending, &mut bytes));
    bytes
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
        wanted: usize,
    ) -> SqlResult<Option<Batch>> {
        let Some(batch) = self.input.next_wanted(context, wanted).await? else { return Ok(None) };
        let mut columns = batch.into_columns(self.node.input.width());
        let mut charged = 0;
        let (mut kept, mut form) = (Vec::new(), Vec::new());
        for (row, at) in (0..).zip(0..columns.len) {
            let values = self.node.columns.iter().filter_map(|column| columns.columns.get(*column));
            put_form(values, at, &mut form);
            if !self.seen.contains(&form) {
                charged += form.len() + ENTRY_LEN;
                self.seen.insert(form.clone());
                kept.push(row);
            }
        }
        context.budget.charge(charged)?;
        columns.keep(&kept);
        Ok(Some(Batch::Columns(columns)))
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
        wanted: usize,
    ) -> SqlResult<Option<Batch>> {
        let right = match &mut self.right {
            Some(right) => right,
            None => self.right.insert(counted(&self.node, context).await?),
        };
        let Some(batch) = self.left.next_wanted(context, wanted).await? else { return Ok(None) };
        let mut columns = batch.into_columns(self.node.left.width());
        let mut charged = 0;
        let mut kept = Vec::new();
        for (row, at) in (0..).zip(0..columns.len) {
            let form = form_at(&columns, at);
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
            let len = form.len() + ENTRY_LEN;
            let is_new = is_wanted && !self.node.all && self.given.insert(form);
            charged += if is_new { len } else { 0 };
            if is_new || is_wanted && self.node.all {
                kept.push(row);
            }
        }
        context.budget.charge(charged)?;
        columns.keep(&kept);
        Ok(Some(Batch::Columns(columns)))
    }
}

/// Bytes that are equal for rows that are the same.
fn form_at(columns: &Columns, at: usize) -> Vec<u8> {
    let mut form = Vec::new();
    put_form(&columns.columns, at, &mut form);
    form
}

async fn counted<D: Database>(node: &Set, context: &mut Context<'_, D>) -> SqlResult<HashMap<Vec<u8>, u64>> {
    let mut cursor = Cursor::open(&node.right);
    let mut counts: HashMap<Vec<u8>, u64> = HashMap::new();
    while let Some(batch) = cursor.next_batch(context).await? {
        let columns = batch.into_columns(node.right.width());
        for at in 0..columns.len {
            let form = form_at(&columns, at);
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
