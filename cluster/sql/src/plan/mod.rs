//! What is to be done for a statement: names resolved, types known, keys found.
//!
//! Binding makes a logical plan ([`Rel`]) of the statement as it is written; the passes of [`optimize`] then make it
//! a better one that gives the same rows.

mod change;
mod copy;
mod explain;
mod from;
mod general;
mod group;
mod live;
mod name;
mod optimize;
mod planner;
mod query;
pub(crate) mod rel;
mod related;
mod relations;
mod rewrite;
mod routine;
mod select;
mod unroll;
mod with;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::RefCell;

pub(crate) use change::{Conflict, DeletePlan, InsertPlan, InsertRows, Returning, TargetRows, UpdatePlan};
pub(crate) use explain::{explain, reset};
pub(crate) use optimize::selectivity;
pub(crate) use planner::{Arguments, Level, Planner, Relations};
pub(crate) use query::{QueryPlan, plan_query};
pub(crate) use rel::Rel;
pub(crate) use related::{BoundTrigger, Child, Related, RelatedTable, bind_trigger, related_to};
pub(crate) use relations::{Relation, needs_tables, relations};
use relations::{add_related, find};
pub(crate) use unroll::gives_rows;
pub(crate) use with::WithPlan;

use cluster_store::Transaction;
use explain::rels_of;
use name::name_of;
use optimize::{optimize, weighs};

use crate::ast::{CopyFormat, Statement};
use crate::catalog::{self, StoredTable};
use crate::error::{SqlError, SqlResult};
use crate::expr::Expr;
use crate::function::{self, Function};
use crate::path::SearchPath;
use crate::types::DataType;

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Plan {
    Query(Rel),
    Insert(InsertPlan),
    Update(UpdatePlan),
    Delete(DeletePlan),
    /// `DELETE FROM sys.sessions`: the process ids of those that are to end.
    End(Rel),
    With(Box<WithPlan>),
    CopyIn(CopyInPlan),
    CopyOut(Rel, Vec<OutputColumn>, CopyFormat),
    Explain(Box<ExplainPlan>),
    /// Needs no plan.
    Direct,
}

/// `EXPLAIN`
#[derive(Debug)]
pub(crate) struct ExplainPlan {
    /// What is explained; measured, if it is to be done.
    pub(crate) plan: Plan,
    pub(crate) analyze: bool,
    /// The plan after each pass, in words.
    pub(crate) passes: Vec<String>,
}

/// `COPY FROM STDIN`
#[derive(Debug)]
pub(crate) struct CopyInPlan {
    pub(crate) table: Arc<StoredTable>,
    /// Which columns the fields are for.
    pub(crate) columns: Vec<usize>,
    pub(crate) format: CopyFormat,
    pub(crate) related: Arc<Related>,
}

/// A key, and the bytes that were there, if there were any.
type Seen = (Vec<u8>, Option<Arc<[u8]>>);

/// A planned statement.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    /// The types of its parameters.
    pub(crate) params: Vec<DataType>,
    /// The columns of its result; none if it has no rows.
    pub(crate) columns: Option<Vec<OutputColumn>>,
    /// The keys and the bytes of what the plan was made for; no bytes where there was nothing that would have come first.
    pub(crate) made_for: Vec<Seen>,
    /// The keys and the bytes of the statistics that it was chosen by, if that was a choice.
    pub(crate) weighed: Vec<Seen>,
    /// Where names were looked for; none if there were none to look for.
    pub(crate) path: Option<Arc<SearchPath>>,
    /// Whether it reads anything that is stored.
    pub(crate) reads_store: bool,
    /// Whether it calls routines, or has triggers call some: what these read and write is not known.
    pub(crate) calls: bool,
}

/// Values that look otherwise than those of their base become texts before a client sees them.
fn as_text(plan: QueryPlan) -> QueryPlan {
    if plan.columns.iter().all(|column| column.data_type.output().is_none()) {
        return plan;
    }
    let mut columns = plan.columns;
    let mut outputs = Vec::with_capacity(columns.len());
    for (at, column) in columns.iter_mut().enumerate() {
        let output = column.data_type.output().and_then(|name| function::functions(name).next());
        outputs.push(match output {
            None => Expr::Column(at),
            Some(output) => {
                column.data_type = DataType::Text;
                Expr::Call(Function(output), [Expr::Column(at)].into())
            }
        });
    }
    QueryPlan { rel: plan.rel.project(outputs), columns, ..plan }
}

/// Plans `statement` over the tables it names.
pub(crate) fn plan(
    statement: &Statement,
    relations: Relations,
    given: &[Option<DataType>],
) -> SqlResult<Planned> {
    plan_body(statement, relations, given, Vec::new())
}

/// The same for a statement of a routine's body, in which names may mean arguments.
pub(crate) fn plan_body(
    statement: &Statement,
    relations: Relations,
    given: &[Option<DataType>],
    arguments: Arguments,
) -> SqlResult<Planned> {
    let mut made_for: Vec<Seen> = Vec::new();
    let mut statistics: Vec<Seen> = Vec::new();
    for relation in relations.all.values() {
        let (key, bytes) = match relation {
            Relation::Stored(table) => (&table.key, &table.bytes),
            Relation::View(view) => (&view.key, &view.bytes),
            _ => continue,
        };
        if !made_for.iter().any(|(known, _)| known == key) {
            made_for.push((key.clone(), Some(bytes.clone())));
            if let Relation::Stored(table) = relation {
                let known = table.statistics.as_ref().map(|statistics| statistics.bytes.clone());
                statistics.push((catalog::statistics_key(table.descriptor.id), known));
            }
        }
    }
    let is_computed = |relation: &Relation| {
        matches!(relation, Relation::Settings | Relation::System(_) | Relation::Sequence(_))
    };
    let reads_store =
        relations.all.values().any(is_computed) || !made_for.is_empty() || !relations.routines.is_empty();
    made_for.extend(relations.missed.iter().map(|key| (key.clone(), None)));
    let called = relations.routines.values();
    made_for.extend(called.map(|routine| (routine.key.clone(), Some(routine.bytes.clone()))));
    let is_path_used = !relations.all.is_empty() || !relations.routines.is_empty();
    let path = is_path_used.then(|| relations.path.clone());
    let mut planner = Planner::new(relations, given);
    planner.arguments = arguments;
    let (plan, columns) = plan_with(statement, &mut planner)?;
    let plan = if planner.calls_volatile { with::apart(plan)? } else { plan };
    let calls = !planner.relations.routines.is_empty();
    let params = planner.params.finish()?;
    let weighed = if rels_of(&plan).into_iter().any(weighs) { statistics } else { Vec::new() };
    Ok(Planned { plan, params, columns, made_for, weighed, path, reads_store, calls })
}

fn plan_with(statement: &Statement, planner: &mut Planner) -> SqlResult<(Plan, Option<Vec<OutputColumn>>)> {
    let columns_of =
        |returning: &Option<Returning>| returning.as_ref().map(|returning| returning.columns.clone());
    Ok(match statement {
        Statement::Query(query) => {
            let plan = as_text(plan_query(query, &[], planner)?);
            (Plan::Query(optimize(plan.rel, planner)?), Some(plan.columns))
        }
        Statement::Insert(insert) => {
            let plan = change::plan_insert(insert, planner)?;
            let columns = columns_of(&plan.returning);
            (Plan::Insert(plan), columns)
        }
        Statement::Update(update) => {
            let configuring = live::of_configuration(update, planner)?;
            let update = configuring.as_ref().unwrap_or(update);
            let plan = change::plan_update(update, planner)?;
            let columns = columns_of(&plan.returning);
            (Plan::Update(plan), columns)
        }
        Statement::Delete(delete) => {
            if let Some(pids) = live::plan_end(delete, planner)? {
                return Ok((Plan::End(pids), None));
            }
            let plan = change::plan_delete(delete, planner)?;
            let columns = columns_of(&plan.returning);
            (Plan::Delete(plan), columns)
        }
        Statement::With(with) => with::plan_with_clause(with, planner)?,
        Statement::Call(call) => routine::plan_call(call, planner)?,
        Statement::Copy(copy) => (copy::plan_copy(copy, planner)?, None),
        Statement::Explain(explain) => {
            if explain.passes {
                planner.passes = Some(RefCell::default());
            }
            let mut plan = match &explain.statement {
                Statement::Query(_)
                | Statement::Insert(_)
                | Statement::Update(_)
                | Statement::Delete(_)
                | Statement::With(_) => plan_with(&explain.statement, planner)?.0,
                _ => return Err(SqlError::not_supported("EXPLAIN of this statement")),
            };
            if explain.analyze {
                explain::measure(&mut plan)?;
            }
            let passes = planner.passes.take().map_or_else(Vec::new, RefCell::into_inner);
            let columns = [OutputColumn { name: "QUERY PLAN".into(), data_type: DataType::Text }].into();
            let explained = ExplainPlan { plan, analyze: explain.analyze, passes };
            (Plan::Explain(Box::new(explained)), Some(columns))
        }
        Statement::Show(name) => {
            (Plan::Direct, Some([OutputColumn { name: name.clone(), data_type: DataType::Text }].into()))
        }
        _ => (Plan::Direct, None),
    })
}

impl Planned {
    /// A statement about something that has a name in the session, and gives these columns.
    pub(crate) fn named(columns: Vec<OutputColumn>) -> Planned {
        Planned {
            plan: Plan::Direct,
            params: Vec::new(),
            columns: Some(columns),
            made_for: Vec::new(),
            weighed: Vec::new(),
            path: None,
            reads_store: false,
            calls: false,
        }
    }

    /// Whether what the plan was made for is in `transaction` what it was.
    pub(crate) async fn is_current(
        &self,
        transaction: &mut Transaction,
        path: &Arc<SearchPath>,
    ) -> SqlResult<bool> {
        if self.path.as_ref().is_some_and(|known| !Arc::ptr_eq(known, path) && known != path) {
            return Ok(false);
        }
        for (key, bytes) in &self.made_for {
            if !catalog::is_same(key, bytes.as_ref(), transaction).await? {
                return Ok(false);
            }
        }
        for (key, bytes) in &self.weighed {
            if transaction.peek(key).await? != *bytes {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
