//! Rows as they are stored: what they must satisfy, the keys they are stored by, and their entries in indexes.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_store::Transaction;

use super::Row;
use crate::catalog::{Deferral, Index, IndexConstraint, IndexValue, StoredTable, TableDescriptor};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::eval::Env;
use crate::key::{self, KeyOrder};
use crate::types::{self, Datum};
use crate::wire;

/// Hidden row ids: wall time, session, counter. No two inserts meet, so none conflict.
#[derive(Debug)]
pub(crate) struct RowIds {
    session: u32,
    next: u32,
}

impl RowIds {
    pub(crate) fn new(session: u64) -> RowIds {
        // The low half is as random as the whole.
        RowIds { session: session as u32, next: 0 }
    }

    fn write_next(&mut self, wall_micros: i64, out: &mut Vec<u8>) {
        self.next = self.next.wrapping_add(1);
        out.extend_from_slice(&wall_micros.max(0).to_be_bytes());
        out.extend_from_slice(&self.session.to_be_bytes());
        out.extend_from_slice(&self.next.to_be_bytes());
    }
}

/// What may be taken by another row: the primary key, or that of a unique index by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UniqueKey {
    Primary,
    Index(usize),
}

/// What tells a row's key from those of the table's other rows.
fn tail(key: &[u8]) -> &[u8] {
    key.get(key::TABLE_PREFIX_LEN..).unwrap_or_default()
}

/// An entry of an index.
struct Entry {
    index: usize,
    key: Vec<u8>,
    /// Whether no other row may have it.
    unique: bool,
    /// Whether it may be that of another row, as the index is not whole yet.
    is_shared: bool,
    /// Whether no new row may have it: it has a NULL in what becomes the primary key.
    is_refused: bool,
    /// If no other row may have it once the statement has ended, or the transaction: how much of it that is.
    may_wait: Option<usize>,
}

/// The entry of `row` in an index, if it is in it; `tail` is that of the row's key.
fn entry(
    table: &StoredTable,
    at: usize,
    row: &[Datum],
    tail: &[u8],
    env: &Env<'_>,
) -> SqlResult<Option<Entry>> {
    let (Some(index), Some(bound)) = (table.descriptor.indexes.get(at), table.bound.indexes.get(at)) else {
        return Ok(None);
    };
    if let Some(predicate) = &bound.predicate
        && predicate.test(row, env)? != Some(true)
    {
        return Ok(None);
    }
    let mut key = key::table_prefix(index.id);
    let (mut unique, mut is_null) = (index.unique, false);
    for expr in &bound.keys {
        let value = expr.eval(row, env)?;
        // NULLs are not the same as each other.
        unique &= !value.is_null();
        is_null |= value.is_null();
        key::write(&value, KeyOrder::Ascending, &mut key);
    }
    let may_wait = (index.deferral != Deferral::No && !is_null).then_some(key.len());
    if !unique {
        key.extend_from_slice(tail);
    }
    let is_built = !index.is_ready();
    let is_refused = is_null && is_built && index.constraint == IndexConstraint::PrimaryKey;
    Ok(Some(Entry { index: at, key, unique, is_shared: unique && is_built, is_refused, may_wait }))
}

fn entries(table: &StoredTable, key: &[u8], row: &[Datum], env: &Env<'_>) -> SqlResult<Vec<Entry>> {
    let mut entries = Vec::with_capacity(table.descriptor.indexes.len());
    for at in 0..table.descriptor.indexes.len() {
        entries.extend(entry(table, at, row, tail(key), env)?);
    }
    Ok(entries)
}

/// The key of a row that has `unique` in common with `row`.
pub(crate) async fn find_duplicate(
    table: &StoredTable,
    unique: UniqueKey,
    row: &[Datum],
    transaction: &mut Transaction,
    env: &Env<'_>,
) -> SqlResult<Option<Arc<[u8]>>> {
    match unique {
        UniqueKey::Primary if table.descriptor.primary_key.is_empty() => Ok(None),
        UniqueKey::Primary => {
            let key = table.descriptor.row_key(row);
            Ok(transaction.get(&key).await?.map(|_| key.into()))
        }
        UniqueKey::Index(at) => match entry(table, at, row, &[], env)? {
            Some(entry) if entry.unique => {
                let tail = transaction.get(&entry.key).await?;
                Ok(tail.map(|tail| {
                    let mut key = key::table_prefix(table.descriptor.id);
                    key.extend_from_slice(&tail);
                    key.into()
                }))
            }
            _ => Ok(None),
        },
    }
}

/// Stores a new row, which satisfies all but that no other has its keys. Returns its key.
pub(crate) async fn store_row(
    table: &StoredTable,
    row: &[Datum],
    transaction: &mut Transaction,
    env: &Env<'_>,
) -> SqlResult<Arc<[u8]>> {
    let descriptor = &table.descriptor;
    let key: Arc<[u8]> = if descriptor.primary_key.is_empty() {
        let mut key = key::table_prefix(descriptor.id);
        env.session.row_ids.lock().write_next(env.session.statement_micros, &mut key);
        transaction.put(&key, &table.encode(row))?;
        key.into()
    } else {
        let key: Arc<[u8]> = descriptor.row_key(row).into();
        if !transaction.insert(&key, table.encode(row).into()).await? {
            return Err(duplicate_key(table, UniqueKey::Primary, row));
        }
        key
    };
    if !descriptor.indexes.is_empty() {
        let entries = entries(table, &key, row, env)?;
        add_entries(table, &key, row, entries, transaction, env).await?;
    }
    Ok(key)
}

async fn add_entries(
    table: &StoredTable,
    key: &[u8],
    row: &[Datum],
    entries: Vec<Entry>,
    transaction: &mut Transaction,
    env: &Env<'_>,
) -> SqlResult<()> {
    for entry in entries {
        if entry.is_refused {
            return Err(null_in_key(table, entry.index, row));
        }
        if let Some(len) = entry.may_wait {
            let name = table.descriptor.indexes.get(entry.index).map_or("", |index| &index.name);
            let prefix = entry.key.get(..len).unwrap_or_default().to_vec();
            env.session.deferred.lock().note_written(table, name, prefix)?;
        }
        if !entry.unique {
            transaction.put(&entry.key, tail(key))?;
        } else if !transaction.insert(&entry.key.into(), tail(key).into()).await? {
            return Err(duplicate_key(table, UniqueKey::Index(entry.index), row));
        }
    }
    Ok(())
}

/// Removes an entry of the row at `key`. As long as an index is built, another row may have come by the entry of one that is
/// not in it yet.
async fn remove_entry(entry: &Entry, key: &[u8], transaction: &mut Transaction) -> SqlResult<()> {
    if entry.is_shared && transaction.get(&entry.key).await?.is_none_or(|found| *found != *tail(key)) {
        return Ok(());
    }
    Ok(transaction.delete(&entry.key)?)
}

/// Adds what the index at `at` has of a row that is there.
pub(crate) async fn add_to_index(
    table: &StoredTable,
    at: usize,
    key: &[u8],
    row: &[Datum],
    transaction: &mut Transaction,
    env: &Env<'_>,
) -> SqlResult<()> {
    let entries = entry(table, at, row, tail(key), env)?.into_iter().collect();
    add_entries(table, key, row, entries, transaction, env).await
}

/// As [`add_to_index`], of a row that may be in it.
pub(crate) async fn ensure_in_index(
    table: &StoredTable,
    at: usize,
    key: &[u8],
    row: &[Datum],
    transaction: &mut Transaction,
    env: &Env<'_>,
) -> SqlResult<()> {
    let Some(entry) = entry(table, at, row, tail(key), env)? else { return Ok(()) };
    match transaction.get(&entry.key).await? {
        _ if entry.is_refused => Err(null_in_key(table, at, row)),
        None => Ok(transaction.put(&entry.key, tail(key))?),
        Some(found) if *found == *tail(key) => Ok(()),
        Some(_) => Err(duplicate_key(table, UniqueKey::Index(at), row)),
    }
}

/// Removes a row.
pub(crate) async fn remove_row(
    table: &StoredTable,
    key: &[u8],
    row: &[Datum],
    transaction: &mut Transaction,
    env: &Env<'_>,
) -> SqlResult<()> {
    transaction.delete(key)?;
    for entry in entries(table, key, row, env)? {
        remove_entry(&entry, key, transaction).await?;
    }
    Ok(())
}

/// A row that takes the place of another.
#[derive(Debug)]
pub(crate) struct Replaced {
    pub(crate) key: Arc<[u8]>,
    pub(crate) old: Row,
    pub(crate) new: Row,
}

/// Puts rows in the place of others. All that these had is free before any of it is taken: keys may change places.
pub(crate) async fn replace_rows(
    table: &StoredTable,
    rows: &[Replaced],
    transaction: &mut Transaction,
    env: &Env<'_>,
) -> SqlResult<()> {
    let descriptor = &table.descriptor;
    let has_moved = |row: &Replaced| {
        !descriptor.primary_key.is_empty()
            && descriptor.primary_key.iter().any(|column| {
                let column = usize::from(*column);
                row.old.get(column) != row.new.get(column)
            })
    };
    let mut added = Vec::with_capacity(rows.len());
    for row in rows {
        let moves = has_moved(row);
        let key: Arc<[u8]> = if moves { descriptor.row_key(&row.new).into() } else { row.key.clone() };
        let (old, mut new) = (entries(table, &row.key, &row.old, env)?, entries(table, &key, &row.new, env)?);
        if moves {
            transaction.delete(&row.key)?;
        }
        for entry in old {
            // What stays the same is not written again.
            match new.iter().position(|other| other.key == entry.key && !moves) {
                Some(same) => drop(new.swap_remove(same)),
                None => remove_entry(&entry, &row.key, transaction).await?,
            }
        }
        added.push((key, moves, new));
    }
    for (row, (key, moves, entries)) in rows.iter().zip(added) {
        if !moves {
            transaction.put(&key, &table.encode(&row.new))?;
        } else if !transaction.insert(&key, table.encode(&row.new).into()).await? {
            return Err(duplicate_key(table, UniqueKey::Primary, &row.new));
        }
        add_entries(table, &key, &row.new, entries, transaction, env).await?;
    }
    Ok(())
}

/// Makes `row` what its table stores, if it may stand there as far as itself goes.
pub(crate) fn check_row(table: &StoredTable, row: &mut Row, env: &Env<'_>) -> SqlResult<()> {
    let descriptor = &table.descriptor;
    let mut missing = None;
    for (column, datum) in descriptor.columns.iter().zip(row.iter_mut()) {
        match (column.modifier, datum) {
            (_, Datum::Null) if column.not_null && !column.dropped => {
                missing.get_or_insert(column);
            }
            (Some(modifier), datum) => types::fit(datum, column.data_type, modifier)?,
            _ => {}
        }
    }
    if let Some(column) = missing {
        let message = format!(
            "null value in column \"{}\" of relation \"{}\" violates not-null constraint",
            column.name, descriptor.name
        );
        return Err(SqlError::new(SqlState::NOT_NULL_VIOLATION, message).detail(failing(descriptor, row)));
    }
    for (check, expr) in descriptor.checks.iter().zip(&table.bound.checks) {
        if expr.test(row, env)? == Some(false) {
            let message = format!(
                "new row for relation \"{}\" violates check constraint \"{}\"",
                descriptor.name, check.name
            );
            return Err(SqlError::new(SqlState::CHECK_VIOLATION, message).detail(failing(descriptor, row)));
        }
    }
    Ok(())
}

/// 23502: a row has a NULL where the primary key that is built has none.
fn null_in_key(table: &StoredTable, at: usize, row: &[Datum]) -> SqlError {
    let descriptor = &table.descriptor;
    let columns = descriptor.indexes.get(at).map(Index::columns).unwrap_or_default();
    let is_null = |column: &u16| row.get(usize::from(*column)).is_none_or(Datum::is_null);
    let column = columns.into_iter().find(is_null).map(usize::from);
    let column = column.and_then(|column| descriptor.columns.get(column)).map_or("", |column| &column.name);
    let message = format!(
        "null value in column \"{column}\" of relation \"{}\" violates not-null constraint",
        descriptor.name
    );
    SqlError::new(SqlState::NOT_NULL_VIOLATION, message).detail(failing(descriptor, row))
}

fn failing(table: &TableDescriptor, row: &[Datum]) -> String {
    let values = table.live_columns().filter_map(|(at, _)| row.get(at)).map(printed);
    format!("Failing row contains ({}).", values.collect::<Vec<String>>().join(", "))
}

/// A value as messages show it.
pub(crate) fn printed(datum: &Datum) -> String {
    let mut text = String::new();
    match datum {
        Datum::Null => text.push_str("null"),
        datum => wire::write_text(datum, &wire::Style::default(), &mut text),
    }
    text
}

/// 23505
pub(crate) fn duplicate_key(table: &StoredTable, unique: UniqueKey, row: &[Datum]) -> SqlError {
    let descriptor = &table.descriptor;
    let name_of = |column: u16| descriptor.columns.get(usize::from(column)).map(|column| column.name.clone());
    let column = |column: &u16| (name_of(*column), row.get(usize::from(*column)).map(printed));
    // What each part of the key is called, and its value if that is a column's.
    type Part = (Option<String>, Option<String>);
    let (name, parts): (&str, Vec<Part>) = match unique {
        UniqueKey::Primary => {
            (&descriptor.primary_key_name, descriptor.primary_key.iter().map(column).collect())
        }
        UniqueKey::Index(at) => match descriptor.indexes.get(at) {
            Some(index) => {
                let part = |key: &crate::catalog::IndexKey| match &key.value {
                    IndexValue::Column(at) => column(at),
                    IndexValue::Expression(text) => (Some(text.clone()), None),
                };
                (&index.name, index.keys.iter().map(part).collect())
            }
            None => ("", Vec::new()),
        },
    };
    let names: Vec<String> = parts.iter().filter_map(|(name, _)| name.clone()).collect();
    let values: Vec<String> = parts.iter().filter_map(|(_, value)| value.clone()).collect();
    let error = SqlError::new(
        SqlState::UNIQUE_VIOLATION,
        format!("duplicate key value violates unique constraint \"{name}\""),
    );
    if values.len() < names.len() {
        return error;
    }
    error.detail(format!("Key ({})=({}) already exists.", names.join(", "), values.join(", ")))
}
