//! Filters of tables become ranges of keys, and the order of keys saves sorting.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::access::Access;
use crate::catalog::{IndexKey, IndexValue, StoredTable};
use crate::error::SqlResult;
use crate::expr::Expr;
use crate::plan::rel::{Rel, Scan, Sort, SortKey};

pub(super) fn plan_access(rel: Rel) -> SqlResult<Rel> {
    let rel = rel.map_inputs(&mut plan_access)?;
    Ok(match rel {
        Rel::Scan(node) => {
            let mut scan = Arc::unwrap_or_clone(node);
            scan.access = Access::plan(&scan.table, scan.filter.as_ref());
            Rel::Scan(Arc::new(scan))
        }
        Rel::Sort(node) => {
            let Sort { mut input, keys, top } = Arc::unwrap_or_clone(node);
            if in_order(&mut input, keys.clone()) {
                return Ok(input);
            }
            Rel::Sort(Arc::new(Sort { input, keys, top }))
        }
        other => other,
    })
}

/// Whether the rows of `rel` come in the order of `keys`; if only the direction of a scan stands against it, that is
/// turned.
fn in_order(rel: &mut Rel, keys: Vec<SortKey>) -> bool {
    match rel {
        Rel::Filter(node) => in_order(&mut Arc::make_mut(node).input, keys),
        Rel::Project(node) => {
            let node = Arc::make_mut(node);
            let below = |key: &SortKey| match node.outputs.get(key.column) {
                Some(Expr::Column(column)) => Some(SortKey { column: *column, ..*key }),
                _ => None,
            };
            match keys.iter().map(below).collect::<Option<Vec<SortKey>>>() {
                Some(keys) => in_order(&mut node.input, keys),
                None => false,
            }
        }
        Rel::Scan(node) => {
            let scan: &mut Scan = Arc::make_mut(node);
            match sorted_by_key(&keys, &scan.table, &scan.access) {
                Some(descending) => {
                    scan.backward = descending;
                    true
                }
                None => false,
            }
        }
        _ => false,
    }
}

/// Whether the keys' order is the one wanted: forwards or, if true, backwards.
fn sorted_by_key(sort: &[SortKey], table: &StoredTable, access: &Access) -> Option<bool> {
    let descending = sort.first()?.descending;
    let fixed = access.fixed_columns();
    let index = access.index.and_then(|index| table.descriptor.indexes.get(index));
    // A key that is an expression is no column to sort by: what it would be compared with is never equal to it.
    let columns: Vec<usize> = match index {
        None => table.descriptor.primary_key.iter().map(|column| usize::from(*column)).collect(),
        Some(index) => index.keys.iter().map(column_of).collect(),
    };
    let mut key = columns.into_iter().enumerate().peekable();
    for sort in sort {
        // Columns fixed by the filter are in any order.
        while key.next_if(|(index, next)| *index < fixed && *next != sort.column).is_some() {}
        let (_, next) = key.next()?;
        if next != sort.column || sort.descending != descending {
            return None;
        }
        // Keys have NULL last, so that it comes first backwards.
        let has_nulls = table.descriptor.columns.get(next).is_none_or(|column| !column.not_null);
        if has_nulls && sort.nulls_first != descending {
            return None;
        }
    }
    Some(descending)
}

fn column_of(key: &IndexKey) -> usize {
    match key.value {
        IndexValue::Column(column) => usize::from(column),
        IndexValue::Expression(_) => usize::MAX,
    }
}
