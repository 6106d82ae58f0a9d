//! Calls of functions and procedures that users define.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::call::undefined;
use super::cast::fold_cast;
use super::{Binder, Scope, Typed, typed};
use crate::ast;
use crate::cast::{Context, context};
use crate::catalog::{Returns, StoredRoutine};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::exec::{NEW, OLD};
use crate::expr::{Expr, RoutineCall};
use crate::types::{DataType, Datum};

impl Binder<'_> {
    /// Binds `call` if it is of a routine, as an expression.
    pub(super) fn routine(&mut self, call: &ast::Call) -> SqlResult<Option<Typed>> {
        let Some(routine) = self.planner.relations.routine(call.schema.as_deref(), &call.name) else {
            return Ok(None);
        };
        if call.over.is_some() {
            let message = format!(
                "OVER specified, but {} is not a window function nor an aggregate function",
                call.name
            );
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        }
        if call.star || call.distinct || call.filter.is_some() || !call.order_by.is_empty() {
            let message = format!("{} is not an aggregate function", call.name);
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        }
        let descriptor = &routine.descriptor;
        if descriptor.is_procedure {
            let message = format!("{} is a procedure", call.name);
            return Err(
                SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).hint("To call a procedure, use CALL.")
            );
        }
        let data_type = match &descriptor.returns {
            Returns::Value(data_type) => *data_type,
            // There is nothing in it, which is what a text shows best.
            Returns::Nothing => DataType::Text,
            Returns::Rows(_) => {
                let message = format!("function {} gives rows", call.name);
                return Err(SqlError::new(SqlState::NOT_SUPPORTED, message).hint("Call it in FROM."));
            }
            Returns::Trigger => {
                let message = "trigger functions can only be called as triggers";
                return Err(SqlError::new(SqlState::NOT_SUPPORTED, message));
            }
        };
        let call = self.routine_call(routine, &call.arguments)?;
        typed(Expr::Routine(Box::new(call)), data_type).map(Some)
    }

    /// 42883, with the types of the arguments; or what is wrong with these.
    pub(crate) fn undefined_routine(&mut self, name: &str, arguments: &[ast::Expr]) -> SqlError {
        let types = arguments.iter().map(|argument| Ok(self.bind(argument)?.data_type));
        match types.collect::<SqlResult<Vec<_>>>() {
            Ok(types) => undefined(name, &types),
            Err(error) => error,
        }
    }

    /// A call of `routine` with these arguments.
    pub(crate) fn routine_call(
        &mut self,
        routine: Arc<StoredRoutine>,
        given: &[ast::Expr],
    ) -> SqlResult<RoutineCall> {
        let mut bound = Vec::with_capacity(given.len());
        for argument in given {
            bound.push(self.bind(argument)?);
        }
        let types: Vec<Option<DataType>> = bound.iter().map(|argument| argument.data_type).collect();
        let parameters = &routine.descriptor.parameters;
        let wrong = || {
            let mut error = undefined(&routine.descriptor.name, &types);
            let takes = routine.descriptor.signature();
            error.message = error.message.replacen("function", routine.descriptor.kind(), 1);
            error.hint(format!("There is {takes}. You might need to add explicit type casts."))
        };
        if bound.len() > parameters.len() {
            return Err(wrong());
        }
        let mut bound = bound.into_iter();
        let mut arguments = Vec::with_capacity(parameters.len());
        for (parameter, default) in parameters.iter().zip(&routine.defaults) {
            let to = parameter.data_type;
            let argument = match (bound.next(), default) {
                (Some(argument), _) => argument,
                // What it says means the same wherever it is called: it sees nothing of that.
                (None, Some(default)) => {
                    let nothing = Scope::default();
                    let levels = core::mem::take(&mut self.planner.levels);
                    let default = Binder::new(&nothing, self.planner, "DEFAULT expressions").bind(default);
                    self.planner.levels = levels;
                    default?
                }
                (None, None) => return Err(wrong()),
            };
            arguments.push(match argument.data_type {
                None => self.coerce_unknown(argument, to)?,
                Some(from) if from == to => argument.expr,
                Some(from) if context(from, to) == Some(Context::Implicit) => {
                    fold_cast(argument.expr, from, to)?
                }
                Some(_) => return Err(wrong()),
            });
        }
        self.planner.calls_volatile |= routine.descriptor.is_volatile();
        Ok(RoutineCall { routine, arguments })
    }

    /// The argument of the routine around the statement that `table.name` means, if it means one.
    pub(super) fn argument(&self, table: Option<&str>, name: &str) -> Option<Typed> {
        let arguments = &self.planner.arguments;
        let at = arguments.iter().position(|(of, known, _)| {
            known == name && (table.is_none() || of.as_deref() == table) && (table.is_some() || !is_row(of))
        })?;
        let data_type = arguments.get(at).map(|(_, _, data_type)| *data_type);
        Some(Typed { expr: Expr::Param(at), data_type })
    }

    /// Whether `table` is what a routine's arguments may be qualified with.
    pub(super) fn is_argument_table(&self, table: Option<&str>) -> bool {
        table.is_some() && self.planner.arguments.iter().any(|(of, ..)| of.as_deref() == table)
    }
}

/// Whether arguments that are qualified with `of` are the columns of a trigger's rows: those have to be.
fn is_row(of: &Option<String>) -> bool {
    matches!(of.as_deref(), Some(NEW | OLD))
}

impl RoutineCall {
    /// Whether it gives NULL at once.
    pub(crate) fn is_null(&self, arguments: &[Datum]) -> bool {
        self.routine.descriptor.strict && arguments.iter().any(Datum::is_null)
    }
}
