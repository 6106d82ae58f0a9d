//! Operators by the types of their operands.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use super::{Binder, Typed, boolean, fold_cast, typed, wider};
use crate::ast::{self, BinaryOperator, UnaryOperator};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::Expr;
use crate::types::{DataType, Datum};

impl Binder<'_> {
    pub(super) fn unary(&mut self, op: UnaryOperator, operand: &ast::Expr) -> SqlResult<Typed> {
        if op == UnaryOperator::Not {
            let inner = self.condition(operand, "NOT")?;
            return boolean(Expr::Not(Box::new(inner)));
        }
        let bound = self.bind(operand)?;
        let data_type = bound.data_type.unwrap_or(DataType::Float8);
        let symbol = if op == UnaryOperator::Minus { "-" } else { "+" };
        if !data_type.is_numeric() {
            let message = format!("operator does not exist: {symbol} {}", data_type.name());
            return Err(hinted(message));
        }
        let expr = self.coerce_unknown(bound, data_type)?;
        typed(if op == UnaryOperator::Minus { Expr::Negate(Box::new(expr)) } else { expr }, data_type)
    }

    pub(crate) fn operator(&mut self, op: BinaryOperator, left: Typed, right: Typed) -> SqlResult<Typed> {
        match op {
            BinaryOperator::Concat => self.concat(left, right),
            BinaryOperator::Add
            | BinaryOperator::Subtract
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Modulo => self.arithmetic(op, left, right),
            _ => {
                let (left, right) = self.comparable(op, left, right)?;
                boolean(Expr::Compare(op, Box::new(left), Box::new(right)))
            }
        }
    }

    /// Makes two operands such that they can be compared. Numbers of different types can.
    pub(super) fn comparable(
        &mut self,
        op: BinaryOperator,
        left: Typed,
        right: Typed,
    ) -> SqlResult<(Expr, Expr)> {
        let data_type = match (left.data_type, right.data_type) {
            (None, None) => DataType::Text,
            (Some(known), None) | (None, Some(known)) => known,
            (Some(left), Some(right)) if left == right || (left.is_numeric() && right.is_numeric()) => left,
            (left, right) => return Err(undefined(op.symbol(), left, right)),
        };
        Ok((self.coerce_unknown(left, data_type)?, self.coerce_unknown(right, data_type)?))
    }

    fn concat(&mut self, left: Typed, right: Typed) -> SqlResult<Typed> {
        let is_text = |side: &Typed| matches!(side.data_type, None | Some(DataType::Text));
        if !is_text(&left) && !is_text(&right) {
            return Err(undefined("||", left.data_type, right.data_type));
        }
        let mut text = |side: Typed| match side.data_type {
            Some(DataType::Text) => Ok(side.expr),
            Some(_) => fold_cast(side.expr, DataType::Text),
            None => self.coerce_unknown(side, DataType::Text),
        };
        let (left, right) = (text(left)?, text(right)?);
        typed(Expr::Concat(Box::new(left), Box::new(right)), DataType::Text)
    }

    fn arithmetic(&mut self, op: BinaryOperator, left: Typed, right: Typed) -> SqlResult<Typed> {
        let data_type = match (left.data_type, right.data_type) {
            (None, None) => {
                let message = format!("operator is not unique: unknown {} unknown", op.symbol());
                return Err(SqlError::new(SqlState("42725"), message).hint(
                    "Could not choose a best candidate operator. You might need to add explicit type casts.",
                ));
            }
            (Some(known), None) | (None, Some(known)) if known.is_numeric() => known,
            (Some(left), Some(right)) if left.is_numeric() && right.is_numeric() => wider(left, right),
            (left, right) => return Err(undefined(op.symbol(), left, right)),
        };
        if op == BinaryOperator::Modulo && data_type == DataType::Float8 {
            return Err(undefined("%", left.data_type, right.data_type));
        }
        let left = self.coerce_unknown(left, data_type)?;
        let right = self.coerce_unknown(right, data_type)?;
        typed(Expr::Arithmetic(op, data_type, Box::new(left), Box::new(right)), data_type)
    }

    pub(super) fn in_list(&mut self, inner: Typed, list: &[ast::Expr], negated: bool) -> SqlResult<Typed> {
        let mut items = Vec::with_capacity(list.len());
        for item in list {
            items.push(self.bind(item)?);
        }
        // The value's type decides; if it has none, the list's.
        let data_type = match inner.data_type {
            Some(known) => known,
            None => self.common_type(&items, "IN")?,
        };
        let inner = self.coerce_unknown(inner, data_type)?;
        let mut exprs = Vec::with_capacity(items.len());
        for item in items {
            let left = Typed { expr: Expr::Const(Datum::Null), data_type: Some(data_type) };
            exprs.push(self.comparable(BinaryOperator::Eq, left, item)?.1);
        }
        boolean(Expr::In(Box::new(inner), exprs, negated))
    }
}

/// 42883
pub(super) fn undefined(symbol: &str, left: Option<DataType>, right: Option<DataType>) -> SqlError {
    let name = |data_type: Option<DataType>| data_type.map_or("unknown", DataType::name);
    hinted(format!("operator does not exist: {} {symbol} {}", name(left), name(right)))
}

fn hinted(message: alloc::string::String) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_FUNCTION, message).hint(
        "No operator matches the given name and argument types. You might need to add explicit type casts.",
    )
}
