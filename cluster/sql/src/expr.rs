//! Expressions whose names and types are resolved.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::ast::BinaryOperator;
use crate::catalog::StoredRoutine;
use crate::function::Function;
use crate::plan::Rel;
use crate::types::{DataType, Datum, Scalar};

/// An expression over a row of values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    /// A constant.
    Const(Datum),
    /// A column of the row.
    Column(usize),
    /// A parameter.
    Param(usize),
    /// A value that does not change with the row: of the row around the subquery that this is in.
    Outer(usize),
    /// The result of an aggregate; only while a query is planned.
    Aggregate(usize),
    /// The result of a window function; only while a query is planned.
    Window(usize),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    IsNull(Box<Expr>, bool),
    IsBool(Box<Expr>, Option<bool>, bool),
    IsDistinct(Box<Expr>, Box<Expr>, bool),
    /// One of the six comparisons, of comparable types.
    Compare(BinaryOperator, Box<Expr>, Box<Expr>),
    In(Box<Expr>, Vec<Expr>, bool),
    Between(Box<Between>, bool),
    Like(Box<Like>),
    Case(Box<Case>),
    /// To a type from any that can be cast to it.
    Cast(Box<Expr>, DataType),
    /// What a type's modifier makes of a value of it.
    Resize(Box<Expr>, DataType, u32),
    /// An array of these, which are of the type, or NULL.
    Array(Scalar, Vec<Expr>),
    /// `value op ANY (array)`, `ALL`
    Quantified(Box<Quantified>),
    Coalesce(Vec<Expr>),
    NullIf(Box<Expr>, Box<Expr>),
    /// The greatest, if true, or least that is not NULL.
    Extreme(bool, Vec<Expr>),
    Call(Function, Vec<Expr>),
    Subquery(Arc<Subquery>),
    Sequence(Box<SequenceCall>),
    Routine(Box<RoutineCall>),
    /// `pg_cancel_backend`, or `pg_terminate_backend` if true, of a session.
    Signal(bool, Box<Expr>),
}

/// A call of a function or procedure that users have defined.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RoutineCall {
    pub(crate) routine: Arc<StoredRoutine>,
    /// One for each of its parameters, of that type.
    pub(crate) arguments: Vec<Expr>,
}

/// A function of a sequence, or of the ledger, whose versions are one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SequenceCall {
    pub(crate) function: SequenceFunction,
    /// Which sequence; the one that was last asked if none.
    pub(crate) name: Option<Expr>,
    /// For `setval`: the number, and whether it has been given.
    pub(crate) arguments: Vec<Expr>,
}

/// What a sequence is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SequenceFunction {
    /// `nextval`
    Next,
    /// `currval`, `lastval`
    Current,
    /// `setval`
    Set,
    /// What comes next, without taking it.
    Peek,
    /// `relix_version`: of no sequence, but of the ledger. The version that the transaction reads, which is less than its own,
    /// and not less than that of any transaction whose work it can see.
    Version,
}

/// A query within an expression.
#[derive(Clone, Debug)]
pub(crate) struct Subquery {
    /// No other subquery of the statement has it, but for copies of this one.
    pub(crate) id: usize,
    pub(crate) kind: SubqueryKind,
    pub(crate) rel: Rel,
    /// What it sees of the row, as its [`Expr::Outer`]; if nothing, it is run once.
    pub(crate) outer: Vec<Expr>,
    /// What its rows are compared with.
    pub(crate) operands: Vec<Expr>,
    /// Whether running it twice may give different rows.
    pub(crate) is_volatile: bool,
}

impl Subquery {
    /// Whether it may give something else for a row that looks the same to it. As in Postgres, what sees nothing of the row
    /// is run once, whatever it calls.
    pub(crate) fn varies(&self) -> bool {
        self.is_volatile && !self.outer.is_empty()
    }
}

impl PartialEq for Subquery {
    fn eq(&self, other: &Subquery) -> bool {
        self.kind == other.kind
            && self.outer == other.outer
            && self.operands == other.operands
            && (self.id == other.id || self.rel == other.rel)
    }
}

/// What is made of the rows of a subquery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SubqueryKind {
    /// The value of the only row, NULL if there is none.
    Scalar,
    /// Whether there are any.
    Exists,
    /// Whether the comparison with the operands holds for any, or for all if true.
    Quantified(BinaryOperator, bool),
}

/// What rows are ordered by.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SortExpr {
    pub(crate) expr: Expr,
    pub(crate) descending: bool,
    pub(crate) nulls_first: bool,
}

/// A test of a value with each element of an array.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Quantified {
    pub(crate) value: Expr,
    pub(crate) test: Test,
    pub(crate) array: Expr,
    /// Whether all must pass, not just one.
    pub(crate) all: bool,
}

/// What is tested.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Test {
    Compare(BinaryOperator),
    /// A function of both that says whether it holds.
    Call(Function),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Between {
    pub(crate) expr: Expr,
    pub(crate) low: Expr,
    pub(crate) high: Expr,
    /// Whether the bounds may be the other way round.
    pub(crate) symmetric: bool,
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
    /// The value that it is, if that is known and not NULL.
    pub(crate) fn as_constant(&self) -> Option<&Datum> {
        match self {
            Expr::Const(value) if !value.is_null() => Some(value),
            _ => None,
        }
    }

    /// Calls `visit` with each expression directly within.
    pub(crate) fn for_each_child<E>(
        &mut self,
        mut visit: impl FnMut(&mut Expr) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Expr::Const(_) | Expr::Column(_) | Expr::Param(_) | Expr::Outer(_) => Ok(()),
            Expr::Aggregate(_) | Expr::Window(_) => Ok(()),
            Expr::Sequence(call) => call.name.iter_mut().chain(&mut call.arguments).try_for_each(visit),
            Expr::Routine(call) => call.arguments.iter_mut().try_for_each(visit),
            Expr::Signal(_, pid) => visit(pid),
            Expr::Subquery(subquery) => {
                let subquery = Arc::make_mut(subquery);
                subquery.outer.iter_mut().chain(&mut subquery.operands).try_for_each(visit)
            }
            Expr::And(all)
            | Expr::Or(all)
            | Expr::Coalesce(all)
            | Expr::Extreme(_, all)
            | Expr::Array(_, all)
            | Expr::Call(_, all) => all.iter_mut().try_for_each(visit),
            Expr::Not(a)
            | Expr::IsNull(a, _)
            | Expr::IsBool(a, ..)
            | Expr::Cast(a, _)
            | Expr::Resize(a, ..) => visit(a),
            Expr::Quantified(quantified) => {
                visit(&mut quantified.value)?;
                visit(&mut quantified.array)
            }
            Expr::IsDistinct(a, b, _) | Expr::Compare(_, a, b) | Expr::NullIf(a, b) => {
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

    /// The expressions directly within.
    fn children(&self) -> Vec<&Expr> {
        match self {
            Expr::Const(_) | Expr::Column(_) | Expr::Param(_) | Expr::Outer(_) => Vec::new(),
            Expr::Aggregate(_) | Expr::Window(_) => Vec::new(),
            Expr::Sequence(call) => call.name.iter().chain(&call.arguments).collect(),
            Expr::Routine(call) => call.arguments.iter().collect(),
            Expr::Signal(_, pid) => [&**pid].into(),
            Expr::Subquery(subquery) => subquery.outer.iter().chain(&subquery.operands).collect(),
            Expr::And(all)
            | Expr::Or(all)
            | Expr::Coalesce(all)
            | Expr::Extreme(_, all)
            | Expr::Array(_, all)
            | Expr::Call(_, all) => all.iter().collect(),
            Expr::Not(a)
            | Expr::IsNull(a, _)
            | Expr::IsBool(a, ..)
            | Expr::Cast(a, _)
            | Expr::Resize(a, ..) => [&**a].into(),
            Expr::IsDistinct(a, b, _) | Expr::Compare(_, a, b) | Expr::NullIf(a, b) => [&**a, &**b].into(),
            Expr::Quantified(quantified) => [&quantified.value, &quantified.array].into(),
            Expr::In(a, list, _) => list.iter().chain([&**a]).collect(),
            Expr::Between(between, _) => [&between.expr, &between.low, &between.high].into(),
            Expr::Like(like) => [&like.expr, &like.pattern].into_iter().chain(&like.escape).collect(),
            Expr::Case(case) => {
                let arms = case.arms.iter().flat_map(|(condition, result)| [condition, result]);
                arms.chain(&case.operand).chain(&case.otherwise).collect()
            }
        }
    }

    /// Whether `holds` for this or any expression within.
    pub(crate) fn any(&self, holds: &mut dyn FnMut(&Expr) -> bool) -> bool {
        holds(self) || self.children().into_iter().any(|child| child.any(holds))
    }

    /// Whether all that is directly within are constants.
    pub(crate) fn has_only_constants(&self) -> bool {
        self.children().iter().all(|child| matches!(child, Expr::Const(_)))
    }

    /// Whether its value does not depend on the row.
    pub(crate) fn is_row_free(&self) -> bool {
        !self.any(&mut |expr| matches!(expr, Expr::Column(_) | Expr::Aggregate(_) | Expr::Window(_)))
    }

    /// Whether a subquery is part of it, or a routine, which may have some.
    pub(crate) fn has_subquery(&self) -> bool {
        self.any(&mut |expr| matches!(expr, Expr::Subquery(_) | Expr::Routine(_)))
    }

    /// Whether it is a function's call, or asks for the next number of a sequence.
    pub(crate) fn is_call(&self) -> bool {
        matches!(self, Expr::Call(..) | Expr::Sequence(_) | Expr::Routine(_) | Expr::Signal(..))
    }

    /// Whether it depends on whose session it is in, or when.
    pub(crate) fn is_of_session(&self) -> bool {
        matches!(self, Expr::Call(function, _) if function.is_of_session())
            || matches!(self, Expr::Sequence(_) | Expr::Routine(_) | Expr::Signal(..))
    }

    /// Whether two evaluations may give different values, or do more than give one.
    pub(crate) fn is_volatile(&self) -> bool {
        self.any(&mut |expr| match expr {
            Expr::Call(function, _) => function.is_volatile(),
            Expr::Sequence(_) | Expr::Signal(..) => true,
            Expr::Routine(call) => call.routine.descriptor.is_volatile(),
            Expr::Subquery(subquery) => subquery.is_volatile,
            _ => false,
        })
    }

    /// Whether it may give different values for rows that are the same. A subquery that sees nothing of the row is run once.
    pub(crate) fn varies(&self) -> bool {
        self.any(&mut |expr| match expr {
            Expr::Call(function, _) => function.is_volatile(),
            Expr::Sequence(_) | Expr::Signal(..) => true,
            Expr::Routine(call) => call.routine.descriptor.is_volatile(),
            Expr::Subquery(subquery) => subquery.varies(),
            _ => false,
        })
    }

    /// Whether its value is the same whatever the row.
    pub(crate) fn is_fixed(&self) -> bool {
        self.is_row_free() && !self.varies()
    }

    /// Calls `visit` with each column that it looks at, as often as it does.
    pub(crate) fn for_each_column(&self, visit: &mut dyn FnMut(usize)) {
        self.any(&mut |expr| {
            if let Expr::Column(index) = expr {
                visit(*index);
            }
            false
        });
    }

    /// Whether it looks at no columns but those that `is_within`.
    pub(crate) fn sees_only(&self, mut is_within: impl FnMut(usize) -> bool) -> bool {
        !self.any(&mut |expr| matches!(expr, Expr::Column(index) if !is_within(*index)))
    }

    /// The same expression over rows that have lost their first `by` columns.
    pub(crate) fn shifted_down(mut self, by: usize) -> Expr {
        self.walk(&mut |expr| {
            if let Expr::Column(index) = expr {
                *index = index.saturating_sub(by);
            }
        });
        self
    }

    /// The same expression over rows with `by` columns before them.
    pub(crate) fn shifted_up(mut self, by: usize) -> Expr {
        self.walk(&mut |expr| {
            if let Expr::Column(index) = expr {
                *index += by;
            }
        });
        self
    }

    /// The same expression over the rows that `outputs` are made of.
    pub(crate) fn over_inputs(mut self, outputs: &[Expr]) -> Expr {
        self.replace(&mut |expr| match expr {
            Expr::Column(index) => outputs.get(*index).cloned(),
            _ => None,
        });
        self
    }

    /// Puts what `replacement` gives in the place of expressions, outermost first.
    pub(crate) fn replace(&mut self, replacement: &mut dyn FnMut(&Expr) -> Option<Expr>) {
        if let Some(new) = replacement(self) {
            *self = new;
            return;
        }
        let _ = self.for_each_child(|child| {
            child.replace(replacement);
            Ok::<(), core::convert::Infallible>(())
        });
    }

    /// The expressions that must all hold for it to hold.
    pub(crate) fn into_conjuncts(self) -> Vec<Expr> {
        match self {
            Expr::And(all) => all.into_iter().flat_map(Expr::into_conjuncts).collect(),
            Expr::Const(Datum::Bool(true)) => Vec::new(),
            one => [one].into(),
        }
    }

    /// As [`Expr::into_conjuncts`], of one that is made of nothing but other expressions.
    pub(crate) fn conjuncts(&self) -> &[Expr] {
        match self {
            Expr::And(all) => all,
            one => core::slice::from_ref(one),
        }
    }

    /// What holds if all of `conjuncts` hold; none if there are none.
    pub(crate) fn all_of(mut conjuncts: Vec<Expr>) -> Option<Expr> {
        if conjuncts.len() > 1 { Some(Expr::And(conjuncts)) } else { conjuncts.pop() }
    }
}
