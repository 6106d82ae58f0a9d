//! `sys.settings`: what can be set of the cluster, one row each.
//!
//! Only what was set is stored, in rows that [`cluster_store`] heeds; the rest of the table is computed, so a new
//! setting needs no row and a default no writing. What was set is the cluster's own, and in no backup.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_store::{SETTINGS, Setting, Transaction};

use crate::catalog::{Column, SYS};
use crate::database::LiveTable;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::exec::Row;
use crate::system;
use crate::types::{DataType, Datum};

/// The table.
pub(crate) static TABLE: LiveTable = LiveTable {
    name: "settings",
    columns: &[
        ("name", DataType::Text),
        ("value", DataType::Text),
        ("default_value", DataType::Text),
        ("permitted", DataType::Text),
        ("description", DataType::Text),
    ],
    configured: None,
};

/// The column that can be changed.
const VALUE: usize = 1;

/// Whether `schema.name` is this table, one of the live ones, or of the system's catalogues.
pub(crate) fn is_of_system(schema: &str, name: &str, live: &[LiveTable]) -> bool {
    let is_catalog = system::table(schema, name).is_some() || system::view(schema, name).is_some();
    is_catalog || schema == SYS && live.iter().chain([&TABLE]).any(|table| table.name == name)
}

/// All rows, by name, with the keys of what is stored of them.
pub(crate) async fn rows(transaction: &mut Transaction) -> SqlResult<Vec<(Arc<[u8]>, Row)>> {
    let mut rows = Vec::with_capacity(SETTINGS.len());
    for setting in &SETTINGS {
        let key = setting.key();
        let value = setting.shown(transaction.get(&key).await?.as_deref());
        let texts = [setting.name, &value, setting.default, setting.permitted, setting.description];
        rows.push((key.into(), texts.map(|text| Datum::Text(text.into())).into()));
    }
    Ok(rows)
}

/// The column called `name`, to be assigned to, and its index. Nothing is the default of a value: that of its setting.
pub(crate) fn assignable(name: &str) -> SqlResult<(usize, Column)> {
    match TABLE.columns.get(VALUE) {
        Some((known, data_type)) if *known == name => {
            let column = Column::new(name, *data_type);
            Ok((VALUE, column))
        }
        _ if TABLE.columns.iter().any(|(known, _)| *known == name) => {
            let message = format!("column \"{name}\" of relation \"settings\" cannot be changed");
            Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
                .hint("Only column \"value\" of sys.settings can."))
        }
        _ => {
            let message = format!("column \"{name}\" of relation \"settings\" does not exist");
            Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message))
        }
    }
}

/// Stores the value of `row`, whose key is `key`, and makes the row what it is then. NULL brings the default back; 22023
/// if the value is not permitted.
pub(crate) fn store(key: &[u8], row: &mut Row, transaction: &mut Transaction) -> SqlResult<()> {
    let Some(setting) = SETTINGS.iter().find(|setting| setting.key() == key) else { return Ok(()) };
    let Some(value) = row.get_mut(VALUE) else { return Ok(()) };
    match value {
        Datum::Text(text) => {
            let normal = setting.normal(text).ok_or_else(|| not_permitted(setting, text))?;
            transaction.put(key, normal.as_bytes())?;
            *text = normal;
        }
        _ => {
            transaction.delete(key)?;
            *value = Datum::Text(setting.default.into());
        }
    }
    Ok(())
}

fn not_permitted(setting: &Setting, text: &str) -> SqlError {
    let message = format!("invalid value for parameter \"{}\": \"{text}\"", setting.name);
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
        .hint(format!("Permitted: {}.", setting.permitted))
}

/// 42809: there are always the same rows.
pub(crate) fn rows_are_fixed() -> SqlError {
    SqlError::new(SqlState::WRONG_OBJECT_TYPE, "settings can only be updated").hint(
        "UPDATE sys.settings SET value = ... WHERE name = ...; SET value = DEFAULT brings the default back.",
    )
}
