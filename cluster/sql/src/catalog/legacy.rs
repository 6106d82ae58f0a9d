//! Descriptors as they were written before tables had indexes and constraints.

use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;

use super::descriptor::{Column, ColumnDefault, TableDescriptor};
use crate::types::DataType;

#[derive(Deserialize)]
struct OldColumn {
    name: String,
    data_type: DataType,
    modifier: Option<u32>,
    not_null: bool,
    default: ColumnDefault,
}

#[derive(Deserialize)]
struct OldTable {
    id: u32,
    schema: String,
    name: String,
    columns: Vec<OldColumn>,
    primary_key: Vec<u16>,
    primary_key_name: String,
}

/// The table that `bytes` describe.
pub(super) fn decode(bytes: &[u8]) -> Option<TableDescriptor> {
    let old: OldTable = cluster_format::decode(bytes).ok()?;
    let column = |old: OldColumn| Column {
        modifier: old.modifier,
        not_null: old.not_null,
        default: old.default,
        ..Column::new(&old.name, old.data_type)
    };
    Some(TableDescriptor {
        id: old.id,
        schema: old.schema,
        name: old.name,
        columns: old.columns.into_iter().map(column).collect(),
        primary_key: old.primary_key,
        primary_key_name: old.primary_key_name,
        indexes: Vec::new(),
        checks: Vec::new(),
        foreign_keys: Vec::new(),
        referenced_by: Vec::new(),
        triggers: Vec::new(),
        comment: None,
        key_comment: None,
        key_index_comment: None,
    })
}
