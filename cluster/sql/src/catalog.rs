//! Which tables there are: one descriptor row each, in the store like everything else.
//!
//! Every statement reads the descriptor's key through its transaction, so a commit that came between a
//! `DROP TABLE` and the statement is a conflict like any other.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::limits::{BATCH_ROWS, TRANSACTION_LEN_MAX};
use cluster_format::{KeyRange, Write};
use cluster_store::{Direction, ReadError, Snapshot, Transaction};
use serde::{Deserialize, Serialize};

use crate::error::{SqlError, SqlResult, SqlState};
use crate::key::{self, KeyOrder, SYSTEM_SPACE, TABLE_SPACE};
use crate::types::{DataType, Datum};

/// The schema of tables that name none.
pub const PUBLIC: &str = "public";

/// The schema of the system's tables.
pub const SYS: &str = "sys";

/// Most columns of a table, as in Postgres.
pub const COLUMNS_MAX: usize = 1600;

/// Longest name of a table or column, as in Postgres.
pub const NAME_LEN_MAX: usize = 63;

const DESCRIPTORS: u8 = 1;
const NEXT_TABLE_ID: [u8; 2] = [SYSTEM_SPACE, 2];

/// There while a backup is restored: which restore may write.
pub(crate) const RESTORE: [u8; 2] = [SYSTEM_SPACE, 3];

/// Most bytes of descriptors in a backup: restoring it writes them in one transaction.
pub(crate) const DESCRIPTORS_LEN_MAX: usize = TRANSACTION_LEN_MAX - 1024;

/// What a column holds when an insert does not say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ColumnDefault {
    /// A constant; NULL if none was declared.
    Value(Datum),
    /// The time of the transaction.
    Now,
}

/// A column of a stored table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Most characters, for `varchar(n)`.
    pub chars_max: Option<u32>,
    /// Whether NULL is refused.
    pub not_null: bool,
    /// Its default.
    pub default: ColumnDefault,
}

/// A stored table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableDescriptor {
    /// Names its rows' keys; never used again after the table is dropped.
    pub id: u32,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// The columns of the primary key, in order; none if rows have a hidden id.
    pub primary_key: Vec<u16>,
    /// The name of the primary key's constraint.
    pub primary_key_name: String,
}

impl TableDescriptor {
    /// The key of the row with these values; the table has a primary key.
    pub fn row_key(&self, row: &[Datum]) -> Vec<u8> {
        let mut out = key::table_prefix(self.id);
        for column in &self.primary_key {
            key::write(row.get(usize::from(*column)).unwrap_or(&Datum::Null), KeyOrder::Ascending, &mut out);
        }
        out
    }
}

/// The key of the descriptor of `schema.name`.
pub fn descriptor_key(schema: &str, name: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + schema.len() + name.len());
    out.extend_from_slice(&[SYSTEM_SPACE, DESCRIPTORS]);
    for part in [schema, name] {
        out.extend_from_slice(part.as_bytes());
        out.push(0);
    }
    out
}

/// A descriptor with the bytes it was read from: equal bytes, equal table.
#[derive(Clone, Debug)]
pub(crate) struct StoredTable {
    pub(crate) key: Vec<u8>,
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) descriptor: TableDescriptor,
    pub(crate) types: Vec<DataType>,
}

impl StoredTable {
    /// Whether the table is in `transaction` what it is here.
    pub(crate) async fn is_current(&self, transaction: &mut Transaction) -> SqlResult<bool> {
        Ok(match transaction.get(&self.key).await? {
            Some(bytes) => Arc::ptr_eq(&bytes, &self.bytes) || bytes == self.bytes,
            None => false,
        })
    }
}

/// The table `schema.name`, if there is one.
pub(crate) async fn find(
    transaction: &mut Transaction,
    schema: &str,
    name: &str,
) -> SqlResult<Option<Arc<StoredTable>>> {
    let key = descriptor_key(schema, name);
    let Some(bytes) = transaction.get(&key).await? else { return Ok(None) };
    let descriptor: TableDescriptor =
        cluster_format::decode(&bytes).map_err(|_| SqlError::corrupted("table descriptor"))?;
    let types = descriptor.columns.iter().map(|column| column.data_type).collect();
    Ok(Some(Arc::new(StoredTable { key, bytes, descriptor, types })))
}

/// Stores a new table's descriptor, giving it its id.
pub(crate) async fn create(transaction: &mut Transaction, mut table: TableDescriptor) -> SqlResult<()> {
    if transaction.get(&RESTORE).await?.is_some() {
        return Err(restore_under_way());
    }
    let id = next_id(transaction).await?;
    let following = id
        .checked_add(1)
        .ok_or_else(|| SqlError::new(SqlState::LIMIT_EXCEEDED, "no table ids are left in this cluster"))?;
    transaction.put(&NEXT_TABLE_ID, &following.to_be_bytes())?;
    table.id = id;
    let key = descriptor_key(&table.schema, &table.name);
    transaction.put(&key, &cluster_format::encode(&table))?;
    Ok(())
}

/// The id of the table that is made next.
pub(crate) async fn next_id(transaction: &mut Transaction) -> SqlResult<u32> {
    match transaction.get(&NEXT_TABLE_ID).await? {
        None => Ok(1),
        Some(bytes) => read_next_id(&bytes).ok_or_else(|| SqlError::corrupted("next table id")),
    }
}

fn read_next_id(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_be_bytes)
}

/// Sets the id of the table that is made next.
pub(crate) fn write_next_id(id: u32) -> Write {
    Write { key: NEXT_TABLE_ID[..].into(), value: Some(id.to_be_bytes()[..].into()) }
}

/// Whether there is any table.
pub(crate) async fn has_tables(transaction: &mut Transaction) -> SqlResult<bool> {
    let mut scan = transaction.scan(KeyRange::prefix(&[SYSTEM_SPACE, DESCRIPTORS]), Direction::Forward);
    Ok(!scan.next_batch(transaction).await?.is_empty())
}

/// All stored tables, by schema and name. What cannot be read as one is left out.
pub async fn all(snapshot: &Snapshot) -> Result<Vec<TableDescriptor>, ReadError> {
    let mut range = KeyRange::prefix(&[SYSTEM_SPACE, DESCRIPTORS]);
    let mut tables = Vec::new();
    loop {
        let rows = snapshot.read(&range, Direction::Forward, BATCH_ROWS).await?;
        tables.extend(rows.iter().filter_map(|(_, bytes)| cluster_format::decode(bytes).ok()));
        match rows.last() {
            Some((last, _)) if rows.len() == BATCH_ROWS => range.start = KeyRange::single(last).end,
            _ => return Ok(tables),
        }
    }
}

/// Where what belongs to users is: which tables there are, then their rows. Whatever else there may be is this
/// cluster's own, and in no backup.
pub(crate) fn of_users() -> [KeyRange; 2] {
    let descriptors =
        KeyRange { start: [SYSTEM_SPACE, DESCRIPTORS][..].into(), end: KeyRange::single(&NEXT_TABLE_ID).end };
    [descriptors, rows_of_tables()]
}

/// The rows of all tables.
pub(crate) fn rows_of_tables() -> KeyRange {
    KeyRange::prefix(&[TABLE_SPACE])
}

/// What a row of the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The descriptor of the table with this id.
    Descriptor(u32),
    /// The id of the table that is made next.
    NextId(u32),
    /// A row of the table with this id.
    Row(u32),
}

/// What a row of [`of_users`] is; none if it is not as this crate writes them.
pub(crate) fn kind_of(key: &[u8], value: &[u8]) -> Option<Kind> {
    match key {
        [SYSTEM_SPACE, DESCRIPTORS, ..] => {
            let table: TableDescriptor = cluster_format::decode(value).ok()?;
            let has_name = key == descriptor_key(&table.schema, &table.name);
            let has_key = table.primary_key.iter().all(|column| usize::from(*column) < table.columns.len());
            (has_name && has_key).then_some(Kind::Descriptor(table.id))
        }
        key if key == NEXT_TABLE_ID => read_next_id(value).map(Kind::NextId),
        [TABLE_SPACE, id @ ..] => Some(Kind::Row(u32::from_be_bytes(*id.first_chunk()?))),
        _ => None,
    }
}

/// 55000
pub(crate) fn restore_under_way() -> SqlError {
    let message = "a backup is being restored, or a restore was interrupted";
    SqlError::new(SqlState::OBJECT_NOT_IN_STATE, message)
        .hint("Wait for its end, or run 'relix restore FILE' again: it clears what is left and begins anew.")
}

/// 42P01
pub(crate) fn undefined_table(schema: Option<&str>, name: &str) -> SqlError {
    let message = match schema {
        Some(schema) => format!("relation \"{schema}.{name}\" does not exist"),
        None => format!("relation \"{name}\" does not exist"),
    };
    SqlError::new(SqlState::UNDEFINED_TABLE, message)
}
