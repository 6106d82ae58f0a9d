//! Statements that define what there is. Each is part of its transaction like any other: what it changes are rows.

pub(super) mod alter;
mod comment;
mod constraint;
mod drop;
mod index;
mod object;
mod referenced;
mod routine;
pub(super) mod rows;
mod table;
mod trigger;

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::run::skipping;
use super::{Notice, Tag};
use crate::ast::{ObjectKind, Statement, TableName};
use crate::catalog::{self, PUBLIC, StoredTable, TableDescriptor};
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::exec::Context;
use crate::settings;

/// What the statement is called, if it defines something.
pub(super) fn command(statement: &Statement) -> &'static str {
    match statement {
        Statement::CreateTable(_) => "CREATE TABLE",
        Statement::CreateIndex(_) => "CREATE INDEX",
        Statement::CreateSequence(_) => "CREATE SEQUENCE",
        Statement::CreateView(_) => "CREATE VIEW",
        Statement::CreateTrigger(_) => "CREATE TRIGGER",
        Statement::DropTrigger(_) => "DROP TRIGGER",
        Statement::CreateRoutine(create) if create.is_procedure => "CREATE PROCEDURE",
        Statement::CreateRoutine(_) => "CREATE FUNCTION",
        Statement::OwnSequence(..) => "ALTER SEQUENCE",
        Statement::CreateSchema(..) => "CREATE SCHEMA",
        Statement::AlterTable(_) => "ALTER TABLE",
        Statement::Comment(_) => "COMMENT",
        Statement::Truncate(_) => "TRUNCATE TABLE",
        Statement::Drop(drop) => match drop.kind {
            ObjectKind::Table => "DROP TABLE",
            ObjectKind::Index => "DROP INDEX",
            ObjectKind::Sequence => "DROP SEQUENCE",
            ObjectKind::View => "DROP VIEW",
            ObjectKind::Schema => "DROP SCHEMA",
            ObjectKind::Function => "DROP FUNCTION",
            ObjectKind::Procedure => "DROP PROCEDURE",
        },
        _ => "",
    }
}

/// Whether the statement defines something.
pub(super) fn is_definition(statement: &Statement) -> bool {
    !command(statement).is_empty()
}

/// Runs a statement that defines something; none if it does not.
pub(super) async fn run<D: Database>(
    statement: &Statement,
    context: &mut Context<'_, D>,
) -> SqlResult<Option<(Tag, Vec<Notice>)>> {
    let notices = match statement {
        Statement::CreateTable(create) => match table::create(create, context).await? {
            table::Created::Table(notices) => notices,
            table::Created::Filled(count) => return Ok(Some((Tag::Select(count), Vec::new()))),
        },
        Statement::CreateIndex(create) => index::create(create, context).await?,
        Statement::CreateSequence(create) => object::create_sequence(create, context).await?,
        Statement::CreateView(create) => object::create_view(create, context).await?,
        Statement::CreateRoutine(create) => routine::create(create, context).await?,
        Statement::CreateTrigger(create) => trigger::create(create, context).await?,
        Statement::DropTrigger(drop) => trigger::drop(drop, context).await?,
        Statement::CreateSchema(name, if_not_exists) => {
            object::create_schema(name, *if_not_exists, context).await?
        }
        Statement::OwnSequence(sequence, owner) => {
            object::own_sequence(sequence, owner.as_ref(), context).await?
        }
        Statement::AlterTable(alter) => alter::alter(alter, context).await?,
        Statement::Comment(comment) => {
            comment::comment(comment, context).await?;
            Vec::new()
        }
        Statement::Truncate(truncate) => drop::truncate(truncate, context).await?,
        Statement::Drop(drop) => drop::drop(drop, context).await?,
        _ => return Ok(None),
    };
    Ok(Some((Tag::Defined(command(statement)), notices)))
}

/// The schema that `name` is to be in; it exists. Without one in its name, it is the first of the path that does.
async fn schema_of<D: Database>(name: &TableName, context: &mut Context<'_, D>) -> SqlResult<String> {
    let path = context.env.session.path.clone();
    let candidates = name.schema.as_ref().map_or(path.listed.as_slice(), core::slice::from_ref);
    for schema in candidates {
        if catalog::has_schema(context.transaction, schema).await? {
            return Ok(schema.clone());
        }
    }
    let message = match &name.schema {
        Some(schema) => format!("schema \"{schema}\" does not exist"),
        None => "no schema has been selected to create in".into(),
    };
    Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, message).at(name.position))
}

/// The schema that `name` is in: the first of the path that has something of that name. If none has, that of its name.
async fn place_of<D: Database>(name: &TableName, context: &mut Context<'_, D>) -> SqlResult<String> {
    let path = context.env.session.path.clone();
    for schema in path.candidates(&name.schema) {
        let is_of_system = settings::is_of_system(schema, &name.name, context.database.live_tables());
        if is_of_system || catalog::find(context.transaction, schema, &name.name).await?.is_some() {
            return Ok(schema.clone());
        }
    }
    Ok(name.schema.clone().unwrap_or_else(|| PUBLIC.into()))
}

/// Whether `schema.name` is free; if not, a remark if that is fine, else an error.
async fn is_free<D: Database>(
    schema: &str,
    name: &str,
    if_not_exists: bool,
    context: &mut Context<'_, D>,
) -> SqlResult<Result<(), Notice>> {
    let live = context.database.live_tables();
    if !settings::is_of_system(schema, name, live)
        && catalog::find(context.transaction, schema, name).await?.is_none()
    {
        return Ok(Ok(()));
    }
    let message = format!("relation \"{name}\" already exists");
    if if_not_exists {
        return Ok(Err(skipping(SqlState::DUPLICATE_TABLE, format!("{message}, skipping"))));
    }
    Err(SqlError::new(SqlState::DUPLICATE_TABLE, message))
}

/// The name of what belongs to `columns` of a table, or to the table, as Postgres makes it: of both, of which the longer is
/// cut until they fit, and `suffix` with a number.
fn made_name(table: &str, columns: &str, suffix: &str, number: usize) -> String {
    let number = if number == 0 { String::new() } else { format!("{number}") };
    let mut room = catalog::NAME_LEN_MAX - suffix.len() - number.len() - 1;
    let (mut table_len, mut columns_len) = (table.len(), columns.len());
    if columns_len > 0 {
        room -= 1;
    }
    while table_len + columns_len > room {
        if table_len > columns_len {
            table_len -= 1;
        } else {
            columns_len -= 1;
        }
    }
    let mut name = String::from(cut(table, table_len));
    if !columns.is_empty() {
        name.push('_');
        name.push_str(cut(columns, columns_len));
    }
    format!("{name}_{suffix}{number}")
}

/// At most `len` bytes of `text`, and whole characters.
fn cut(text: &str, len: usize) -> &str {
    text.get(..text.floor_char_boundary(len)).unwrap_or_default()
}

/// A [made name](made_name) that stands for nothing in `schema` and is not among `taken`.
async fn free_name<D: Database>(
    schema: &str,
    (table, columns, suffix): (&str, &str, &str),
    taken: &[String],
    context: &mut Context<'_, D>,
) -> SqlResult<String> {
    for number in 0..1_000 {
        let name = made_name(table, columns, suffix, number);
        if !taken.contains(&name) && catalog::find(context.transaction, schema, &name).await?.is_none() {
            return Ok(name);
        }
    }
    let name = made_name(table, columns, suffix, 0);
    Err(SqlError::new(SqlState::DUPLICATE_TABLE, format!("no name like \"{name}\" is free")))
}

/// The table called `name`; 42P01 if there is none, 42809 if the name stands for something else.
async fn table_called<D: Database>(
    name: &TableName,
    context: &mut Context<'_, D>,
) -> SqlResult<Arc<StoredTable>> {
    let schema = &place_of(name, context).await?;
    if settings::is_of_system(schema, &name.name, context.database.live_tables()) {
        let message = format!("cannot change system table \"{}\"", name.name);
        return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
    }
    match catalog::find(context.transaction, schema, &name.name).await? {
        Some(catalog::Stored::Table(table)) => Ok(table),
        Some(_) => {
            let message = format!("\"{}\" is not a table", name.name);
            Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message))
        }
        None => Err(catalog::undefined_table(name.schema.as_deref(), &name.name).at(name.position)),
    }
}

/// Stores `table` in the place of what it was.
async fn put_table<D>(table: TableDescriptor, context: &mut Context<'_, D>) -> SqlResult<()> {
    let (schema, name) = (table.schema.clone(), table.name.clone());
    catalog::put(context.transaction, &schema, &name, &catalog::Descriptor::Table(table)).await
}
