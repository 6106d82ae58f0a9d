//! Which keys a `WHERE` can concern: primary-key equality, ranges and lists become key ranges.
//!
//! The ranges may hold more rows than the filter lets through, never fewer: the filter is evaluated on
//! every row all the same.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use cluster_format::KeyRange;

use crate::ast::BinaryOperator;
use crate::cast;
use crate::catalog::{IndexValue, StoredTable, TableDescriptor, UNKNOWN_EQUAL};
use crate::error::SqlResult;
use crate::eval::Env;
use crate::expr::Expr;
use crate::key::{self, KeyOrder};
use crate::plan::selectivity;
use crate::types::{DataType, Datum};

/// The part of a table that a statement reads.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Access {
    /// By which of the table's indexes; by its primary key if none.
    pub(crate) index: Option<usize>,
    /// For each of the first columns of the key, the values it may have.
    prefix: Vec<(DataType, Vec<Expr>)>,
    /// Whether that is the whole key, and no two rows have the same.
    complete: bool,
    /// Bounds of the column behind the prefix: at least, at most. Both are inclusive, if only as the
    /// filter will drop the excess.
    low: Option<(DataType, Expr)>,
    high: Option<(DataType, Expr)>,
}

/// Most keys that one statement's lists multiply to; beyond it only the first columns are used.
const KEYS_MAX: usize = 10_000;

/// The part of the rows that a range of a column may lead to of which nothing is known.
const UNKNOWN_RANGE: f64 = 0.1;

/// What it costs to read a whole table, beside its rows: a transaction that has read all of it meets a conflict with whoever
/// changes any.
const FULL_COST: f64 = 100.0;

/// What it costs to read a row that an index leads to.
const INDEXED_COST: f64 = 4.0;

/// What is to be read.
pub(crate) enum Keys {
    /// These keys, sorted: of rows, or of entries of an index, each of which leads to one row.
    Points(Vec<Vec<u8>>),
    /// These ranges, sorted and disjoint.
    Ranges(Vec<KeyRange>),
}

impl Access {
    /// The best access of `table` under `filter`, over rows of its columns.
    pub(crate) fn plan(table: &StoredTable, filter: Option<&Expr>) -> Access {
        let Some(conjuncts) = filter.map(Expr::conjuncts) else { return Access::default() };
        let descriptor = &table.descriptor;
        let key = |column: &u16| {
            let column = usize::from(*column);
            descriptor.columns.get(column).map(|known| (Expr::Column(column), known.data_type))
        };
        let primary: Vec<(Expr, DataType)> = descriptor.primary_key.iter().filter_map(key).collect();
        let mut best = Access::by(None, &primary, !primary.is_empty(), conjuncts);
        for (at, (index, bound)) in descriptor.indexes.iter().zip(&table.bound.indexes).enumerate() {
            let holds = |predicate: &Expr| predicate.conjuncts().iter().all(|part| follows(part, conjuncts));
            if !index.is_ready() || !bound.predicate.as_ref().is_none_or(holds) {
                continue;
            }
            let types = index.keys.iter().map(|key| key.data_type);
            let keys: Vec<(Expr, DataType)> = bound.keys.iter().cloned().zip(types).collect();
            let other = Access::by(Some(at), &keys, index.unique, conjuncts);
            let is_better = match table.statistics {
                Some(_) if !other.is_full() => other.cost(table) < best.cost(table),
                _ => other.rank() > best.rank(),
            };
            if is_better {
                best = other;
            }
        }
        best
    }

    /// All rows by the index at `at`, in its order.
    pub(crate) fn whole_index(at: usize) -> Access {
        Access { index: Some(at), ..Access::default() }
    }

    /// The access by a key of these columns, or expressions.
    fn by(index: Option<usize>, keys: &[(Expr, DataType)], unique: bool, conjuncts: &[Expr]) -> Access {
        let mut access = Access { index, ..Access::default() };
        for (key, data_type) in keys {
            let values = conjuncts.iter().find_map(|conjunct| equal_to(conjunct, key, *data_type));
            match values {
                Some(values) => access.prefix.push((*data_type, values)),
                None => {
                    access.bound(conjuncts, key, *data_type);
                    break;
                }
            }
        }
        access.complete = unique && !access.prefix.is_empty() && access.prefix.len() == keys.len();
        access
    }

    /// About how long it takes to read what it leads to, in rows of a table that are read one after the other.
    pub(crate) fn cost(&self, table: &StoredTable) -> f64 {
        let index = self.index.and_then(|index| table.descriptor.indexes.get(index));
        let column = |at: usize| match index {
            None => table.descriptor.primary_key.get(at).copied(),
            Some(index) => match index.keys.get(at)?.value {
                IndexValue::Column(column) => Some(column),
                IndexValue::Expression(_) => None,
            },
        };
        let known = |at: usize| table.column_statistics(usize::from(column(at)?));
        // Of a partial index, the rows that are in it.
        let predicate = self.index.and_then(|index| table.bound.indexes.get(index)?.predicate.as_ref());
        let mut part =
            predicate.map_or(1.0, |predicate| selectivity(predicate, &|at| table.column_statistics(at)));
        let mut keys = 1.0;
        for (at, (_, values)) in self.prefix.iter().enumerate() {
            let each =
                |value: &Expr| known(at).map_or(UNKNOWN_EQUAL, |known| known.equal(value.as_constant()));
            part *= values.iter().map(each).sum::<f64>().min(1.0);
            keys *= values.len() as f64;
        }
        let bound =
            |bound: &Option<(DataType, Expr)>| bound.as_ref().map(|(_, expr)| expr.as_constant().cloned());
        let (low, high) = (bound(&self.low), bound(&self.high));
        if low.is_some() || high.is_some() {
            let is_known = low.as_ref().or(high.as_ref()).is_some_and(Option::is_some);
            part *= match known(self.prefix.len()).filter(|_| is_known) {
                Some(known) => known.between(low.flatten().as_ref(), high.flatten().as_ref()),
                None => UNKNOWN_RANGE,
            };
        }
        let each = if index.is_some() { INDEXED_COST } else { 1.0 };
        let is_full = self.is_full();
        let read = if is_full && index.is_none() {
            table.passed_rows()
        } else if self.complete {
            keys
        } else {
            (table.rows() * part).max(keys)
        };
        read * each + if is_full { FULL_COST } else { 0.0 }
    }

    /// How much it narrows down what is read, by rules of thumb.
    fn rank(&self) -> usize {
        let bounds = usize::from(self.low.is_some()) + usize::from(self.high.is_some());
        let narrowed = 10 * self.prefix.len() + 3 * bounds;
        let by_rows = usize::from(self.index.is_none());
        if self.complete { 1_000 + by_rows } else { 2 * narrowed + by_rows }
    }

    fn bound(&mut self, conjuncts: &[Expr], key: &Expr, data_type: DataType) {
        for conjunct in conjuncts {
            if let Some((low, high)) = bounds(conjunct, key) {
                let usable = |bound: Option<Expr>| bound.map(|bound| (data_type, bound));
                if self.low.is_none() {
                    self.low = usable(low);
                }
                if self.high.is_none() {
                    self.high = usable(high);
                }
            }
        }
    }

    /// Whether at most one row can match.
    pub(crate) fn is_point(&self) -> bool {
        self.complete && self.prefix.iter().all(|(_, values)| values.len() == 1)
    }

    /// Whether the whole table is read.
    pub(crate) fn is_full(&self) -> bool {
        self.prefix.is_empty() && self.low.is_none() && self.high.is_none()
    }

    /// How many columns are fixed to one value.
    pub(crate) fn fixed_columns(&self) -> usize {
        self.prefix.iter().take_while(|(_, values)| values.len() == 1).count()
    }

    /// The keys to read of `table`, or of its index.
    pub(crate) fn keys(&self, table: &TableDescriptor, env: &Env<'_>) -> SqlResult<Keys> {
        let index = self.index.and_then(|index| table.indexes.get(index));
        let id = index.map_or(table.id, |index| index.id);
        let mut prefixes = vec![key::table_prefix(id)];
        let mut used = 0;
        for (data_type, values) in &self.prefix {
            if prefixes.len().saturating_mul(values.len()) > KEYS_MAX {
                break;
            }
            let Some(extended) = extend(&prefixes, *data_type, values, env)? else { break };
            prefixes = extended;
            used += 1;
        }
        prefixes.sort_unstable();
        prefixes.dedup();
        if self.complete && used == self.prefix.len() {
            return Ok(Keys::Points(prefixes));
        }
        let mut ranges = Vec::with_capacity(prefixes.len());
        for prefix in prefixes {
            let range = if used == self.prefix.len() {
                self.range(&prefix, env)?
            } else {
                Some(KeyRange::prefix(&prefix))
            };
            ranges.extend(range);
        }
        Ok(Keys::Ranges(ranges))
    }

    /// The range behind `prefix`; none if a bound is NULL, so that nothing matches.
    fn range(&self, prefix: &[u8], env: &Env<'_>) -> SqlResult<Option<KeyRange>> {
        let whole = KeyRange::prefix(prefix);
        let mut ends: [Arc<[u8]>; 2] = [whole.start, whole.end];
        for (index, bound) in [&self.low, &self.high].into_iter().enumerate() {
            let Some((data_type, expr)) = bound else { continue };
            let value = expr.eval(&[], env)?;
            if value.is_null() {
                return Ok(None);
            }
            let Some(value) = as_key(&value, *data_type) else { continue };
            let mut key = prefix.to_vec();
            key::write(&value, KeyOrder::Ascending, &mut key);
            ends[index] = if index == 0 { key.into() } else { KeyRange::prefix(&key).end };
        }
        let [start, end] = ends;
        Ok(Some(KeyRange { start, end }))
    }
}

/// Each prefix with each value behind it; none if some value says nothing about the keys.
fn extend(
    prefixes: &[Vec<u8>],
    data_type: DataType,
    values: &[Expr],
    env: &Env<'_>,
) -> SqlResult<Option<Vec<Vec<u8>>>> {
    let mut extended = Vec::with_capacity(prefixes.len() * values.len());
    for expr in values {
        let value = expr.eval(&[], env)?;
        // Several integers may equal one float.
        if matches!(*value, Datum::Float8(_)) && data_type != DataType::Float8 {
            return Ok(None);
        }
        // A value that the column cannot hold, NULL above all, is in no row.
        let Some(value) = as_key(&value, data_type) else { continue };
        for prefix in prefixes {
            let mut key = prefix.clone();
            key::write(&value, KeyOrder::Ascending, &mut key);
            extended.push(key);
        }
    }
    Ok(Some(extended))
}

/// `value` as the column would store it, if it could.
fn as_key(value: &Datum, data_type: DataType) -> Option<Datum> {
    match (value, data_type) {
        (Datum::Null, _) => None,
        (
            Datum::Int2(_) | Datum::Int4(_) | Datum::Int8(_),
            DataType::Int2 | DataType::Int4 | DataType::Int8,
        ) => cast::integer(value.as_i64(), data_type).ok(),
        (Datum::Date(date), DataType::Timestamp) => date.to_timestamp().ok().map(Datum::Timestamp),
        (Datum::Timestamp(timestamp), DataType::Date) => {
            let date = timestamp.to_date();
            (date.to_timestamp().ok()? == *timestamp).then_some(Datum::Date(date))
        }
        (Datum::Float4(value), DataType::Float8) => Some(Datum::Float8(f64::from(*value))),
        (Datum::Text(_), DataType::Varchar | DataType::Name) => Some(value.clone()),
        (value, to) if value.data_type() == Some(to) => Some(value.clone()),
        _ => None,
    }
}

/// The values that `conjunct` leaves `key`.
fn equal_to(conjunct: &Expr, key: &Expr, data_type: DataType) -> Option<Vec<Expr>> {
    match conjunct {
        Expr::Compare(BinaryOperator::Eq, left, right) => {
            let value = match () {
                _ if **left == *key => right,
                _ if **right == *key => left,
                _ => return None,
            };
            value.is_fixed().then(|| vec![Expr::clone(value)])
        }
        Expr::In(left, list, false) if **left == *key => {
            list.iter().all(Expr::is_fixed).then(|| list.clone())
        }
        other if other == key && data_type == DataType::Bool => Some(vec![Expr::Const(Datum::Bool(true))]),
        _ => None,
    }
}

/// The bounds that `conjunct` sets `key`.
fn bounds(conjunct: &Expr, key: &Expr) -> Option<(Option<Expr>, Option<Expr>)> {
    use BinaryOperator::{Gt, GtEq, Lt, LtEq};
    match conjunct {
        Expr::Compare(op @ (Lt | LtEq | Gt | GtEq), left, right) => {
            let (value, is_low) = match () {
                _ if **left == *key => (right, matches!(op, Gt | GtEq)),
                _ if **right == *key => (left, matches!(op, Lt | LtEq)),
                _ => return None,
            };
            let value = value.is_fixed().then(|| Expr::clone(value));
            Some(if is_low { (value, None) } else { (None, value) })
        }
        Expr::Between(between, false) if between.expr == *key && !between.symmetric => {
            let bound = |expr: &Expr| expr.is_fixed().then(|| expr.clone());
            Some((bound(&between.low), bound(&between.high)))
        }
        _ => None,
    }
}

/// Whether `part` holds wherever all of `conjuncts` do: it is one of them, or says that something is not NULL that one of them
/// compares.
fn follows(part: &Expr, conjuncts: &[Expr]) -> bool {
    let compares = |inner: &Expr| {
        conjuncts
            .iter()
            .any(|known| matches!(known, Expr::Compare(_, a, b) if **a == *inner || **b == *inner))
    };
    conjuncts.contains(part) || matches!(part, Expr::IsNull(inner, true) if compares(inner))
}
