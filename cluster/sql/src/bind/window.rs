//! Window functions.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use super::{AggregateCall, Aggregates, Binder, Typed, typed};
use crate::ast::{self, BinaryOperator, FrameUnits, Over};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::{Expr, SortExpr};
use crate::types::{Category, DataType, Datum};

/// What a window function computes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum WindowFunction {
    RowNumber,
    Rank,
    DenseRank,
    PercentRank,
    CumeDist,
    Ntile,
    Lag,
    Lead,
    FirstValue,
    LastValue,
    NthValue,
    /// An aggregate of the rows in the frame.
    Aggregate(Box<AggregateCall>),
}

/// One window function of a query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WindowCall {
    pub(crate) function: WindowFunction,
    pub(crate) arguments: Vec<Expr>,
    pub(crate) partition: Vec<Expr>,
    pub(crate) order: Vec<SortExpr>,
    pub(crate) frame: Frame,
}

/// Which rows around the present one an aggregate sees.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) units: FrameUnits,
    pub(crate) start: Bound,
    pub(crate) end: Bound,
}

/// An end of a frame.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Bound {
    UnboundedPreceding,
    Preceding(Offset),
    CurrentRow,
    Following(Offset),
    UnboundedFollowing,
}

/// How far an end of a frame is from the present row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Offset {
    pub(crate) expr: Expr,
    /// With `RANGE`, the value at which the frame ends, over the value of the present row and the offset.
    pub(crate) end: Option<Expr>,
}

impl WindowCall {
    /// Calls `visit` with each of its expressions, but for those of its window.
    pub(crate) fn for_each_expr(
        &mut self,
        visit: &mut dyn FnMut(&mut Expr) -> SqlResult<()>,
    ) -> SqlResult<()> {
        self.arguments.iter_mut().try_for_each(&mut *visit)?;
        if let WindowFunction::Aggregate(call) = &mut self.function {
            call.for_each_expr(visit)?;
        }
        for bound in [&mut self.frame.start, &mut self.frame.end] {
            if let Bound::Preceding(offset) | Bound::Following(offset) = bound {
                visit(&mut offset.expr)?;
            }
        }
        Ok(())
    }
}

/// Whether `name` is that of a window function.
pub(super) fn is_window_function(name: &str) -> bool {
    (0..=3).any(|arguments| by_name(name, arguments).is_some())
}

fn by_name(name: &str, arguments: usize) -> Option<WindowFunction> {
    Some(match (name, arguments) {
        ("row_number", 0) => WindowFunction::RowNumber,
        ("rank", 0) => WindowFunction::Rank,
        ("dense_rank", 0) => WindowFunction::DenseRank,
        ("percent_rank", 0) => WindowFunction::PercentRank,
        ("cume_dist", 0) => WindowFunction::CumeDist,
        ("ntile", 1) => WindowFunction::Ntile,
        ("lag", 1..=3) => WindowFunction::Lag,
        ("lead", 1..=3) => WindowFunction::Lead,
        ("first_value", 1) => WindowFunction::FirstValue,
        ("last_value", 1) => WindowFunction::LastValue,
        ("nth_value", 2) => WindowFunction::NthValue,
        _ => return None,
    })
}

impl Binder<'_> {
    /// Binds `call` if it has a window.
    pub(super) fn window(&mut self, call: &ast::Call) -> SqlResult<Option<Typed>> {
        let function = by_name(&call.name, call.arguments.len());
        let Some(over) = &call.over else {
            return match function {
                None => Ok(None),
                Some(_) => {
                    let message = format!("window function {} requires an OVER clause", call.name);
                    Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message))
                }
            };
        };
        let Some(windows) = self.windows else { return Err(self.no_windows_here()) };
        // Within, window functions cannot be called.
        self.windows = None;
        let bound = self.window_call(call, over, function, windows);
        self.windows = Some(windows);
        let (bound, data_type) = bound?;
        let known = self.window_calls.iter().position(|known| *known == bound);
        let index = known.unwrap_or_else(|| {
            self.window_calls.push(bound);
            self.window_calls.len() - 1
        });
        typed(Expr::Window(index), data_type).map(Some)
    }

    fn no_windows_here(&self) -> SqlError {
        let (state, message) = match self.aggregates {
            Aggregates::Forbidden(clause) => {
                (SqlState::WINDOWING_ERROR, format!("window functions are not allowed in {clause}"))
            }
            Aggregates::Inside => {
                let message = "aggregate function calls cannot contain window function calls";
                (SqlState::GROUPING_ERROR, message.into())
            }
            Aggregates::Allowed => {
                (SqlState::WINDOWING_ERROR, "window function calls cannot be nested".into())
            }
        };
        SqlError::new(state, message)
    }

    fn window_call(
        &mut self,
        call: &ast::Call,
        over: &Over,
        function: Option<WindowFunction>,
        windows: &[(alloc::string::String, ast::Window)],
    ) -> SqlResult<(WindowCall, DataType)> {
        if call.distinct {
            return Err(SqlError::not_supported("DISTINCT in a window function"));
        }
        let (function, arguments, data_type) = match function {
            Some(function) => {
                let (arguments, data_type) = self.window_arguments(call, &function)?;
                (function, arguments, data_type)
            }
            None => {
                let (aggregate, data_type) = self.aggregate_call(call)?.ok_or_else(|| {
                    let message = format!(
                        "OVER specified, but {} is not a window function nor an aggregate function",
                        call.name
                    );
                    SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
                })?;
                (WindowFunction::Aggregate(Box::new(aggregate)), Vec::new(), data_type)
            }
        };
        let window = resolve(over, windows)?;
        let partition =
            window.partition_by.iter().map(|expr| self.value(expr)).collect::<SqlResult<Vec<_>>>()?;
        let order = self.sort_exprs(&window.order_by)?;
        let frame = self.frame(window.frame.as_ref(), &window.order_by)?;
        Ok((WindowCall { function, arguments, partition, order, frame }, data_type))
    }

    fn window_arguments(
        &mut self,
        call: &ast::Call,
        function: &WindowFunction,
    ) -> SqlResult<(Vec<Expr>, DataType)> {
        let mut arguments = call.arguments.iter();
        match function {
            WindowFunction::RowNumber | WindowFunction::Rank | WindowFunction::DenseRank => {
                Ok((Vec::new(), DataType::Int8))
            }
            WindowFunction::PercentRank | WindowFunction::CumeDist => Ok((Vec::new(), DataType::Float8)),
            WindowFunction::Ntile => {
                let buckets = self.whole_number(arguments.next(), DataType::Int4)?;
                Ok((buckets.into_iter().collect(), DataType::Int4))
            }
            _ => {
                let (first, data_type) = match arguments.next() {
                    Some(first) => self.output(first)?,
                    None => (Expr::Const(Datum::Null), DataType::Text),
                };
                let mut bound: Vec<Expr> = [first].into();
                bound.extend(self.whole_number(arguments.next(), DataType::Int4)?);
                if let Some(default) = arguments.next() {
                    let default = self.bind(default)?;
                    let null = Typed { expr: Expr::Const(Datum::Null), data_type: Some(data_type) };
                    bound.extend(self.unify([null, default].into(), &call.name)?.0.pop());
                }
                Ok((bound, data_type))
            }
        }
    }

    fn whole_number(&mut self, expr: Option<&ast::Expr>, data_type: DataType) -> SqlResult<Option<Expr>> {
        let Some(expr) = expr else { return Ok(None) };
        let bound = self.bind(expr)?;
        match bound.data_type {
            None => self.coerce_unknown(bound, data_type).map(Some),
            Some(from) if from.is_integer() => self.coerce(bound, data_type).map(Some),
            Some(_) => Err(SqlError::new(SqlState::DATATYPE_MISMATCH, "a whole number is expected here")),
        }
    }

    /// What rows are ordered by, over the scope.
    pub(crate) fn sort_exprs(&mut self, keys: &[ast::OrderBy]) -> SqlResult<Vec<SortExpr>> {
        let sort = |key: &ast::OrderBy| {
            let expr = self.value(&key.expr)?;
            Ok(SortExpr { expr, descending: key.descending, nulls_first: key.nulls_first })
        };
        keys.iter().map(sort).collect()
    }

    fn frame(&mut self, frame: Option<&ast::Frame>, keys: &[ast::OrderBy]) -> SqlResult<Frame> {
        let Some(frame) = frame else {
            return Ok(Frame {
                units: FrameUnits::Range,
                start: Bound::UnboundedPreceding,
                end: Bound::CurrentRow,
            });
        };
        let refused = |message: &str| Err(SqlError::new(SqlState::WINDOWING_ERROR, message));
        let has_offset = |bound: &ast::FrameBound| {
            matches!(bound, ast::FrameBound::Preceding(_) | ast::FrameBound::Following(_))
        };
        match (&frame.start, &frame.end) {
            (ast::FrameBound::UnboundedFollowing, _) => {
                return refused("frame start cannot be UNBOUNDED FOLLOWING");
            }
            (_, ast::FrameBound::UnboundedPreceding) => {
                return refused("frame end cannot be UNBOUNDED PRECEDING");
            }
            (ast::FrameBound::CurrentRow, ast::FrameBound::Preceding(_)) => {
                return refused("frame starting from current row cannot have preceding rows");
            }
            (ast::FrameBound::Following(_), ast::FrameBound::CurrentRow | ast::FrameBound::Preceding(_)) => {
                return refused("frame starting from following row cannot have preceding rows");
            }
            (start, end)
                if frame.units == FrameUnits::Range
                    && (has_offset(start) || has_offset(end))
                    && keys.len() != 1 =>
            {
                return refused("RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column");
            }
            _ if frame.units == FrameUnits::Groups && keys.is_empty() => {
                return refused("GROUPS mode requires an ORDER BY clause");
            }
            _ => {}
        }
        let order = keys.first().filter(|_| frame.units == FrameUnits::Range);
        Ok(Frame {
            units: frame.units,
            start: self.bound(&frame.start, order)?,
            end: self.bound(&frame.end, order)?,
        })
    }

    /// An end of a frame; of a range of values if rows are ordered by `order`.
    fn bound(&mut self, bound: &ast::FrameBound, order: Option<&ast::OrderBy>) -> SqlResult<Bound> {
        Ok(match bound {
            ast::FrameBound::UnboundedPreceding => Bound::UnboundedPreceding,
            ast::FrameBound::CurrentRow => Bound::CurrentRow,
            ast::FrameBound::UnboundedFollowing => Bound::UnboundedFollowing,
            ast::FrameBound::Preceding(expr) => Bound::Preceding(self.offset(expr, order, false)?),
            ast::FrameBound::Following(expr) => Bound::Following(self.offset(expr, order, true)?),
        })
    }

    fn offset(&mut self, expr: &ast::Expr, order: Option<&ast::OrderBy>, forward: bool) -> SqlResult<Offset> {
        let (expr, end) = match order {
            None => {
                let expr = self.whole_number(Some(expr), DataType::Int8)?;
                (expr.unwrap_or(Expr::Const(Datum::Null)), None)
            }
            Some(order) => {
                let (_, data_type) = self.output(&order.expr)?;
                let bound = self.bind(expr)?;
                let to = bound.data_type.unwrap_or(match data_type {
                    moment if moment.category() == Category::Moment => DataType::Interval,
                    other => other,
                });
                let expr = self.coerce(bound, to)?;
                // With DESC, what comes before is more.
                let op =
                    if forward != order.descending { BinaryOperator::Add } else { BinaryOperator::Subtract };
                let side =
                    |column, data_type| Typed { expr: Expr::Column(column), data_type: Some(data_type) };
                let end = self.operator(op, side(0, data_type), side(1, to)).map_err(|_| {
                    let message = format!(
                        "RANGE with offset PRECEDING/FOLLOWING is not supported for column type {} and offset type {}",
                        data_type.name(),
                        to.name()
                    );
                    SqlError::new(SqlState::NOT_SUPPORTED, message)
                })?;
                (expr, Some(end.expr))
            }
        };
        if !expr.is_row_free() {
            let message = "argument of ROWS must not contain variables";
            return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message));
        }
        Ok(Offset { expr, end })
    }
}

/// The window that `over` means, with what it takes over from others.
fn resolve(over: &Over, windows: &[(alloc::string::String, ast::Window)]) -> SqlResult<ast::Window> {
    let window = match over {
        Over::Named(name) => return named(name, windows),
        Over::Window(window) => window.clone(),
    };
    let Some(base_name) = &window.base else { return Ok(window) };
    let base = named(base_name, windows)?;
    let overridden = match () {
        _ if !window.partition_by.is_empty() => Some("PARTITION BY"),
        _ if !window.order_by.is_empty() && !base.order_by.is_empty() => Some("ORDER BY"),
        _ => None,
    };
    if let Some(clause) = overridden {
        let message = format!("cannot override {clause} clause of window \"{base_name}\"");
        return Err(SqlError::new(SqlState::WINDOWING_ERROR, message));
    }
    if base.frame.is_some() {
        let message = format!("cannot copy window \"{base_name}\" because it has a frame clause");
        return Err(SqlError::new(SqlState::WINDOWING_ERROR, message));
    }
    let order_by = if window.order_by.is_empty() { base.order_by } else { window.order_by };
    Ok(ast::Window { base: None, partition_by: base.partition_by, order_by, frame: window.frame })
}

fn named(name: &str, windows: &[(alloc::string::String, ast::Window)]) -> SqlResult<ast::Window> {
    let at = windows.iter().position(|(known, _)| known == name).ok_or_else(|| {
        SqlError::new(SqlState::UNDEFINED_OBJECT, format!("window \"{name}\" does not exist"))
    })?;
    let (earlier, from) = windows.split_at(at);
    match from.first() {
        // A window may add to those before it.
        Some((_, window)) => resolve(&Over::Window(window.clone()), earlier),
        None => Ok(ast::Window::default()),
    }
}
