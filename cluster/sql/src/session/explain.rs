//! `EXPLAIN`, and `EXPLAIN ANALYZE`.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_store::Transaction;

use super::run::current_plan;
use super::{Cursor, Mode, Outcome, Prepared, Session, Tag};
use crate::database::{Database, Freshness};
use crate::error::SqlResult;
use crate::eval::Env;
use crate::exec::{self, Budget, Context};
use crate::memo::Memo;
use crate::plan::{Plan, Planned, Rel, explain, reset};
use crate::types::Datum;

impl<D: Database> Session<D> {
    /// Shows the plan. With `ANALYZE`, the statement is done first and its rows are dropped. Times are those of the node's
    /// clock, which goes on when others have had their turn: only what takes long is told apart.
    pub(super) async fn explain(
        &mut self,
        prepared: &Prepared,
        params: Vec<Datum>,
        mode: Mode,
    ) -> SqlResult<Outcome> {
        let mut planned = prepared.planned.clone();
        let mut totals = Vec::new();
        if let Plan::Explain(explained) = &planned.plan
            && explained.analyze
        {
            let since = self.database.wall_micros();
            if matches!(explained.plan, Plan::Query(_)) {
                let peak;
                (planned, peak) = self.measure_query(prepared, &params, mode).await?;
                totals.push(format!("Memory: {} kB", peak.div_ceil(1024)));
            } else {
                reset(&explained.plan);
                self.write(prepared, &params, mode).await?;
                planned = prepared.latest();
            }
            let micros = self.database.wall_micros().saturating_sub(since);
            totals.push(format!("Execution time: {}.{:03} ms", micros / 1000, micros % 1000));
        }
        let mut lines: Vec<String> = Vec::new();
        if let Plan::Explain(explained) = &planned.plan {
            lines.extend(explained.passes.iter().cloned());
            if !explained.passes.is_empty() {
                lines.push("-- prune".into());
            }
            lines.extend(explain(&explained.plan));
        }
        lines.extend(totals);
        let rows = lines.into_iter().map(|line| [Datum::Text(line)].into()).collect();
        let columns = prepared.planned.columns.clone().unwrap_or_default();
        Ok(Outcome::Rows(Cursor::ready(
            rows,
            columns,
            |_| Tag::Explain,
            0,
            Budget::new(self.database.memory()),
        )))
    }

    /// Runs a query for nothing but its counters. Returns the plan that was run, and the most memory that it held.
    async fn measure_query(
        &mut self,
        prepared: &Prepared,
        params: &[Datum],
        mode: Mode,
    ) -> SqlResult<(Arc<Planned>, usize)> {
        let Session { database, state, facts, cancel, .. } = self;
        let mut own;
        let transaction = if mode.alone && !state.is_block() {
            let snapshot = database.snapshot(Freshness::Linearizable).await?;
            own = Transaction::reading(snapshot, database.memory().lease());
            &mut own
        } else {
            state.transaction(database).await?
        };
        let planned = current_plan(prepared, transaction, database, mode, &facts.path).await?;
        let memo = Memo::default();
        let env = Env::new(params, facts, &memo);
        let mut budget = Budget::new(database.memory());
        let mut context = Context { database: &*database, transaction, env, cancel, budget: &mut budget };
        let rel = match &planned.plan {
            Plan::Explain(explained) => {
                reset(&explained.plan);
                match &explained.plan {
                    Plan::Query(rel) => rel,
                    _ => &Rel::Row,
                }
            }
            _ => &Rel::Row,
        };
        let mut cursor = exec::Cursor::open(rel);
        let mut peak = 0;
        while cursor.next_batch(&mut context).await?.is_some() {
            peak = peak.max(context.budget.in_use());
        }
        Ok((planned, peak))
    }
}
