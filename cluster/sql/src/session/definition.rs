//! `CREATE TABLE` and `DROP TABLE`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Notice;
use super::run::skipping;
use crate::ast::{ColumnDefinition, CreateTable, Expr as AstExpr, TableName};
use crate::bind::{Binder, Scope};
use crate::catalog::{self, COLUMNS_MAX, Column, ColumnDefault, PUBLIC, SYS, TableDescriptor};
use crate::database::LiveTable;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::exec::{Context, delete_all};
use crate::plan::{Planner, Relations};
use crate::settings;

pub(super) async fn create_table<D>(
    create: &CreateTable,
    context: &mut Context<'_, D>,
    live: &[LiveTable],
) -> SqlResult<Vec<Notice>> {
    let name = &create.table.name;
    let schema = create.table.schema.as_deref().unwrap_or(PUBLIC);
    if schema != PUBLIC && schema != SYS {
        let message = format!("schema \"{schema}\" does not exist");
        return Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, message).at(create.table.position));
    }
    if settings::is_of_system(schema, name, live)
        || catalog::find(context.transaction, schema, name).await?.is_some()
    {
        let message = format!("relation \"{name}\" already exists");
        if create.if_not_exists {
            return Ok([skipping(SqlState::DUPLICATE_TABLE, format!("{message}, skipping"))].into());
        }
        return Err(SqlError::new(SqlState::DUPLICATE_TABLE, message));
    }
    let descriptor = describe(create, schema, context)?;
    catalog::create(context.transaction, descriptor).await?;
    Ok(Vec::new())
}

fn describe<D>(create: &CreateTable, schema: &str, context: &Context<'_, D>) -> SqlResult<TableDescriptor> {
    if create.columns.len() > COLUMNS_MAX {
        let message = format!("tables can have at most {COLUMNS_MAX} columns");
        return Err(SqlError::new(SqlState("54011"), message));
    }
    let mut columns: Vec<Column> = Vec::with_capacity(create.columns.len());
    for definition in &create.columns {
        if columns.iter().any(|column| column.name == definition.name) {
            let message = format!("column \"{}\" specified more than once", definition.name);
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
        }
        columns.push(column(definition, context)?);
    }
    let mut primary_key = Vec::with_capacity(create.primary_key.len());
    for name in &create.primary_key {
        let Some((index, column)) = columns.iter_mut().enumerate().find(|(_, column)| column.name == *name)
        else {
            let message = format!("column \"{name}\" named in key does not exist");
            return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message));
        };
        let index = u16::try_from(index).unwrap_or(u16::MAX);
        if primary_key.contains(&index) {
            let message = format!("column \"{name}\" appears twice in primary key constraint");
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
        }
        column.not_null = true;
        primary_key.push(index);
    }
    let name = create.table.name.clone();
    let primary_key_name = create.primary_key_name.clone().unwrap_or_else(|| format!("{name}_pkey"));
    Ok(TableDescriptor { id: 0, schema: schema.into(), name, columns, primary_key, primary_key_name })
}

fn column<D>(definition: &ColumnDefinition, context: &Context<'_, D>) -> SqlResult<Column> {
    let mut column = Column {
        name: definition.name.clone(),
        data_type: definition.data_type,
        chars_max: definition.chars_max,
        not_null: definition.not_null,
        default: ColumnDefault::Value(crate::types::Datum::Null),
    };
    if let Some(default) = &definition.default {
        column.default = evaluate_default(default, &column, context)?;
    }
    Ok(column)
}

fn evaluate_default<D>(
    default: &AstExpr,
    column: &Column,
    context: &Context<'_, D>,
) -> SqlResult<ColumnDefault> {
    let is_now = matches!(default, AstExpr::Call(call)
        if matches!(call.name.as_str(), "now" | "current_timestamp" | "localtimestamp"));
    if is_now && column.data_type == crate::types::DataType::Timestamp {
        return Ok(ColumnDefault::Now);
    }
    let (scope, mut planner) = (Scope::default(), Planner::new(Relations::default(), &[]));
    let mut binder = Binder::new(&scope, &mut planner, "DEFAULT expressions");
    let expr = binder.assign(default, column).map_err(|error| match error.state {
        SqlState::UNDEFINED_COLUMN => SqlError::not_supported("a column reference in DEFAULT"),
        _ => error,
    })?;
    Ok(ColumnDefault::Value(expr.eval(&[], &context.env)?.into_owned()))
}

/// Drops tables with all their rows.
pub(super) async fn drop_tables<D>(
    tables: &[TableName],
    if_exists: bool,
    context: &mut Context<'_, D>,
    live: &[LiveTable],
) -> SqlResult<Vec<Notice>> {
    let mut notices = Vec::new();
    for table in tables {
        let schema = table.schema.as_deref().unwrap_or(PUBLIC);
        if settings::is_of_system(schema, &table.name, live) {
            let message = format!("cannot drop system table \"{}\"", table.name);
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        }
        match catalog::find(context.transaction, schema, &table.name).await? {
            Some(stored) => {
                context.transaction.delete(&stored.key)?;
                delete_all(stored.descriptor.id, context)
                    .await
                    .map_err(|error| too_many(error, &table.name))?;
            }
            None => {
                let message: String = format!("table \"{}\" does not exist", table.name);
                if !if_exists {
                    return Err(SqlError::new(SqlState::UNDEFINED_TABLE, message));
                }
                notices.push(skipping(SqlState("00000"), format!("{message}, skipping")));
            }
        }
    }
    Ok(notices)
}

fn too_many(error: SqlError, table: &str) -> SqlError {
    match error.state {
        SqlState::LIMIT_EXCEEDED => {
            error.hint(format!("Delete the rows of \"{table}\" in several transactions first."))
        }
        _ => error,
    }
}
