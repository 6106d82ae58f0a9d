//! What `ANALYZE` finds out about a table: how many rows it has, and what is in its columns.

use alloc::vec::Vec;
use core::cmp::Ordering;

use cluster_store::SYSTEM_SPACE;
use serde::{Deserialize, Serialize};

use super::StoredTable;
use crate::types::Datum;

const STATISTICS: u8 = 4;

/// The key of the statistics of the table called `id`.
pub(crate) fn statistics_key(id: u32) -> Vec<u8> {
    let mut key = [SYSTEM_SPACE, STATISTICS].to_vec();
    key.extend_from_slice(&id.to_be_bytes());
    key
}

/// The table that `key` and `value` are statistics of, and how many rows that was found to have; none if they are none.
pub fn analyzed(key: &[u8], value: Option<&[u8]>) -> Option<(u32, u64)> {
    let [SYSTEM_SPACE, STATISTICS, id @ ..] = key else { return None };
    let id = u32::from_be_bytes(id.try_into().ok()?);
    let statistics = value.and_then(TableStatistics::read);
    Some((id, statistics.map_or(0, |statistics| statistics.rows)))
}

/// Rows of a table of which nothing is known.
const UNKNOWN_ROWS: f64 = 10_000.0;

/// The part of the rows in which a column of which nothing is known has a value.
pub(crate) const UNKNOWN_EQUAL: f64 = 0.01;

impl StoredTable {
    /// About how many rows it has.
    pub(crate) fn rows(&self) -> f64 {
        self.statistics.as_ref().map_or(UNKNOWN_ROWS, |statistics| statistics.table.rows as f64)
    }

    /// About how many rows a read of all of it passes: old versions of rows are among them, and deleted ones.
    pub(crate) fn passed_rows(&self) -> f64 {
        let records = self.statistics.as_ref().map_or(0, |statistics| statistics.table.records);
        self.rows().max(records as f64)
    }

    /// What is known of the column at `at`.
    pub(crate) fn column_statistics(&self, at: usize) -> Option<&ColumnStatistics> {
        self.statistics.as_ref()?.table.columns.get(at)
    }
}

/// What was found out about a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TableStatistics {
    pub(crate) rows: u64,
    pub(crate) columns: Vec<ColumnStatistics>,
    /// About how many records that was on the disk, with all versions that were kept; fewer, as they are compressed.
    pub(crate) records: u64,
}

impl TableStatistics {
    /// Those in `bytes`; none if they cannot be read.
    pub(super) fn read(bytes: &[u8]) -> Option<TableStatistics> {
        cluster_format::decode(bytes).ok().or_else(|| {
            // As they were stored before that.
            let (rows, columns) = cluster_format::decode(bytes).ok()?;
            Some(TableStatistics { rows, columns, records: 0 })
        })
    }
}

/// What was found out about a column. Parts are of all rows, from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ColumnStatistics {
    /// The part of the rows in which it is NULL.
    pub(crate) nulls: f64,
    /// How many different values there are.
    pub(crate) distinct: f64,
    /// The values that are much more frequent than others, each with its part.
    pub(crate) common: Vec<(Datum, f64)>,
    /// Bounds of ranges with equally many of the other values, ascending.
    pub(crate) bounds: Vec<Datum>,
}

impl ColumnStatistics {
    /// The part of the rows in which the column has this value, or one that is not known yet.
    pub(crate) fn equal(&self, value: Option<&Datum>) -> f64 {
        let all = (1.0 - self.nulls).max(0.0);
        let Some(value) = value else { return all / self.distinct.max(1.0) };
        if let Some((_, part)) = self.common.iter().find(|(common, _)| common.order(value).is_eq()) {
            return *part;
        }
        let others = (self.distinct - self.common.len() as f64).max(1.0);
        self.rest() / others
    }

    /// The part of the rows in which the column is neither below `low` nor above `high`, where there is such a bound.
    pub(crate) fn between(&self, low: Option<&Datum>, high: Option<&Datum>) -> f64 {
        let all = (1.0 - self.nulls).max(0.0);
        let below_low = low.map_or(0.0, |low| self.below(low));
        let below_high = high.map_or(all, |high| self.below(high) + self.equal(Some(high)));
        (below_high - below_low).clamp(0.0, all)
    }

    /// The part of the rows in which the column is less than `value`.
    fn below(&self, value: &Datum) -> f64 {
        let common = self.common.iter().filter(|(common, _)| common.order(value).is_lt());
        common.map(|(_, part)| part).sum::<f64>() + self.rest() * self.position(value)
    }

    /// The part of the rows that have neither NULL nor a common value.
    fn rest(&self) -> f64 {
        (1.0 - self.nulls - self.common.iter().map(|(_, part)| part).sum::<f64>()).max(0.0)
    }

    /// The part of the values between the bounds that are less than `value`.
    fn position(&self, value: &Datum) -> f64 {
        let ranges = self.bounds.len().saturating_sub(1);
        let at = self.bounds.partition_point(|bound| bound.order(value) == Ordering::Less);
        let within = match (at.checked_sub(1).and_then(|before| self.bounds.get(before)), self.bounds.get(at))
        {
            (None, _) => return 0.0,
            (_, None) => return 1.0,
            (Some(low), Some(high)) => fraction(low, value, high),
        };
        (at as f64 - 1.0 + within) / ranges.max(1) as f64
    }
}

/// How far `value` is on the way from `low` to `high`.
fn fraction(low: &Datum, value: &Datum, high: &Datum) -> f64 {
    match (magnitude(low), magnitude(value), magnitude(high)) {
        (Some(low), Some(value), Some(high)) if high > low => ((value - low) / (high - low)).clamp(0.0, 1.0),
        _ => 0.5,
    }
}

/// A number that is in the same order.
fn magnitude(value: &Datum) -> Option<f64> {
    match value {
        Datum::Date(date) => Some(f64::from(date.days())),
        Datum::Time(time) => Some(time.micros() as f64),
        Datum::Timestamp(timestamp) => Some(timestamp.micros() as f64),
        Datum::Timestamptz(timestamp) => Some(timestamp.micros() as f64),
        Datum::Oid(oid) => Some(f64::from(*oid)),
        Datum::Numeric(number) => number.to_f64().ok(),
        other => other.as_f64(),
    }
}

/// Values of a column from which its statistics are made.
#[derive(Debug, Default)]
pub(crate) struct ColumnSample {
    /// Those that are not NULL.
    pub(crate) values: Vec<Datum>,
    pub(crate) nulls: usize,
    /// Too long to be kept: taken to be all different.
    pub(crate) long: usize,
}

/// How much is kept of a column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Detail {
    pub(crate) common_max: usize,
    pub(crate) bounds_max: usize,
}

/// How often a value must occur to be a common one, by the average.
const COMMON_FACTOR: f64 = 1.25;

impl ColumnSample {
    /// The statistics of a column of a table of `rows` rows.
    pub(crate) fn summary(&mut self, rows: u64, detail: Detail) -> ColumnStatistics {
        self.values.sort_by(Datum::order);
        let seen = self.values.len() + self.nulls + self.long;
        let part = |count: usize| count as f64 / seen.max(1) as f64;
        let mut groups: Vec<(usize, usize)> = Vec::new();
        for (at, value) in self.values.iter().enumerate() {
            let same = groups.last().and_then(|(first, _)| self.values.get(*first));
            match (same.is_some_and(|same| same.order(value).is_eq()), groups.last_mut()) {
                (true, Some((_, count))) => *count += 1,
                _ => groups.push((at, 1)),
            }
        }
        let distinct = self.distinct(&groups, rows, seen);
        let mean = self.values.len() as f64 / groups.len().max(1) as f64;
        let is_complete = groups.len() <= detail.common_max && self.long == 0;
        let mut common: Vec<(usize, usize)> = groups
            .iter()
            .filter(|(_, count)| *count > 1 && (is_complete || *count as f64 > mean * COMMON_FACTOR))
            .copied()
            .collect();
        common.sort_by_key(|(_, count)| core::cmp::Reverse(*count));
        common.truncate(detail.common_max);
        let is_common = |at: &usize| common.iter().any(|(first, count)| (*first..first + count).contains(at));
        let others: Vec<usize> = (0..self.values.len()).filter(|at| !is_common(at)).collect();
        let value = |at: usize| self.values.get(at).cloned();
        let bounds = spread(&others, detail.bounds_max).into_iter().filter_map(value).collect();
        let common = common.into_iter().filter_map(|(at, count)| Some((value(at)?, part(count)))).collect();
        ColumnStatistics { nulls: part(self.nulls), distinct, common, bounds }
    }

    /// How many different values all rows have: the estimator Duj1 of Haas and Stokes ("Estimating the number of
    /// classes in a finite population", 1998), from how many there are and how many were met once.
    fn distinct(&self, groups: &[(usize, usize)], rows: u64, seen: usize) -> f64 {
        let sampled = (self.values.len() + self.long) as f64;
        if sampled == 0.0 {
            return 0.0;
        }
        let met = (groups.len() + self.long) as f64;
        let once = (groups.iter().filter(|(_, count)| *count == 1).count() + self.long) as f64;
        let total = rows as f64 * sampled / seen.max(1) as f64;
        let estimate = sampled * met / (sampled - once + once * sampled / total.max(1.0));
        estimate.clamp(met, total.max(met))
    }
}

/// At most `max` of `all`, equally far from each other, the first and the last among them.
fn spread(all: &[usize], max: usize) -> Vec<usize> {
    let last = all.len().saturating_sub(1);
    let count = all.len().min(max);
    if count < 2 {
        return Vec::new();
    }
    (0..count).filter_map(|at| all.get(at * last / (count - 1)).copied()).collect()
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    const DETAIL: Detail = Detail { common_max: 8, bounds_max: 17 };

    fn summary(values: impl IntoIterator<Item = i32>, nulls: usize, rows: u64) -> ColumnStatistics {
        let values: Vec<Datum> = values.into_iter().map(Datum::Int4).collect();
        ColumnSample { values, nulls, long: 0 }.summary(rows, DETAIL)
    }

    fn is_near(estimate: f64, truth: f64) -> bool {
        (estimate - truth).abs() <= truth * 0.1 + 1e-9
    }

    #[test]
    fn values_that_are_all_different_are_as_many_as_rows() {
        let column = summary(0..1000, 0, 50_000);
        assert!(is_near(column.distinct, 50_000.0), "{}", column.distinct);
        assert!(column.common.is_empty());
        assert!(is_near(column.between(None, Some(&Datum::Int4(250))), 0.25));
        assert!(is_near(column.between(Some(&Datum::Int4(900)), None), 0.1));
        assert_eq!(column.between(Some(&Datum::Int4(2000)), None), 0.0);
    }

    #[test]
    fn few_values_are_all_common() {
        let column = summary((0..1000).map(|at| at % 4), 1000, 1_000_000);
        assert_eq!(column.distinct, 4.0);
        assert!(is_near(column.equal(Some(&Datum::Int4(3))), 0.125));
        assert!(is_near(column.equal(None), 0.125));
        assert!(is_near(column.nulls, 0.5));
        assert_eq!(column.equal(Some(&Datum::Int4(7))), 0.0);
    }

    #[test]
    fn a_frequent_value_stands_out() {
        let column = summary((0..1000).map(|at| if at % 2 == 0 { 5 } else { at }), 0, 1000);
        assert!(is_near(column.equal(Some(&Datum::Int4(5))), 0.5));
        assert!(is_near(column.equal(Some(&Datum::Int4(501))), 0.001));
        assert!(is_near(column.between(Some(&Datum::Int4(500)), None), 0.25));
    }

    #[test]
    fn nothing_is_known_of_nothing() {
        let column = summary([], 0, 0);
        assert_eq!(column.equal(Some(&Datum::Int4(1))), 1.0);
        assert_eq!(column.distinct, 0.0);
    }
}
