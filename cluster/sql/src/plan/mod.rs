//! What is to be done for a statement: names resolved, types known, keys found.

mod change;
mod explain;
mod select;

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

pub(crate) use change::{Conflict, DeletePlan, InsertPlan, InsertRows, UpdatePlan, default_of};
pub(crate) use select::{Aggregation, SelectPlan, SortKey, Source, plan_returning};

use cluster_store::Transaction;

use crate::ast::{CopyFormat, CopySource, From, InsertSource, Select, Statement, TableName};
use crate::bind::{Params, Scope};
use crate::catalog::{self, PUBLIC, SYS, StoredTable};
use crate::database::LiveTable;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::settings;
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
    Select(SelectPlan),
    Insert(InsertPlan),
    Update(UpdatePlan),
    Delete(DeletePlan),
    CopyIn(CopyInPlan),
    CopyOut(SelectPlan, CopyFormat),
    Explain(Vec<String>),
    /// Needs no plan.
    Direct,
}

impl Plan {
    /// The stored tables that the plan was made for.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &Arc<StoredTable>> {
        fn of_select(plan: &SelectPlan) -> Option<&Arc<StoredTable>> {
            match &plan.source {
                Source::Table { table, .. } => Some(table),
                _ => None,
            }
        }
        let [first, second] = match self {
            Plan::Select(plan) | Plan::CopyOut(plan, _) => [of_select(plan), None],
            Plan::Insert(plan) => match &plan.rows {
                InsertRows::Values(_) => [Some(&plan.table), None],
                InsertRows::Select(select, _) => [Some(&plan.table), of_select(select)],
            },
            Plan::Update(plan) => [plan.table.as_ref(), None],
            Plan::Delete(plan) => [of_select(&plan.rows), None],
            Plan::CopyIn(plan) => [Some(&plan.table), None],
            Plan::Explain(_) | Plan::Direct => [None, None],
        };
        first.into_iter().chain(second)
    }
}

/// `COPY FROM STDIN`
#[derive(Debug)]
pub(crate) struct CopyInPlan {
    pub(crate) table: Arc<StoredTable>,
    /// Which columns the fields are for.
    pub(crate) columns: Vec<usize>,
    pub(crate) format: CopyFormat,
}

/// A table that a statement names.
#[derive(Clone, Debug)]
pub(crate) enum Relation {
    Stored(Arc<StoredTable>),
    Live(&'static LiveTable),
    /// `sys.settings`
    Settings,
    /// The statement names none.
    Nothing,
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
            Relation::Nothing => Err(catalog::undefined_table(name.schema.as_deref(), &name.name)),
        }
    }

    fn scope(&self, alias: String) -> Scope {
        let of_live = |table: &LiveTable| {
            table.columns.iter().map(|(name, data_type)| (String::from(*name), *data_type)).collect()
        };
        let columns = match self {
            Relation::Stored(table) => table
                .descriptor
                .columns
                .iter()
                .map(|column| (column.name.clone(), column.data_type))
                .collect(),
            Relation::Live(table) => of_live(table),
            Relation::Settings => of_live(&settings::TABLE),
            Relation::Nothing => Vec::new(),
        };
        Scope::of(alias, columns)
    }
}

/// The table that `statement` reads or writes, and the one that it reads besides.
fn names(statement: &Statement) -> [Option<&TableName>; 2] {
    fn of_select(select: &Select) -> Option<&TableName> {
        match &select.from {
            From::Table { name, .. } => Some(name),
            _ => None,
        }
    }
    match statement {
        Statement::Select(select) => [of_select(select), None],
        Statement::Insert(insert) => match &insert.source {
            InsertSource::Select(select) => [Some(&insert.table), of_select(select)],
            _ => [Some(&insert.table), None],
        },
        Statement::Update(update) => [Some(&update.table), None],
        Statement::Delete(delete) => [Some(&delete.table), None],
        Statement::Copy(copy) => match &copy.source {
            CopySource::Table(name, _) => [Some(name), None],
            CopySource::Select(select) => [of_select(select), None],
        },
        Statement::Explain(inner) => names(inner),
        _ => [None, None],
    }
}

/// Whether planning `statement` looks at any table.
pub(crate) fn needs_tables(statement: &Statement) -> bool {
    names(statement).iter().any(Option::is_some)
}

/// The tables that a statement names, looked up.
pub(crate) async fn relations(
    statement: &Statement,
    transaction: &mut Transaction,
    live: &'static [LiveTable],
) -> SqlResult<[Relation; 2]> {
    let [first, second] = names(statement);
    Ok([find(first, transaction, live).await?, find(second, transaction, live).await?])
}

async fn find(
    name: Option<&TableName>,
    transaction: &mut Transaction,
    live: &'static [LiveTable],
) -> SqlResult<Relation> {
    let Some(name) = name else { return Ok(Relation::Nothing) };
    let schema = name.schema.as_deref().unwrap_or(PUBLIC);
    if let Some(table) = live.iter().find(|table| schema == SYS && table.name == name.name) {
        return Ok(Relation::Live(table));
    }
    if schema == SYS && name.name == settings::TABLE.name {
        return Ok(Relation::Settings);
    }
    match catalog::find(transaction, schema, &name.name).await? {
        Some(table) => Ok(Relation::Stored(table)),
        None => Err(catalog::undefined_table(name.schema.as_deref(), &name.name).at(name.position)),
    }
}

/// A planned statement.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    /// The types of its parameters.
    pub(crate) params: Vec<DataType>,
    /// The columns of its result; none if it has no rows.
    pub(crate) columns: Option<Vec<OutputColumn>>,
}

/// Plans `statement` over the tables it names.
pub(crate) fn plan(
    statement: &Statement,
    [first, second]: [Relation; 2],
    given: &[Option<DataType>],
) -> SqlResult<Planned> {
    let mut params = Params(given.to_vec());
    let columns_of = |select: &SelectPlan| Some(select.columns.clone());
    let (plan, columns) = match statement {
        Statement::Select(select) => {
            let plan = select::plan_select(select, first, &mut params)?;
            let columns = columns_of(&plan);
            (Plan::Select(plan), columns)
        }
        Statement::Insert(insert) => {
            let plan = change::plan_insert(insert, first, second, &mut params)?;
            let columns = plan.returning.as_ref().map(|returning| returning.columns.clone());
            (Plan::Insert(plan), columns)
        }
        Statement::Update(update) => {
            let plan = change::plan_update(update, first, &mut params)?;
            let columns = plan.returning.as_ref().map(|returning| returning.columns.clone());
            (Plan::Update(plan), columns)
        }
        Statement::Delete(delete) => {
            let plan = change::plan_delete(delete, first, &mut params)?;
            let columns = plan.returning.as_ref().map(|returning| returning.columns.clone());
            (Plan::Delete(plan), columns)
        }
        Statement::Copy(copy) => (change::plan_copy(copy, first, &mut params)?, None),
        Statement::Explain(inner) => {
            let planned = plan_inner(inner, [first, second], given)?;
            let columns = [OutputColumn { name: "QUERY PLAN".into(), data_type: DataType::Text }].into();
            (Plan::Explain(explain::explain(&planned.plan)), Some(columns))
        }
        Statement::Show(name) => {
            (Plan::Direct, Some([OutputColumn { name: name.clone(), data_type: DataType::Text }].into()))
        }
        _ => (Plan::Direct, None),
    };
    Ok(Planned { plan, params: params.finish()?, columns })
}

/// `EXPLAIN EXPLAIN` is no statement, so this goes one level deep.
fn plan_inner(
    statement: &Statement,
    relations: [Relation; 2],
    given: &[Option<DataType>],
) -> SqlResult<Planned> {
    match statement {
        Statement::Select(_) | Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => {
            plan(statement, relations, given)
        }
        _ => Err(SqlError::not_supported("EXPLAIN of this statement")),
    }
}
