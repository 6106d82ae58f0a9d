//! Function calls.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Binder, Typed, fold_cast, typed};
use crate::ast::{self, BinaryOperator};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::Expr;
use crate::function::{Function, SIGNATURES, Signature};
use crate::types::{DataType, Datum};

impl Binder<'_> {
    pub(super) fn call(&mut self, call: &ast::Call) -> SqlResult<Typed> {
        if let Some(window) = self.window(call)? {
            return Ok(window);
        }
        if let Some(aggregate) = self.aggregate(call)? {
            return Ok(aggregate);
        }
        if let Some(sequence) = self.sequence(call)? {
            return Ok(sequence);
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
            ("coalesce", 1..) => {
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
                let data_type = left.data_type.or(right.data_type).unwrap_or(DataType::Text);
                let data_type =
                    if left.data_type.is_none() { data_type } else { left.data_type.unwrap_or(data_type) };
                let (left, right) = self.comparable(BinaryOperator::Eq, left, right)?;
                typed(Expr::NullIf(Box::new(left), Box::new(right)), data_type)
            }
            ("concat", _) => {
                let mut texts = Vec::with_capacity(arguments.len());
                for argument in arguments {
                    texts.push(match argument.data_type {
                        None => self.coerce_unknown(argument, DataType::Text)?,
                        Some(_) => argument.expr,
                    });
                }
                typed(Expr::Call(Function::Concat, texts), DataType::Text)
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

    fn function(&mut self, name: &str, arguments: Vec<Typed>) -> SqlResult<Typed> {
        let types: Vec<Option<DataType>> = arguments.iter().map(|argument| argument.data_type).collect();
        let fits = |implicit: bool| {
            SIGNATURES.iter().find(|signature| signature.name == name && fits(signature, &types, implicit))
        };
        let signature = fits(false).or_else(|| fits(true)).ok_or_else(|| undefined(name, &types))?;
        let mut exprs = Vec::with_capacity(arguments.len());
        for (argument, to) in arguments.into_iter().zip(signature.arguments) {
            exprs.push(match argument.data_type {
                Some(from) if from != *to => fold_cast(argument.expr, *to)?,
                _ => self.coerce_unknown(argument, *to)?,
            });
        }
        typed(Expr::Call(signature.function, exprs), signature.result)
    }
}

/// Whether arguments of `types` fit, as they are or with `implicit` casts of numbers to wider ones.
fn fits(signature: &Signature, types: &[Option<DataType>], implicit: bool) -> bool {
    let widens = |from: DataType, to: DataType| {
        from.is_numeric() && to.is_numeric() && (to == DataType::Float8 || from == DataType::Int4)
    };
    signature.arguments.len() == types.len()
        && signature.arguments.iter().zip(types).all(|(to, from)| match from {
            None => true,
            Some(from) => from == to || (implicit && widens(*from, *to)),
        })
}

/// 42883
pub(super) fn undefined(name: &str, types: &[Option<DataType>]) -> SqlError {
    let names: Vec<&str> =
        types.iter().map(|data_type| data_type.map_or("unknown", DataType::name)).collect();
    let message: String = format!("function {name}({}) does not exist", names.join(", "));
    SqlError::new(SqlState::UNDEFINED_FUNCTION, message).hint(
        "No function matches the given name and argument types. You might need to add explicit type casts.",
    )
}
