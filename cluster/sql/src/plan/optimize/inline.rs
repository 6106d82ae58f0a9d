//! What `WITH` names and one place reads becomes part of that place.

use alloc::sync::Arc;

use crate::error::SqlResult;
use crate::plan::rel::Rel;

pub(super) fn inline(rel: Rel, uses: &[usize]) -> SqlResult<Rel> {
    let rel = match rel {
        Rel::Shared(shared) if uses.get(shared.id.0).is_none_or(|uses| *uses <= 1) => {
            return inline(Arc::unwrap_or_clone(shared).input, uses);
        }
        other => other,
    };
    rel.map_inputs(&mut |input| inline(input, uses))
}
