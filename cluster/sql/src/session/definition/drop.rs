//! `DROP` and `TRUNCATE`: what goes, and what goes with it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::referenced::let_go;
use super::routine::forget_triggers;
use super::{place_of, put_table, skipping, table_called};
use crate::ast::visit::{self, Name};
use crate::ast::{Drop, ObjectKind, TableName, Truncate};
use crate::catalog::{
    self, ColumnDefault, Descriptor, Identity, IndexConstraint, Named, PUBLIC, SCHEMA_ITSELF, Stored,
    TableDescriptor, routine_name,
};
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::exec::{Context, check_not_pending, delete_all};
use crate::parse;
use crate::session::Notice;
use crate::settings;
use crate::types::Datum;

/// A schema and a name in it.
type FullName = (String, String);

pub(super) async fn drop<D: Database>(drop: &Drop, context: &mut Context<'_, D>) -> SqlResult<Vec<Notice>> {
    let mut notices = Vec::new();
    let mut names: Vec<FullName> = Vec::new();
    for name in &drop.names {
        if drop.kind == ObjectKind::Schema {
            drop_schema(&name.name, drop, &mut notices, context).await?;
            continue;
        }
        let is_routine = matches!(drop.kind, ObjectKind::Function | ObjectKind::Procedure);
        let called = if is_routine { routine_name(&name.name) } else { name.name.clone() };
        let known = TableName { name: called, ..name.clone() };
        let schema = &place_of(&known, context).await?;
        if settings::is_of_system(schema, &known.name, context.database.live_tables()) {
            let message = format!("cannot drop system table \"{}\"", name.name);
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        }
        match catalog::find(context.transaction, schema, &known.name).await? {
            Some(stored) if stored.kind() == drop.kind.name() => {
                names.push((schema.clone(), known.name.clone()))
            }
            // There is another kind of routine of that name.
            Some(_) if is_routine && !drop.if_exists => {
                let message = format!("could not find a {} named \"{}\"", drop.kind.name(), name.name);
                return Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, message));
            }
            Some(_) => {
                let message = format!("\"{}\" is not {}", name.name, article(drop.kind));
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
            }
            None => {
                let message = match is_routine {
                    true => format!("{} {}() does not exist", drop.kind.name(), name.name),
                    false => format!("{} \"{}\" does not exist", drop.kind.name(), name.name),
                };
                if !drop.if_exists {
                    let state = match drop.kind {
                        ObjectKind::Index => SqlState::UNDEFINED_OBJECT,
                        ObjectKind::Function | ObjectKind::Procedure => SqlState::UNDEFINED_FUNCTION,
                        _ => SqlState::UNDEFINED_TABLE,
                    };
                    return Err(SqlError::new(state, message));
                }
                notices.push(skipping(SqlState("00000"), format!("{message}, skipping")));
            }
        }
    }
    notices.extend(drop_all(names, drop.cascade, context).await?);
    Ok(notices)
}

const fn article(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Table => "a table",
        ObjectKind::Index => "an index",
        ObjectKind::Sequence => "a sequence",
        ObjectKind::View => "a view",
        ObjectKind::Schema => "a schema",
        ObjectKind::Function => "a function",
        ObjectKind::Procedure => "a procedure",
    }
}

async fn drop_schema<D: Database>(
    name: &str,
    drop: &Drop,
    notices: &mut Vec<Notice>,
    context: &mut Context<'_, D>,
) -> SqlResult<()> {
    let key = catalog::descriptor_key(name, SCHEMA_ITSELF);
    if context.transaction.get(&key).await?.is_none() {
        let message = format!("schema \"{name}\" does not exist");
        if drop.if_exists {
            notices.push(skipping(SqlState("00000"), format!("{message}, skipping")));
            return Ok(());
        }
        return Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, message));
    }
    let within = |(schema, known, _): &Named| schema == name && known != SCHEMA_ITSELF;
    let all = catalog::everything(context.transaction).await?;
    let names: Vec<FullName> = all
        .into_iter()
        .filter(within)
        // Indexes go with their tables.
        .filter(|(_, _, descriptor)| !matches!(descriptor, Descriptor::Index(_)))
        .map(|(schema, name, _)| (schema, name))
        .collect();
    if !names.is_empty() && !drop.cascade {
        return Err(depended_on("schema", name));
    }
    notices.extend(drop_all(names, true, context).await?);
    Ok(context.transaction.delete(&key)?)
}

pub(super) fn depended_on(kind: &str, name: &str) -> SqlError {
    let message = format!("cannot drop {kind} {name} because other objects depend on it");
    SqlError::new(SqlState::DEPENDENT_OBJECTS, message)
        .hint("Use DROP ... CASCADE to drop the dependent objects too.")
}

/// Drops all of `names`, and what depends on them if `cascade`.
async fn drop_all<D: Database>(
    mut names: Vec<FullName>,
    cascade: bool,
    context: &mut Context<'_, D>,
) -> SqlResult<Vec<Notice>> {
    let mut notices = Vec::new();
    let mut at = 0;
    while let Some(name) = names.get(at).cloned() {
        at += 1;
        for view in dependents(&name, context).await? {
            if names.contains(&view) {
                continue;
            }
            if !cascade {
                let kind = catalog::find(context.transaction, &name.0, &name.1).await?;
                return Err(depended_on(kind.map_or("table", |stored| stored.kind()), &name.1));
            }
            names.push(view);
        }
    }
    for name in &names {
        match catalog::find(context.transaction, &name.0, &name.1).await? {
            Some(Stored::Table(table)) => {
                drop_table(table.descriptor.clone(), &names, cascade, context).await?;
            }
            Some(Stored::View(_)) => forget(name, context)?,
            Some(Stored::Sequence(sequence)) => {
                if sequence.owner.is_some() && !cascade {
                    return Err(depended_on("sequence", &name.1));
                }
                // Unless its table goes with it.
                if let Some((table, column)) = &sequence.owner
                    && !names.contains(&(name.0.clone(), table.clone()))
                {
                    forget_default((&name.0, table), *column, &name.1, context).await?;
                }
                forget(name, context)?;
                delete_all(sequence.id, context).await?;
            }
            Some(Stored::Routine(routine)) => {
                forget_triggers(&routine.descriptor, cascade, context).await?;
                forget(name, context)?;
            }
            Some(Stored::Index(table)) => {
                notices.extend(drop_index(&name.0, &table, &name.1, cascade, context).await?);
            }
            None => {}
        }
    }
    Ok(notices)
}

/// A column has no default any more: the sequence called `sequence` goes by which it counts.
async fn forget_default<D: Database>(
    (schema, table): (&str, &str),
    column: u16,
    sequence: &str,
    context: &mut Context<'_, D>,
) -> SqlResult<()> {
    let Some(stored) = catalog::find_table(context.transaction, schema, table).await? else { return Ok(()) };
    let mut descriptor = stored.descriptor.clone();
    let Some(column) = descriptor.columns.get_mut(usize::from(column)) else { return Ok(()) };
    if column.identity != Identity::No {
        let message = format!(
            "cannot drop sequence {sequence} because column {} of table {table} requires it",
            column.name
        );
        return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS, message)
            .hint(format!("You can drop column {} of table {table} instead.", column.name)));
    }
    let counts = matches!(&column.default, ColumnDefault::Expression(text) if text.contains(sequence));
    if counts {
        column.default = ColumnDefault::Value(Datum::Null);
        put_table(descriptor, context).await?;
    }
    Ok(())
}

fn forget<D>(name: &FullName, context: &mut Context<'_, D>) -> SqlResult<()> {
    Ok(context.transaction.delete(&catalog::descriptor_key(&name.0, &name.1))?)
}

/// The views that read `name`.
pub(super) async fn dependents<D: Database>(
    name: &FullName,
    context: &mut Context<'_, D>,
) -> SqlResult<Vec<FullName>> {
    let mut views = Vec::new();
    for (schema, view, descriptor) in catalog::everything(context.transaction).await? {
        let Descriptor::View(known) = descriptor else { continue };
        let mut reads = false;
        let query = parse::query(&known.query)?;
        visit::tables_of_query(&query, &mut |table| {
            reads |= table.name == name.1 && table.schema.as_deref().unwrap_or(PUBLIC) == name.0;
        });
        visit::of_query(&query, &mut |met| {
            if let Name::Routine(schema, called) = met {
                reads |= routine_name(called) == name.1 && schema.unwrap_or(PUBLIC) == name.0;
            }
        });
        if reads {
            views.push((schema, view));
        }
    }
    Ok(views)
}

async fn drop_table<D: Database>(
    table: TableDescriptor,
    with: &[FullName],
    cascade: bool,
    context: &mut Context<'_, D>,
) -> SqlResult<()> {
    check_not_pending("DROP TABLE", &table, context).await?;
    let own = (table.schema.clone(), table.name.clone());
    for child in table.referenced_by.iter().filter(|child| **child != own) {
        if !cascade && !with.contains(child) {
            return Err(depended_on("table", &table.name));
        }
        // Its foreign keys go, its rows stay.
        if let Some(child) = catalog::find_table(context.transaction, &child.0, &child.1).await? {
            let mut child = child.descriptor.clone();
            child.foreign_keys.retain(|key| key.table != own);
            put_table(child, context).await?;
        }
    }
    for key in table.foreign_keys.iter().filter(|key| key.table != own) {
        if let Some(parent) = catalog::find_table(context.transaction, &key.table.0, &key.table.1).await? {
            let mut parent = parent.descriptor.clone();
            parent.referenced_by.retain(|name| *name != own);
            put_table(parent, context).await?;
        }
    }
    for index in &table.indexes {
        forget(&(table.schema.clone(), index.name.clone()), context)?;
        delete_all(index.id, context).await.map_err(|error| too_many(error, &table.name))?;
    }
    if !table.primary_key.is_empty() {
        forget(&(table.schema.clone(), table.primary_key_name.clone()), context)?;
    }
    drop_sequences_of(&table, None, context).await?;
    forget(&own, context)?;
    context.transaction.delete(&catalog::statistics_key(table.id))?;
    delete_all(table.id, context).await.map_err(|error| too_many(error, &table.name))
}

/// Drops the sequences that columns of `table` count by, or that one column does.
pub(super) async fn drop_sequences_of<D: Database>(
    table: &TableDescriptor,
    column: Option<u16>,
    context: &mut Context<'_, D>,
) -> SqlResult<()> {
    for (schema, name, descriptor) in catalog::everything(context.transaction).await? {
        let Descriptor::Sequence(sequence) = descriptor else { continue };
        let is_of = |owner: &(String, u16)| {
            schema == table.schema && owner.0 == table.name && column.is_none_or(|column| owner.1 == column)
        };
        if sequence.owner.as_ref().is_some_and(is_of) {
            forget(&(schema, name), context)?;
            delete_all(sequence.id, context).await?;
        }
    }
    Ok(())
}

async fn drop_index<D: Database>(
    schema: &str,
    table: &str,
    name: &str,
    cascade: bool,
    context: &mut Context<'_, D>,
) -> SqlResult<Option<Notice>> {
    let Some(stored) = catalog::find_table(context.transaction, schema, table).await? else {
        return Ok(None);
    };
    let mut descriptor = stored.descriptor.clone();
    let at = descriptor.indexes.iter().position(|index| index.name == name);
    let is_constraint =
        |at: usize| descriptor.indexes.get(at).is_none_or(|index| index.constraint != IndexConstraint::None);
    match at {
        Some(at) if !is_constraint(at) => {
            let index = descriptor.indexes.remove(at);
            forget(&(schema.into(), name.into()), context)?;
            delete_all(index.id, context).await?;
            let what = format!("index {name}");
            let notice = let_go(&mut descriptor, &index.columns(), &what, cascade, context).await?;
            put_table(descriptor, context).await?;
            Ok(notice)
        }
        _ => {
            let message =
                format!("cannot drop index {name} because constraint {name} on table {table} requires it");
            Err(SqlError::new(SqlState::DEPENDENT_OBJECTS, message)
                .hint(format!("You can drop constraint {name} on table {table} instead.")))
        }
    }
}

/// `TRUNCATE`
pub(super) async fn truncate<D: Database>(
    truncate: &Truncate,
    context: &mut Context<'_, D>,
) -> SqlResult<Vec<Notice>> {
    let mut names: Vec<FullName> = Vec::new();
    for name in &truncate.tables {
        let table = table_called(name, context).await?;
        names.push((table.descriptor.schema.clone(), table.descriptor.name.clone()));
    }
    let mut at = 0;
    while let Some((schema, name)) = names.get(at).cloned() {
        at += 1;
        let Some(table) = catalog::find_table(context.transaction, &schema, &name).await? else { continue };
        check_not_pending("TRUNCATE", &table.descriptor, context).await?;
        for child in &table.descriptor.referenced_by {
            if names.contains(child) {
                continue;
            }
            if !truncate.cascade {
                let message = "cannot truncate a table referenced in a foreign key constraint";
                return Err(SqlError::new(SqlState::NOT_SUPPORTED, message)
                    .detail(format!("Table \"{}\" references \"{name}\".", child.1))
                    .hint(format!(
                        "Truncate table \"{}\" at the same time, or use TRUNCATE ... CASCADE.",
                        child.1
                    )));
            }
            names.push(child.clone());
        }
        for id in
            [table.descriptor.id].into_iter().chain(table.descriptor.indexes.iter().map(|index| index.id))
        {
            delete_all(id, context).await.map_err(|error| too_many(error, &name))?;
        }
        if truncate.restart_identity {
            restart_sequences(&table.descriptor, context).await?;
        }
    }
    Ok(Vec::new())
}

async fn restart_sequences<D: Database>(
    table: &TableDescriptor,
    context: &mut Context<'_, D>,
) -> SqlResult<()> {
    for (schema, name, descriptor) in catalog::everything(context.transaction).await? {
        let Descriptor::Sequence(sequence) = descriptor else { continue };
        let is_of = |owner: &(String, u16)| schema == table.schema && owner.0 == table.name;
        if sequence.owner.as_ref().is_some_and(is_of) {
            let own = &mut context.env.session.sequences.lock().own;
            own.begin_anew(sequence.id, &schema, &name, sequence.start);
        }
    }
    Ok(())
}

fn too_many(error: SqlError, table: &str) -> SqlError {
    match error.state {
        SqlState::LIMIT_EXCEEDED => {
            error.hint(format!("Delete the rows of \"{table}\" in several transactions first."))
        }
        _ => error,
    }
}

/// The name of `table`, as statements write it.
pub(super) fn name_of(table: &TableDescriptor) -> TableName {
    TableName { schema: Some(table.schema.clone()), name: table.name.clone(), position: None }
}
