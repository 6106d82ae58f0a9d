//! What is to be done for a statement: names resolved, types known, keys found.
//!
//! Binding makes a logical plan ([`Rel`]) of the statement as it is written; the passes of [`optimize`] then make it
//! a better one that gives the same rows.

mod change;
mod explain;
mod from;
mod group;
mod name;
mod optimize;
mod planner;
mod query;
pub(crate) mod rel;
mod rewrite;
mod select;

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

pub(crate) use change::{
    Conflict, DeletePlan, InsertPlan, InsertRows, Returning, TargetRows, UpdatePlan, default_of,
};
pub(crate) use planner::{Level, Planner, Relations};
pub(crate) use query::{QueryPlan, plan_query};
pub(crate) use rel::Rel;

use cluster_store::Transaction;
use name::name_of;
use optimize::optimize;

use crate::ast::{CopyFormat, Statement, TableName, visit};
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
    Query(Rel),
    Insert(InsertPlan),
    Update(UpdatePlan),
    Delete(DeletePlan),
    CopyIn(CopyInPlan),
    CopyOut(Rel, Vec<OutputColumn>, CopyFormat),
    Explain(Vec<String>),
    /// Needs no plan.
    Direct,
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
        }
    }

    /// The names and types of its columns.
    fn columns(&self) -> Vec<(String, DataType)> {
        let of_live = |table: &LiveTable| {
            table.columns.iter().map(|(name, data_type)| (String::from(*name), *data_type)).collect()
        };
        match self {
            Relation::Stored(table) => {
                let columns = table.descriptor.columns.iter();
                columns.map(|column| (column.name.clone(), column.data_type)).collect()
            }
            Relation::Live(table) => of_live(table),
            Relation::Settings => of_live(&settings::TABLE),
        }
    }
}

/// Whether planning `statement` looks at any table.
pub(crate) fn needs_tables(statement: &Statement) -> bool {
    let mut needs = false;
    visit::tables(statement, &mut |_| needs = true);
    needs
}

/// The tables that a statement names, looked up. Those that do not exist are missed by whoever plans with them.
pub(crate) async fn relations(
    statement: &Statement,
    transaction: &mut Transaction,
    live: &'static [LiveTable],
) -> SqlResult<Relations> {
    let mut names: Vec<(String, String)> = Vec::new();
    visit::tables(statement, &mut |table| {
        let name = (table.schema.clone().unwrap_or_else(|| PUBLIC.into()), table.name.clone());
        if !names.contains(&name) {
            names.push(name);
        }
    });
    let mut relations = Relations::default();
    for (schema, name) in names {
        if let Some(relation) = find(&schema, &name, transaction, live).await? {
            relations.0.insert((schema, name), relation);
        }
    }
    Ok(relations)
}

async fn find(
    schema: &str,
    name: &str,
    transaction: &mut Transaction,
    live: &'static [LiveTable],
) -> SqlResult<Option<Relation>> {
    if let Some(table) = live.iter().find(|table| schema == SYS && table.name == name) {
        return Ok(Some(Relation::Live(table)));
    }
    if schema == SYS && name == settings::TABLE.name {
        return Ok(Some(Relation::Settings));
    }
    Ok(catalog::find(transaction, schema, name).await?.map(Relation::Stored))
}

/// A planned statement.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    /// The types of its parameters.
    pub(crate) params: Vec<DataType>,
    /// The columns of its result; none if it has no rows.
    pub(crate) columns: Option<Vec<OutputColumn>>,
    /// The stored tables that the plan was made for.
    pub(crate) tables: Vec<Arc<StoredTable>>,
    /// Whether it reads anything that is stored.
    pub(crate) reads_store: bool,
}

/// Plans `statement` over the tables it names.
pub(crate) fn plan(
    statement: &Statement,
    relations: Relations,
    given: &[Option<DataType>],
) -> SqlResult<Planned> {
    let tables: Vec<Arc<StoredTable>> = relations
        .0
        .values()
        .filter_map(|relation| match relation {
            Relation::Stored(table) => Some(table.clone()),
            _ => None,
        })
        .collect();
    let has_settings = relations.0.values().any(|relation| matches!(relation, Relation::Settings));
    let reads_store = has_settings || !tables.is_empty();
    let mut planner = Planner::new(relations, given);
    let (plan, columns) = plan_with(statement, &mut planner)?;
    let params = planner.params.finish()?;
    Ok(Planned { plan, params, columns, tables, reads_store })
}

fn plan_with(statement: &Statement, planner: &mut Planner) -> SqlResult<(Plan, Option<Vec<OutputColumn>>)> {
    let columns_of =
        |returning: &Option<Returning>| returning.as_ref().map(|returning| returning.columns.clone());
    Ok(match statement {
        Statement::Query(query) => {
            let plan = plan_query(query, &[], planner)?;
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
        Statement::Copy(copy) => (change::plan_copy(copy, planner)?, None),
        Statement::Explain(inner) => {
            let plan = match &**inner {
                Statement::Query(_) | Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => {
                    plan_with(inner, planner)?.0
                }
                _ => return Err(SqlError::not_supported("EXPLAIN of this statement")),
            };
            let columns = [OutputColumn { name: "QUERY PLAN".into(), data_type: DataType::Text }].into();
            (Plan::Explain(explain::explain(&plan)), Some(columns))
        }
        Statement::Show(name) => {
            (Plan::Direct, Some([OutputColumn { name: name.clone(), data_type: DataType::Text }].into()))
        }
        _ => (Plan::Direct, None),
    })
}
