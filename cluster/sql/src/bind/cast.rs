//! From one type to another, as far as a statement asks for it.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use cluster_calendar::Interval;

use super::{Binder, Typed, typed};
use crate::ast;
use crate::cast::{self, Context};
use crate::catalog::Column;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::Expr;
use crate::function::{self, Function};
use crate::types::{DataType, Datum, Scalar, TypeName, fit_explicitly, of_interval};
use crate::wire::{self, Style};

impl Binder<'_> {
    /// Binds `expr` to what `column` stores, by assignment.
    pub(crate) fn assign(&mut self, expr: &ast::Expr, column: &Column) -> SqlResult<Expr> {
        if let (ast::Expr::Array(items), DataType::Array(element)) = (expr, column.data_type) {
            return self.array_of(items, element).map(|bound| bound.expr);
        }
        let bound = self.bind(expr)?;
        self.assign_typed(bound, column)
    }

    /// As [`Binder::assign`], for what is bound already.
    pub(crate) fn assign_typed(&mut self, bound: Typed, column: &Column) -> SqlResult<Expr> {
        let to = column.data_type;
        let Some(from) = bound.data_type else { return self.coerce_unknown(bound, to) };
        match cast::context(from, to) {
            Some(Context::Implicit | Context::Assignment) => fold_cast(bound.expr, from, to),
            _ => {
                let message = format!(
                    "column \"{}\" is of type {} but expression is of type {}",
                    column.name,
                    to.name(),
                    from.name()
                );
                Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message)
                    .hint("You will need to rewrite or cast the expression."))
            }
        }
    }

    /// Makes what is of unknown type a `data_type`; leaves the rest alone.
    pub(crate) fn coerce_unknown(&mut self, bound: Typed, data_type: DataType) -> SqlResult<Expr> {
        if bound.data_type.is_some() {
            return Ok(bound.expr);
        }
        match bound.expr {
            Expr::Const(Datum::Text(text)) if data_type.output().is_some() => {
                fold_cast(Expr::Const(Datum::Text(text)), DataType::Text, data_type)
            }
            Expr::Const(Datum::Text(text)) if is_fixed(&text, data_type) => {
                wire::parse_owned_text(data_type, text, &Style::default()).map(Expr::Const)
            }
            Expr::Const(Datum::Text(text)) => {
                // What is no value in any session is an error at once.
                wire::parse_text(data_type, &text, &Style::default())?;
                Ok(Expr::Cast(Box::new(Expr::Const(Datum::Text(text))), data_type))
            }
            Expr::Param(index) if data_type.output().is_some() => {
                let text =
                    self.coerce_unknown(Typed { expr: Expr::Param(index), data_type: None }, DataType::Text)?;
                fold_cast(text, DataType::Text, data_type)
            }
            Expr::Param(index) => {
                match self.planner.params.get(index) {
                    None => self.planner.params.set(index, data_type),
                    Some(known) if known == data_type => {}
                    Some(known) => return fold_cast_checked(Expr::Param(index), known, data_type),
                }
                Ok(Expr::Param(index))
            }
            other => Ok(other),
        }
    }

    /// Makes `bound` a `data_type`, which it can become without being asked to.
    pub(super) fn coerce(&mut self, bound: Typed, data_type: DataType) -> SqlResult<Expr> {
        match bound.data_type {
            Some(from) => fold_cast(bound.expr, from, data_type),
            None => self.coerce_unknown(bound, data_type),
        }
    }

    /// `CAST(inner AS to)`
    pub(super) fn cast(&mut self, inner: &ast::Expr, to: TypeName) -> SqlResult<Typed> {
        let TypeName { data_type, modifier } = to;
        if let (ast::Expr::Array(items), DataType::Array(element)) = (inner, data_type) {
            let array = self.array_of(items, element)?;
            return typed(resize(array.expr, to)?, data_type);
        }
        let bound = self.bind(inner)?;
        if let (None, Expr::Const(Datum::Text(text)), DataType::Interval, Some(modifier)) =
            (bound.data_type, &bound.expr, data_type, modifier)
        {
            // The fields say what a number without a unit means.
            let interval = Interval::parse(text, of_interval(modifier))?;
            return typed(Expr::Const(Datum::Interval(interval)), data_type);
        }
        let expr = match bound.data_type {
            None => self.coerce_unknown(bound, data_type)?,
            Some(from) => fold_cast_checked(bound.expr, from, data_type)?,
        };
        typed(resize(expr, to)?, data_type)
    }

    /// `ARRAY[...]` whose elements become of the type `element`.
    fn array_of(&mut self, items: &[ast::Expr], element: Scalar) -> SqlResult<Typed> {
        let mut exprs = Vec::with_capacity(items.len());
        for item in items {
            exprs.push(self.cast(item, element.data_type().into())?.expr);
        }
        typed(Expr::Array(element, exprs), DataType::Array(element))
    }

    /// `ARRAY[...]`
    pub(super) fn array(&mut self, items: &[ast::Expr]) -> SqlResult<Typed> {
        if items.is_empty() {
            return Err(SqlError::new(
                SqlState::INDETERMINATE_DATATYPE,
                "cannot determine type of empty array",
            )
            .hint("Explicitly cast to the desired type, for example ARRAY[]::integer[]."));
        }
        let mut bound = Vec::with_capacity(items.len());
        for item in items {
            bound.push(self.bind(item)?);
        }
        let (exprs, data_type) = self.unify(bound, "ARRAY")?;
        let element =
            data_type.scalar().ok_or_else(|| SqlError::not_supported("an array of several dimensions"))?;
        typed(Expr::Array(element, exprs), DataType::Array(element))
    }

    /// Casts all to their common type.
    pub(crate) fn unify(&mut self, items: Vec<Typed>, construct: &str) -> SqlResult<(Vec<Expr>, DataType)> {
        let data_type = self.common_type(&items, construct)?;
        let mut exprs = Vec::with_capacity(items.len());
        for item in items {
            exprs.push(self.coerce(item, data_type)?);
        }
        Ok((exprs, data_type))
    }

    /// The type that all of `items` can become without being asked to; text if all are unknown.
    pub(super) fn common_type(&self, items: &[Typed], construct: &str) -> SqlResult<DataType> {
        let mut common: Option<DataType> = None;
        for next in items.iter().filter_map(|item| item.data_type) {
            let is_implicit = |from, to| cast::context(from, to) == Some(Context::Implicit);
            common = Some(match common {
                None => next,
                Some(common) if common == next => common,
                Some(common) if common.category() != next.category() => {
                    return Err(unmatched(construct, common, next));
                }
                Some(common) if common.is_preferred() => common,
                Some(common) if is_implicit(common, next) && !is_implicit(next, common) => next,
                Some(common) => common,
            });
        }
        let common = common.unwrap_or(DataType::Text);
        for next in items.iter().filter_map(|item| item.data_type) {
            if cast::context(next, common) != Some(Context::Implicit) {
                let (next, common) = (next.name(), common.name());
                let message = format!("{construct} could not convert type {next} to {common}");
                return Err(SqlError::new(SqlState::CANNOT_COERCE, message));
            }
        }
        Ok(common)
    }
}

fn unmatched(construct: &str, left: DataType, right: DataType) -> SqlError {
    let message = format!("{construct} types {} and {} cannot be matched", left.name(), right.name());
    SqlError::new(SqlState::DATATYPE_MISMATCH, message)
}

/// Whether `text` says the same value in all sessions: no `now`, and no local time without a zone.
fn is_fixed(text: &str, data_type: DataType) -> bool {
    match data_type.element().unwrap_or(data_type) {
        DataType::Timestamptz => false,
        DataType::Date | DataType::Time | DataType::Timestamp => {
            !text.contains(|c: char| c.is_alphabetic() && c != 'T')
        }
        _ => true,
    }
}

/// Whether values of both types look the same inside.
fn is_same_form(from: DataType, to: DataType) -> bool {
    let is_text = |data_type| matches!(data_type, DataType::Text | DataType::Varchar);
    let (from, to) = (from.base(), to.base());
    from == to
        || (is_text(to) && (is_text(from) || matches!(from, DataType::Name | DataType::Json)))
        || matches!((from.element(), to.element()), (Some(from), Some(to)) if is_same_form(from, to))
}

/// A cast, done at once if it is of a constant and the same for all.
pub(super) fn fold_cast(expr: Expr, from: DataType, to: DataType) -> SqlResult<Expr> {
    // Names of what there is mean what they mean to the session.
    let look_up = match (from.output(), to.output()) {
        (Some(output), None) if to.is_text() => Some(output),
        (None, Some(_)) if from.is_text() => Some(to.name()),
        _ => None,
    };
    if let Some(function) = look_up.and_then(|name| function::functions(name).next()) {
        return Ok(Expr::Call(Function(function), [expr].into()));
    }
    match expr {
        expr if is_same_form(from, to) => Ok(expr),
        Expr::Const(datum) if cast::is_fixed(from, to) => {
            cast::cast(&datum, to, &Style::default()).map(Expr::Const)
        }
        expr => Ok(Expr::Cast(Box::new(expr), to)),
    }
}

/// As [`fold_cast`], if there is such a cast at all.
pub(super) fn fold_cast_checked(expr: Expr, from: DataType, to: DataType) -> SqlResult<Expr> {
    if cast::context(from, to).is_none() {
        let message = format!("cannot cast type {} to {}", from.name(), to.name());
        return Err(SqlError::new(SqlState::CANNOT_COERCE, message));
    }
    fold_cast(expr, from, to)
}

/// What the type's modifier makes of `expr`.
fn resize(expr: Expr, to: TypeName) -> SqlResult<Expr> {
    match (expr, to.modifier) {
        (expr, None) => Ok(expr),
        (Expr::Const(mut datum), Some(modifier)) => {
            fit_explicitly(&mut datum, to.data_type, modifier)?;
            Ok(Expr::Const(datum))
        }
        (expr, Some(modifier)) => Ok(Expr::Resize(Box::new(expr), to.data_type, modifier)),
    }
}

/// A number is the smallest integer type that holds it, else exact.
pub(super) fn number(digits: &str) -> SqlResult<Typed> {
    let datum = match digits.parse::<i64>() {
        Ok(value) => i32::try_from(value).map_or(Datum::Int8(value), Datum::Int4),
        Err(_) => wire::parse_text(DataType::Numeric, digits, &Style::default())?,
    };
    let data_type = datum.data_type();
    Ok(Typed { expr: Expr::Const(datum), data_type })
}
