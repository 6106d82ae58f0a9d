//! `CALL`, and functions that give rows.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::from::{join, outputs};
use super::planner::Planner;
use super::query::rename;
use super::rel::{Apply, Called, JoinType, Rel};
use super::{OutputColumn, Plan};
use crate::ast::{self, Alias};
use crate::bind::{Binder, Scope};
use crate::catalog::{Returns, StoredRoutine};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::{Expr, RoutineCall};

/// `CALL`: a query of the procedure, whose rows nobody wants.
pub(super) fn plan_call(
    call: &ast::Call,
    planner: &mut Planner,
) -> SqlResult<(Plan, Option<Vec<OutputColumn>>)> {
    let routine = planner.relations.routine(call.schema.as_deref(), &call.name);
    let nothing = Scope::default();
    let mut binder = Binder::new(&nothing, planner, "CALL arguments");
    let Some(routine) = routine else {
        let mut error = binder.undefined_routine(&call.name, &call.arguments).at(call.position);
        error.message = error.message.replacen("function", "procedure", 1);
        return Err(error);
    };
    if !routine.descriptor.is_procedure {
        let message = format!("{} is not a procedure", call.name);
        return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
            .hint("To call a function, use SELECT.")
            .at(call.position));
    }
    let call = binder.routine_call(routine, &call.arguments).map_err(|error| error.at(call.position))?;
    let rel = Rel::Called(Arc::new(Called { call, width: 1 }));
    Ok((Plan::Query(rel), None))
}

/// A routine in `FROM`, for each row of what stands before it.
pub(super) fn plan_rows(
    routine: Arc<StoredRoutine>,
    arguments: &[ast::Expr],
    alias: Option<&Alias>,
    (left, before): (Rel, Scope),
    planner: &mut Planner,
) -> SqlResult<(Rel, Scope)> {
    let descriptor = &routine.descriptor;
    let name = descriptor.name.clone();
    let called = alias.map_or_else(|| name.clone(), |alias| alias.name.clone());
    let mut columns: Vec<(String, crate::types::DataType)> = match &descriptor.returns {
        _ if descriptor.is_procedure => {
            let message = format!("{name} is a procedure");
            return Err(
                SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).hint("To call a procedure, use CALL.")
            );
        }
        Returns::Rows(columns) => columns.clone(),
        Returns::Value(data_type) => [(name.clone(), *data_type)].into(),
        Returns::Nothing => [(name.clone(), crate::types::DataType::Text)].into(),
        Returns::Trigger => {
            let message = "trigger functions can only be called as triggers";
            return Err(SqlError::new(SqlState::NOT_SUPPORTED, message));
        }
    };
    // A single column that has no name of its own has that of the item.
    if let [(column, _)] = &mut columns[..]
        && *column == name
    {
        column.clone_from(&called);
    }
    let call = Binder::new(&before, planner, "functions in FROM").routine_call(routine, arguments)?;
    let width = columns.len();
    let columns = rename(&called, outputs(columns), alias.map_or(&[][..], |alias| &alias.columns))?;
    let mut scope = before;
    scope.append(Scope::of(called, columns))?;
    // What sees nothing of the others is called once.
    if call.arguments.iter().all(Expr::is_row_free) {
        let right = Rel::Called(Arc::new(Called { call, width }));
        let rel = if matches!(left, Rel::Row) { right } else { join(JoinType::Inner, left, right, None) };
        return Ok((rel, scope));
    }
    let within = (0..call.arguments.len()).map(Expr::Outer).collect();
    let inner = RoutineCall { routine: call.routine, arguments: within };
    let right = Rel::Called(Arc::new(Called { call: inner, width }));
    let apply = Apply { join_type: JoinType::Inner, left, right, outer: call.arguments, condition: None };
    Ok((Rel::Apply(Arc::new(apply)), scope))
}
