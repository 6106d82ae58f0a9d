//! Joins whose sides come in the order of what must be equal are merged, if that costs less than to keep one of them.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::estimate::{hash_cost, merge_cost, rows, sort_cost};
use super::order::exchanged;
use super::ordering::{Ordered, Sorted, keeps_left_order, ordering, sorted_by};
use crate::access::Access;
use crate::ast::BinaryOperator;
use crate::error::SqlResult;
use crate::expr::Expr;
use crate::plan::rel::{Join, JoinMethod, JoinType, Limit, Rel, Scan, SortKey};

/// What is wanted of the rows of an operator.
#[derive(Clone)]
struct Wanted {
    /// The part of them that is looked at, if they come in the order that is asked for.
    share: f64,
    /// By what they will be sorted, if they do not come so.
    sorted: Vec<SortKey>,
}

impl Wanted {
    /// All, in any order.
    fn all() -> Wanted {
        Wanted { share: 1.0, sorted: Vec::new() }
    }
}

pub(super) fn merge(rel: Rel) -> SqlResult<Rel> {
    choose(rel, Wanted::all())
}

fn choose(rel: Rel, wanted: Wanted) -> SqlResult<Rel> {
    let below = match &rel {
        Rel::Join(node) => of_left(node, &wanted),
        Rel::Limit(node) => Wanted { share: wanted.share * share(node), sorted: Vec::new() },
        Rel::Sort(node) => Wanted { share: wanted.share, sorted: node.keys.clone() },
        Rel::Filter(_) | Rel::Distinct(_) => wanted.clone(),
        Rel::Project(node) => {
            let below = |key: &SortKey| match node.outputs.get(key.column) {
                Some(Expr::Column(column)) => Some(SortKey { column: *column, ..*key }),
                _ => None,
            };
            match wanted.sorted.iter().map(below).collect::<Option<Vec<SortKey>>>() {
                Some(sorted) => Wanted { share: wanted.share, sorted },
                // What is computed is sorted, and all of it looked at for that.
                None => Wanted::all(),
            }
        }
        _ => Wanted::all(),
    };
    let Rel::Join(node) = rel else { return rel.map_inputs(&mut |input| choose(input, below.clone())) };
    let mut join = Arc::unwrap_or_clone(node);
    (join.left, join.right) = (choose(join.left, below)?, choose(join.right, Wanted::all())?);
    Ok(cheaper(Arc::new(join), &wanted))
}

/// What is wanted of the left of `join`: the same, if its rows come on in the order in which they came in.
fn of_left(join: &Join, wanted: &Wanted) -> Wanted {
    let width = join.left.width();
    let is_of_left =
        || keeps_left_order(join.join_type) && wanted.sorted.iter().all(|key| key.column < width);
    if wanted.sorted.is_empty() || is_of_left() { wanted.clone() } else { Wanted::all() }
}

/// The part of the rows below `limit` that it looks at.
fn share(limit: &Limit) -> f64 {
    let count =
        |expr: &Option<Expr>| expr.as_ref().and_then(Expr::as_constant).and_then(|count| count.as_i64());
    let Some(most) = count(&limit.limit) else { return 1.0 };
    let looked_at = most as f64 + count(&limit.offset).unwrap_or(0) as f64;
    (looked_at / rows(&limit.input).max(1.0)).clamp(0.0, 1.0)
}

/// `join` as it is, or merged.
fn cheaper(join: Arc<Join>, wanted: &Wanted) -> Rel {
    let hashed = Rel::Join(join.clone());
    match merged(&join, wanted) {
        Some((merged, cost)) if cost < given(&hashed, wanted, |share| hash_cost(&join, share)) => merged,
        _ => hashed,
    }
}

/// What it costs to give what is wanted by `rel`, if to give a part of its rows costs `cost`.
fn given(rel: &Rel, wanted: &Wanted, cost: impl Fn(f64) -> f64) -> f64 {
    match sorted_by(rel, &wanted.sorted) {
        Sorted::No => cost(1.0) + sort_cost(rel),
        _ => cost(wanted.share),
    }
}

/// The cheapest way to merge `join`, and what it costs; none if there is none.
fn merged(join: &Join, wanted: &Wanted) -> Option<(Rel, f64)> {
    let is_ordered = |pair: &(Expr, Expr)| matches!(pair, (Expr::Column(_), Expr::Column(_)));
    if !join.equal.iter().any(is_ordered) {
        return None;
    }
    // Rows without a match come in the order of the others if they are the left's.
    let other_way = (join.join_type == JoinType::Right).then(|| exchanged(join.clone()));
    let (join, moved) = match &other_way {
        Some((join, moved)) => (join, Some(moved)),
        None => (join, None),
    };
    let mut cheapest: Option<(Rel, f64)> = None;
    let rights: Vec<(Rel, Vec<Ordered>)> = in_order(&join.right);
    for (left, of_left) in in_order(&join.left) {
        for (right, of_right) in &rights {
            let keys = in_common(&of_left, of_right, &join.equal);
            if keys.is_empty() {
                continue;
            }
            let both = Join { left: left.clone(), right: right.clone(), ..join.clone() };
            let Some(join) = by_keys(both, keys) else { continue };
            let cost_of = |share| merge_cost(&join.left, &join.right, share);
            let rel = Rel::Join(Arc::new(join.clone()));
            let rel = match moved {
                None => rel,
                Some(moved) => rel.project(moved.clone()),
            };
            let cost = given(&rel, wanted, cost_of);
            if cheapest.as_ref().is_none_or(|(_, least)| cost < *least) {
                cheapest = Some((rel, cost));
            }
        }
    }
    cheapest
}

/// `rel`, and what else gives its rows in an order: by an index, a table that would be read as a whole.
fn in_order(rel: &Rel) -> Vec<(Rel, Vec<Ordered>)> {
    let mut all = vec![(rel.clone(), ordering(rel))];
    let Rel::Scan(node) = rel else { return all };
    if !node.access.is_full() {
        return all;
    }
    let indexes = node.table.descriptor.indexes.iter().zip(&node.table.bound.indexes).enumerate();
    for (at, _) in indexes.filter(|(_, (index, bound))| index.is_ready() && bound.predicate.is_none()) {
        let rel = Rel::Scan(Arc::new(Scan { access: Access::whole_index(at), ..Scan::clone(node) }));
        let ordering = ordering(&rel);
        all.push((rel, ordering));
    }
    all
}

/// Which of the pairs that must be equal both sides are ordered by, and whether descending.
fn in_common(left: &[Ordered], right: &[Ordered], equal: &[(Expr, Expr)]) -> Vec<(usize, bool)> {
    let varied = |ordered: &&Ordered| !ordered.is_fixed;
    let mut keys = Vec::new();
    for (left, right) in left.iter().filter(varied).zip(right.iter().filter(varied)) {
        let is_ordered = |(a, b): &(Expr, Expr)| match (a, b) {
            (Expr::Column(a), Expr::Column(b)) => left.columns.contains(a) && right.columns.contains(b),
            _ => false,
        };
        match equal.iter().position(is_ordered) {
            Some(at) if left.descending == right.descending => keys.push((at, left.descending)),
            _ => break,
        }
    }
    keys
}

/// `join`, merged by these of its pairs; none if it cannot be.
fn by_keys(mut join: Join, keys: Vec<(usize, bool)>) -> Option<Join> {
    let width = join.left.width();
    let merged: Vec<(Expr, Expr)> = keys.iter().filter_map(|(at, _)| join.equal.get(*at).cloned()).collect();
    let others = join.equal.into_iter().enumerate().filter(|(at, _)| keys.iter().all(|(key, _)| key != at));
    let others = others.map(|(_, (left, right))| {
        Expr::Compare(BinaryOperator::Eq, left.into(), right.shifted_up(width).into())
    });
    let others: Vec<Expr> = others.chain(join.condition.into_iter().flat_map(Expr::into_conjuncts)).collect();
    if !join.join_type.has_right() && !others.is_empty() {
        return None;
    }
    join.equal = merged;
    join.condition = Expr::all_of(others);
    join.method = JoinMethod::Merge(keys.into_iter().map(|(_, descending)| descending).collect());
    Some(join)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::rel::{RunId, Sort};

    /// A join of two queries by their first columns, by which both are sorted; a thousand rows of so many columns each.
    fn sorted_alike(width: usize) -> Join {
        let input = || {
            let key = SortKey { column: 0, descending: false, nulls_first: false };
            let input = Rel::Working(RunId(0), width);
            Rel::Sort(Arc::new(Sort { input, keys: vec![key], top: None }))
        };
        let equal = vec![(Expr::Column(0), Expr::Column(0))];
        let (join_type, method) = (JoinType::Inner, JoinMethod::Hash);
        Join { join_type, left: input(), right: input(), equal, condition: None, method }
    }

    #[test]
    fn what_does_not_fit_the_memory_of_a_statement_is_not_kept() {
        let cost = |width| hash_cost(&sorted_alike(width), 1.0);
        assert!(cost(10).is_finite());
        assert!(cost(5000).is_infinite());
    }

    #[test]
    fn the_order_of_both_sides_is_what_decides() {
        let method = |join: Join| match cheaper(Arc::new(join), &Wanted::all()) {
            Rel::Join(join) => join.method.clone(),
            other => panic!("{other:?} is no join"),
        };
        let join = sorted_alike(3);
        assert_eq!(method(join.clone()), JoinMethod::Merge(vec![false]));
        let others = vec![(Expr::Column(0), Expr::Column(1))];
        assert_eq!(method(Join { equal: others, ..join.clone() }), JoinMethod::Hash);
        let condition =
            Some(Expr::Compare(BinaryOperator::Lt, Expr::Column(1).into(), Expr::Column(4).into()));
        let semi = Join { join_type: JoinType::Semi, condition, ..join };
        assert_eq!(method(semi), JoinMethod::Hash);
    }
}
