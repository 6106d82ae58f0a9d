//! Window functions: each row's place among the rows of its partition, and aggregates of those around it.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::Range;

use super::accumulator::Accumulator;
use super::aggregate::add;
use super::sort::order;
use super::{Context, Cursor, Row, row_len};
use crate::ast::FrameUnits;
use crate::bind::{AggregateCall, Bound, Frame, Offset, WindowCall, WindowFunction};
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::eval::Env;
use crate::expr::SortExpr;
use crate::plan::rel::Window;
use crate::types::Datum;
use crate::wire::{self, Style};

/// A row with what tells its partition and its place there.
struct Placed {
    partition: Row,
    order: Row,
    row: Row,
}

/// The rows of one partition, in order, with the groups of those whose order is the same.
struct Partition<'a> {
    rows: &'a [Placed],
    /// For each row, the rows that are its peers.
    peers: Vec<Range<usize>>,
    order: &'a [SortExpr],
}

/// The rows below `node`, each with the results of its calls.
pub(super) async fn window<D: Database>(node: &Window, context: &mut Context<'_, D>) -> SqlResult<Vec<Row>> {
    let mut rows = placed(node, context).await?;
    rows.sort_by(|a, b| {
        compare(&a.partition, &b.partition, |_| (false, false)).then_with(|| by_order(&node.order, a, b))
    });
    let mut results: Vec<Row> = Vec::with_capacity(rows.len());
    let mut start = 0;
    while start < rows.len() {
        let rest = rows.get(start..).unwrap_or_default();
        let is_same = |other: &Placed| {
            rest.first()
                .is_some_and(|first| compare(&first.partition, &other.partition, |_| (false, false)).is_eq())
        };
        let len = rest.iter().position(|other| !is_same(other)).unwrap_or(rest.len());
        let part = rest.get(..len).unwrap_or_default();
        let partition = Partition { rows: part, peers: peers(part, &node.order), order: &node.order };
        let mut values = vec![Row::with_capacity(node.calls.len()); len];
        for call in &node.calls {
            let column = partition.results(call, context).await?;
            for (row, value) in values.iter_mut().zip(column) {
                row.push(value);
            }
        }
        results.extend(values);
        start += len.max(1);
    }
    let with_results = |(placed, mut values): (Placed, Row)| {
        let mut row = placed.row;
        row.append(&mut values);
        row
    };
    Ok(rows.into_iter().zip(results).map(with_results).collect())
}

async fn placed<D: Database>(node: &Window, context: &mut Context<'_, D>) -> SqlResult<Vec<Placed>> {
    let mut cursor = Cursor::open(&node.input);
    let mut rows = Vec::new();
    while let Some(batch) = cursor.next_rows(context).await? {
        for row in batch {
            let partition = context.eval_all(&node.partition, &row).await?;
            let mut order = Row::with_capacity(node.order.len());
            for key in &node.order {
                order.push(context.eval(&key.expr, &row).await?);
            }
            let len = row_len(&partition) + row_len(&order) + row_len(&row);
            context.budget.charge(len + 64 * node.calls.len())?;
            rows.push(Placed { partition, order, row });
        }
    }
    Ok(rows)
}

fn compare(a: &Row, b: &Row, how: impl Fn(usize) -> (bool, bool)) -> Ordering {
    let pairs = a.iter().zip(b).enumerate();
    pairs
        .map(|(at, (a, b))| {
            let (descending, nulls_first) = how(at);
            order(a, b, descending, nulls_first)
        })
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn by_order(keys: &[SortExpr], a: &Placed, b: &Placed) -> Ordering {
    compare(&a.order, &b.order, |at| {
        keys.get(at).map_or((false, false), |key| (key.descending, key.nulls_first))
    })
}

fn peers(rows: &[Placed], order: &[SortExpr]) -> Vec<Range<usize>> {
    let mut peers: Vec<Range<usize>> = Vec::with_capacity(rows.len());
    let mut start = 0;
    for (at, row) in rows.iter().enumerate() {
        let next = rows.get(at + 1);
        if next.is_none_or(|next| by_order(order, row, next).is_ne()) {
            peers.resize(at + 1, start..at + 1);
            start = at + 1;
        }
    }
    peers
}

fn int8(value: usize) -> Datum {
    Datum::Int8(i64::try_from(value).unwrap_or(i64::MAX))
}

impl Partition<'_> {
    /// What `call` gives for each row.
    async fn results<D: Database>(
        &self,
        call: &WindowCall,
        context: &mut Context<'_, D>,
    ) -> SqlResult<Vec<Datum>> {
        let len = self.rows.len();
        let peers_of = |at: usize| self.peers.get(at).cloned().unwrap_or(0..0);
        let each = |value: &dyn Fn(usize) -> Datum| (0..len).map(value).collect::<Vec<Datum>>();
        Ok(match &call.function {
            WindowFunction::RowNumber => each(&|at| int8(at + 1)),
            WindowFunction::Rank => each(&|at| int8(peers_of(at).start + 1)),
            WindowFunction::DenseRank => {
                let mut rank = 0;
                let start_of = |at: usize| usize::from(peers_of(at).start == at);
                (0..len)
                    .map(|at| {
                        rank += start_of(at);
                        int8(rank)
                    })
                    .collect()
            }
            WindowFunction::PercentRank => each(&|at| {
                let others = len.saturating_sub(1);
                Datum::Float8(if others == 0 { 0.0 } else { peers_of(at).start as f64 / others as f64 })
            }),
            WindowFunction::CumeDist => each(&|at| Datum::Float8(peers_of(at).end as f64 / len as f64)),
            WindowFunction::Ntile => self.ntile(call, context).await?,
            WindowFunction::Lag | WindowFunction::Lead => self.shifted(call, context).await?,
            WindowFunction::FirstValue | WindowFunction::LastValue | WindowFunction::NthValue => {
                self.values(call, context).await?
            }
            WindowFunction::Aggregate(aggregate) => self.aggregates(call, aggregate, context).await?,
        })
    }

    async fn ntile<D: Database>(
        &self,
        call: &WindowCall,
        context: &mut Context<'_, D>,
    ) -> SqlResult<Vec<Datum>> {
        let len = self.rows.len();
        let (Some(expr), Some(first)) = (call.arguments.first(), self.rows.first()) else {
            return Ok(Vec::new());
        };
        let value = context.eval(expr, &first.row).await?;
        let Some(buckets) = value.as_i64() else { return Ok(vec![Datum::Null; len]) };
        let buckets = usize::try_from(buckets).ok().filter(|buckets| *buckets > 0).ok_or_else(|| {
            let message = "argument of ntile must be greater than zero";
            SqlError::new(SqlState("22014"), message)
        })?;
        // The first buckets have one row more if it does not come out even.
        let (small, larger) = (len / buckets, len % buckets);
        let bucket = |at: usize| {
            let in_larger = larger * (small + 1);
            if at < in_larger { at / (small + 1) } else { larger + (at - in_larger) / small.max(1) }
        };
        let number = |at: usize| Datum::Int4(i32::try_from(bucket(at) + 1).unwrap_or(i32::MAX));
        Ok((0..len).map(number).collect())
    }

    /// `lag` and `lead`
    async fn shifted<D: Database>(
        &self,
        call: &WindowCall,
        context: &mut Context<'_, D>,
    ) -> SqlResult<Vec<Datum>> {
        let mut results = Vec::with_capacity(self.rows.len());
        let Some(value) = call.arguments.first() else { return Ok(results) };
        for (at, placed) in self.rows.iter().enumerate() {
            let by = match call.arguments.get(1) {
                None => Some(1),
                Some(by) => context.eval(by, &placed.row).await?.as_i64(),
            };
            let Some(by) = by else {
                results.push(Datum::Null);
                continue;
            };
            let by = if call.function == WindowFunction::Lag { by.saturating_neg() } else { by };
            let target = i64::try_from(at).ok().and_then(|at| at.checked_add(by));
            let target = target.and_then(|at| usize::try_from(at).ok()).and_then(|at| self.rows.get(at));
            results.push(match (target, call.arguments.get(2)) {
                (Some(target), _) => context.eval(value, &target.row).await?,
                (None, Some(default)) => context.eval(default, &placed.row).await?,
                (None, None) => Datum::Null,
            });
        }
        Ok(results)
    }

    /// `first_value`, `last_value`, `nth_value`
    async fn values<D: Database>(
        &self,
        call: &WindowCall,
        context: &mut Context<'_, D>,
    ) -> SqlResult<Vec<Datum>> {
        let offsets = Offsets::of(&call.frame, context).await?;
        let mut results = Vec::with_capacity(self.rows.len());
        let Some(value) = call.arguments.first() else { return Ok(results) };
        for (at, placed) in self.rows.iter().enumerate() {
            let frame = self.frame(at, &call.frame, &offsets, &context.env)?;
            let target = match call.function {
                WindowFunction::FirstValue => Some(frame.start),
                WindowFunction::LastValue => frame.end.checked_sub(1),
                _ => match call.arguments.get(1) {
                    None => None,
                    Some(nth) => match context.eval(nth, &placed.row).await?.as_i64() {
                        None => None,
                        Some(nth @ 1..) => usize::try_from(nth - 1).ok().map(|nth| frame.start + nth),
                        Some(_) => {
                            let message = "argument of nth_value must be greater than zero";
                            return Err(SqlError::new(SqlState("22016"), message));
                        }
                    },
                },
            };
            let target = target.filter(|target| frame.contains(target)).and_then(|at| self.rows.get(at));
            results.push(match target {
                Some(target) => context.eval(value, &target.row).await?,
                None => Datum::Null,
            });
        }
        Ok(results)
    }

    async fn aggregates<D: Database>(
        &self,
        call: &WindowCall,
        aggregate: &AggregateCall,
        context: &mut Context<'_, D>,
    ) -> SqlResult<Vec<Datum>> {
        let offsets = Offsets::of(&call.frame, context).await?;
        let mut results: Vec<Datum> = Vec::with_capacity(self.rows.len());
        // Frames that begin where the last one did are its rows and more: what there is goes on.
        let mut running: Option<(Range<usize>, Box<Accumulator>)> = None;
        for at in 0..self.rows.len() {
            context.breathe(at).await?;
            let frame = self.frame(at, &call.frame, &offsets, &context.env)?;
            let (seen, accumulator) = match running.take() {
                Some((seen, accumulator)) if seen == frame => {
                    running = Some((seen, accumulator));
                    results.push(results.last().cloned().unwrap_or(Datum::Null));
                    continue;
                }
                Some((seen, accumulator)) if seen.start == frame.start && seen.end <= frame.end => {
                    (seen, accumulator)
                }
                _ => (frame.start..frame.start, Box::new(Accumulator::new(aggregate))),
            };
            let mut accumulator = accumulator;
            for placed in self.rows.get(seen.end..frame.end).unwrap_or_default() {
                if context.passes(aggregate.filter.as_ref(), &placed.row).await? {
                    add(&mut accumulator, aggregate, &placed.row, context).await?;
                }
            }
            results.push((*accumulator).clone().finish(aggregate)?);
            running = Some((frame, accumulator));
        }
        Ok(results)
    }

    /// The rows that the row at `at` sees.
    fn frame(&self, at: usize, frame: &Frame, offsets: &Offsets, env: &Env<'_>) -> SqlResult<Range<usize>> {
        let len = self.rows.len();
        let peers = self.peers.get(at).cloned().unwrap_or(0..len);
        let start = match (&frame.start, frame.units) {
            (Bound::UnboundedPreceding, _) => 0,
            (Bound::UnboundedFollowing, _) => len,
            (Bound::CurrentRow, FrameUnits::Rows) => at,
            (Bound::CurrentRow, _) => peers.start,
            (Bound::Preceding(_), FrameUnits::Rows) => at.saturating_sub(offsets.start_rows()),
            (Bound::Following(_), FrameUnits::Rows) => at.saturating_add(offsets.start_rows()),
            (Bound::Preceding(_), FrameUnits::Groups) => {
                self.group(at, offsets.start_rows(), false).map_or(0, |group| group.start)
            }
            (Bound::Following(_), FrameUnits::Groups) => {
                self.group(at, offsets.start_rows(), true).map_or(len, |group| group.start)
            }
            (Bound::Preceding(to) | Bound::Following(to), FrameUnits::Range) => {
                self.in_range(at, &offsets.start, to, true, env)?
            }
        };
        let end = match (&frame.end, frame.units) {
            (Bound::UnboundedFollowing, _) => len,
            (Bound::UnboundedPreceding, _) => 0,
            (Bound::CurrentRow, FrameUnits::Rows) => at + 1,
            (Bound::CurrentRow, _) => peers.end,
            (Bound::Preceding(_), FrameUnits::Rows) => (at + 1).saturating_sub(offsets.end_rows()),
            (Bound::Following(_), FrameUnits::Rows) => (at + 1).saturating_add(offsets.end_rows()),
            (Bound::Preceding(_), FrameUnits::Groups) => {
                self.group(at, offsets.end_rows(), false).map_or(0, |group| group.end)
            }
            (Bound::Following(_), FrameUnits::Groups) => {
                self.group(at, offsets.end_rows(), true).map_or(len, |group| group.end)
            }
            (Bound::Preceding(to) | Bound::Following(to), FrameUnits::Range) => {
                self.in_range(at, &offsets.end, to, false, env)?
            }
        };
        let start = start.min(len);
        Ok(start..end.min(len).max(start))
    }

    /// The peers so many groups before the row at `at`, or behind it.
    fn group(&self, at: usize, by: usize, forward: bool) -> Option<Range<usize>> {
        let mut group = self.peers.get(at)?.clone();
        for _ in 0..by {
            let next = if forward { group.end } else { group.start.checked_sub(1)? };
            group = self.peers.get(next)?.clone();
        }
        Some(group)
    }

    /// Where the rows begin, or end, whose value is so much before or behind that of the row at `at`.
    fn in_range(
        &self,
        at: usize,
        offset: &Datum,
        to: &Offset,
        is_start: bool,
        env: &Env<'_>,
    ) -> SqlResult<usize> {
        let peers = self.peers.get(at).cloned().unwrap_or(0..0);
        let value = |at: usize| self.rows.get(at).and_then(|placed| placed.order.first());
        let (Some(current), Some(key)) = (value(at), self.order.first()) else { return Ok(0) };
        if current.is_null() {
            return Ok(if is_start { peers.start } else { peers.end });
        }
        let Some(end) = &to.end else { return Ok(0) };
        let values = [current.clone(), offset.clone()];
        let bound = end.eval(&values, env)?;
        let is_before = |at: usize| match value(at) {
            None => false,
            Some(value) => {
                let order = order(value, &bound, key.descending, key.nulls_first);
                if is_start { order.is_lt() } else { order.is_le() }
            }
        };
        let (mut low, mut high) = (0, self.rows.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if is_before(middle) { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }
}

/// How far the ends of a frame are from the present row.
struct Offsets {
    start: Datum,
    end: Datum,
}

impl Offsets {
    async fn of<D: Database>(frame: &Frame, context: &mut Context<'_, D>) -> SqlResult<Offsets> {
        let start = offset(&frame.start, "starting", context).await?;
        let end = offset(&frame.end, "ending", context).await?;
        Ok(Offsets { start, end })
    }

    fn start_rows(&self) -> usize {
        rows_of(&self.start)
    }

    fn end_rows(&self) -> usize {
        rows_of(&self.end)
    }
}

fn rows_of(offset: &Datum) -> usize {
    offset.as_i64().and_then(|rows| usize::try_from(rows).ok()).unwrap_or(usize::MAX)
}

async fn offset<D: Database>(bound: &Bound, which: &str, context: &mut Context<'_, D>) -> SqlResult<Datum> {
    let (Bound::Preceding(offset) | Bound::Following(offset)) = bound else { return Ok(Datum::Null) };
    let value = context.eval(&offset.expr, &[]).await?;
    if value.is_null() {
        let message = alloc::format!("frame {which} offset must not be null");
        return Err(SqlError::new(SqlState("22004"), message));
    }
    if is_negative(&value) {
        let message = match offset.end {
            Some(_) => "invalid preceding or following size in window function".into(),
            None => alloc::format!("frame {which} offset must not be negative"),
        };
        return Err(SqlError::new(SqlState("22013"), message));
    }
    Ok(value)
}

/// Whether it is less than nothing.
fn is_negative(value: &Datum) -> bool {
    let zero =
        value.data_type().and_then(|data_type| wire::parse_text(data_type, "0", &Style::default()).ok());
    zero.is_some_and(|zero| value.order(&zero) == Ordering::Less)
}
