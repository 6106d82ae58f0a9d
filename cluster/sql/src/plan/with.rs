//! `WITH` around statements that change tables.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::planner::{Named, NamedOrigin, Planner};
use super::query::{check_unnamed, plan_cte, rename};
use super::rel::{Rel, RunId};
use super::{OutputColumn, Plan, plan_with};
use crate::ast::{Cte, With, WithItem, visit};
use crate::error::{SqlError, SqlResult};

/// Statements that see the same rows, those that were there before any of them, and what those before them return.
#[derive(Debug)]
pub(crate) struct WithPlan {
    pub(crate) parts: Vec<Part>,
    pub(crate) last: Plan,
}

/// A statement that `WITH` names.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    /// Where others find what it returns.
    pub(crate) id: RunId,
    pub(crate) plan: Plan,
}

/// A statement that calls what may change tables: it reads what was there before, and is run once and to its end.
pub(super) fn apart(plan: Plan) -> SqlResult<Plan> {
    match plan {
        Plan::Query(_) | Plan::Insert(_) | Plan::Update(_) | Plan::Delete(_) => {
            Ok(Plan::With(Box::new(WithPlan { parts: Vec::new(), last: plan })))
        }
        Plan::With(_) => Ok(plan),
        Plan::Explain(mut explained) => {
            explained.plan = apart(explained.plan)?;
            Ok(Plan::Explain(explained))
        }
        Plan::End(_) | Plan::CopyIn(_) | Plan::CopyOut(..) | Plan::Direct => {
            Err(SqlError::not_supported("a call of a VOLATILE function in this statement"))
        }
    }
}

pub(super) fn plan_with_clause(
    with: &With,
    planner: &mut Planner,
) -> SqlResult<(Plan, Option<Vec<OutputColumn>>)> {
    let first = planner.named.len();
    let mut plan = || {
        let mut parts = Vec::new();
        for (at, item) in with.items.iter().enumerate() {
            match item {
                WithItem::Query(cte) => {
                    plan_cte(cte, with.recursive, first, planner)?;
                    // Each part is planned to its end before the next is looked at: that others read the query, too, is to
                    // be known to the first.
                    if let Some(uses) = planner.uses.last_mut() {
                        *uses = reads_behind(at, cte, with).saturating_sub(1);
                    }
                }
                WithItem::Change { name, columns, statement } => {
                    check_unnamed(name, first, planner)?;
                    let (plan, returned) = plan_with(statement, planner)?;
                    let columns = rename(name, returned.unwrap_or_default(), columns)?;
                    let id = RunId(planner.next_id());
                    planner.named.push(Named {
                        name: name.clone(),
                        rel: Rel::Working(id, columns.len()),
                        columns,
                        depth: planner.levels.len(),
                        depends: false,
                        origin: NamedOrigin::Change,
                    });
                    parts.push(Part { name: name.clone(), id, plan });
                }
            }
        }
        let (last, columns) = plan_with(&with.statement, planner)?;
        let plan = if parts.is_empty() { last } else { Plan::With(Box::new(WithPlan { parts, last })) };
        Ok((plan, columns))
    };
    let planned = plan();
    planner.named.truncate(first);
    planned
}

/// How often what stands behind `cte`, which is item `at`, may read it.
fn reads_behind(at: usize, cte: &Cte, with: &With) -> usize {
    let mut reads = 0;
    let mut count = |name: visit::Name<'_>| reads += usize::from(name.may_be_query(&cte.name));
    with.items.iter().skip(at + 1).for_each(|item| visit::of_with_item(item, &mut count));
    visit::names(&with.statement, &mut count);
    reads
}
