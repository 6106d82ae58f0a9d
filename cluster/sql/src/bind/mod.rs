//! From names to columns, from literals to values of a type: expressions as Postgres types them.
//!
//! A quoted literal, NULL and an untyped parameter are of *unknown* type until what stands beside them
//! says which; what nothing says is text.

mod aggregate;
mod aggregate_around;
mod call;
mod case;
mod cast;
mod operator;
mod resolve;
mod routine;
mod row_value;
mod scope;
mod sequence;
mod subquery;
mod table;
mod window;

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

pub(crate) use aggregate::{AggregateCall, AggregateFunction, Regression};
pub(crate) use call::is_built_in;
pub(crate) use scope::{Scope, ScopeColumn, undefined_column};
pub(crate) use table::{BoundTable, bind_table, scope_of};
pub(crate) use window::{Bound, Frame, Offset, WindowCall, WindowFunction};

use crate::ast;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::{Expr, Like};
use crate::plan::Planner;
use crate::types::{DataType, Datum};

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
            ast::Expr::Number(digits) => cast::number(digits),
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
            ast::Expr::Cast(inner, to) => self.cast(inner, *to),
            ast::Expr::Array(items) => self.array(items),
            ast::Expr::Quantified(op, value, array, all) => self.quantified(*op, value, array, *all),
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
            ast::Expr::Between { expr, low, high, symmetric, negated } => {
                let mut between = {
                    let (expr, low, high) = (self.bind(expr)?, self.bind(low)?, self.bind(high)?);
                    self.between(expr, low, high)?
                };
                between.symmetric = *symmetric;
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
            ast::Expr::QuantifiedQuery(op, operand, query, all) => {
                self.quantified_query(*op, operand, query, *all)
            }
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
            Some(from) if from.is_numeric() => cast::fold_cast(bound.expr, from, DataType::Int8),
            Some(other) => {
                let message = format!("argument of {clause} must be type bigint, not type {}", other.name());
                Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message))
            }
        }
    }

    pub(crate) fn text(&mut self, expr: &ast::Expr, operator: &str) -> SqlResult<Expr> {
        let bound = self.bind(expr)?;
        match bound.data_type {
            // The blanks of a `char(n)` count here.
            Some(DataType::Bpchar) => Ok(bound.expr),
            Some(other) if !other.is_text() => {
                let types = [Some(other), Some(DataType::Text)];
                Err(operator::failed(resolve::Failure::Undefined, operator, &types))
            }
            _ => self.coerce(bound, DataType::Text),
        }
    }

    fn column(&mut self, table: Option<&str>, name: &str) -> SqlResult<Typed> {
        if let Some(column) = self.scope.find(table, name)? {
            return typed(Expr::Column(column.index), column.data_type);
        }
        let is_own = table.is_some_and(|table| self.scope.table(table).is_ok());
        let found = if is_own || self.planner.levels.is_empty() {
            self.scope.column(table, name).map(|(index, data_type)| (Expr::Column(index), data_type))
        } else {
            self.planner.outer_column(table, name)
        };
        match found {
            Ok((expr, data_type)) => typed(expr, data_type),
            // Columns come first.
            Err(error) => match self.argument(table, name) {
                Some(argument) => Ok(argument),
                None if self.is_argument_table(table) => Err(undefined_column(table, name)),
                None => Err(error),
            },
        }
    }
}
