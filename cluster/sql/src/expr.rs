//! Expressions whose names and types are resolved.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::ast::BinaryOperator;
use crate::function::Function;
use crate::types::{DataType, Datum};

/// An expression over a row of values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    /// A constant.
    Const(Datum),
    /// A column of the row.
    Column(usize),
    /// A parameter.
    Param(usize),
    /// The result of an aggregate; only while a query is planned.
    Aggregate(usize),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    IsNull(Box<Expr>, bool),
    IsBool(Box<Expr>, Option<bool>, bool),
    IsDistinct(Box<Expr>, Box<Expr>, bool),
    /// One of the six comparisons, of comparable types.
    Compare(BinaryOperator, Box<Expr>, Box<Expr>),
    /// One of the five arithmetic operators, in the type given.
    Arithmetic(BinaryOperator, DataType, Box<Expr>, Box<Expr>),
    Negate(Box<Expr>),
    /// Both texts.
    Concat(Box<Expr>, Box<Expr>),
    In(Box<Expr>, Vec<Expr>, bool),
    Between(Box<Between>, bool),
    Like(Box<Like>),
    Case(Box<Case>),
    /// To a type from any that can be cast to it.
    Cast(Box<Expr>, DataType),
    Coalesce(Vec<Expr>),
    NullIf(Box<Expr>, Box<Expr>),
    /// The greatest, if true, or least that is not NULL.
    Extreme(bool, Vec<Expr>),
    Call(Function, Vec<Expr>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Between {
    pub(crate) expr: Expr,
    pub(crate) low: Expr,
    pub(crate) high: Expr,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Like {
    pub(crate) expr: Expr,
    pub(crate) pattern: Expr,
    pub(crate) escape: Option<Expr>,
    pub(crate) negated: bool,
    pub(crate) fold_case: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Case {
    pub(crate) operand: Option<Expr>,
    pub(crate) arms: Vec<(Expr, Expr)>,
    pub(crate) otherwise: Option<Expr>,
}

impl Expr {
    /// Calls `visit` with each expression directly within.
    pub(crate) fn for_each_child<E>(
        &mut self,
        mut visit: impl FnMut(&mut Expr) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Expr::Const(_) | Expr::Column(_) | Expr::Param(_) | Expr::Aggregate(_) => Ok(()),
            Expr::And(all)
            | Expr::Or(all)
            | Expr::Coalesce(all)
            | Expr::Extreme(_, all)
            | Expr::Call(_, all) => all.iter_mut().try_for_each(visit),
            Expr::Not(a) | Expr::IsNull(a, _) | Expr::IsBool(a, ..) | Expr::Negate(a) | Expr::Cast(a, _) => {
                visit(a)
            }
            Expr::IsDistinct(a, b, _)
            | Expr::Compare(_, a, b)
            | Expr::Arithmetic(_, _, a, b)
            | Expr::Concat(a, b)
            | Expr::NullIf(a, b) => {
                visit(a)?;
                visit(b)
            }
            Expr::In(a, list, _) => {
                visit(a)?;
                list.iter_mut().try_for_each(visit)
            }
            Expr::Between(between, _) => {
                visit(&mut between.expr)?;
                visit(&mut between.low)?;
                visit(&mut between.high)
            }
            Expr::Like(like) => {
                visit(&mut like.expr)?;
                visit(&mut like.pattern)?;
                like.escape.iter_mut().try_for_each(visit)
            }
            Expr::Case(case) => {
                case.operand.iter_mut().try_for_each(&mut visit)?;
                for (condition, result) in &mut case.arms {
                    visit(condition)?;
                    visit(result)?;
                }
                case.otherwise.iter_mut().try_for_each(visit)
            }
        }
    }

    /// Calls `visit` with this and every expression within.
    pub(crate) fn walk(&mut self, visit: &mut dyn FnMut(&mut Expr)) {
        visit(self);
        let _ = self.for_each_child(|child| {
            child.walk(visit);
            Ok::<(), core::convert::Infallible>(())
        });
    }

    /// Whether its value does not depend on the row.
    pub(crate) fn is_row_free(&self) -> bool {
        let mut free = true;
        self.clone().walk(&mut |expr| free &= !matches!(expr, Expr::Column(_) | Expr::Aggregate(_)));
        free
    }
}
