//! The order of inner joins, and which side of a join is kept in memory, by what they cost.
//!
//! Joins that stand directly below each other are taken apart into the inputs they join and the conditions these must
//! meet, and put together again in the cheapest order in which one input after the other is added (Selinger and others:
//! "Access path selection in a relational database management system", 1979).

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::estimate::{KEEP_COST, cost, distinct, equality, rows, selectivity};
use super::lookup::{is_worthwhile, lookup_cost};
use super::push_down::equality as as_equality;
use crate::ast::BinaryOperator;
use crate::error::SqlResult;
use crate::expr::Expr;
use crate::plan::rel::{Join, JoinMethod, JoinType, Rel};

/// Most inputs whose orders are all looked at; of more, the next to be added is the one that costs least.
const SEARCHED_MAX: usize = 8;

/// Most inputs that are put in order at all: a bit for each.
const INPUTS_MAX: usize = 32;

pub(super) fn order_joins(rel: Rel) -> SqlResult<Rel> {
    match rel {
        Rel::Join(node) if node.join_type == JoinType::Inner && inputs(&node) <= INPUTS_MAX => {
            let mut block = Block::default();
            block.take_apart(Rel::Join(node), 0);
            for input in &mut block.inputs {
                let inner = core::mem::replace(input, Rel::Row);
                *input = order_joins(inner)?;
            }
            Ok(block.put_together())
        }
        Rel::Join(node) => {
            let Rel::Join(node) = Rel::Join(node).map_inputs(&mut order_joins)? else { return Ok(Rel::Row) };
            Ok(smaller_kept(Arc::unwrap_or_clone(node)))
        }
        other => other.map_inputs(&mut order_joins),
    }
}

/// How many inputs are joined by it and the inner joins directly below.
fn inputs(join: &Join) -> usize {
    let of = |rel: &Rel| match rel {
        Rel::Join(node) if node.join_type == JoinType::Inner => inputs(node),
        _ => 1,
    };
    of(&join.left) + of(&join.right)
}

/// An outer join whose smaller side is kept: the right's rows are.
fn smaller_kept(join: Join) -> Rel {
    if !matches!(join.join_type, JoinType::Left | JoinType::Right) {
        return Rel::Join(Arc::new(join));
    }
    let is_looked_up = join.join_type == JoinType::Left && is_worthwhile(&join);
    if is_looked_up || rows(&join.right) <= rows(&join.left) * KEEP_COST {
        return Rel::Join(Arc::new(join));
    }
    let (exchanged, moved) = exchanged(join);
    Rel::Join(Arc::new(exchanged)).project(moved)
}

/// An outer join with its sides exchanged, and where its columns have been before.
pub(super) fn exchanged(join: Join) -> (Join, Vec<Expr>) {
    let (left, right) = (join.left.width(), join.right.width());
    let places = (right..right + left).chain(0..right).map(Expr::Column);
    // Where the columns of both stood, they now stand the other way round.
    let moved: Vec<Expr> = places.collect();
    let join_type = match join.join_type {
        JoinType::Left => JoinType::Right,
        JoinType::Right => JoinType::Left,
        other => other,
    };
    let exchanged = Join {
        join_type,
        left: join.right,
        right: join.left,
        equal: join.equal.into_iter().map(|(a, b)| (b, a)).collect(),
        condition: join.condition.map(|condition| condition.over_inputs(&moved)),
        method: join.method,
    };
    (exchanged, moved)
}

/// Inner joins, taken apart. Conditions see the columns of all inputs, one behind the other.
#[derive(Default)]
struct Block {
    inputs: Vec<Rel>,
    /// Where the columns of each input begin.
    starts: Vec<usize>,
    conditions: Vec<Condition>,
}

struct Condition {
    expr: Expr,
    /// Which inputs it sees, a bit each.
    sees: u64,
    selectivity: f64,
}

/// The cheapest way found to join some of the inputs.
#[derive(Clone)]
struct Best {
    cost: f64,
    rows: f64,
    /// The inputs as they are added, each with whether it is kept rather than what was joined before.
    order: Vec<(usize, bool)>,
}

impl Block {
    /// Adds what `rel` joins; its columns begin at `start`.
    fn take_apart(&mut self, rel: Rel, start: usize) {
        match rel {
            Rel::Join(node) if node.join_type == JoinType::Inner => {
                let Join { left, right, equal, condition, .. } = Arc::unwrap_or_clone(node);
                let width = left.width();
                self.take_apart(left, start);
                self.take_apart(right, start + width);
                let equal = equal.into_iter().map(|(a, b)| {
                    let (a, b) = (a.shifted_up(start), b.shifted_up(start + width));
                    Expr::Compare(BinaryOperator::Eq, a.into(), b.into())
                });
                let rest = condition.into_iter().flat_map(Expr::into_conjuncts);
                let exprs = equal.chain(rest.map(|expr| expr.shifted_up(start)));
                self.conditions.extend(exprs.map(|expr| Condition { expr, sees: 0, selectivity: 1.0 }));
            }
            input => {
                self.starts.push(start);
                self.inputs.push(input);
            }
        }
    }

    /// Joined in the cheapest order.
    fn put_together(mut self) -> Rel {
        let is_fixed = self.conditions.iter().any(|condition| condition.expr.varies());
        let count = self.inputs.len();
        self.look_at_conditions();
        let order = match count {
            _ if is_fixed => (0..count).map(|at| (at, true)).collect(),
            _ => self.cheapest().order,
        };
        self.joined(&order)
    }

    fn look_at_conditions(&mut self) {
        let mut conditions = core::mem::take(&mut self.conditions);
        for condition in &mut conditions {
            for input in 0..self.inputs.len() {
                let range = self.columns(input);
                if !condition.expr.sees_only(|at| !range.contains(&at)) {
                    condition.sees |= 1 << input;
                }
            }
            condition.selectivity = self.selectivity(&condition.expr);
        }
        self.conditions = conditions;
    }

    fn columns(&self, input: usize) -> core::ops::Range<usize> {
        let start = self.starts.get(input).copied().unwrap_or_default();
        start..start + self.inputs.get(input).map_or(0, Rel::width)
    }

    /// `expr` over the columns of the only input that it sees, and which that is.
    fn of_input(&self, expr: &Expr) -> Option<(usize, Expr)> {
        let is_of = |input: &usize| {
            let range = self.columns(*input);
            !expr.is_row_free() && expr.sees_only(|at| range.contains(&at))
        };
        let input = (0..self.inputs.len()).find(is_of)?;
        Some((input, expr.clone().shifted_down(self.columns(input).start)))
    }

    fn selectivity(&self, expr: &Expr) -> f64 {
        if let Expr::Compare(BinaryOperator::Eq, a, b) = expr
            && let (Some((left, a)), Some((right, b))) = (self.of_input(a), self.of_input(b))
            && let (Some(left), Some(right)) = (self.inputs.get(left), self.inputs.get(right))
        {
            return equality(distinct(left, &a), distinct(right, &b));
        }
        selectivity(expr, &|_| None)
    }

    /// The cheapest order of all inputs.
    fn cheapest(&self) -> Best {
        let count = self.inputs.len();
        let alone = |(at, input)| Best { cost: cost(input), rows: rows(input), order: [(at, true)].into() };
        let alone: Vec<Best> = self.inputs.iter().enumerate().map(alone).collect();
        let mut found: BTreeMap<u64, Best> =
            (0..count).map(|at| 1 << at).zip(alone.iter().cloned()).collect();
        for _ in 1..count {
            let mut longer: BTreeMap<u64, Best> = BTreeMap::new();
            for (joined, best) in &found {
                for (next, input) in alone.iter().enumerate().filter(|(at, _)| joined & (1 << at) == 0) {
                    let with = joined | 1 << next;
                    let added = self.add(*joined, best, next, input);
                    match longer.get(&with) {
                        Some(known) if known.cost <= added.cost => {}
                        _ => _ = longer.insert(with, added),
                    }
                }
            }
            if count > SEARCHED_MAX {
                let cheapest = longer.into_iter().min_by(|(_, a), (_, b)| a.cost.total_cmp(&b.cost));
                longer = cheapest.into_iter().collect();
            }
            found = longer;
        }
        let best = found.into_values().next();
        best.unwrap_or_else(|| Best {
            cost: 0.0,
            rows: 0.0,
            order: (0..count).map(|at| (at, true)).collect(),
        })
    }

    /// `best`, which joins the inputs `joined`, with one more, which is `alone` by itself.
    fn add(&self, joined: u64, best: &Best, next: usize, alone: &Best) -> Best {
        let input = self.inputs.get(next).unwrap_or(&Rel::Row);
        let with = joined | 1 << next;
        let is_met = |condition: &&Condition| {
            condition.sees & !with == 0 && condition.sees & !joined != 0 && condition.sees != 1 << next
        };
        let met: Vec<&Condition> = self.conditions.iter().filter(is_met).collect();
        let part: f64 = met.iter().map(|condition| condition.selectivity).product();
        let given = best.rows * alone.rows * part;
        let is_connected = met.iter().any(|condition| as_pair(&condition.expr).is_some());
        let (work, keeps_next) = if is_connected {
            let keeps_next = best.rows + alone.rows * KEEP_COST;
            let keeps_joined = alone.rows + best.rows * KEEP_COST;
            (keeps_next.min(keeps_joined) + alone.cost, keeps_next <= keeps_joined)
        } else {
            (best.rows * alone.rows + alone.cost, alone.rows <= best.rows)
        };
        let looked_up = lookup_cost(input, &self.pairs(&met, next)).map(|each| best.rows * each);
        let (work, keeps_next) = match looked_up {
            Some(looked_up) if looked_up <= work => (looked_up, true),
            _ => (work, keeps_next),
        };
        let mut order = best.order.clone();
        order.push((next, keeps_next));
        Best { cost: best.cost + work + given, rows: given, order }
    }

    /// What must be equal between other inputs and `next`.
    fn pairs(&self, met: &[&Condition], next: usize) -> Vec<(Expr, Expr)> {
        let pair = |condition: &&Condition| {
            let (a, b) = as_pair(&condition.expr)?;
            let [a_of, b_of] = [self.of_input(a), self.of_input(b)];
            match (a_of, b_of) {
                (Some((at, a)), _) if at == next => Some((b.clone(), a)),
                (_, Some((at, b))) if at == next => Some((a.clone(), b)),
                _ => None,
            }
        };
        met.iter().filter_map(pair).collect()
    }

    /// The inputs joined in this order, with their columns where they were.
    fn joined(self, order: &[(usize, bool)]) -> Rel {
        let width: usize = self.inputs.iter().map(Rel::width).sum();
        let ranges: Vec<core::ops::Range<usize>> =
            (0..self.inputs.len()).map(|at| self.columns(at)).collect();
        let mut inputs: Vec<Option<Rel>> = self.inputs.into_iter().map(Some).collect();
        let mut conditions = self.conditions;
        // Which columns the rows have that are joined so far.
        let mut columns: Vec<usize> = Vec::new();
        let (mut rel, mut seen) = (Rel::Row, 0u64);
        for (at, (input, keeps_next)) in order.iter().enumerate() {
            let (Some(next), Some(range)) =
                (inputs.get_mut(*input).and_then(Option::take), ranges.get(*input))
            else {
                continue;
            };
            seen |= 1 << input;
            if at == 0 {
                (rel, columns) = (next, range.clone().collect());
                continue;
            }
            let (met, later) = conditions.into_iter().partition(|condition| condition.sees & !seen == 0);
            conditions = later;
            let own: Vec<usize> = range.clone().collect();
            let (left, right) = if *keeps_next { (rel, next) } else { (next, rel) };
            columns = match keeps_next {
                true => [columns, own].concat(),
                false => [own, columns].concat(),
            };
            rel = join(left, right, met, &columns, width);
        }
        let place =
            |at: usize| Expr::Column(columns.iter().position(|column| *column == at).unwrap_or_default());
        if columns.is_sorted() {
            return rel;
        }
        rel.project((0..width).map(place).collect())
    }
}

/// Both sides of an equality.
fn as_pair(expr: &Expr) -> Option<(&Expr, &Expr)> {
    match expr {
        Expr::Compare(BinaryOperator::Eq, a, b) if !a.has_subquery() && !b.has_subquery() => Some((a, b)),
        _ => None,
    }
}

/// An inner join whose rows have the columns `columns`, of `width` that conditions may see.
fn join(left: Rel, right: Rel, met: Vec<Condition>, columns: &[usize], width: usize) -> Rel {
    let mut places: Vec<Expr> = (0..width).map(Expr::Column).collect();
    for (at, column) in columns.iter().enumerate() {
        if let Some(place) = places.get_mut(*column) {
            *place = Expr::Column(at);
        }
    }
    let (mut equal, mut rest) = (Vec::new(), Vec::new());
    for condition in met {
        match as_equality(condition.expr.over_inputs(&places), left.width()) {
            Ok(pair) => equal.push(pair),
            Err(expr) => rest.push(expr),
        }
    }
    Rel::Join(Arc::new(Join {
        join_type: JoinType::Inner,
        left,
        right,
        equal,
        condition: Expr::all_of(rest),
        method: JoinMethod::Hash,
    }))
}
