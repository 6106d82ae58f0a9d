//! From names to columns, from literals to values of a type: expressions as Postgres types them.
//!
//! A quoted literal, NULL and an untyped parameter are of *unknown* type until what stands beside them
//! says which; what nothing says is text.

mod aggregate;
mod call;
mod operator;
mod row_value;
mod scope;
mod sequence;
mod subquery;
mod table;
mod window;

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

pub(crate) use aggregate::{AggregateCall, AggregateFunction};
pub(crate) use scope::{Scope, ScopeColumn, undefined_column};
pub(crate) use table::{BoundTable, bind_table, scope_of};
pub(crate) use window::{Bound, Frame, WindowCall, WindowFunction};

use crate::arithmetic;
use crate::ast;
use crate::catalog::Column;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::{Between, Case, Expr, Like};
use crate::plan::Planner;
use crate::types::{DataType, Datum};
use crate::wire;

/// The types of the parameters, as far as known.
#[derive(Debug, Default)]
pub(crate) struct Params(pub(crate) Vec<Option<DataType>>);

/// Most parameters of a statement: a `u16` counts them on the wire.
const PARAMS_MAX: usize = 65_535;

impl Params {
    fn get(&mut self, index: usize) -> Option<DataType> {
        if index >= self.0.len() {
            self.0.resize((index + 1).min(PARAMS_MAX), None);
        }
        self.0.get(index).copied().flatten()
    }

    fn set(&mut self, index: usize, data_type: DataType) {
        if let Some(slot) = self.0.get_mut(index) {
            *slot = Some(data_type);
        }
    }

    /// The types, all known.
    pub(crate) fn finish(self) -> SqlResult<Vec<DataType>> {
        let known = |(index, data_type): (usize, Option<DataType>)| {
            data_type.ok_or_else(|| {
                let message = format!("could not determine data type of parameter ${}", index + 1);
                SqlError::new(SqlState::INDETERMINATE_DATATYPE, message)
            })
        };
        self.0.into_iter().enumerate().map(known).collect()
    }
}

/// Whether aggregates may be called where the binder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aggregates {
    /// They may.
    Allowed,
    /// Not in the clause of this name.
    Forbidden(&'static str),
    /// Not in each other.
    Inside,
}

/// An expression with its type, none if unknown.
#[derive(Debug)]
pub(crate) struct Typed {
    pub(crate) expr: Expr,
    pub(crate) data_type: Option<DataType>,
}

/// Binds the expressions of one statement.
pub(crate) struct Binder<'a> {
    pub(crate) scope: &'a Scope,
    pub(crate) planner: &'a mut Planner,
    pub(crate) aggregates: Aggregates,
    pub(crate) calls: Vec<AggregateCall>,
    /// The windows that `WINDOW` names, where window functions may be called.
    pub(crate) windows: Option<&'a [(alloc::string::String, ast::Window)]>,
    pub(crate) window_calls: Vec<WindowCall>,
}

impl<'a> Binder<'a> {
    /// A binder of expressions over `scope`, for the clause called `clause`.
    pub(crate) fn new(scope: &'a Scope, planner: &'a mut Planner, clause: &'static str) -> Binder<'a> {
        let aggregates = Aggregates::Forbidden(clause);
        Binder { scope, planner, aggregates, calls: Vec::new(), windows: None, window_calls: Vec::new() }
    }
}

fn typed(expr: Expr, data_type: DataType) -> SqlResult<Typed> {
    Ok(Typed { expr, data_type: Some(data_type) })
}

fn boolean(expr: Expr) -> SqlResult<Typed> {
    typed(expr, DataType::Bool)
}

impl Binder<'_> {
    /// Binds `expr`; its type may stay unknown.
    pub(crate) fn bind(&mut self, expr: &ast::Expr) -> SqlResult<Typed> {
        match expr {
            ast::Expr::Null => Ok(Typed { expr: Expr::Const(Datum::Null), data_type: None }),
            ast::Expr::Bool(value) => boolean(Expr::Const(Datum::Bool(*value))),
            ast::Expr::Number(digits) => number(digits),
            ast::Expr::Text(text) => {
                Ok(Typed { expr: Expr::Const(Datum::Text(text.clone())), data_type: None })
            }
            ast::Expr::Param(index) => {
                Ok(Typed { expr: Expr::Param(*index), data_type: self.planner.params.get(*index) })
            }
            ast::Expr::Column { table, name, position } => {
                self.column(table.as_deref(), name).map_err(|error| error.at(*position))
            }
            ast::Expr::Unary(op, operand) => self.unary(*op, operand),
            ast::Expr::Binary(op, left, right, position) => {
                if let (ast::Expr::Row(left), ast::Expr::Row(right)) = (&**left, &**right) {
                    return self.compare_rows(*op, left, right).map_err(|error| error.at(*position));
                }
                let (left, right) = (self.bind(left)?, self.bind(right)?);
                self.operator(*op, left, right).map_err(|error| error.at(*position))
            }
            ast::Expr::And(all) => boolean(Expr::And(self.conditions(all, "AND")?)),
            ast::Expr::Or(any) => boolean(Expr::Or(self.conditions(any, "OR")?)),
            ast::Expr::Cast(inner, data_type) => self.cast(inner, *data_type),
            ast::Expr::Call(call) => self.call(call).map_err(|error| error.at(call.position)),
            ast::Expr::Case { operand, arms, otherwise } => {
                self.case(operand.as_deref(), arms, otherwise.as_deref())
            }
            ast::Expr::Subquery(query) => self.scalar_subquery(query),
            other => self.predicate(other),
        }
    }

    fn predicate(&mut self, expr: &ast::Expr) -> SqlResult<Typed> {
        match expr {
            ast::Expr::IsNull(inner, negated) => {
                let inner = self.value(inner)?;
                boolean(Expr::IsNull(Box::new(inner), *negated))
            }
            ast::Expr::IsBool(inner, expected, negated) => {
                let inner = self.condition(inner, "IS")?;
                boolean(Expr::IsBool(Box::new(inner), *expected, *negated))
            }
            ast::Expr::IsDistinct(left, right, negated) => {
                if let (ast::Expr::Row(left), ast::Expr::Row(right)) = (&**left, &**right) {
                    return self.distinct_rows(left, right, *negated);
                }
                let (left, right) = (self.bind(left)?, self.bind(right)?);
                let (left, right) = self.comparable(ast::BinaryOperator::Eq, left, right)?;
                boolean(Expr::IsDistinct(Box::new(left), Box::new(right), *negated))
            }
            ast::Expr::In(inner, list, negated) => {
                if let ast::Expr::Row(parts) = &**inner {
                    return self.row_in_list(parts, list, *negated);
                }
                let inner = self.bind(inner)?;
                self.in_list(inner, list, *negated)
            }
            ast::Expr::Between { expr, low, high, negated } => {
                let items = [self.bind(expr)?, self.bind(low)?, self.bind(high)?];
                let data_type = self.common_type(&items, "BETWEEN")?;
                let [expr, low, high] = items.map(|item| self.coerce_unknown(item, data_type));
                let between = Between { expr: expr?, low: low?, high: high? };
                boolean(Expr::Between(Box::new(between), *negated))
            }
            ast::Expr::Like { expr, pattern, escape, negated, fold_case } => {
                let like = Like {
                    expr: self.text(expr, "~~")?,
                    pattern: self.text(pattern, "~~")?,
                    escape: escape.as_ref().map(|escape| self.text(escape, "~~")).transpose()?,
                    negated: *negated,
                    fold_case: *fold_case,
                };
                boolean(Expr::Like(Box::new(like)))
            }
            ast::Expr::Exists(query) => self.exists(query),
            ast::Expr::Quantified(op, operand, query, all) => self.quantified(*op, operand, query, *all),
            _ => Err(SqlError::not_supported("this expression")),
        }
    }

    /// Binds `expr`, of whatever type: text if nothing says otherwise.
    pub(crate) fn value(&mut self, expr: &ast::Expr) -> SqlResult<Expr> {
        self.output(expr).map(|(expr, _)| expr)
    }

    /// As [`Binder::value`], with the type.
    pub(crate) fn output(&mut self, expr: &ast::Expr) -> SqlResult<(Expr, DataType)> {
        let bound = self.bind(expr)?;
        let data_type = bound.data_type.unwrap_or(DataType::Text);
        Ok((self.coerce_unknown(bound, data_type)?, data_type))
    }

    /// Binds `expr` to a boolean, for the clause called `clause`.
    pub(crate) fn condition(&mut self, expr: &ast::Expr, clause: &str) -> SqlResult<Expr> {
        let bound = self.bind(expr)?;
        match bound.data_type {
            None | Some(DataType::Bool) => self.coerce_unknown(bound, DataType::Bool),
            Some(other) => {
                let message = format!("argument of {clause} must be type boolean, not type {}", other.name());
                Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message))
            }
        }
    }

    fn conditions(&mut self, exprs: &[ast::Expr], clause: &str) -> SqlResult<Vec<Expr>> {
        exprs.iter().map(|expr| self.condition(expr, clause)).collect()
    }

    /// Binds `expr` to a whole number, for `LIMIT` and `OFFSET`.
    pub(crate) fn count(&mut self, expr: &ast::Expr, clause: &str) -> SqlResult<Expr> {
        let bound = self.bind(expr)?;
        match bound.data_type {
            None => self.coerce_unknown(bound, DataType::Int8),
            Some(from) if from.is_numeric() => Ok(Expr::Cast(Box::new(bound.expr), DataType::Int8)),
            Some(other) => {
                let message = format!("argument of {clause} must be type bigint, not type {}", other.name());
                Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message))
            }
        }
    }

    /// Binds `expr` to what `column` stores, by assignment.
    pub(crate) fn assign(&mut self, expr: &ast::Expr, column: &Column) -> SqlResult<Expr> {
        let bound = self.bind(expr)?;
        self.assign_typed(bound, column)
    }

    /// As [`Binder::assign`], for what is bound already.
    pub(crate) fn assign_typed(&mut self, bound: Typed, column: &Column) -> SqlResult<Expr> {
        let to = column.data_type;
        match bound.data_type {
            None => self.coerce_unknown(bound, to),
            Some(from) if from == to => Ok(bound.expr),
            Some(from) if to == DataType::Text || (from.is_numeric() && to.is_numeric()) => {
                fold_cast(bound.expr, to)
            }
            Some(from) => {
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
            Expr::Const(Datum::Text(text)) => wire::parse_text(data_type, &text).map(Expr::Const),
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

    pub(crate) fn text(&mut self, expr: &ast::Expr, operator: &str) -> SqlResult<Expr> {
        let bound = self.bind(expr)?;
        match bound.data_type {
            None | Some(DataType::Text) => self.coerce_unknown(bound, DataType::Text),
            Some(other) => Err(operator::undefined(operator, Some(other), Some(DataType::Text))),
        }
    }

    fn column(&mut self, table: Option<&str>, name: &str) -> SqlResult<Typed> {
        if let Some(column) = self.scope.find(table, name)? {
            return typed(Expr::Column(column.index), column.data_type);
        }
        if table.is_some_and(|table| self.scope.table(table).is_ok()) || self.planner.levels.is_empty() {
            let (index, data_type) = self.scope.column(table, name)?;
            return typed(Expr::Column(index), data_type);
        }
        let (expr, data_type) = self.planner.outer_column(table, name)?;
        typed(expr, data_type)
    }

    fn cast(&mut self, inner: &ast::Expr, to: DataType) -> SqlResult<Typed> {
        let bound = self.bind(inner)?;
        match bound.data_type {
            None => {
                let expr = self.coerce_unknown(bound, to)?;
                typed(expr, to)
            }
            Some(from) => typed(fold_cast_checked(bound.expr, from, to)?, to),
        }
    }

    fn case(
        &mut self,
        operand: Option<&ast::Expr>,
        arms: &[(ast::Expr, ast::Expr)],
        otherwise: Option<&ast::Expr>,
    ) -> SqlResult<Typed> {
        let mut operand = operand.map(|operand| self.output(operand)).transpose()?;
        let (mut conditions, mut results) = (Vec::new(), Vec::new());
        for (condition, result) in arms {
            conditions.push(match &mut operand {
                None => self.condition(condition, "CASE/WHEN")?,
                Some((operand, data_type)) => {
                    let left = Typed {
                        expr: core::mem::replace(operand, Expr::Const(Datum::Null)),
                        data_type: Some(*data_type),
                    };
                    let right = self.bind(condition)?;
                    let (left, right) = self.comparable(ast::BinaryOperator::Eq, left, right)?;
                    *operand = left;
                    right
                }
            });
            results.push(self.bind(result)?);
        }
        let has_otherwise = otherwise.is_some();
        results.extend(otherwise.map(|otherwise| self.bind(otherwise)).transpose()?);
        let (mut results, data_type) = self.unify(results, "CASE")?;
        let otherwise = if has_otherwise { results.pop() } else { None };
        let arms = conditions.into_iter().zip(results).collect();
        typed(
            Expr::Case(Box::new(Case { operand: operand.map(|(operand, _)| operand), arms, otherwise })),
            data_type,
        )
    }

    /// Casts all to their common type.
    pub(crate) fn unify(&mut self, items: Vec<Typed>, construct: &str) -> SqlResult<(Vec<Expr>, DataType)> {
        let data_type = self.common_type(&items, construct)?;
        let mut exprs = Vec::with_capacity(items.len());
        for item in items {
            exprs.push(match item.data_type {
                Some(from) if from != data_type => fold_cast(item.expr, data_type)?,
                _ => self.coerce_unknown(item, data_type)?,
            });
        }
        Ok((exprs, data_type))
    }

    /// The type that all of `items` can be without loss; text if all are unknown.
    fn common_type(&self, items: &[Typed], construct: &str) -> SqlResult<DataType> {
        let mut common: Option<DataType> = None;
        for next in items.iter().filter_map(|item| item.data_type) {
            common = Some(match common {
                None => next,
                Some(common) if common == next => common,
                Some(common) if common.is_numeric() && next.is_numeric() => wider(common, next),
                Some(common) => {
                    let (left, right) = (common.name(), next.name());
                    let message = format!("{construct} types {left} and {right} cannot be matched");
                    return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message));
                }
            });
        }
        Ok(common.unwrap_or(DataType::Text))
    }
}

/// The wider of two types of number.
fn wider(left: DataType, right: DataType) -> DataType {
    match (left, right) {
        (DataType::Float8, _) | (_, DataType::Float8) => DataType::Float8,
        (DataType::Int8, _) | (_, DataType::Int8) => DataType::Int8,
        _ => DataType::Int4,
    }
}

/// A number is the smallest integer type that holds it, else a float.
fn number(digits: &str) -> SqlResult<Typed> {
    let datum = match digits.parse::<i64>() {
        Ok(value) => i32::try_from(value).map_or(Datum::Int8(value), Datum::Int4),
        Err(_) => wire::parse_text(DataType::Float8, digits)?,
    };
    let data_type = datum.data_type();
    Ok(Typed { expr: Expr::Const(datum), data_type })
}

/// A cast, done at once if it is of a constant.
fn fold_cast(expr: Expr, to: DataType) -> SqlResult<Expr> {
    match expr {
        Expr::Const(datum) => arithmetic::cast(&datum, to).map(Expr::Const),
        expr => Ok(Expr::Cast(Box::new(expr), to)),
    }
}

fn fold_cast_checked(expr: Expr, from: DataType, to: DataType) -> SqlResult<Expr> {
    if from == to {
        return Ok(expr);
    }
    if !arithmetic::can_cast(from, to) {
        let message = format!("cannot cast type {} to {}", from.name(), to.name());
        return Err(SqlError::new(SqlState::CANNOT_COERCE, message));
    }
    fold_cast(expr, to)
}
