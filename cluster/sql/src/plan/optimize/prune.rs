//! Columns that nobody looks at are neither decoded nor computed: they are NULL.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use crate::bind::AggregateCall;
use crate::expr::Expr;
use crate::plan::rel::{JoinType, Rel};

/// Tells the tables below `rel` which columns are looked at, of whose own those are that `wanted` marks.
pub(super) fn prune(rel: &mut Rel, wanted: &[bool]) {
    match rel {
        Rel::Scan(node) => {
            let scan = Arc::make_mut(node);
            let mut needed = wanted.to_vec();
            mark(scan.filter.iter(), &mut needed);
            scan.needed.iter_mut().zip(needed).for_each(|(slot, needed)| *slot = needed);
        }
        Rel::Measured(node) => prune(&mut Arc::make_mut(node).input, wanted),
        Rel::Filter(node) => {
            let node = Arc::make_mut(node);
            let mut needed = wanted.to_vec();
            mark([&node.predicate], &mut needed);
            prune(&mut node.input, &needed);
        }
        Rel::Project(node) => {
            let node = Arc::make_mut(node);
            let mut needed = vec![false; node.input.width()];
            let outputs = node.outputs.iter().enumerate();
            let kept = outputs.filter(|(at, _)| wanted.get(*at) == Some(&true)).map(|(_, output)| output);
            mark(kept, &mut needed);
            for (output, wanted) in node.outputs.iter_mut().zip(wanted) {
                match wanted {
                    true => {}
                    // It does more than give a value.
                    false if output.is_volatile() => mark([&*output], &mut needed),
                    false => *output = Expr::Const(crate::types::Datum::Null),
                }
            }
            prune(&mut node.input, &needed);
        }
        Rel::Join(node) => {
            let node = Arc::make_mut(node);
            let (mut left, mut right) =
                sides(node.join_type, &node.left, &node.right, wanted, &node.condition);
            mark(node.equal.iter().map(|(expr, _)| expr), &mut left);
            mark(node.equal.iter().map(|(_, expr)| expr), &mut right);
            prune(&mut node.left, &left);
            prune(&mut node.right, &right);
        }
        Rel::Apply(node) => {
            let node = Arc::make_mut(node);
            let (mut left, right) = sides(node.join_type, &node.left, &node.right, wanted, &node.condition);
            mark(&node.outer, &mut left);
            prune(&mut node.left, &left);
            prune(&mut node.right, &right);
        }
        Rel::Aggregate(node) => {
            let node = Arc::make_mut(node);
            let mut needed = vec![false; node.input.width()];
            mark(&node.keys, &mut needed);
            mark(node.calls.iter().flat_map(AggregateCall::exprs), &mut needed);
            prune(&mut node.input, &needed);
        }
        Rel::Sort(node) => {
            let node = Arc::make_mut(node);
            let mut needed = wanted.to_vec();
            node.keys.iter().for_each(|key| set(&mut needed, key.column));
            prune(&mut node.input, &needed);
        }
        Rel::Distinct(node) => {
            let node = Arc::make_mut(node);
            let mut needed = wanted.to_vec();
            node.columns.iter().for_each(|column| set(&mut needed, *column));
            prune(&mut node.input, &needed);
        }
        Rel::Limit(node) => prune(&mut Arc::make_mut(node).input, wanted),
        Rel::Set(node) if node.all && node.operator == crate::ast::SetOperator::Union => {
            let node = Arc::make_mut(node);
            prune(&mut node.left, wanted);
            prune(&mut node.right, wanted);
        }
        // These look at all that is below them.
        Rel::Set(_) | Rel::Window(_) | Rel::Shared(_) | Rel::Recursive(_) | Rel::Unroll(_) => prune_all(rel),
        Rel::Row | Rel::Empty(_) | Rel::Values(_) | Rel::Live(_) => {}
        Rel::Settings | Rel::System(_) | Rel::Series(_) | Rel::Working(..) | Rel::Called(_) => {}
    }
}

fn prune_all(rel: &mut Rel) {
    let all = |input: &mut Rel| {
        let width = input.width();
        prune(input, &vec![true; width]);
    };
    match rel {
        Rel::Set(node) => {
            let node = Arc::make_mut(node);
            all(&mut node.left);
            all(&mut node.right);
        }
        Rel::Recursive(node) => {
            let node = Arc::make_mut(node);
            all(&mut node.base);
            all(&mut node.step);
        }
        Rel::Window(node) => all(&mut Arc::make_mut(node).input),
        Rel::Shared(node) => all(&mut Arc::make_mut(node).input),
        Rel::Unroll(node) => all(&mut Arc::make_mut(node).input),
        _ => {}
    }
}

fn set(needed: &mut [bool], column: usize) {
    if let Some(slot) = needed.get_mut(column) {
        *slot = true;
    }
}

fn mark<'a>(exprs: impl IntoIterator<Item = &'a Expr>, needed: &mut [bool]) {
    exprs.into_iter().for_each(|expr| expr.for_each_column(&mut |column| set(needed, column)));
}

/// What is wanted of either side of a join.
fn sides(
    join_type: JoinType,
    left: &Rel,
    right: &Rel,
    wanted: &[bool],
    condition: &Option<Expr>,
) -> (Vec<bool>, Vec<bool>) {
    let width = left.width();
    let mut both = wanted.to_vec();
    if !join_type.has_right() {
        both.truncate(width);
    }
    both.resize(width + right.width(), false);
    mark(condition, &mut both);
    let right = both.split_off(width);
    (both, right)
}
