//! `ANALYZE`: statistics of a table, from a sample of its rows.

use alloc::vec::Vec;

use cluster_format::KeyRange;
use cluster_store::{Direction, Transaction};

use super::slices;
use crate::catalog::{ColumnSample, Detail, StoredTable, TableStatistics, statistics_key};
use crate::chance::Chance;
use crate::database::Database;
use crate::error::SqlResult;
use crate::exec::Context;
use crate::key::table_range;
use crate::types::Datum;

/// Rows of a sample.
const SAMPLE_ROWS: usize = 10_000;

/// As many at least, however wide they are.
const SAMPLE_ROWS_MIN: usize = 100;

/// Bytes of the disk that a record is taken to have at least, with its key.
const RECORD_LEN_MIN: u64 = 128;

/// Longer values are not kept, in bytes of memory.
const VALUE_LEN_MAX: usize = 128;

/// Most bytes of a table's statistics, as they are stored.
const STATISTICS_LEN_MAX: usize = 16 * 1024;

/// How much is kept of each column of a table that has few.
const DETAIL: Detail = Detail { common_max: 32, bounds_max: 65 };

/// A value of a sample; none if it is too long.
type Sampled = Vec<Option<Datum>>;

/// The statistics of `table`: the key they are stored under, and their bytes.
pub(super) async fn analyze<D: Database>(
    table: &StoredTable,
    context: &mut Context<'_, D>,
) -> SqlResult<(Vec<u8>, Vec<u8>)> {
    let held = context.budget.in_use();
    let disk_len = context.transaction.disk_len(&table_range(table.descriptor.id)).await?;
    let (rows, sample) = sample(table, disk_len, context).await?;
    let records = disk_len / sample.row_len().max(RECORD_LEN_MIN);
    let mut columns: Vec<ColumnSample> = table.types.iter().map(|_| ColumnSample::default()).collect();
    for row in sample.rows {
        for (column, value) in columns.iter_mut().zip(row) {
            match value {
                None => column.long += 1,
                Some(Datum::Null) => column.nulls += 1,
                Some(value) => column.values.push(value),
            }
        }
    }
    let mut detail = DETAIL;
    let statistics = loop {
        let summaries = columns.iter_mut().map(|column| column.summary(rows, detail)).collect();
        let bytes = cluster_format::encode(&TableStatistics { rows, columns: summaries, records });
        if bytes.len() <= STATISTICS_LEN_MAX || detail.bounds_max == 0 {
            break bytes;
        }
        detail = Detail { common_max: detail.common_max / 2, bounds_max: detail.bounds_max / 2 };
    };
    context.budget.return_to(held);
    Ok((statistics_key(table.descriptor.id), statistics))
}

/// Rows that were met, and some of them, each with the same chance (Vitter's algorithm R).
struct Sample {
    rows: Vec<Sampled>,
    rows_max: usize,
    met: u64,
    /// Bytes of all that were met.
    len: u64,
    chance: Chance,
}

/// How many rows there are, which take `total` bytes of the disk, and some of them. Of a long table only slices are read, and the
/// rest taken to be like them.
async fn sample<D: Database>(
    table: &StoredTable,
    total: u64,
    context: &mut Context<'_, D>,
) -> SqlResult<(u64, Sample)> {
    let range = table_range(table.descriptor.id);
    let chance = Chance::new(u64::from(table.descriptor.id), 0);
    let mut sample = Sample { rows: Vec::new(), rows_max: SAMPLE_ROWS, met: 0, len: 0, chance };
    let slices = match total < slices::WHOLE_LEN_MAX {
        true => None,
        false => slices::of(&range, total, &*context.transaction).await?,
    };
    let Some(slices) = slices else {
        sample.take_in(range, table, context).await?;
        return Ok((sample.met, sample));
    };
    let read: u64 = slices.iter().map(|(_, len)| len).sum();
    for (slice, _) in slices {
        sample.take_in(slice, table, context).await?;
    }
    let rows = sample.met as f64 * total as f64 / read.max(1) as f64;
    Ok((rows as u64, sample))
}

impl Sample {
    /// The mean length of those that were met.
    fn row_len(&self) -> u64 {
        self.len / self.met.max(1)
    }

    /// Meets all rows in `range`.
    async fn take_in<D: Database>(
        &mut self,
        range: KeyRange,
        table: &StoredTable,
        context: &mut Context<'_, D>,
    ) -> SqlResult<()> {
        let needed: Vec<bool> = table.types.iter().map(|_| true).collect();
        let mut scan = context.transaction.scan(range, Direction::Forward);
        loop {
            context.check_cancel()?;
            let batch = scan.next_batch(context.transaction).await?;
            if batch.is_empty() {
                return Ok(());
            }
            for (_, value) in batch {
                self.meet(&value, &needed, table, context)?;
            }
            cluster_store::yield_now().await;
        }
    }

    fn meet<D: Database>(
        &mut self,
        value: &[u8],
        needed: &[bool],
        table: &StoredTable,
        context: &mut Context<'_, D>,
    ) -> SqlResult<()> {
        self.met += 1;
        self.len += value.len() as u64;
        let place = if self.rows.len() < self.rows_max {
            self.rows.len()
        } else {
            usize::try_from(self.chance.next() % self.met).unwrap_or(usize::MAX)
        };
        if place >= self.rows_max {
            return Ok(());
        }
        let row = table.read(value, needed)?;
        let short = |value: Datum| (value.len_memory() <= VALUE_LEN_MAX).then_some(value);
        let row: Sampled = row.into_iter().map(short).collect();
        if let Err(error) = context.budget.charge(sampled_len(&row)) {
            // Fewer of rows as wide as these have to do.
            if self.rows.len() < SAMPLE_ROWS_MIN {
                return Err(error);
            }
            self.rows_max = self.rows.len();
            return Ok(());
        }
        match self.rows.get_mut(place) {
            None => self.rows.push(row),
            Some(replaced) => {
                context.budget.refund(sampled_len(replaced));
                *replaced = row;
            }
        }
        Ok(())
    }
}

/// About how many bytes of memory it takes.
fn sampled_len(row: &Sampled) -> usize {
    size_of::<Sampled>()
        + row.iter().map(|value| value.as_ref().map_or(size_of::<Datum>(), Datum::len_memory)).sum::<usize>()
}

/// A transaction that does nothing but store statistics: no row that was read for them counts.
pub(super) fn storing<D: Database>(
    database: &D,
    snapshot: cluster_store::Snapshot,
    statistics: &[(Vec<u8>, Vec<u8>)],
) -> SqlResult<Transaction> {
    let mut transaction = Transaction::new(snapshot, database.memory().lease());
    for (key, bytes) in statistics {
        transaction.put(key, bytes)?;
    }
    Ok(transaction)
}
