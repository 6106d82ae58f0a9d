//! Rows from where they are: keys, ranges of keys, series.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use cluster_format::KeyRange;
use cluster_format::limits::BATCH_ROWS;
use cluster_store::{Direction, Scan as StoreScan, yield_now};

use super::cursor::{batch, retain};
use super::{Context, Row};
use crate::access::Keys;
use crate::cast;
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::key;
use crate::plan::rel::{Scan, Series};
use crate::types::{DataType, Datum};

/// The rows of a table that pass a filter, in progress.
pub(crate) struct ScanCursor {
    node: Arc<Scan>,
    state: ScanState,
}

enum ScanState {
    Unopened,
    Points(vec::IntoIter<Vec<u8>>),
    Ranges(vec::IntoIter<KeyRange>, Option<StoreScan>),
}

impl ScanCursor {
    pub(super) fn new(node: Arc<Scan>) -> ScanCursor {
        ScanCursor { node, state: ScanState::Unopened }
    }

    pub(super) async fn next_batch<D: Database>(
        &mut self,
        context: &mut Context<'_, D>,
    ) -> SqlResult<Option<Vec<Row>>> {
        let rows = match &mut self.state {
            ScanState::Unopened => {
                self.state = open(&self.node, context).await?;
                match &mut self.state {
                    ScanState::Points(keys) => points(keys, &self.node, context).await?,
                    _ => Some(Vec::new()),
                }
            }
            ScanState::Points(keys) => points(keys, &self.node, context).await?,
            ScanState::Ranges(ranges, scan) => {
                context.check_cancel()?;
                scan_batch(ranges, scan, &self.node, context).await?
            }
        };
        let Some(mut rows) = rows else { return Ok(None) };
        if let Some(filter) = &self.node.filter {
            retain(&mut rows, filter, context).await?;
        }
        Ok(Some(rows))
    }
}

async fn open<D: Database>(node: &Scan, context: &mut Context<'_, D>) -> SqlResult<ScanState> {
    let keys = loop {
        match node.access.keys(&node.table.descriptor, &context.env) {
            Err(error) if error.is_pending() => context.run_pending().await?,
            keys => break keys?,
        }
    };
    Ok(match keys {
        Keys::Points(mut keys) => {
            if node.backward {
                keys.reverse();
            }
            ScanState::Points(keys.into_iter())
        }
        Keys::Ranges(mut ranges) => {
            if node.backward {
                ranges.reverse();
            }
            ScanState::Ranges(ranges.into_iter(), None)
        }
    })
}

fn decode(key: Arc<[u8]>, value: &[u8], node: &Scan) -> SqlResult<Row> {
    let mut row = node.table.read(value, &node.needed)?;
    if node.with_key {
        row.push(Datum::Bytea(key));
    }
    Ok(row)
}

async fn points<D>(
    keys: &mut vec::IntoIter<Vec<u8>>,
    node: &Scan,
    context: &mut Context<'_, D>,
) -> SqlResult<Option<Vec<Row>>> {
    if keys.len() == 0 {
        return Ok(None);
    }
    let mut rows = Vec::with_capacity(keys.len().min(BATCH_ROWS));
    for key in keys.take(BATCH_ROWS) {
        if let Some(value) = context.transaction.get(&key).await? {
            let key = if node.with_key { key.into() } else { Arc::default() };
            rows.push(decode(key, &value, node)?);
        }
    }
    if keys.len() > 0 {
        context.check_cancel()?;
        yield_now().await;
    }
    Ok(Some(rows))
}

async fn scan_batch<D>(
    ranges: &mut vec::IntoIter<KeyRange>,
    scan: &mut Option<StoreScan>,
    node: &Scan,
    context: &mut Context<'_, D>,
) -> SqlResult<Option<Vec<Row>>> {
    let direction = if node.backward { Direction::Backward } else { Direction::Forward };
    loop {
        let current = match scan {
            Some(current) => current,
            None => match ranges.next() {
                Some(range) => scan.insert(context.transaction.scan(range, direction)),
                None => return Ok(None),
            },
        };
        let stored = current.next_batch(context.transaction).await?;
        if stored.is_empty() {
            *scan = None;
            continue;
        }
        if node.access.index.is_some() {
            return indexed(stored, node, context).await.map(Some);
        }
        return stored
            .into_iter()
            .map(|(key, value)| decode(key, &value, node))
            .collect::<SqlResult<Vec<Row>>>()
            .map(Some);
    }
}

/// The rows that entries of an index lead to.
async fn indexed<D>(
    entries: Vec<cluster_store::Row>,
    node: &Scan,
    context: &mut Context<'_, D>,
) -> SqlResult<Vec<Row>> {
    let mut rows = Vec::with_capacity(entries.len());
    for (_, tail) in entries {
        let mut key = key::table_prefix(node.table.descriptor.id);
        key.extend_from_slice(&tail);
        let value = context.transaction.get(&key).await?;
        let value = value.ok_or_else(|| SqlError::corrupted("index entry"))?;
        rows.push(decode(key.into(), &value, node)?);
    }
    Ok(rows)
}

/// `generate_series` in progress.
pub(crate) enum SeriesCursor {
    Unopened(Arc<Series>),
    Running(Running),
}

/// A series in progress.
pub(crate) struct Running {
    next: Option<i64>,
    stop: i64,
    step: i64,
    data_type: DataType,
}

impl SeriesCursor {
    pub(super) async fn next_batch<D: Database>(
        &mut self,
        context: &mut Context<'_, D>,
    ) -> SqlResult<Option<Vec<Row>>> {
        if let SeriesCursor::Unopened(node) = self {
            let values = context.eval_all(&node.arguments, &[]).await?;
            *self = SeriesCursor::Running(start(&values, node.data_type)?);
        }
        context.check_cancel()?;
        yield_now().await;
        let SeriesCursor::Running(series) = self else { return Ok(None) };
        Ok(batch(&mut series.map(|datum| vec![datum])))
    }
}

fn start(values: &[Datum], data_type: DataType) -> SqlResult<Running> {
    let number = |at: usize| values.get(at).and_then(Datum::as_i64);
    match (number(0), number(1), number(2)) {
        (_, _, Some(0)) => {
            let message = "step size cannot equal zero";
            Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
        }
        (Some(next), Some(stop), Some(step)) => Ok(Running { next: Some(next), stop, step, data_type }),
        _ => Ok(Running { next: None, stop: 0, step: 1, data_type }),
    }
}

impl Iterator for Running {
    type Item = Datum;

    fn next(&mut self) -> Option<Datum> {
        let value = self.next?;
        let is_within = if self.step > 0 { value <= self.stop } else { value >= self.stop };
        if !is_within {
            self.next = None;
            return None;
        }
        self.next = value.checked_add(self.step);
        cast::integer(Some(value), self.data_type).ok()
    }
}
