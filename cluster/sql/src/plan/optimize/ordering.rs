//! In which order the rows of an operator come.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::catalog::{IndexKey, IndexValue};
use crate::expr::Expr;
use crate::plan::rel::{Join, JoinMethod, JoinType, Rel, Scan, SortKey};

/// What rows are ordered by, where they are alike in what stands before it.
#[derive(Clone, Debug)]
pub(super) struct Ordered {
    /// The columns that have its values: one, more if they are equal, none if it is no column.
    pub(super) columns: Vec<usize>,
    pub(super) descending: bool,
    nulls_first: bool,
    has_nulls: bool,
    /// Whether it is the same in all rows, so that it comes in any order.
    pub(super) is_fixed: bool,
}

/// What the rows of `rel` are ordered by, as far as that is known.
pub(super) fn ordering(rel: &Rel) -> Vec<Ordered> {
    match rel {
        Rel::Scan(scan) => of_scan(scan),
        Rel::Sort(sort) => sort.keys.iter().map(of_key).collect(),
        Rel::Filter(node) => ordering(&node.input),
        Rel::Limit(node) => ordering(&node.input),
        Rel::Distinct(node) => ordering(&node.input),
        Rel::Unroll(node) => ordering(&node.input),
        Rel::Shared(node) => ordering(&node.input),
        Rel::Measured(node) => ordering(&node.input),
        Rel::Project(node) => seen_as(ordering(&node.input), &node.outputs),
        // Groups come in the order of their first rows.
        Rel::Aggregate(node) => seen_as(ordering(&node.input), &node.keys),
        Rel::Join(node) if keeps_left_order(node.join_type) => of_join(node),
        Rel::Apply(node) if keeps_left_order(node.join_type) => ordering(&node.left),
        _ => Vec::new(),
    }
}

/// Whether rows of the left come as they came in, whatever the method.
pub(super) fn keeps_left_order(join_type: JoinType) -> bool {
    !join_type.keeps_right()
}

fn of_key(key: &SortKey) -> Ordered {
    let SortKey { column, descending, nulls_first } = *key;
    Ordered { columns: [column].into(), descending, nulls_first, has_nulls: true, is_fixed: false }
}

fn of_scan(scan: &Scan) -> Vec<Ordered> {
    let descriptor = &scan.table.descriptor;
    let column_of = |key: &IndexKey| match key.value {
        IndexValue::Column(column) => Some(usize::from(column)),
        IndexValue::Expression(_) => None,
    };
    let columns: Vec<Option<usize>> = match scan.access.index {
        None => descriptor.primary_key.iter().map(|column| Some(usize::from(*column))).collect(),
        Some(index) => {
            let keys = descriptor.indexes.get(index).map(|index| index.keys.iter().map(column_of));
            keys.into_iter().flatten().collect()
        }
    };
    let fixed = scan.access.fixed_columns();
    let descending = scan.backward;
    let ordered = |(at, column): (usize, Option<usize>)| {
        let known = column.and_then(|column| descriptor.columns.get(column));
        Ordered {
            columns: column.into_iter().collect(),
            descending,
            // Keys have NULL last, so that it comes first backwards.
            nulls_first: descending,
            has_nulls: known.is_none_or(|column| !column.not_null),
            is_fixed: at < fixed,
        }
    };
    columns.into_iter().enumerate().map(ordered).collect()
}

/// As `outputs` show it, which see the columns.
fn seen_as(ordering: Vec<Ordered>, outputs: &[Expr]) -> Vec<Ordered> {
    let shown = |column: &usize| {
        let shows = |(_, output): &(usize, &Expr)| **output == Expr::Column(*column);
        outputs.iter().enumerate().filter(shows).map(|(at, _)| at).collect::<Vec<usize>>()
    };
    let seen = ordering.into_iter().map(|mut ordered| {
        ordered.columns = ordered.columns.iter().flat_map(shown).collect();
        ordered
    });
    // Behind what is not shown, there is no order to be seen.
    seen.take_while(|ordered| ordered.is_fixed || !ordered.columns.is_empty()).collect()
}

fn of_join(join: &Join) -> Vec<Ordered> {
    let mut ordering = ordering(&join.left);
    if join.join_type == JoinType::Inner {
        let width = join.left.width();
        for ordered in &mut ordering {
            let equal = join.equal.iter().filter_map(|pair| match pair {
                (Expr::Column(left), Expr::Column(right)) => Some((left, *right)),
                _ => None,
            });
            let same = equal.filter(|(left, _)| ordered.columns.contains(left));
            let same: Vec<usize> = same.map(|(_, right)| width + right).collect();
            ordered.columns.extend(same);
        }
    }
    ordering
}

/// Whether rows that are ordered so are sorted by `keys`.
fn is_sorted(ordering: &[Ordered], keys: &[SortKey]) -> bool {
    let mut rest = ordering.iter();
    keys.iter().all(|key| {
        let shows = |ordered: &Ordered| ordered.columns.contains(&key.column);
        let next = rest.find(|ordered| !ordered.is_fixed || shows(ordered));
        next.is_some_and(|next| {
            let has_direction = next.descending == key.descending;
            let has_nulls = !next.has_nulls || next.nulls_first == key.nulls_first;
            shows(next) && has_direction && has_nulls
        })
    })
}

/// What the rows of a plan need to come sorted.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Sorted {
    AsTheyCome,
    /// Its tables must be read the other way round.
    Backward,
    /// Sorting.
    No,
}

/// What it takes that the rows of `rel` come sorted by `keys`.
pub(super) fn sorted_by(rel: &Rel, keys: &[SortKey]) -> Sorted {
    let ordering = ordering(rel);
    if is_sorted(&ordering, keys) {
        return Sorted::AsTheyCome;
    }
    let reversed = |ordered: Ordered| Ordered {
        descending: !ordered.descending,
        nulls_first: !ordered.nulls_first,
        ..ordered
    };
    let reversed: Vec<Ordered> = ordering.into_iter().map(reversed).collect();
    if is_sorted(&reversed, keys) && can_turn(rel) { Sorted::Backward } else { Sorted::No }
}

/// Whether all that the order of the rows depends on are tables, and nothing but the order depends on it.
fn can_turn(rel: &Rel) -> bool {
    match rel {
        Rel::Scan(_) => true,
        Rel::Filter(node) => can_turn(&node.input),
        Rel::Project(node) => can_turn(&node.input),
        Rel::Apply(node) => can_turn(&node.left),
        Rel::Join(node) => match node.method {
            JoinMethod::Hash => keeps_left_order(node.join_type) && can_turn(&node.left),
            JoinMethod::Merge(_) => can_turn(&node.left) && can_turn(&node.right),
        },
        _ => false,
    }
}

/// Reads the tables below `rel` that its order comes from the other way round.
pub(super) fn turn(rel: &mut Rel) {
    match rel {
        Rel::Scan(node) => {
            let scan = Arc::make_mut(node);
            scan.backward = !scan.backward;
        }
        Rel::Filter(node) => turn(&mut Arc::make_mut(node).input),
        Rel::Project(node) => turn(&mut Arc::make_mut(node).input),
        Rel::Apply(node) => turn(&mut Arc::make_mut(node).left),
        Rel::Join(node) => {
            let join = Arc::make_mut(node);
            turn(&mut join.left);
            if let JoinMethod::Merge(descending) = &mut join.method {
                descending.iter_mut().for_each(|descending| *descending = !*descending);
                turn(&mut join.right);
            }
        }
        _ => {}
    }
}
