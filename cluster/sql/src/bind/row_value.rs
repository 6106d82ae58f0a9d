//! Row values: `(a, b) < (c, d)` and the like, as comparisons of their parts.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Binder, Typed};
use crate::ast::{BinaryOperator, Expr, UnaryOperator};
use crate::error::{SqlError, SqlResult, SqlState};

impl Binder<'_> {
    /// `left op right`, of rows with as many parts.
    pub(super) fn compare_rows(
        &mut self,
        op: BinaryOperator,
        left: &[Expr],
        right: &[Expr],
    ) -> SqlResult<Typed> {
        check_lengths(left, right)?;
        let spelled_out = match op {
            BinaryOperator::Eq => Expr::And(each(BinaryOperator::Eq, left, right)),
            BinaryOperator::NotEq => Expr::Or(each(BinaryOperator::NotEq, left, right)),
            BinaryOperator::Lt | BinaryOperator::LtEq => in_order(BinaryOperator::Lt, op, left, right)?,
            BinaryOperator::Gt | BinaryOperator::GtEq => in_order(BinaryOperator::Gt, op, left, right)?,
            _ => return Err(SqlError::not_supported("this operator of row values")),
        };
        self.bind(&spelled_out)
    }

    /// `left IS [NOT] DISTINCT FROM right`, of rows; true for NOT.
    pub(super) fn distinct_rows(&mut self, left: &[Expr], right: &[Expr], negated: bool) -> SqlResult<Typed> {
        check_lengths(left, right)?;
        let part = |(left, right): (&Expr, &Expr)| {
            Expr::IsDistinct(Box::new(left.clone()), Box::new(right.clone()), negated)
        };
        let parts = left.iter().zip(right).map(part).collect();
        self.bind(&if negated { Expr::And(parts) } else { Expr::Or(parts) })
    }

    /// `left IN (list)`, of rows.
    pub(super) fn row_in_list(&mut self, left: &[Expr], list: &[Expr], negated: bool) -> SqlResult<Typed> {
        let mut any = Vec::with_capacity(list.len());
        for item in list {
            let Expr::Row(right) = item else {
                let message = "a row value is compared with what is none";
                return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message));
            };
            check_lengths(left, right)?;
            any.push(Expr::And(each(BinaryOperator::Eq, left, right)));
        }
        let found = Expr::Or(any);
        self.bind(&if negated { Expr::Unary(UnaryOperator::Not, Box::new(found)) } else { found })
    }
}

fn check_lengths(left: &[Expr], right: &[Expr]) -> SqlResult<()> {
    if left.len() == right.len() {
        return Ok(());
    }
    Err(SqlError::new(SqlState::SYNTAX_ERROR, "unequal number of entries in row expressions"))
}

fn binary(op: BinaryOperator, left: &Expr, right: &Expr) -> Expr {
    Expr::Binary(op, Box::new(left.clone()), Box::new(right.clone()), None)
}

fn each(op: BinaryOperator, left: &[Expr], right: &[Expr]) -> Vec<Expr> {
    left.iter().zip(right).map(|(left, right)| binary(op, left, right)).collect()
}

/// The first parts that differ decide, by `strict`; the last ones by `op`.
fn in_order(strict: BinaryOperator, op: BinaryOperator, left: &[Expr], right: &[Expr]) -> SqlResult<Expr> {
    let mut parts = left.iter().zip(right).rev();
    let Some((left, right)) = parts.next() else {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "a row value must have parts"));
    };
    let mut tree = binary(op, left, right);
    for (left, right) in parts {
        let same = Expr::And([binary(BinaryOperator::Eq, left, right), tree].into());
        tree = Expr::Or([binary(strict, left, right), same].into());
    }
    Ok(tree)
}
