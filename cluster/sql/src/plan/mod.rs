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
mod related;
mod rewrite;
mod select;

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

pub(crate) use change::{Conflict, DeletePlan, InsertPlan, InsertRows, Returning, TargetRows, UpdatePlan};
pub(crate) use planner::{Level, Planner, Relations};
pub(crate) use query::{QueryPlan, plan_query};
pub(crate) use rel::Rel;
pub(crate) use related::{Child, Related, RelatedTable, related_to};

use cluster_store::Transaction;
use name::name_of;
use optimize::optimize;

use crate::ast::{CopyFormat, CopySource, Statement, TableName, visit};
use crate::bind::{Scope, scope_of};
use crate::catalog::{self, PUBLIC, SYS, Stored, StoredTable, StoredView};
use crate::database::LiveTable;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::parse;
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
    pub(crate) related: Arc<Related>,
}

/// A table that a statement names.
#[derive(Clone, Debug)]
pub(crate) enum Relation {
    Stored(Arc<StoredTable>),
    View(Arc<StoredView>),
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
            Relation::View(_) => {
                let message = format!("cannot change view \"{}\"", name.name);
                Err(SqlError::new(SqlState::OBJECT_NOT_IN_STATE, message)
                    .detail("Views show rows of tables."))
            }
        }
    }

    /// What names mean over its rows if it is called `called`.
    fn scope(&self, called: String) -> Scope {
        let of_live = |table: &LiveTable, called| {
            let column = |(name, data_type): &(&str, DataType)| (String::from(*name), *data_type);
            Scope::of(called, table.columns.iter().map(column).collect())
        };
        match self {
            Relation::Stored(table) => scope_of(&table.descriptor, called),
            Relation::View(view) => Scope::of(called, view.descriptor.columns.clone()),
            Relation::Live(table) => of_live(table, called),
            Relation::Settings => of_live(&settings::TABLE, called),
        }
    }

    /// How many columns its rows have.
    fn width(&self) -> usize {
        match self {
            Relation::Stored(table) => table.types.len(),
            Relation::View(view) => view.descriptor.columns.len(),
            Relation::Live(table) => table.columns.len(),
            Relation::Settings => settings::TABLE.columns.len(),
        }
    }
}

/// Whether planning `statement` looks at any table.
pub(crate) fn needs_tables(statement: &Statement) -> bool {
    let mut needs = false;
    visit::tables(statement, &mut |_| needs = true);
    needs
}

/// The tables that a statement names, looked up, and those that have to do with them. Those that do not exist are missed
/// by whoever plans with them.
pub(crate) async fn relations(
    statement: &Statement,
    transaction: &mut Transaction,
    live: &'static [LiveTable],
) -> SqlResult<Relations> {
    let mut waiting: Vec<(String, String)> = Vec::new();
    visit::tables(statement, &mut |table| waiting.push(full_name(table)));
    let written = match statement {
        Statement::Insert(insert) => Some(full_name(&insert.table)),
        Statement::Update(update) => Some(full_name(&update.table)),
        Statement::Delete(delete) => Some(full_name(&delete.table)),
        Statement::Copy(copy) => match &copy.source {
            CopySource::Table(table, _) if !copy.to => Some(full_name(table)),
            _ => None,
        },
        _ => None,
    };
    let mut relations = Relations::default();
    while let Some((schema, name)) = waiting.pop() {
        let key = (schema, name);
        if relations.0.contains_key(&key) {
            continue;
        }
        let Some(relation) = find(&key.0, &key.1, transaction, live).await? else { continue };
        if let Relation::View(view) = &relation {
            let query = parse::query(&view.descriptor.query)?;
            visit::of_query(&query, &mut |table| waiting.push(full_name(table)));
        }
        relations.0.insert(key, relation);
    }
    if let Some(written) = written {
        add_related(written, &mut relations, transaction).await?;
    }
    Ok(relations)
}

/// Adds the tables that have to do with `table` by foreign keys.
async fn add_related(
    table: (String, String),
    relations: &mut Relations,
    transaction: &mut Transaction,
) -> SqlResult<()> {
    let mut waiting = Vec::from([(table, true)]);
    let mut followed: Vec<(String, String)> = Vec::new();
    while let Some((name, changes)) = waiting.pop() {
        if !relations.0.contains_key(&name)
            && let Some(Stored::Table(table)) = catalog::find(transaction, &name.0, &name.1).await?
        {
            relations.0.insert(name.clone(), Relation::Stored(table));
        }
        if !changes || followed.contains(&name) {
            continue;
        }
        if let Some(table) = relations.stored(&name) {
            // Rows that refer to its own may change with them; those that they refer to do not.
            waiting.extend(table.descriptor.foreign_keys.iter().map(|key| (key.table.clone(), false)));
            waiting.extend(table.descriptor.referenced_by.iter().map(|name| (name.clone(), true)));
        }
        followed.push(name);
    }
    Ok(())
}

fn full_name(table: &TableName) -> (String, String) {
    (table.schema.clone().unwrap_or_else(|| PUBLIC.into()), table.name.clone())
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
    Ok(match catalog::find(transaction, schema, name).await? {
        Some(Stored::Table(table)) => Some(Relation::Stored(table)),
        Some(Stored::View(view)) => Some(Relation::View(view)),
        _ => None,
    })
}

/// A planned statement.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    /// The types of its parameters.
    pub(crate) params: Vec<DataType>,
    /// The columns of its result; none if it has no rows.
    pub(crate) columns: Option<Vec<OutputColumn>>,
    /// The keys and the bytes of what the plan was made for.
    pub(crate) made_for: Vec<(Vec<u8>, Arc<[u8]>)>,
    /// Whether it reads anything that is stored.
    pub(crate) reads_store: bool,
}

/// Plans `statement` over the tables it names.
pub(crate) fn plan(
    statement: &Statement,
    relations: Relations,
    given: &[Option<DataType>],
) -> SqlResult<Planned> {
    let made_for: Vec<(Vec<u8>, Arc<[u8]>)> = relations
        .0
        .values()
        .filter_map(|relation| match relation {
            Relation::Stored(table) => Some((table.key.clone(), table.bytes.clone())),
            Relation::View(view) => Some((view.key.clone(), view.bytes.clone())),
            _ => None,
        })
        .collect();
    let has_settings = relations.0.values().any(|relation| matches!(relation, Relation::Settings));
    let reads_store = has_settings || !made_for.is_empty();
    let mut planner = Planner::new(relations, given);
    let (plan, columns) = plan_with(statement, &mut planner)?;
    let params = planner.params.finish()?;
    Ok(Planned { plan, params, columns, made_for, reads_store })
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
        Statement::Explain(inner, _) => {
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

impl Planned {
    /// A statement about something that has a name in the session, and gives these columns.
    pub(crate) fn named(columns: Vec<OutputColumn>) -> Planned {
        Planned {
            plan: Plan::Direct,
            params: Vec::new(),
            columns: Some(columns),
            made_for: Vec::new(),
            reads_store: false,
        }
    }

    /// Whether what the plan was made for is in `transaction` what it was.
    pub(crate) async fn is_current(&self, transaction: &mut Transaction) -> SqlResult<bool> {
        for (key, bytes) in &self.made_for {
            if !catalog::is_same(key, bytes, transaction).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
