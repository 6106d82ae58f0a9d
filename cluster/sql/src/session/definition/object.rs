//! Sequences, views, schemas.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{is_free, place_of, schema_of, skipping, table_called};
use crate::ast::{CreateSequence, CreateView, SequenceOptions, Statement, TableName};
use crate::catalog::{self, Descriptor, SCHEMA_ITSELF, SequenceDescriptor, ViewDescriptor};
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::exec::Context;
use crate::parse;
use crate::plan;
use crate::session::Notice;
use crate::system::quote_ident;
use crate::types::DataType;

pub(super) async fn create_sequence<D: Database>(
    create: &CreateSequence,
    context: &mut Context<'_, D>,
) -> SqlResult<Vec<Notice>> {
    let schema = schema_of(&create.name, context).await?;
    if let Err(notice) = is_free(&schema, &create.name.name, create.if_not_exists, context).await? {
        return Ok([notice].into());
    }
    put_sequence(&schema, &create.name.name, create.data_type, create.options, None, context).await?;
    Ok(Vec::new())
}

/// Stores a new sequence, which goes with the column of `owner`.
pub(super) async fn put_sequence<D: Database>(
    schema: &str,
    name: &str,
    data_type: DataType,
    options: SequenceOptions,
    owner: Option<(String, u16)>,
    context: &mut Context<'_, D>,
) -> SqlResult<()> {
    let Some((least, most)) = data_type.integer_range() else {
        let message = "sequence type must be smallint, integer, or bigint";
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    };
    let increment = options.increment.unwrap_or(1);
    let refused = |message: String| Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    if increment == 0 {
        return refused("INCREMENT must not be zero".into());
    }
    let up = increment > 0;
    let min = options.min.unwrap_or(if up { 1 } else { least });
    let max = options.max.unwrap_or(if up { most } else { -1 });
    if min < least {
        return refused(format!(
            "MINVALUE ({min}) is out of range for sequence data type {}",
            data_type.name()
        ));
    }
    if max > most {
        return refused(format!(
            "MAXVALUE ({max}) is out of range for sequence data type {}",
            data_type.name()
        ));
    }
    if min >= max {
        return refused(format!("MINVALUE ({min}) must be less than MAXVALUE ({max})"));
    }
    let start = options.start.unwrap_or(if up { min } else { max });
    if start < min {
        return refused(format!("START value ({start}) cannot be less than MINVALUE ({min})"));
    }
    if start > max {
        return refused(format!("START value ({start}) cannot be greater than MAXVALUE ({max})"));
    }
    let id = catalog::take_id(context.transaction, context.env.session.service).await?;
    let cycle = options.cycle.unwrap_or(false);
    context.env.session.sequences.lock().own.make(id, schema, name, start);
    let sequence =
        SequenceDescriptor { id, data_type, start, increment, min, max, cycle, owner, comment: None };
    catalog::put(context.transaction, schema, name, &Descriptor::Sequence(sequence)).await
}

/// Makes a sequence go with a column, or with none.
pub(super) async fn own_sequence<D: Database>(
    sequence: &TableName,
    owner: Option<&(TableName, String)>,
    context: &mut Context<'_, D>,
) -> SqlResult<Vec<Notice>> {
    let schema = place_of(sequence, context).await?;
    let found = catalog::find(context.transaction, &schema, &sequence.name).await?;
    let Some(catalog::Stored::Sequence(mut descriptor)) = found else {
        return Err(catalog::undefined_table(sequence.schema.as_deref(), &sequence.name));
    };
    descriptor.owner = match owner {
        None => None,
        Some((table, column)) => {
            let table = table_called(table, context).await?;
            if table.descriptor.schema != schema {
                let message = "sequence must be in same schema as table it is linked to";
                return Err(SqlError::new(SqlState::OBJECT_NOT_IN_STATE, message));
            }
            let Some((place, _)) = table.descriptor.column(column) else {
                let message =
                    format!("column \"{column}\" of relation \"{}\" does not exist", table.descriptor.name);
                return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message));
            };
            Some((table.descriptor.name.clone(), u16::try_from(place).unwrap_or(u16::MAX)))
        }
    };
    catalog::put(context.transaction, &schema, &sequence.name, &Descriptor::Sequence(descriptor)).await?;
    Ok(Vec::new())
}

/// A view's query with the schemas of all tables it names: it means the same wherever it is read.
async fn with_schemas<D: Database>(query: &str, context: &mut Context<'_, D>) -> SqlResult<String> {
    let mut places: Vec<(usize, String)> = Vec::new();
    for name in parse::names_in_query(query)? {
        let Some(at) = name.position.filter(|_| name.schema.is_none()) else { continue };
        let schema = place_of(&name, context).await?;
        let at = usize::try_from(at).unwrap_or(usize::MAX).saturating_sub(1);
        places.push((at, format!("{}.", quote_ident(&schema))));
    }
    let mut text = String::with_capacity(query.len());
    for (at, c) in query.chars().enumerate() {
        for (_, schema) in places.iter().filter(|(place, _)| *place == at) {
            text.push_str(schema);
        }
        text.push(c);
    }
    Ok(text)
}

pub(super) async fn create_view<D: Database>(
    create: &CreateView,
    context: &mut Context<'_, D>,
) -> SqlResult<Vec<Notice>> {
    let schema = schema_of(&create.name, context).await?;
    let name = &create.name.name;
    let known = catalog::find(context.transaction, &schema, name).await?;
    let replaced = match known {
        Some(catalog::Stored::View(view)) if create.or_replace => Some(view),
        _ => {
            is_free(&schema, name, false, context).await?.ok();
            None
        }
    };
    let statement = Statement::Query(create.query.clone());
    let relations =
        plan::relations(&statement, context.transaction, context.database, &context.env.session.path).await?;
    let planned = plan::plan(&statement, relations, &[])?;
    if !planned.params.is_empty() {
        let message = "views must not contain parameters";
        return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
    }
    let outputs = planned.columns.unwrap_or_default();
    if create.columns.len() > outputs.len() {
        let message = "CREATE VIEW specifies more column names than columns";
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
    }
    let mut columns: Vec<(String, DataType)> = Vec::with_capacity(outputs.len());
    for (at, output) in outputs.into_iter().enumerate() {
        let column = create.columns.get(at).cloned().unwrap_or(output.name);
        if columns.iter().any(|(known, _)| *known == column) {
            let message = format!("column \"{column}\" specified more than once");
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
        }
        columns.push((column, output.data_type));
    }
    let id = match &replaced {
        None => catalog::take_id(context.transaction, context.env.session.service).await?,
        Some(view) => {
            check_replacement(&view.descriptor.columns, &columns)?;
            view.descriptor.id
        }
    };
    let query = with_schemas(&create.text, context).await?;
    // What is said of it stays.
    let (comment, column_comments) = match replaced {
        Some(view) => (view.descriptor.comment.clone(), view.descriptor.column_comments.clone()),
        None => (None, Vec::new()),
    };
    let view = Descriptor::View(ViewDescriptor { id, columns, query, comment, column_comments });
    catalog::put(context.transaction, &schema, name, &view).await?;
    Ok(Vec::new())
}

/// A view may gain columns, and must keep those it has.
fn check_replacement(old: &[(String, DataType)], new: &[(String, DataType)]) -> SqlResult<()> {
    let refused = |message: String| Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
    if new.len() < old.len() {
        return refused("cannot drop columns from view".into());
    }
    for ((old_name, old_type), (name, data_type)) in old.iter().zip(new) {
        if old_name != name {
            return refused(format!("cannot change name of view column \"{old_name}\" to \"{name}\""));
        }
        if old_type != data_type {
            let (from, to) = (old_type.name(), data_type.name());
            return refused(format!("cannot change data type of view column \"{name}\" from {from} to {to}"));
        }
    }
    Ok(())
}

pub(super) async fn create_schema<D: Database>(
    name: &str,
    if_not_exists: bool,
    context: &mut Context<'_, D>,
) -> SqlResult<Vec<Notice>> {
    if catalog::has_schema(context.transaction, name).await? {
        let message = format!("schema \"{name}\" already exists");
        if if_not_exists {
            return Ok([skipping(SqlState::DUPLICATE_SCHEMA, format!("{message}, skipping"))].into());
        }
        return Err(SqlError::new(SqlState::DUPLICATE_SCHEMA, message));
    }
    if name.starts_with("pg_") || name == "information_schema" {
        let message = format!("unacceptable schema name \"{name}\"");
        return Err(SqlError::new(SqlState::RESERVED_NAME, message)
            .detail("The prefix \"pg_\" is reserved for system schemas."));
    }
    catalog::put(context.transaction, name, SCHEMA_ITSELF, &Descriptor::Schema).await?;
    Ok(Vec::new())
}
