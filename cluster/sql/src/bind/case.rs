//! `CASE`.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::operator::comparable_types;
use super::{Binder, Typed, typed};
use crate::ast::{self, BinaryOperator};
use crate::error::SqlResult;
use crate::expr::{Case, Expr};
use crate::types::DataType;

impl Binder<'_> {
    pub(super) fn case(
        &mut self,
        operand: Option<&ast::Expr>,
        arms: &[(ast::Expr, ast::Expr)],
        otherwise: Option<&ast::Expr>,
    ) -> SqlResult<Typed> {
        // What ELSE gives counts first where a type is looked for.
        let mut results = Vec::with_capacity(arms.len() + 1);
        results.extend(otherwise.map(|otherwise| self.bind(otherwise)).transpose()?);
        let mut conditions = Vec::with_capacity(arms.len());
        for (condition, result) in arms {
            conditions.push(match operand {
                None => {
                    Typed { expr: self.condition(condition, "CASE/WHEN")?, data_type: Some(DataType::Bool) }
                }
                Some(_) => self.bind(condition)?,
            });
            results.push(self.bind(result)?);
        }
        let (operand, conditions) = match operand {
            None => (None, conditions.into_iter().map(|condition| condition.expr).collect()),
            Some(operand) => {
                let operand = self.bind(operand)?;
                self.compared(operand, conditions).map(|(operand, conditions)| (Some(operand), conditions))?
            }
        };
        let (results, data_type) = self.unify(results, "CASE")?;
        let mut results = results.into_iter();
        let otherwise = if otherwise.is_some() { results.next() } else { None };
        let arms = conditions.into_iter().zip(results).collect();
        typed(Expr::Case(Box::new(Case { operand, arms, otherwise })), data_type)
    }

    /// Makes an operand and what it is compared with such that they can be. Each pair has its own `=`; if these want
    /// different things of the operand, all are made of one type.
    fn compared(&mut self, operand: Typed, mut values: Vec<Typed>) -> SqlResult<(Expr, Vec<Expr>)> {
        let from = Some(operand.data_type.unwrap_or(DataType::Text));
        let operand = Typed { expr: self.coerce_unknown(operand, DataType::Text)?, data_type: from };
        let mut types = Vec::with_capacity(values.len());
        for value in &values {
            types.push(comparable_types(BinaryOperator::Eq, from, value.data_type)?);
        }
        let first = types.first().map(|(left, _)| *left);
        if types.iter().any(|(left, _)| Some(*left) != first) {
            values.push(operand);
            let (mut values, _) = self.unify(values, "CASE/WHEN")?;
            let operand = values.pop().unwrap_or(Expr::Const(crate::types::Datum::Null));
            return Ok((operand, values));
        }
        let operand = match first {
            Some(to) => self.coerce(operand, to)?,
            None => operand.expr,
        };
        let pairs = values.into_iter().zip(types);
        let values = pairs.map(|(value, (_, to))| self.coerce(value, to)).collect::<SqlResult<_>>()?;
        Ok((operand, values))
    }
}
