//! Which tables there are: one descriptor row each, in the store like everything else.
//!
//! Every statement reads the descriptor's key through its transaction, so a commit that came between a
//! `DROP TABLE` and the statement is a conflict like any other.

mod builds;
mod cache;
mod descriptor;
mod extras;
mod legacy;
mod routine;
mod services;
mod statistics;
mod stored;
mod trigger;

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

pub(crate) use builds::{build_key, builders_of, builds};
pub use cache::TableCache;
use cluster_format::limits::{BATCH_ROWS, TRANSACTION_LEN_MAX};
use cluster_format::{KeyRange, Write};
use cluster_store::{Direction, ReadError, SYSTEM_SPACE, Snapshot, Transaction};
pub use descriptor::{
    Check, Column, ColumnDefault, Descriptor, ForeignKey, Identity, Index, IndexConstraint, IndexKey,
    IndexState, IndexValue, ReferentialAction, SequenceDescriptor, TableDescriptor, ViewDescriptor,
};

pub use extras::{Deferral, Part};
pub(crate) use routine::{BodyStatement, StoredRoutine, routine_name};
pub use routine::{Language, Parameter, Returns, RoutineDescriptor, Volatility};
pub use services::service_id;
pub(crate) use services::{descriptors as descriptors_of_services, put_service, service};
pub use statistics::analyzed;
pub(crate) use statistics::{
    ColumnSample, ColumnStatistics, Detail, TableStatistics, UNKNOWN_EQUAL, statistics_key,
};

pub(crate) use stored::{Stored, StoredStatistics, StoredTable, StoredView};
pub use trigger::{Event, Events, Timing, Trigger};

use crate::ast::TableName;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::key::TABLE_SPACE;
use crate::path::SearchPath;

/// The schema of tables that name none.
pub const PUBLIC: &str = "public";

/// The schema of the system's tables.
pub const SYS: &str = "sys";

/// Most columns of a table, as in Postgres.
pub const COLUMNS_MAX: usize = 1600;

/// Longest name of a table or column, as in Postgres.
pub const NAME_LEN_MAX: usize = 63;

const DESCRIPTORS: u8 = 1;

/// The name that a schema itself has within it.
pub(crate) const SCHEMA_ITSELF: &str = "";

const NEXT_TABLE_ID: [u8; 2] = [SYSTEM_SPACE, 2];

/// There while a backup is restored: which restore may write.
pub(crate) const RESTORE: [u8; 2] = [SYSTEM_SPACE, 3];

/// Most bytes of descriptors in a backup: restoring it writes them in one transaction.
pub(crate) const DESCRIPTORS_LEN_MAX: usize = TRANSACTION_LEN_MAX - 1024;

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

/// What a new descriptor's bytes begin with. Those of a table that was made before there was anything else begin with
/// its id, which is never 0.
const TAGGED: u8 = 0;

impl Descriptor {
    /// What `bytes` describe; none if they do not decode.
    pub fn decode(bytes: &[u8]) -> Option<Descriptor> {
        match bytes.split_first()? {
            (&TAGGED, rest) => extras::decode(rest),
            _ => legacy::decode(bytes).map(Descriptor::Table),
        }
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        extras::encode(self, [TAGGED].to_vec())
    }
}

/// Whether `key` has this value.
pub(crate) async fn is_same(
    key: &[u8],
    bytes: Option<&Arc<[u8]>>,
    transaction: &mut Transaction,
) -> SqlResult<bool> {
    Ok(match (transaction.get(key).await?, bytes) {
        (Some(found), Some(bytes)) => Arc::ptr_eq(&found, bytes) || found == *bytes,
        (found, bytes) => found.is_none() && bytes.is_none(),
    })
}

/// What `schema.name` stands for, if anything.
pub(crate) async fn find(
    transaction: &mut Transaction,
    schema: &str,
    name: &str,
) -> SqlResult<Option<Stored>> {
    let key = descriptor_key(schema, name);
    match transaction.get(&key).await? {
        Some(bytes) => stored(key, bytes),
        None => Ok(None),
    }
}

/// What a descriptor's row says.
fn stored(key: Vec<u8>, bytes: Arc<[u8]>) -> SqlResult<Option<Stored>> {
    Ok(Some(match Descriptor::decode(&bytes).ok_or_else(|| SqlError::corrupted("descriptor"))? {
        Descriptor::Table(table) => Stored::Table(Arc::new(StoredTable::new(key, bytes, table)?)),
        Descriptor::View(descriptor) => Stored::View(Arc::new(StoredView { key, bytes, descriptor })),
        Descriptor::Sequence(sequence) => Stored::Sequence(sequence),
        Descriptor::Index(table) => Stored::Index(table),
        Descriptor::Routine(routine) => Stored::Routine(Arc::new(StoredRoutine::new(key, bytes, routine)?)),
        Descriptor::Schema => return Ok(None),
    }))
}

/// What `name` stands for: in its schema, or in the first of the path that has something of that name.
pub(crate) async fn find_along(
    transaction: &mut Transaction,
    path: &SearchPath,
    name: &TableName,
) -> SqlResult<Option<Stored>> {
    for schema in path.candidates(&name.schema) {
        if let Some(stored) = find(transaction, schema, &name.name).await? {
            return Ok(Some(stored));
        }
    }
    Ok(None)
}

/// The table `schema.name`, if there is one.
pub(crate) async fn find_table(
    transaction: &mut Transaction,
    schema: &str,
    name: &str,
) -> SqlResult<Option<Arc<StoredTable>>> {
    Ok(match find(transaction, schema, name).await? {
        Some(Stored::Table(table)) => Some(table),
        _ => None,
    })
}

/// Stores what `schema.name` stands for.
pub(crate) async fn put(
    transaction: &mut Transaction,
    schema: &str,
    name: &str,
    descriptor: &Descriptor,
) -> SqlResult<()> {
    if transaction.get(&RESTORE).await?.is_some() {
        return Err(restore_under_way());
    }
    transaction.put(&descriptor_key(schema, name), &descriptor.encode())?;
    Ok(())
}

/// Takes the id of a new table, index, view or sequence, of a service if one defines it.
pub(crate) async fn take_id(transaction: &mut Transaction, service: Option<u8>) -> SqlResult<u32> {
    if transaction.get(&RESTORE).await?.is_some() {
        return Err(restore_under_way());
    }
    if let Some(service) = service {
        return services::take_service_id(service, transaction).await;
    }
    let id = next_id(transaction).await?;
    let following = id
        .checked_add(1)
        .ok_or_else(|| SqlError::new(SqlState::LIMIT_EXCEEDED, "no table ids are left in this cluster"))?;
    transaction.put(&NEXT_TABLE_ID, &following.to_be_bytes())?;
    Ok(id)
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

/// Whether users have any table.
pub(crate) async fn has_tables(transaction: &mut Transaction) -> SqlResult<bool> {
    for range in descriptors_of_users() {
        let mut scan = transaction.scan(range, Direction::Forward);
        if !scan.next_batch(transaction).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What there is, by schema and name. What cannot be read is left out.
pub async fn all(snapshot: &Snapshot) -> Result<Vec<Named>, ReadError> {
    let mut range = KeyRange::prefix(&[SYSTEM_SPACE, DESCRIPTORS]);
    let mut all = Vec::new();
    loop {
        let rows = snapshot.read(&range, Direction::Forward, BATCH_ROWS).await?;
        all.extend(rows.iter().filter_map(|(key, bytes)| named(key, bytes)));
        match rows.last() {
            Some((last, _)) if rows.len() == BATCH_ROWS => range.start = KeyRange::single(last).end,
            _ => return Ok(all),
        }
    }
}

/// As [`all`], as `transaction` sees it.
pub(crate) async fn everything(transaction: &mut Transaction) -> SqlResult<Vec<Named>> {
    let mut scan = transaction.scan(KeyRange::prefix(&[SYSTEM_SPACE, DESCRIPTORS]), Direction::Forward);
    let mut all = Vec::new();
    loop {
        let rows = scan.next_batch(transaction).await?;
        if rows.is_empty() {
            return Ok(all);
        }
        all.extend(rows.iter().filter_map(|(key, bytes)| named(key, bytes)));
    }
}

/// All stored tables, by schema and name.
pub async fn all_tables(snapshot: &Snapshot) -> Result<Vec<TableDescriptor>, ReadError> {
    let table = |(_, _, descriptor)| match descriptor {
        Descriptor::Table(table) => Some(table),
        _ => None,
    };
    Ok(all(snapshot).await?.into_iter().filter_map(table).collect())
}

/// A schema, a name in it, and what that stands for.
pub type Named = (String, String, Descriptor);

fn named(key: &[u8], bytes: &[u8]) -> Option<Named> {
    let [SYSTEM_SPACE, DESCRIPTORS, rest @ ..] = key else { return None };
    let mut parts = rest.split(|byte| *byte == 0).map(core::str::from_utf8);
    let (Some(Ok(schema)), Some(Ok(name))) = (parts.next(), parts.next()) else { return None };
    Some((schema.into(), name.into(), Descriptor::decode(bytes)?))
}

/// The key of the state of the sequence called `id`, the number it has reached: that of a table's only row.
pub(crate) fn sequence_key(id: u32) -> Vec<u8> {
    crate::key::table_prefix(id)
}

/// Whether there is a schema called `name`.
pub(crate) async fn has_schema(transaction: &mut Transaction, name: &str) -> SqlResult<bool> {
    let is_built_in = matches!(name, PUBLIC | SYS) || crate::system::is_system_schema(name);
    Ok(is_built_in || transaction.get(&descriptor_key(name, SCHEMA_ITSELF)).await?.is_some())
}

/// Where it is said which tables users have. Whatever else there may be is this cluster's own, as schema `sys` is, and in no
/// backup.
fn descriptors_of_users() -> [KeyRange; 2] {
    let (all, services) = (KeyRange::prefix(&[SYSTEM_SPACE, DESCRIPTORS]), services::descriptors());
    [KeyRange { start: all.start, end: services.start }, KeyRange { start: services.end, end: all.end }]
}

/// Where a backup finds what users have defined: their tables, and the id of the next, which stays when the last one goes.
pub(crate) fn definitions_of_users() -> impl DoubleEndedIterator<Item = KeyRange> {
    descriptors_of_users().into_iter().chain([KeyRange::single(&NEXT_TABLE_ID)])
}

/// The rows of users' tables.
pub(crate) fn rows_of_users() -> KeyRange {
    KeyRange { start: [TABLE_SPACE][..].into(), end: services::rows().start }
}

/// What a row of the store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A descriptor, which stands for what has these ids.
    Descriptor(Vec<u32>),
    /// The id of the table that is made next.
    NextId(u32),
    /// A row of the table with this id.
    Row(u32),
}

/// What a row of users' tables is, or of what describes them; none if it is not as this crate writes them.
pub(crate) fn kind_of(key: &[u8], value: &[u8]) -> Option<Kind> {
    match key {
        [SYSTEM_SPACE, DESCRIPTORS, ..] => {
            let (schema, name, descriptor) = named(key, value)?;
            if key != descriptor_key(&schema, &name) {
                return None;
            }
            match descriptor {
                Descriptor::Table(table) => {
                    let has_name = table.schema == schema && table.name == name;
                    table.is_sound().then_some(Kind::Descriptor(table.ids())).filter(|_| has_name)
                }
                Descriptor::View(view) => Some(Kind::Descriptor([view.id].into())),
                Descriptor::Sequence(sequence) => Some(Kind::Descriptor([sequence.id].into())),
                Descriptor::Routine(routine) => {
                    let has_name = routine.schema == schema && routine.catalog_name() == name;
                    has_name.then(|| Kind::Descriptor([routine.id].into()))
                }
                Descriptor::Index(_) | Descriptor::Schema => Some(Kind::Descriptor(Vec::new())),
            }
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
