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
mod name;
mod optimize;
mod planner;
mod query;
pub(crate) mod rel;
mod related;
mod rewrite;
mod routine;
mod select;
mod unroll;
mod with;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::RefCell;

pub(crate) use change::{Conflict, DeletePlan, InsertPlan, InsertRows, Returning, TargetRows, UpdatePlan};
pub(crate) use explain::{explain, reset};
pub(crate) use planner::{Arguments, Level, Planner, Relations};
pub(crate) use query::{QueryPlan, plan_query};
pub(crate) use rel::Rel;
pub(crate) use related::{BoundTrigger, Child, Related, RelatedTable, bind_trigger, related_to};
pub(crate) use unroll::gives_rows;
pub(crate) use with::WithPlan;

use cluster_store::Transaction;
use explain::rels_of;
use name::name_of;
use optimize::{optimize, weighs};

use crate::ast::visit::{self, Name};
use crate::ast::{CopyFormat, Statement, TableName};
use crate::bind::{Scope, is_built_in, scope_of};
use crate::catalog::{self, SYS, Stored, StoredTable, StoredView};
use crate::database::{Database, LiveTable};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::Expr;
use crate::function::{self, Function};
use crate::parse;
use crate::path::SearchPath;
use crate::settings;
use crate::system::{self, SystemTable, SystemView};
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

/// What a sequence shows of itself.
const SEQUENCE_COLUMNS: [(&str, DataType); 3] =
    [("last_value", DataType::Int8), ("log_cnt", DataType::Int8), ("is_called", DataType::Bool)];

/// A table that a statement names.
#[derive(Clone, Debug)]
pub(crate) enum Relation {
    Stored(Arc<StoredTable>),
    View(Arc<StoredView>),
    Live(&'static LiveTable),
    /// `sys.settings`
    Settings,
    System(&'static SystemTable),
    SystemView(&'static SystemView),
    /// A sequence, by its full name: where it is.
    Sequence(String),
}

impl Relation {
    /// The table, if it is one that can be written.
    fn writable(self, name: &TableName) -> SqlResult<Arc<StoredTable>> {
        match self {
            Relation::Stored(table) => Ok(table),
            Relation::Live(_) => {
                let message = format!("cannot change live table \"{}\"", name.name);
                Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
                    .detail("Its rows are computed when they are read."))
            }
            Relation::Settings => Err(settings::rows_are_fixed()),
            Relation::Sequence(_) => {
                let message = format!("cannot change sequence \"{}\"", name.name);
                Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message))
            }
            Relation::System(_) | Relation::SystemView(_) => {
                let message = format!("permission denied: \"{}\" is a system catalog", name.name);
                Err(SqlError::new(SqlState("42501"), message))
            }
            Relation::View(_) => {
                let message = format!("cannot change view \"{}\"", name.name);
                Err(SqlError::new(SqlState::OBJECT_NOT_IN_STATE, message)
                    .detail("Views show rows of tables."))
            }
        }
    }

    /// What names mean over its rows if it is called `called`.
    fn scope(&self, called: String) -> Scope {
        let of_columns = |columns: &[(&str, DataType)], called| {
            let column = |(name, data_type): &(&str, DataType)| (String::from(*name), *data_type);
            Scope::of(called, columns.iter().map(column).collect())
        };
        match self {
            Relation::Stored(table) => scope_of(&table.descriptor, called),
            Relation::View(view) => Scope::of(called, view.descriptor.columns.clone()),
            Relation::Live(table) => of_columns(table.columns, called),
            Relation::Settings => of_columns(settings::TABLE.columns, called),
            Relation::System(table) => {
                let mut scope = of_columns(table.columns, called);
                // Every one of them has it, and no star shows it.
                scope.add_hidden("tableoid", DataType::Oid);
                scope
            }
            Relation::Sequence(_) => of_columns(&SEQUENCE_COLUMNS, called),
            Relation::SystemView(_) => Scope::default(),
        }
    }

    /// How many columns its rows have.
    fn width(&self) -> usize {
        match self {
            Relation::Stored(table) => table.types.len(),
            Relation::View(view) => view.descriptor.columns.len(),
            Relation::Live(table) => table.columns.len(),
            Relation::Settings => settings::TABLE.columns.len(),
            Relation::System(table) => table.columns.len(),
            Relation::Sequence(_) => SEQUENCE_COLUMNS.len(),
            Relation::SystemView(_) => 0,
        }
    }
}

/// Whether planning `statement` looks at any table.
pub(crate) fn needs_tables(statement: &Statement) -> bool {
    let mut needs = false;
    visit::names(statement, &mut |name| needs |= is_stored(name));
    needs
}

/// Whether what `name` means is looked up.
fn is_stored(name: Name<'_>) -> bool {
    match name {
        Name::Table(_) => true,
        Name::Routine(schema, name) => schema.is_some() || !is_built_in(name),
    }
}

/// The tables that a statement names, looked up, and those that have to do with them. Those that do not exist are missed
/// by whoever plans with them.
pub(crate) async fn relations<D: Database>(
    statement: &Statement,
    transaction: &mut Transaction,
    database: &D,
    path: &Arc<SearchPath>,
) -> SqlResult<Relations> {
    let mut waiting = Waiting::default();
    visit::names(statement, &mut |name| waiting.add(name));
    let mut written: Vec<TableName> = Vec::new();
    visit::changed_tables(statement, &mut |table| written.push(table.clone()));
    let mut relations = Relations { path: path.clone(), ..Relations::default() };
    while let Some((schema, name)) = waiting.tables.pop() {
        let key = (schema.clone().unwrap_or_default(), name);
        if relations.all.contains_key(&key) {
            continue;
        }
        let Some(relation) = relations.look_up(&schema, &key.1, transaction, database).await? else {
            continue;
        };
        let mut follow = |name: Name<'_>| waiting.add(name);
        match &relation {
            Relation::View(view) => visit::of_query(&parse::query(&view.descriptor.query)?, &mut follow),
            Relation::SystemView(view) => visit::of_query(&parse::query(view.query)?, &mut follow),
            Relation::Stored(table) => {
                let name = (table.descriptor.schema.clone(), table.descriptor.name.clone());
                relations.all.insert(name, relation.clone());
            }
            _ => {}
        }
        relations.all.insert(key, relation);
    }
    for (schema, name) in waiting.routines {
        relations.look_up_routine(schema, name, transaction, database).await?;
    }
    for table in &written {
        if let Ok(Relation::Stored(table)) = relations.find(table) {
            let name = (table.descriptor.schema.clone(), table.descriptor.name.clone());
            add_related(name, &mut relations, transaction, database).await?;
        }
    }
    Ok(relations)
}

/// Names that are still to be looked up.
#[derive(Default)]
struct Waiting {
    tables: Vec<(Option<String>, String)>,
    routines: Vec<(Option<String>, String)>,
}

impl Waiting {
    fn add(&mut self, name: Name<'_>) {
        match name {
            Name::Table(table) => self.tables.push((table.schema.clone(), table.name.clone())),
            Name::Routine(schema, called) if is_stored(name) => {
                self.routines.push((schema.map(String::from), called.into()));
            }
            Name::Routine(..) => {}
        }
    }
}

/// Adds the tables that have to do with `table` by foreign keys, and what their triggers call.
async fn add_related<D: Database>(
    table: (String, String),
    relations: &mut Relations,
    transaction: &mut Transaction,
    database: &D,
) -> SqlResult<()> {
    let mut waiting = Vec::from([(table, true)]);
    let mut followed: Vec<(String, String)> = Vec::new();
    while let Some((name, changes)) = waiting.pop() {
        if !relations.all.contains_key(&name)
            && let Some(Stored::Table(table)) = database.tables().find(transaction, &name.0, &name.1).await?
        {
            relations.all.insert(name.clone(), Relation::Stored(table));
        }
        if !changes || followed.contains(&name) {
            continue;
        }
        if let Some(table) = relations.stored(&name) {
            for trigger in &table.descriptor.triggers {
                let (schema, name) = trigger.routine.clone();
                relations.look_up_routine(Some(schema), name, transaction, database).await?;
            }
            // Rows that refer to its own may change with them; those that they refer to do not.
            waiting.extend(table.descriptor.foreign_keys.iter().map(|key| (key.table.clone(), false)));
            waiting.extend(table.descriptor.referenced_by.iter().map(|name| (name.clone(), true)));
        }
        followed.push(name);
    }
    Ok(())
}

async fn find<D: Database>(
    schema: &str,
    name: &str,
    transaction: &mut Transaction,
    database: &D,
) -> SqlResult<Option<Relation>> {
    if let Some(table) = database.live_tables().iter().find(|table| schema == SYS && table.name == name) {
        return Ok(Some(Relation::Live(table)));
    }
    if schema == SYS && name == settings::TABLE.name {
        return Ok(Some(Relation::Settings));
    }
    if system::is_system_schema(schema) {
        let table = system::table(schema, name).map(Relation::System);
        return Ok(table.or_else(|| system::view(schema, name).map(Relation::SystemView)));
    }
    Ok(match database.tables().find(transaction, schema, name).await? {
        Some(Stored::Table(table)) => Some(Relation::Stored(table)),
        Some(Stored::View(view)) => Some(Relation::View(view)),
        Some(Stored::Sequence(_)) => {
            let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
            Some(Relation::Sequence(format!("{}.{}", quoted(schema), quoted(name))))
        }
        _ => None,
    })
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
            let plan = change::plan_update(update, planner)?;
            let columns = columns_of(&plan.returning);
            (Plan::Update(plan), columns)
        }
        Statement::Delete(delete) => {
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
