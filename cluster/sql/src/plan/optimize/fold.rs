//! What does not depend on anything is computed once, and what can give no rows is not run.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::error::SqlResult;
use crate::eval::{Env, SessionFacts};
use crate::expr::Expr;
use crate::memo::Memo;
use crate::plan::rel::{Filter, JoinType, Rel};
use crate::types::Datum;

pub(super) fn fold(rel: Rel) -> SqlResult<Rel> {
    let mut rel = rel.map_inputs(&mut fold)?;
    rel.for_each_expr(&mut |expr| {
        fold_expr(expr);
        Ok(())
    })?;
    Ok(match rel {
        Rel::Filter(node) => match node.predicate {
            Expr::Const(Datum::Bool(true)) => Arc::unwrap_or_clone(node).input,
            Expr::Const(_) => Rel::Empty(node.input.width()),
            _ => {
                let Filter { input, predicate } = Arc::unwrap_or_clone(node);
                if let Rel::Empty(_) = input { input } else { input.filter(Some(predicate)) }
            }
        },
        Rel::Scan(node) if matches!(node.filter, Some(Expr::Const(_))) => {
            if node.filter == Some(Expr::Const(Datum::Bool(true))) {
                let mut scan = Arc::unwrap_or_clone(node);
                scan.filter = None;
                Rel::Scan(Arc::new(scan))
            } else {
                Rel::Empty(node.table.types.len() + usize::from(node.with_key))
            }
        }
        Rel::Project(node) if matches!(node.input, Rel::Empty(_)) => Rel::Empty(node.outputs.len()),
        Rel::Join(ref node) => {
            let (left, right) = (matches!(node.left, Rel::Empty(_)), matches!(node.right, Rel::Empty(_)));
            let gives_none = match node.join_type {
                JoinType::Inner => left || right,
                JoinType::Semi => left || right,
                JoinType::Left | JoinType::Anti => left,
                JoinType::Right => right,
                JoinType::Full => left && right,
            };
            if gives_none { Rel::Empty(rel.width()) } else { rel }
        }
        other => other,
    })
}

/// Computes the parts of `expr` that are the same for all rows, parameters and sessions.
fn fold_expr(expr: &mut Expr) {
    let _ = expr.for_each_child(|child| {
        fold_expr(child);
        Ok::<(), core::convert::Infallible>(())
    });
    match expr {
        // NULL, whatever the others are: as in Postgres, they are not asked for.
        Expr::Call(function, arguments) if function.is_strict() && arguments.iter().any(is_null) => {
            *expr = Expr::Const(Datum::Null);
        }
        Expr::Compare(_, a, b) if is_null(a) || is_null(b) => *expr = Expr::Const(Datum::Null),
        Expr::And(all) => *expr = logical(core::mem::take(all), true),
        Expr::Or(any) => *expr = logical(core::mem::take(any), false),
        Expr::Const(_) | Expr::Column(_) | Expr::Param(_) | Expr::Outer(_) => {}
        // Casts have been computed already where they are the same in all sessions.
        Expr::Cast(..) | Expr::Call(..) | Expr::Resize(..) | Expr::Quantified(_) | Expr::Array(..) => {}
        Expr::Aggregate(_) | Expr::Window(_) | Expr::Subquery(_) | Expr::Sequence(_) | Expr::Routine(_) => {}
        Expr::Signal(..) => {}
        // What fails is left to fail when it is asked for, if ever.
        other if other.has_only_constants() => {
            let (session, memo) = (SessionFacts::of_nobody(), Memo::default());
            let value = other.eval(&[], &Env::new(&[], &session, &memo)).map(|value| value.into_owned());
            if let Ok(value) = value {
                *other = Expr::Const(value);
            }
        }
        _ => {}
    }
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Const(Datum::Null))
}

/// `AND` of `parts`, or `OR` if `neutral` is false: what is neutral does not matter, and its opposite decides.
fn logical(parts: Vec<Expr>, neutral: bool) -> Expr {
    let mut rest = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Expr::Const(Datum::Bool(value)) if value == neutral => {}
            Expr::Const(Datum::Bool(value)) => {
                // What stands before it may fail, and still decides whether it does.
                if rest.is_empty() {
                    return Expr::Const(Datum::Bool(value));
                }
                rest.push(Expr::Const(Datum::Bool(value)));
            }
            other => rest.push(other),
        }
    }
    match (rest.len(), neutral) {
        (0, _) => Expr::Const(Datum::Bool(neutral)),
        (1, _) => rest.swap_remove(0),
        (_, true) => Expr::And(rest),
        (_, false) => Expr::Or(rest),
    }
}
