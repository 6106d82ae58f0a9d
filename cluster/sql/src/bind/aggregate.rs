//! Aggregates.

use alloc::vec::Vec;

use cluster_numeric::Spread;

use super::{Aggregates, Binder, Typed, typed};
use crate::ast;
use crate::cast::{Context, context};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::{Expr, SortExpr};
use crate::types::DataType;

/// What an aggregate computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AggregateFunction {
    Count,
    Sum,
    Average,
    Least,
    Greatest,
    All,
    Any,
    BitAnd,
    BitOr,
    BitXor,
    Variance(Spread),
    /// The standard deviation.
    Deviation(Spread),
    Regression(Regression),
    /// `string_agg`
    Joined,
    /// `array_agg`
    Listed,
    JsonArray,
    JsonObject,
}

/// What is computed of pairs of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Regression {
    Count,
    SquaresX,
    SquaresY,
    Products,
    AverageX,
    AverageY,
    Covariance(Spread),
    Correlation,
    Determination,
    Slope,
    Intercept,
}

impl AggregateFunction {
    /// Whether the type of the input says which of several it is.
    fn is_of_many_types(self) -> bool {
        use AggregateFunction as F;
        matches!(self, F::Sum | F::Average | F::BitAnd | F::BitOr | F::BitXor | F::Listed)
    }

    /// Whether NULL is an input like others.
    pub(crate) fn takes_null(self) -> bool {
        matches!(
            self,
            AggregateFunction::Listed | AggregateFunction::JsonArray | AggregateFunction::JsonObject
        )
    }
}

/// One aggregate of a query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AggregateCall {
    pub(crate) function: AggregateFunction,
    /// None for `count(*)`.
    pub(crate) arguments: Vec<Expr>,
    pub(crate) distinct: bool,
    /// Which rows it sees; all if none.
    pub(crate) filter: Option<Expr>,
    /// The order in which it sees them.
    pub(crate) order: Vec<SortExpr>,
    /// The type of the result.
    pub(crate) data_type: DataType,
}

/// Whether `name` is that of an aggregate.
pub(super) fn is_aggregate(name: &str) -> bool {
    by_name(name).is_some()
}

/// The aggregate of a name; whether its result is `jsonb`.
fn by_name(name: &str) -> Option<(AggregateFunction, bool)> {
    use AggregateFunction as F;
    use Spread::{Population, Sample};
    let plain = match name {
        "jsonb_agg" => return Some((F::JsonArray, true)),
        "jsonb_object_agg" => return Some((F::JsonObject, true)),
        "json_agg" => F::JsonArray,
        "json_object_agg" => F::JsonObject,
        "count" => F::Count,
        "sum" => F::Sum,
        "avg" => F::Average,
        "min" => F::Least,
        "max" => F::Greatest,
        "bool_and" | "every" => F::All,
        "bool_or" => F::Any,
        "bit_and" => F::BitAnd,
        "bit_or" => F::BitOr,
        "bit_xor" => F::BitXor,
        "variance" | "var_samp" => F::Variance(Sample),
        "var_pop" => F::Variance(Population),
        "stddev" | "stddev_samp" => F::Deviation(Sample),
        "stddev_pop" => F::Deviation(Population),
        "string_agg" => F::Joined,
        "array_agg" => F::Listed,
        "corr" => F::Regression(Regression::Correlation),
        "covar_pop" => F::Regression(Regression::Covariance(Population)),
        "covar_samp" => F::Regression(Regression::Covariance(Sample)),
        "regr_count" => F::Regression(Regression::Count),
        "regr_sxx" => F::Regression(Regression::SquaresX),
        "regr_syy" => F::Regression(Regression::SquaresY),
        "regr_sxy" => F::Regression(Regression::Products),
        "regr_avgx" => F::Regression(Regression::AverageX),
        "regr_avgy" => F::Regression(Regression::AverageY),
        "regr_r2" => F::Regression(Regression::Determination),
        "regr_slope" => F::Regression(Regression::Slope),
        "regr_intercept" => F::Regression(Regression::Intercept),
        _ => return None,
    };
    Some((plain, false))
}

impl AggregateCall {
    /// All of its expressions.
    pub(crate) fn exprs(&self) -> impl Iterator<Item = &Expr> {
        let order = self.order.iter().map(|key| &key.expr);
        self.arguments.iter().chain(&self.filter).chain(order)
    }

    /// Calls `visit` with each of its expressions.
    pub(crate) fn for_each_expr(
        &mut self,
        visit: &mut dyn FnMut(&mut Expr) -> SqlResult<()>,
    ) -> SqlResult<()> {
        self.arguments.iter_mut().try_for_each(&mut *visit)?;
        self.order.iter_mut().try_for_each(|key| visit(&mut key.expr))?;
        self.filter.iter_mut().try_for_each(visit)
    }
}

impl Binder<'_> {
    /// Binds `call` if it is of an aggregate.
    pub(super) fn aggregate(&mut self, call: &ast::Call) -> SqlResult<Option<Typed>> {
        if by_name(&call.name).is_none() {
            return Ok(None);
        }
        // Within a subquery it may be one of the query around that, where it may be allowed.
        if self.planner.levels.is_empty() {
            self.aggregates.check()?;
        }
        let known: Vec<usize> = self.planner.levels.iter().map(|level| level.outer.len()).collect();
        let allowed = core::mem::replace(&mut self.aggregates, Aggregates::Inside);
        let windows = self.windows.take();
        let bound = self.aggregate_call(call);
        self.aggregates = allowed;
        self.windows = windows;
        let Some((mut aggregate, result)) = bound? else { return Ok(None) };
        if let Some(expr) = self.planner.aggregate_around(&mut aggregate, &known)? {
            return typed(expr, result).map(Some);
        }
        self.aggregates.check()?;
        typed(Expr::Aggregate(index_of(&mut self.calls, aggregate)), result).map(Some)
    }

    /// What `call` computes, and its type; none if it is not of an aggregate.
    pub(super) fn aggregate_call(
        &mut self,
        call: &ast::Call,
    ) -> SqlResult<Option<(AggregateCall, DataType)>> {
        let Some((function, binary)) = by_name(&call.name) else { return Ok(None) };
        let is_counted = call.star && function == AggregateFunction::Count && call.arguments.is_empty();
        if (call.star || call.arguments.is_empty()) && !is_counted {
            return Err(super::call::undefined(&call.name, &[]));
        }
        let bound: SqlResult<Vec<Typed>> =
            call.arguments.iter().map(|argument| self.bind(argument)).collect();
        let bound = bound?;
        let given: Vec<Option<DataType>> = bound.iter().map(|argument| argument.data_type).collect();
        if given.first() == Some(&None) && function.is_of_many_types() {
            return Err(super::call::ambiguous(&call.name, &given));
        }
        if given.first() == Some(&None) && function == AggregateFunction::JsonArray {
            return Err(super::call::undetermined());
        }
        let (wanted, result) = if call.star {
            (Vec::new(), DataType::Int8)
        } else {
            declared(function, binary, &given).ok_or_else(|| super::call::undefined(&call.name, &given))?
        };
        let mut arguments = Vec::with_capacity(bound.len());
        for (argument, to) in bound.into_iter().zip(wanted) {
            arguments.push(self.coerce(argument, to)?);
        }
        let filter = call.filter.as_ref().map(|filter| self.condition(filter, "FILTER")).transpose()?;
        let order = self.sort_exprs(&call.order_by)?;
        if call.distinct && order.iter().any(|key| !arguments.contains(&key.expr)) {
            let message = "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list";
            return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message));
        }
        let distinct = call.distinct;
        Ok(Some((AggregateCall { function, arguments, distinct, filter, order, data_type: result }, result)))
    }
}

/// Where `aggregate` is among `calls`; it is added if it is not.
pub(super) fn index_of(calls: &mut Vec<AggregateCall>, aggregate: AggregateCall) -> usize {
    calls.iter().position(|known| *known == aggregate).unwrap_or_else(|| {
        calls.push(aggregate);
        calls.len() - 1
    })
}

/// What the arguments are to be made, and the type of the result; none if there is no such aggregate.
fn declared(
    function: AggregateFunction,
    binary: bool,
    given: &[Option<DataType>],
) -> Option<(Vec<DataType>, DataType)> {
    use AggregateFunction as F;
    use DataType as T;
    let one = |from: T, to: T| Some(([from].into(), to));
    match (function, given) {
        (F::Count, [argument]) => one(argument.unwrap_or(T::Text), T::Int8),
        (F::Sum | F::Average, [argument]) => {
            let argument = argument.unwrap_or(T::Float8);
            let is_sum = function == F::Sum;
            let result = match argument {
                T::Int2 | T::Int4 if is_sum => T::Int8,
                T::Float4 if is_sum => T::Float4,
                T::Float4 | T::Float8 => T::Float8,
                T::Int2 | T::Int4 | T::Int8 | T::Numeric => T::Numeric,
                T::Interval => T::Interval,
                T::Time => return one(T::Interval, T::Interval),
                _ => return None,
            };
            one(argument, result)
        }
        (F::Variance(_) | F::Deviation(_), [argument]) => match argument.unwrap_or(T::Float8) {
            argument @ (T::Float4 | T::Float8) => one(argument, T::Float8),
            argument if argument.is_numeric() => one(argument, T::Numeric),
            _ => None,
        },
        (F::Least | F::Greatest, [argument]) => match argument.unwrap_or(T::Text) {
            T::Varchar | T::Name | T::Text => one(T::Text, T::Text),
            T::Bool | T::Uuid | T::Json | T::Jsonb | T::Bytea => None,
            other => one(other, other),
        },
        (F::All | F::Any, [None | Some(T::Bool)]) => one(T::Bool, T::Bool),
        (F::BitAnd | F::BitOr | F::BitXor, [Some(argument @ (T::Int2 | T::Int4 | T::Int8))]) => {
            one(*argument, *argument)
        }
        (F::Regression(what), [y, x]) => {
            let is_float = |given: &Option<T>| {
                given.is_none_or(|given| context(given, T::Float8) == Some(Context::Implicit))
            };
            let result = if what == Regression::Count { T::Int8 } else { T::Float8 };
            (is_float(y) && is_float(x)).then(|| ([T::Float8, T::Float8].into(), result))
        }
        (F::Joined, [Some(T::Bytea), None | Some(T::Bytea)]) => Some(([T::Bytea, T::Bytea].into(), T::Bytea)),
        (F::Joined, [value, delimiter]) => {
            let is_text = |given: &Option<T>| given.is_none_or(T::is_text);
            (is_text(value) && is_text(delimiter)).then(|| ([T::Text, T::Text].into(), T::Text))
        }
        (F::Listed, [argument]) => {
            let argument = argument.unwrap_or(T::Text);
            one(argument, argument.array()?)
        }
        (F::JsonArray, [argument]) => one(of_json(*argument), if binary { T::Jsonb } else { T::Json }),
        (F::JsonObject, [key, value]) => {
            let arguments = [key.unwrap_or(T::Text), of_json(*value)];
            Some((arguments.into(), if binary { T::Jsonb } else { T::Json }))
        }
        _ => None,
    }
}

/// What becomes JSON as it is, and what must first be known to be JSON already.
fn of_json(given: Option<DataType>) -> DataType {
    match given {
        None => DataType::Text,
        Some(DataType::Json) => DataType::Jsonb,
        Some(other) => other,
    }
}
