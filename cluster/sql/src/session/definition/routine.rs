//! `CREATE FUNCTION`, `CREATE PROCEDURE`, and what goes with them when they are dropped.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{put_table, schema_of};
use crate::ast::CreateRoutine;
use crate::bind::{Binder, Scope, is_built_in};
use crate::cast;
use crate::catalog::{
    self, Descriptor, Language, Returns, RoutineDescriptor, Stored, StoredRoutine, Volatility, routine_name,
};
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::exec::{Body, Context, check_program, plan_body};
use crate::parse;
use crate::plan::{OutputColumn, Planner, Relations};
use crate::session::Notice;
use crate::types::DataType;

/// Most parameters of a routine, as in Postgres.
const PARAMETERS_MAX: usize = 100;

pub(super) async fn create<D: Database>(
    create: &CreateRoutine,
    context: &mut Context<'_, D>,
) -> SqlResult<Vec<Notice>> {
    let schema = schema_of(&create.name, context).await?;
    let name = &create.name.name;
    check_declaration(create)?;
    if create.language == Language::Sql {
        parse::parse(&create.body).map_err(|error| error.within(format!("body of \"{name}\"")))?;
    }
    let known = match catalog::find(context.transaction, &schema, &routine_name(name)).await? {
        Some(Stored::Routine(known)) => Some(known),
        Some(other) => {
            let message = format!("{} \"{}\" is in the way", other.kind(), routine_name(name));
            return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, message));
        }
        None => None,
    };
    if let Some(known) = &known {
        check_replacement(&known.descriptor, create)?;
    }
    let (id, comment) = match &known {
        Some(known) => (known.descriptor.id, known.descriptor.comment.clone()),
        None => (catalog::take_id(context.transaction, context.env.session.service).await?, None),
    };
    let descriptor = RoutineDescriptor {
        id,
        schema,
        name: name.clone(),
        is_procedure: create.is_procedure,
        parameters: create.parameters.clone(),
        returns: create.returns.clone(),
        volatility: create.volatility,
        strict: create.strict,
        language: create.language.clone(),
        body: create.body.clone(),
        comment,
    };
    let (schema, called) = (descriptor.schema.clone(), descriptor.catalog_name());
    let stored = Descriptor::Routine(descriptor);
    // It may call itself, so it is there before its body is looked at.
    catalog::put(context.transaction, &schema, &called, &stored).await?;
    // A dump makes functions before their tables.
    let is_checked = context.env.session.settings.show("check_function_bodies")? == "on";
    if let (true, Some(Stored::Routine(routine))) =
        (is_checked, catalog::find(context.transaction, &schema, &called).await?)
    {
        check_body(&routine, context).await?;
    }
    Ok(Vec::new())
}

fn check_declaration(create: &CreateRoutine) -> SqlResult<()> {
    let refused = |message: String| Err(SqlError::new(SqlState::INVALID_FUNCTION_DEFINITION, message));
    let name = &create.name.name;
    if is_built_in(name) {
        let message = format!("function \"{name}\" is one of those that every cluster has");
        return Err(SqlError::new(SqlState::DUPLICATE_FUNCTION, message).hint("Give it another name."));
    }
    if create.parameters.len() > PARAMETERS_MAX {
        return refused(format!("functions cannot have more than {PARAMETERS_MAX} arguments"));
    }
    if create.is_procedure && create.volatility != Volatility::Volatile {
        return refused("invalid attribute in procedure definition".into());
    }
    if !create.is_procedure && create.returns == Returns::Nothing && create.volatility != Volatility::Volatile
    {
        return refused("a function that gives nothing and changes nothing has no use".into());
    }
    if create.returns == Returns::Trigger && !create.parameters.is_empty() {
        return refused("trigger functions cannot have declared arguments".into());
    }
    let mut had_default = false;
    for (at, parameter) in create.parameters.iter().enumerate() {
        let is_twice = |other: &catalog::Parameter| other.name == parameter.name;
        if !parameter.name.is_empty() && create.parameters.iter().take(at).any(is_twice) {
            return refused(format!("parameter name \"{}\" used more than once", parameter.name));
        }
        if had_default && parameter.default.is_none() {
            return refused("input parameters after one with a default value must also have defaults".into());
        }
        had_default |= parameter.default.is_some();
        if let Some(default) = &parameter.default {
            let nothing = Scope::default();
            let mut planner = Planner::new(Relations::default(), &[]);
            let mut binder = Binder::new(&nothing, &mut planner, "DEFAULT expressions");
            let bound = binder.bind(&parse::expression(default)?)?;
            match bound.data_type {
                Some(from) => check_gives(from, parameter.data_type, "a parameter's default")?,
                // Such as NULL, or a text that is to be a date.
                None => drop(binder.coerce_unknown(bound, parameter.data_type)?),
            }
        }
    }
    Ok(())
}

/// What is replaced must be called and used as before: plans and triggers go by that.
fn check_replacement(known: &RoutineDescriptor, create: &CreateRoutine) -> SqlResult<()> {
    let name = &create.name.name;
    let types = |parameters: &[catalog::Parameter]| -> Vec<DataType> {
        parameters.iter().map(|parameter| parameter.data_type).collect()
    };
    let is_same = types(&known.parameters) == types(&create.parameters);
    if !create.or_replace || !is_same || known.is_procedure != create.is_procedure {
        let message = format!("{} \"{name}\" already exists", known.kind());
        let error = SqlError::new(SqlState::DUPLICATE_FUNCTION, message);
        let hint = format!("There is one of each name: DROP {} {name} first.", known.kind().to_uppercase());
        return Err(if create.or_replace { error.hint(hint) } else { error });
    }
    if known.returns != create.returns {
        let message = "cannot change return type of existing function";
        return Err(SqlError::new(SqlState::INVALID_FUNCTION_DEFINITION, message)
            .hint(format!("Use DROP FUNCTION {name} first.")));
    }
    Ok(())
}

/// The body must be statements on tables that there are, and the last one must give what the routine does. What a trigger's
/// function says of rows is looked at when a table has it.
async fn check_body<D: Database>(
    routine: &Arc<StoredRoutine>,
    context: &mut Context<'_, D>,
) -> SqlResult<()> {
    let descriptor = &routine.descriptor;
    if let Language::Wasm { entry } = &descriptor.language {
        return check_program(routine, entry, context).await;
    }
    if descriptor.returns == Returns::Trigger {
        return Ok(());
    }
    let body = Body { routine, statements: &routine.body, row_of: None };
    let columns = plan_body(&body, context).await?.pop().and_then(|planned| planned.columns);
    let wanted: Vec<DataType> = match &descriptor.returns {
        Returns::Nothing | Returns::Trigger => return Ok(()),
        Returns::Value(data_type) => [*data_type].into(),
        Returns::Rows(columns) => columns.iter().map(|(_, data_type)| *data_type).collect(),
    };
    let mismatch = |detail: String| {
        let message = format!("return type mismatch in function \"{}\"", descriptor.name);
        SqlError::new(SqlState::INVALID_FUNCTION_DEFINITION, message).detail(detail)
    };
    let columns: Vec<OutputColumn> = columns.ok_or_else(|| {
        mismatch("Its last statement must be a SELECT, or an INSERT, UPDATE or DELETE with RETURNING.".into())
    })?;
    if columns.len() != wanted.len() {
        let (has, wants) = (columns.len(), wanted.len());
        return Err(mismatch(format!("Its last statement must give {wants} columns, and gives {has}.")));
    }
    for (column, to) in columns.iter().zip(wanted) {
        check_gives(column.data_type, to, &format!("column \"{}\"", column.name))?;
    }
    Ok(())
}

/// 42P13 if a value of one type is nothing that another can be stored as.
fn check_gives(from: DataType, to: DataType, what: &str) -> SqlResult<()> {
    match cast::context(from, to) {
        Some(cast::Context::Implicit | cast::Context::Assignment) => Ok(()),
        _ => {
            let message = format!("{what} is of type {}, and {} is wanted", from.name(), to.name());
            Err(SqlError::new(SqlState::INVALID_FUNCTION_DEFINITION, message))
        }
    }
}

/// A routine is dropped: triggers that call it go with it, if they may.
pub(super) async fn forget_triggers<D: Database>(
    routine: &RoutineDescriptor,
    cascade: bool,
    context: &mut Context<'_, D>,
) -> SqlResult<()> {
    let called = (routine.schema.clone(), routine.name.clone());
    for (_, _, descriptor) in catalog::everything(context.transaction).await? {
        let Descriptor::Table(mut table) = descriptor else { continue };
        if !table.triggers.iter().any(|trigger| trigger.routine == called) {
            continue;
        }
        if !cascade {
            return Err(super::drop::depended_on(routine.kind(), &routine.name));
        }
        table.triggers.retain(|trigger| trigger.routine != called);
        put_table(table, context).await?;
    }
    Ok(())
}
