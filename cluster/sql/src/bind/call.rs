//! Function calls.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::cast::fold_cast;
use super::operator::comparable_types;
use super::resolve::{Failure, resolve};
use super::{Binder, Typed, typed};
use crate::ast::{self, BinaryOperator};
use crate::cast::context;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::Expr;
use crate::function;
use crate::plan;
use crate::types::{DataType, Datum};

/// Whether `name` is that of a function that every cluster has: one that users define cannot have it.
pub(crate) fn is_built_in(name: &str) -> bool {
    matches!(name, "coalesce" | "array" | "greatest" | "least" | "nullif" | "pg_typeof")
        || function::functions(name).next().is_some()
        || matches!(name, "nextval" | "currval" | "lastval" | "setval" | "relix_version")
        || matches!(name, "pg_cancel_backend" | "pg_terminate_backend")
        || super::aggregate::is_aggregate(name)
        || super::window::is_window_function(name)
        || plan::gives_rows(name)
        || DataType::of_name(name).is_some()
}

impl Binder<'_> {
    pub(super) fn call(&mut self, call: &ast::Call) -> SqlResult<Typed> {
        if let Some(routine) = self.routine(call)? {
            return Ok(routine);
        }
        if let Some(schema) = &call.schema {
            return Err(self.undefined_routine(&format!("{schema}.{}", call.name), &call.arguments));
        }
        if let Some(window) = self.window(call)? {
            return Ok(window);
        }
        if let Some(aggregate) = self.aggregate(call)? {
            return Ok(aggregate);
        }
        if let Some(sequence) = self.sequence(call)? {
            return Ok(sequence);
        }
        if let Some(signal) = self.signal(call)? {
            return Ok(signal);
        }
        let clause = match call {
            _ if call.star => Some("(*)"),
            _ if call.distinct => Some("DISTINCT"),
            _ if !call.order_by.is_empty() => Some("ORDER BY"),
            _ if call.filter.is_some() => Some("FILTER"),
            _ => None,
        };
        if let Some(clause) = clause {
            let message = format!("{clause} specified, but {} is not an aggregate function", call.name);
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        }
        let mut arguments = Vec::with_capacity(call.arguments.len());
        for argument in &call.arguments {
            arguments.push(self.bind(argument)?);
        }
        match (call.name.as_str(), arguments.len()) {
            // ARRAY(query) is an array of what it gives, or an empty one.
            ("coalesce" | "array", 1..) => {
                let (all, data_type) = self.unify(arguments, "COALESCE")?;
                typed(Expr::Coalesce(all), data_type)
            }
            ("greatest" | "least", 1..) => {
                let greatest = call.name == "greatest";
                let (all, data_type) = self.unify(arguments, if greatest { "GREATEST" } else { "LEAST" })?;
                typed(Expr::Extreme(greatest, all), data_type)
            }
            ("nullif", 2) => {
                let mut arguments = arguments.into_iter();
                let (Some(left), Some(right)) = (arguments.next(), arguments.next()) else {
                    return Err(undefined(&call.name, &[]));
                };
                let (data_type, _) = comparable_types(BinaryOperator::Eq, left.data_type, right.data_type)?;
                let (left, right) = self.comparable(BinaryOperator::Eq, left, right)?;
                // There is no `varchar` to compare: it is a text by then.
                let data_type = if data_type == DataType::Varchar { DataType::Text } else { data_type };
                typed(Expr::NullIf(Box::new(left), Box::new(right)), data_type)
            }
            ("pg_typeof", 1) => {
                let name = arguments
                    .first()
                    .and_then(|argument| argument.data_type)
                    .map_or("unknown", DataType::name);
                typed(Expr::Const(Datum::Text(name.into())), DataType::Text)
            }
            _ => self.function(&call.name, arguments),
        }
    }

    fn function(&mut self, name: &str, mut arguments: Vec<Typed>) -> SqlResult<Typed> {
        let types: Vec<Option<DataType>> = arguments.iter().map(|argument| argument.data_type).collect();
        match resolve(function::functions(name), &types, false) {
            Ok(mut resolved) => {
                if resolved.is_undetermined(&types) {
                    return Err(undetermined());
                }
                // What builds JSON of any values must know which texts are JSON already.
                let builds = matches!(name, "to_json" | "to_jsonb") || name.contains("_build_");
                for (to, from) in resolved.arguments.iter_mut().zip(&types) {
                    if builds && *from == Some(DataType::Json) {
                        *to = DataType::Jsonb;
                    }
                }
                self.apply(resolved, arguments)
            }
            Err(Failure::Ambiguous) => Err(ambiguous(name, &types)),
            // A type's name with one argument is a cast.
            Err(Failure::Undefined) => match (DataType::of_name(name), arguments.pop(), arguments.is_empty())
            {
                (Some(to), Some(argument), true) => match argument.data_type {
                    None => self.coerce_unknown(argument, to).and_then(|expr| typed(expr, to)),
                    Some(from) if context(from, to).is_some() => {
                        typed(fold_cast(argument.expr, from, to)?, to)
                    }
                    Some(_) => Err(undefined(name, &types)),
                },
                _ => Err(undefined(name, &types)),
            },
        }
    }
}

/// 42804
pub(super) fn undetermined() -> SqlError {
    let message = "could not determine polymorphic type because input has type unknown";
    SqlError::new(SqlState::DATATYPE_MISMATCH, message)
}

/// 42725
pub(super) fn ambiguous(name: &str, types: &[Option<DataType>]) -> SqlError {
    let message: String = format!("function {name}({}) is not unique", names(types));
    SqlError::new(SqlState::AMBIGUOUS_FUNCTION, message)
        .hint("Could not choose a best candidate function. You might need to add explicit type casts.")
}

fn names(types: &[Option<DataType>]) -> String {
    let names: Vec<&str> =
        types.iter().map(|data_type| data_type.map_or("unknown", DataType::name)).collect();
    names.join(", ")
}

/// 42883
pub(super) fn undefined(name: &str, types: &[Option<DataType>]) -> SqlError {
    let message: String = format!("function {name}({}) does not exist", names(types));
    SqlError::new(SqlState::UNDEFINED_FUNCTION, message).hint(
        "No function matches the given name and argument types. You might need to add explicit type casts.",
    )
}
