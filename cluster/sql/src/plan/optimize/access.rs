//! Filters of tables become ranges of keys, and the order in which rows come saves sorting.

use alloc::sync::Arc;

use super::ordering::sort_by_reading;
use crate::access::Access;
use crate::error::SqlResult;
use crate::plan::rel::{Rel, Sort};

pub(super) fn plan_access(rel: Rel) -> SqlResult<Rel> {
    let rel = rel.map_inputs(&mut plan_access)?;
    Ok(match rel {
        Rel::Scan(node) => {
            let mut scan = Arc::unwrap_or_clone(node);
            scan.access = Access::plan(&scan.table, scan.filter.as_ref());
            Rel::Scan(Arc::new(scan))
        }
        other => other,
    })
}

pub(super) fn save_sorting(rel: Rel) -> SqlResult<Rel> {
    let rel = rel.map_inputs(&mut save_sorting)?;
    let Rel::Sort(node) = rel else { return Ok(rel) };
    let mut sort: Sort = Arc::unwrap_or_clone(node);
    match sort_by_reading(&mut sort.input, &sort.keys) {
        true => Ok(sort.input),
        false => Ok(Rel::Sort(Arc::new(sort))),
    }
}
