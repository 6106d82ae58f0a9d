//! Operators by the types of their operands.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::resolve::{Failure, Resolved, resolve};
use super::{Binder, Typed, boolean, typed};
use crate::ast::{self, BinaryOperator, UnaryOperator};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::{Between, Expr, Quantified, Test};
use crate::function::{self, Kind};
use crate::types::{DataType, Datum, Scalar};

impl Binder<'_> {
    pub(super) fn unary(&mut self, op: UnaryOperator, operand: &ast::Expr) -> SqlResult<Typed> {
        if op == UnaryOperator::Not {
            let inner = self.condition(operand, "NOT")?;
            return boolean(Expr::Not(Box::new(inner)));
        }
        let bound = self.bind(operand)?;
        let symbol = op.symbol();
        let types = [bound.data_type];
        let resolved = resolve(function::operators(symbol), &types, true)
            .map_err(|failure| failed(failure, symbol, &types))?;
        self.apply(resolved, [bound].into())
    }

    pub(crate) fn operator(&mut self, op: BinaryOperator, left: Typed, right: Typed) -> SqlResult<Typed> {
        if op.is_comparison() {
            let (left, right) = self.comparable(op, left, right)?;
            return boolean(Expr::Compare(op, Box::new(left), Box::new(right)));
        }
        let types = [left.data_type, right.data_type];
        let resolved = resolve(function::operators(op.symbol()), &types, true)
            .map_err(|failure| failed(failure, op.symbol(), &types))?;
        self.apply(resolved, [left, right].into())
    }

    /// The call that was found for `arguments`.
    pub(super) fn apply(&mut self, resolved: Resolved, arguments: Vec<Typed>) -> SqlResult<Typed> {
        let Resolved { function, arguments: types, result } = resolved;
        let mut exprs = Vec::with_capacity(arguments.len());
        for (argument, to) in arguments.into_iter().zip(types) {
            exprs.push(self.coerce(argument, to)?);
        }
        let signature = function.0;
        let call = Expr::Call(function, exprs);
        // An array made of NULLs does not know what they are.
        let is_of_elements =
            signature.result == Kind::AnyArray && signature.arguments.contains(&Kind::AnyElement);
        match result {
            DataType::Array(Scalar::Text) => typed(call, result),
            DataType::Array(_) if is_of_elements => typed(Expr::Cast(Box::new(call), result), result),
            _ => typed(call, result),
        }
    }

    /// Makes two operands such that they can be compared. Numbers of different types can.
    pub(super) fn comparable(
        &mut self,
        op: BinaryOperator,
        left: Typed,
        right: Typed,
    ) -> SqlResult<(Expr, Expr)> {
        let (left_type, right_type) = comparable_types(op, left.data_type, right.data_type)?;
        Ok((self.coerce(left, left_type)?, self.coerce(right, right_type)?))
    }

    /// `expr BETWEEN low AND high`
    pub(super) fn between(&mut self, expr: Typed, low: Typed, high: Typed) -> SqlResult<Between> {
        let (from, least) = comparable_types(BinaryOperator::GtEq, expr.data_type, low.data_type)?;
        let (to, most) = comparable_types(BinaryOperator::LtEq, expr.data_type, high.data_type)?;
        let symmetric = false;
        if from == to {
            let expr = self.coerce(expr, from)?;
            Ok(Between { expr, low: self.coerce(low, least)?, high: self.coerce(high, most)?, symmetric })
        } else {
            let (exprs, _) = self.unify([expr, low, high].into(), "BETWEEN")?;
            let [expr, low, high] =
                <[Expr; 3]>::try_from(exprs).map_err(|_| SqlError::not_supported("this BETWEEN"))?;
            Ok(Between { expr, low, high, symmetric })
        }
    }

    pub(super) fn in_list(&mut self, inner: Typed, list: &[ast::Expr], negated: bool) -> SqlResult<Typed> {
        let mut items = Vec::with_capacity(list.len());
        for item in list {
            items.push(self.bind(item)?);
        }
        // If the value must become something else for one of them, all are made that.
        let mut wanted = inner.data_type;
        for item in &items {
            let (left, _) = comparable_types(BinaryOperator::Eq, inner.data_type, item.data_type)?;
            if inner.data_type != Some(left) && wanted == inner.data_type {
                wanted = Some(left);
            }
        }
        if wanted != inner.data_type || inner.data_type.is_none() {
            items.push(inner);
            let (mut exprs, _) = self.unify(items, "IN")?;
            let inner = exprs.pop().unwrap_or(Expr::Const(Datum::Null));
            return boolean(Expr::In(Box::new(inner), exprs, negated));
        }
        let mut exprs = Vec::with_capacity(items.len());
        for item in items {
            let left = Typed { expr: Expr::Const(Datum::Null), data_type: inner.data_type };
            exprs.push(self.comparable(BinaryOperator::Eq, left, item)?.1);
        }
        boolean(Expr::In(Box::new(inner.expr), exprs, negated))
    }

    /// `value op ANY (array)`, `ALL`
    pub(super) fn quantified(
        &mut self,
        op: BinaryOperator,
        value: &ast::Expr,
        array: &ast::Expr,
        all: bool,
    ) -> SqlResult<Typed> {
        let (value, mut array) = (self.bind(value)?, self.bind(array)?);
        let element = match array.data_type.map(DataType::base) {
            Some(DataType::Array(element)) => Some(element.data_type()),
            None => value.data_type,
            Some(_) => {
                let message = "op ANY/ALL (array) requires array on right side";
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
            }
        };
        let (test, left, right) = if op.is_comparison() {
            let (left, right) = comparable_types(op, value.data_type, element)?;
            (Test::Compare(op), left, right)
        } else {
            let types = [value.data_type, element];
            let resolved = resolve(function::operators(op.symbol()), &types, true)
                .map_err(|failure| failed(failure, op.symbol(), &types))?;
            if resolved.result != DataType::Bool {
                let message = "op ANY/ALL (array) requires operator to yield boolean";
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
            }
            let [left, right] = resolved.arguments[..] else {
                return Err(failed(Failure::Undefined, op.symbol(), &types));
            };
            (Test::Call(resolved.function), left, right)
        };
        let wanted =
            right.array().ok_or_else(|| SqlError::not_supported("an array of several dimensions"))?;
        let value = self.coerce(value, left)?;
        let array = match array.data_type.take() {
            Some(from) => super::cast::fold_cast(array.expr, from, wanted)?,
            None => self.coerce_unknown(array, wanted)?,
        };
        boolean(Expr::Quantified(Box::new(Quantified { value, test, array, all })))
    }
}

/// What two operands are to be made so that they can be compared.
pub(super) fn comparable_types(
    op: BinaryOperator,
    left: Option<DataType>,
    right: Option<DataType>,
) -> SqlResult<(DataType, DataType)> {
    let (left, right) = (left.map(DataType::base), right.map(DataType::base));
    if let (Some(left), Some(right)) = (left, right)
        && left == right
        && left != DataType::Json
    {
        return Ok((left, right));
    }
    let types = [left, right];
    let resolved = resolve(function::comparisons(), &types, true)
        .map_err(|failure| failed(failure, op.symbol(), &types))?;
    match resolved.arguments[..] {
        [left, right] => Ok((left, right)),
        _ => Err(failed(Failure::Undefined, op.symbol(), &types)),
    }
}

/// 42883, or 42725 if several operators would do.
pub(super) fn failed(failure: Failure, symbol: &str, types: &[Option<DataType>]) -> SqlError {
    let name = |data_type: &Option<DataType>| data_type.map_or("unknown", DataType::name);
    let call: String = match types {
        [left, right] => format!("{} {symbol} {}", name(left), name(right)),
        types => format!("{symbol} {}", types.first().map_or("unknown", name)),
    };
    match failure {
        Failure::Undefined => {
            SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("operator does not exist: {call}")).hint(
                "No operator matches the given name and argument types. You might need to add explicit type casts.",
            )
        }
        Failure::Ambiguous => {
            SqlError::new(SqlState::AMBIGUOUS_FUNCTION, format!("operator is not unique: {call}")).hint(
                "Could not choose a best candidate operator. You might need to add explicit type casts.",
            )
        }
    }
}
