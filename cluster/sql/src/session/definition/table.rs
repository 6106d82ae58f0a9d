//! `CREATE TABLE`

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::constraint;
use super::object;
use super::{free_name, is_free, schema_of};
use crate::ast::{
    ColumnDefinition, CreateTable, DefaultDefinition, Expr as AstExpr, SequenceOptions, Source, Statement,
};
use crate::bind::{Binder, Scope};
use crate::catalog::{self, COLUMNS_MAX, Column, ColumnDefault, Descriptor, Identity, TableDescriptor};
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::exec::{Context, check_row, collect, run_change, store_row};
use crate::plan::{self, OutputColumn, Planner, Relations};
use crate::session::Notice;
use crate::types::{DataType, Datum};

/// What `CREATE TABLE` has made.
pub(super) enum Created {
    Table(Vec<Notice>),
    /// A table with so many rows.
    Filled(u64),
}

pub(super) async fn create<D: Database>(
    create: &CreateTable,
    context: &mut Context<'_, D>,
) -> SqlResult<Created> {
    let schema = schema_of(&create.table, context).await?;
    let name = create.table.name.clone();
    if let Err(notice) = is_free(&schema, &name, create.if_not_exists, context).await? {
        return Ok(Created::Table([notice].into()));
    }
    let filled = match &create.query {
        None => None,
        Some((query, with_rows)) => {
            let statement = Statement::Query(query.clone());
            let relations =
                plan::relations(&statement, context.transaction, context.database, &context.env.session.path)
                    .await?;
            let planned = plan::plan(&statement, relations, &[])?;
            Some((planned, *with_rows))
        }
    };
    let mut table = TableDescriptor {
        id: catalog::take_id(context.transaction, context.env.session.service).await?,
        schema,
        name,
        columns: Vec::new(),
        primary_key: Vec::new(),
        primary_key_name: String::new(),
        indexes: Vec::new(),
        checks: Vec::new(),
        foreign_keys: Vec::new(),
        referenced_by: Vec::new(),
        triggers: Vec::new(),
        comment: None,
        key_comment: None,
        key_index_comment: None,
    };
    let definitions = match &filled {
        Some((planned, _)) => of_query(&create.columns, planned.columns.as_deref().unwrap_or_default())?,
        None => create.columns.clone(),
    };
    if definitions.len() > COLUMNS_MAX {
        let message = format!("tables can have at most {COLUMNS_MAX} columns");
        return Err(SqlError::new(SqlState("54011"), message));
    }
    for definition in &definitions {
        add_column(&mut table, definition, context).await?;
    }
    for wanted in constraint::without_repeats(&create.constraints) {
        constraint::add(&mut table, wanted, false, context).await?;
    }
    // What it keeps as text must be what it can be bound to.
    let (schema, name) = (table.schema.clone(), table.name.clone());
    catalog::put(context.transaction, &schema, &name, &Descriptor::Table(table)).await?;
    let stored = catalog::find_table(context.transaction, &schema, &name).await?;
    match (filled, stored) {
        (Some((planned, true)), Some(table)) => {
            let rows = match &planned.plan {
                plan::Plan::Query(rel) => collect(rel, context).await?,
                plan => run_change(plan, context).await?.returned,
            };
            let mut count = 0;
            for mut row in rows {
                check_row(&table, &mut row, &context.env)?;
                store_row(&table, &row, context.transaction, &context.env).await?;
                count += 1;
            }
            Ok(Created::Filled(count))
        }
        _ => Ok(Created::Table(Vec::new())),
    }
}

/// The columns of `CREATE TABLE AS`.
fn of_query(named: &[ColumnDefinition], outputs: &[OutputColumn]) -> SqlResult<Vec<ColumnDefinition>> {
    if named.len() > outputs.len() {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "too many column names were specified"));
    }
    let column = |(at, output): (usize, &OutputColumn)| ColumnDefinition {
        name: named.get(at).map_or_else(|| output.name.clone(), |named| named.name.clone()),
        data_type: output.data_type,
        modifier: None,
        not_null: false,
        default: None,
    };
    Ok(outputs.iter().enumerate().map(column).collect())
}

/// Adds a column, with the sequence that it counts by if it does.
pub(super) async fn add_column<D: Database>(
    table: &mut TableDescriptor,
    definition: &ColumnDefinition,
    context: &mut Context<'_, D>,
) -> SqlResult<()> {
    if table.column(&definition.name).is_some() {
        let message = match table.id {
            _ if table.columns.len() < COLUMNS_MAX => {
                format!("column \"{}\" specified more than once", definition.name)
            }
            _ => format!("tables can have at most {COLUMNS_MAX} columns"),
        };
        return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
    }
    let mut column = Column {
        modifier: definition.modifier,
        not_null: definition.not_null,
        ..Column::new(&definition.name, definition.data_type)
    };
    match &definition.default {
        None => {}
        Some(DefaultDefinition::Expr(source)) => column.default = default(source, &column, context)?,
        Some(DefaultDefinition::Serial) => {
            count_by_sequence(table, &mut column, SequenceOptions::default(), context).await?;
        }
        Some(DefaultDefinition::Identity(always, options)) => {
            column.identity = if *always { Identity::Always } else { Identity::ByDefault };
            count_by_sequence(table, &mut column, *options, context).await?;
        }
    }
    table.columns.push(column);
    Ok(())
}

/// Makes `column`, the next one of `table` or one that it has, take the numbers of a sequence of its own.
pub(super) async fn count_by_sequence<D: Database>(
    table: &TableDescriptor,
    column: &mut Column,
    options: SequenceOptions,
    context: &mut Context<'_, D>,
) -> SqlResult<()> {
    if !column.data_type.is_integer() {
        let message = "identity column type must be smallint, integer, or bigint";
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    let known = table.columns.iter().position(|known| known.name == column.name);
    let at = known.unwrap_or(table.columns.len());
    let name = free_name(&table.schema, (&table.name, &column.name, "seq"), &[], context).await?;
    let owner = Some((table.name.clone(), u16::try_from(at).unwrap_or(u16::MAX)));
    object::put_sequence(&table.schema, &name, column.data_type, options, owner, context).await?;
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let path = format!("{}.{}", quoted(&table.schema), quoted(&name)).replace('\'', "''");
    column.default = ColumnDefault::Expression(format!("nextval('{path}')"));
    column.not_null = true;
    Ok(())
}

/// What `source` says a column holds if nothing is said: a constant, or what an expression gives each time.
pub(super) fn default<D>(
    source: &Source,
    column: &Column,
    context: &Context<'_, D>,
) -> SqlResult<ColumnDefault> {
    let is_now = matches!(&source.expr, AstExpr::Call(call)
        if matches!(call.name.as_str(), "now" | "current_timestamp" | "localtimestamp"));
    if is_now && column.data_type == DataType::Timestamp {
        return Ok(ColumnDefault::Now);
    }
    let (scope, mut planner) = (Scope::default(), Planner::new(Relations::default(), &[]));
    let mut binder = Binder::new(&scope, &mut planner, "DEFAULT expressions");
    let expr = binder.assign(&source.expr, column).map_err(|error| match error.state {
        SqlState::UNDEFINED_COLUMN => {
            SqlError::new(SqlState::NOT_SUPPORTED, "cannot use column reference in DEFAULT expression")
        }
        _ => error,
    })?;
    if expr.has_subquery() {
        return Err(SqlError::new(SqlState::NOT_SUPPORTED, "cannot use subquery in DEFAULT expression"));
    }
    // What calls no function is the same each time.
    if expr.any(&mut |expr| expr.is_call()) {
        return Ok(ColumnDefault::Expression(source.text.clone()));
    }
    Ok(ColumnDefault::Value(expr.eval(&[], &context.env)?.into_owned()))
}

/// What rows hold that are there already in a column with this default, if it is the same for all.
pub(super) fn missing(default: &ColumnDefault) -> Option<Datum> {
    match default {
        ColumnDefault::Value(value) => Some(value.clone()),
        _ => None,
    }
}
