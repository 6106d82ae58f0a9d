//! Filters of tables become ranges of keys, and the order in which rows come saves sorting.

use alloc::sync::Arc;

use super::ordering::{Sorted, sorted_by, turn};
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
    match sorted_by(&sort.input, &sort.keys) {
        Sorted::AsTheyCome => {}
        Sorted::Backward => turn(&mut sort.input),
        Sorted::No => return Ok(Rel::Sort(Arc::new(sort))),
    }
    Ok(sort.input)
}
