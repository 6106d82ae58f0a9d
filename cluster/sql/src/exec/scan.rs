//! Rows from where they are: keys, ranges of keys, series.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use cluster_format::KeyRange;
use cluster_format::limits::BATCH_ROWS;
use cluster_store::{Direction, Most, RowSink, Scan as StoreScan, yield_now};

use super::filter::Sieve;
use super::{Context, Row};
use crate::access::Keys;
use crate::batch::{Batch, COLUMNS_ROWS, ColumnBuilder, Columns};
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
    /// What the filter has not looked at yet.
    sieve: Sieve,
}

enum ScanState {
    Unopened,
    Points(vec::IntoIter<Vec<u8>>),
    Ranges(RangeScan),
}

/// Ranges of keys that are read one after the other.
struct RangeScan {
    ranges: vec::IntoIter<KeyRange>,
    current: Option<StoreScan>,
    /// So many rows come next: few at first, which may be all that are wanted.
    rows: usize,
}

/// So many rows come first, and so many at most later.
const SCAN_ROWS: (usize, usize) = (64, COLUMNS_ROWS);

/// A batch is not made longer once its keys and values have so many bytes.
const SCAN_LEN_MAX: usize = 256 * 1024;

impl ScanCursor {
    pub(super) fn new(node: Arc<Scan>) -> ScanCursor {
        ScanCursor { node, state: ScanState::Unopened, sieve: Sieve::default() }
    }

    pub(super) async fn next_batch<D: Database>(
        &mut self,
        context: &mut Context<'_, D>,
        wanted: usize,
    ) -> SqlResult<Option<Batch>> {
        let node = self.node.clone();
        let Some(filter) = &node.filter else { return self.read(&node, context).await };
        if self.sieve.is_empty() {
            let Some(batch) = self.read(&node, context).await? else { return Ok(None) };
            self.sieve.put(batch, filter, context);
        }
        self.sieve.next(filter, context, wanted).await.map(Some)
    }

    /// Whether it is known that no rows come any more.
    pub(super) fn is_at_end(&self) -> bool {
        matches!(&self.state, ScanState::Points(keys) if keys.len() == 0) && self.sieve.is_empty()
    }

    /// The next rows, whether they pass the filter or not; none at the end.
    async fn read<D: Database>(
        &mut self,
        node: &Scan,
        context: &mut Context<'_, D>,
    ) -> SqlResult<Option<Batch>> {
        if let ScanState::Unopened = self.state {
            self.state = open(node, context).await?;
        }
        match &mut self.state {
            ScanState::Unopened => Ok(None),
            ScanState::Points(keys) => Ok(points(keys, node, context).await?.map(Batch::Rows)),
            ScanState::Ranges(scan) => {
                context.check_cancel()?;
                // What reads a batch is long, and would be made room for where a row is read by its key, too.
                Ok(Box::pin(scan.next_batch(node, context)).await?.map(Batch::Columns))
            }
        }
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
            ScanState::Ranges(RangeScan { ranges: ranges.into_iter(), current: None, rows: SCAN_ROWS.0 })
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
    let (mut rows, mut len) = (Vec::with_capacity(keys.len().min(BATCH_ROWS)), 0);
    for key in keys.take(BATCH_ROWS) {
        let Some(value) = context.transaction.get(&key).await? else { continue };
        let (key, value) = match node.access.index {
            None => (key, value),
            Some(_) => row_of_entry(&value, node, context).await?,
        };
        len += value.len();
        let key = if node.with_key { key.into() } else { Arc::default() };
        rows.push(decode(key, &value, node)?);
        if len >= SCAN_LEN_MAX {
            break;
        }
    }
    if keys.len() > 0 {
        context.check_cancel()?;
        yield_now().await;
    }
    Ok(Some(rows))
}

/// The row that an entry of an index leads to, and its key.
async fn row_of_entry<D>(
    tail: &[u8],
    node: &Scan,
    context: &mut Context<'_, D>,
) -> SqlResult<(Vec<u8>, Arc<[u8]>)> {
    let mut key = key::table_prefix(node.table.descriptor.id);
    key.extend_from_slice(tail);
    let value = context.transaction.get(&key).await?;
    Ok((key, value.ok_or_else(|| SqlError::corrupted("index entry"))?))
}

/// Puts stored rows into columns.
struct ColumnSink<'a> {
    node: &'a Scan,
    /// The scan's, up to the last column that is.
    needed: &'a [bool],
    columns: Vec<ColumnBuilder>,
    len: usize,
    /// Why one could not be read: no more are.
    error: Option<SqlError>,
}

impl<'a> ColumnSink<'a> {
    fn new(node: &'a Scan) -> ColumnSink<'a> {
        let end = node.needed.iter().rposition(|needed| *needed).map_or(0, |last| last + 1);
        let needed = node.needed.get(..end).unwrap_or_default();
        let mut sink = ColumnSink { node, needed, columns: Vec::new(), len: 0, error: None };
        sink.begin_again();
        sink
    }

    fn finish(self) -> SqlResult<Columns> {
        let columns = self.columns.into_iter().map(ColumnBuilder::finish).collect();
        self.error.map_or(Ok(Columns { len: self.len, columns }), Err)
    }
}

impl RowSink for ColumnSink<'_> {
    fn row(&mut self, key: &[u8], value: &[u8]) {
        if self.error.is_some() {
            return;
        }
        self.error = self.node.table.read_columns(value, self.needed, &mut self.columns).err();
        if self.node.with_key
            && let Some(keys) = self.columns.last_mut()
        {
            keys.push(Datum::Bytea(key.into()));
        }
        self.len += 1;
    }

    fn begin_again(&mut self) {
        let width = self.node.table.types.len() + usize::from(self.node.with_key);
        self.columns = (0..width).map(|_| ColumnBuilder::new()).collect();
        (self.len, self.error) = (0, None);
    }
}

impl RangeScan {
    /// The next rows; none at the end.
    async fn next_batch<D>(
        &mut self,
        node: &Scan,
        context: &mut Context<'_, D>,
    ) -> SqlResult<Option<Columns>> {
        let direction = if node.backward { Direction::Backward } else { Direction::Forward };
        loop {
            let current = match &mut self.current {
                Some(current) => current,
                None => match self.ranges.next() {
                    Some(range) => self.current.insert(context.transaction.scan(range, direction)),
                    None => return Ok(None),
                },
            };
            let mut sink = ColumnSink::new(node);
            let most = Most { rows: self.rows, len: SCAN_LEN_MAX };
            self.rows = (self.rows * 4).min(SCAN_ROWS.1);
            let goes_on = match node.access.index {
                Some(_) => rows_of_entries(current, most, &mut sink, context).await?,
                None => current.next_into(context.transaction, most, &mut sink).await?,
            };
            if !goes_on {
                self.current = None;
            }
            let columns = sink.finish()?;
            if columns.len > 0 {
                return Ok(Some(columns));
            }
        }
    }
}

/// Gives `sink` the rows that the next entries of an index lead to; whether others may follow.
async fn rows_of_entries<D>(
    scan: &mut StoreScan,
    most: Most,
    sink: &mut ColumnSink<'_>,
    context: &mut Context<'_, D>,
) -> SqlResult<bool> {
    let most_entries = Most { rows: most.rows.min(BATCH_ROWS), ..most };
    let mut entries: Vec<cluster_store::Row> = Vec::new();
    let goes_on = scan.next_into(context.transaction, most_entries, &mut entries).await?;
    let mut len = 0;
    for (entry, tail) in entries {
        // How long the rows are that entries lead to, these do not tell.
        if len >= most.len {
            scan.go_back_to(entry);
            return Ok(true);
        }
        let (key, value) = row_of_entry(&tail, sink.node, context).await?;
        len += value.len();
        sink.row(&key, &value);
    }
    Ok(goes_on)
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
    ) -> SqlResult<Option<Batch>> {
        if let SeriesCursor::Unopened(node) = self {
            let values = context.eval_all(&node.arguments, &[]).await?;
            *self = SeriesCursor::Running(start(&values, node.data_type)?);
        }
        context.check_cancel()?;
        yield_now().await;
        let SeriesCursor::Running(series) = self else { return Ok(None) };
        let mut column = ColumnBuilder::new();
        let mut len = 0;
        for value in series.take(BATCH_ROWS) {
            column.push(value);
            len += 1;
        }
        let columns = [column.finish()].into();
        Ok((len > 0).then_some(Batch::Columns(Columns { len, columns })))
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
