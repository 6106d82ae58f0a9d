//! What the names of a statement stand for: looked up before it is planned.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_store::Transaction;

use super::planner::Relations;
use crate::ast::visit::{self, Name};
use crate::ast::{Statement, TableName};
use crate::bind::{Scope, is_built_in, scope_of};
use crate::catalog::{SYS, Stored, StoredTable, StoredView};
use crate::database::{Database, LiveTable};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::parse;
use crate::path::SearchPath;
use crate::settings;
use crate::system::{self, SystemTable, SystemView};
use crate::types::DataType;

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
    pub(super) fn writable(self, name: &TableName) -> SqlResult<Arc<StoredTable>> {
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
    pub(super) fn scope(&self, called: String) -> Scope {
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
    pub(super) fn width(&self) -> usize {
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
            Relation::Live(LiveTable { configured: Some(configured), .. })
                if written.iter().any(|table| table.schema == schema && table.name == key.1) =>
            {
                waiting.tables.push((Some(SYS.into()), configured.table.into()));
            }
            _ => {}
        }
        relations.all.insert(key, relation);
    }
    for (schema, name) in waiting.routines {
        relations.look_up_routine(schema, name, transaction, database).await?;
    }
    for table in &written {
        let name = match relations.find(table) {
            Ok(Relation::Stored(table)) => (table.descriptor.schema.clone(), table.descriptor.name.clone()),
            Ok(Relation::Live(LiveTable { configured: Some(configured), .. })) => {
                (SYS.into(), configured.table.into())
            }
            _ => continue,
        };
        add_related(name, &mut relations, transaction, database).await?;
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
pub(super) async fn add_related<D: Database>(
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

pub(super) async fn find<D: Database>(
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
