//! Running what changes tables: one statement, or several that see the same rows.
//!
//! Each of several statements is run once and to its end, one after the other. It reads what was there before the first of
//! them, and writes over what those before it have written; a row that one of these has changed it leaves alone. What rows
//! refer to is looked for behind the last of them.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;

use super::Context;
use super::change::{Changed, collect, run_delete, run_insert, run_update};
use super::deferred::settle_keys;
use super::foreign::References;
use crate::database::Database;
use crate::error::{SqlError, SqlResult};
use crate::plan::{Plan, Related, WithPlan};

/// Runs a statement that changes tables.
pub(crate) async fn run_change<D: Database>(plan: &Plan, context: &mut Context<'_, D>) -> SqlResult<Changed> {
    if let Plan::With(with) = plan {
        return run_parts(with, context).await;
    }
    let mut changed = run_part(plan, context).await?;
    let Some(related) = related(plan) else { return Ok(changed) };
    let unchecked = [(related.clone(), core::mem::take(&mut changed.references))];
    settle(unchecked.into(), context).await?;
    Ok(changed)
}

fn related(plan: &Plan) -> Option<&Arc<Related>> {
    match plan {
        Plan::Insert(plan) => Some(&plan.related),
        Plan::Update(plan) => Some(&plan.related),
        Plan::Delete(plan) => Some(&plan.related),
        _ => None,
    }
}

/// Runs one statement; what its rows refer to is not looked for.
fn run_part<'a, D: Database>(
    plan: &'a Plan,
    context: &'a mut Context<'_, D>,
) -> Pin<Box<dyn Future<Output = SqlResult<Changed>> + Send + 'a>> {
    Box::pin(async move {
        match plan {
            Plan::Insert(plan) => run_insert(plan, context).await,
            Plan::Update(plan) => run_update(plan, context).await,
            Plan::Delete(plan) => run_delete(plan, context).await,
            Plan::Query(rel) => {
                let returned = collect(rel, context).await?;
                Ok(Changed { count: returned.len() as u64, returned, ..Changed::default() })
            }
            _ => Err(SqlError::not_supported("this statement in WITH")),
        }
    })
}

async fn run_parts<D: Database>(with: &WithPlan, context: &mut Context<'_, D>) -> SqlResult<Changed> {
    context.transaction.begin_parts();
    let mut unchecked = Vec::new();
    let changed = run_each(with, &mut unchecked, context).await;
    context.transaction.end_parts();
    let changed = changed?;
    settle(unchecked, context).await?;
    Ok(changed)
}

/// The end of a statement: what its rows refer to is looked for, keys are checked, and triggers are called that wait for that.
async fn settle<D: Database>(
    unchecked: Vec<(Arc<Related>, References)>,
    context: &mut Context<'_, D>,
) -> SqlResult<()> {
    let mut called = Vec::with_capacity(unchecked.len());
    for (related, mut references) in unchecked {
        let fired = core::mem::take(&mut references.fired);
        references.check(true, &related, context).await?;
        called.push((related, fired));
    }
    settle_keys(true, context).await?;
    for (related, fired) in called {
        fired.end(&related, context).await?;
    }
    Ok(())
}

async fn run_each<D: Database>(
    with: &WithPlan,
    unchecked: &mut Vec<(Arc<Related>, References)>,
    context: &mut Context<'_, D>,
) -> SqlResult<Changed> {
    for part in &with.parts {
        let returned = run_one(&part.plan, unchecked, context).await?.returned;
        context.env.memo.note_working(part.id.0, Arc::new(returned));
    }
    run_one(&with.last, unchecked, context).await
}

async fn run_one<D: Database>(
    plan: &Plan,
    unchecked: &mut Vec<(Arc<Related>, References)>,
    context: &mut Context<'_, D>,
) -> SqlResult<Changed> {
    context.transaction.see_before();
    let mut changed = run_part(plan, context).await?;
    if let Some(related) = related(plan) {
        unchecked.push((related.clone(), core::mem::take(&mut changed.references)));
    }
    Ok(changed)
}
