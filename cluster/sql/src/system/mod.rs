//! The system catalogues that clients of Postgres ask: `pg_catalog` and `information_schema`.
//!
//! Nothing of them is stored. A [`SystemTable`] is computed from the descriptors as the statement's transaction sees
//! them, which are read once for each statement, when it first asks ([`Catalog`]); a [`SystemView`] is a query over
//! such tables. A table that Relix has nothing to say in has columns and no rows, so that tools find what they join.
//!
//! What has an object id in Postgres has one here: see [`snapshot`] for how they are made.

mod attribute;
mod cluster;
mod constraint;
mod define;
mod depend;
mod description;
mod functions;
mod index;
mod information_schema;
mod relation;
mod routine;
mod schema;
mod sequence;
mod snapshot;
mod tables;
mod trigger;
mod types;
mod unused;
mod value;
mod views;

use alloc::sync::Arc;
use alloc::vec::Vec;

pub(crate) use define::quote_ident;
pub(crate) use functions::FUNCTIONS;
pub(crate) use snapshot::{Catalog, load};
pub(crate) use types::format_type;

use crate::exec::Row;
use crate::types::{DataType, Datum};

/// The schema of the system's catalogues, which is searched before all others.
pub(crate) const PG_CATALOG: &str = "pg_catalog";

/// The schema of the views that the standard describes.
pub(crate) const INFORMATION_SCHEMA: &str = "information_schema";

/// A table that is computed from what there is.
pub(crate) struct SystemTable {
    pub(crate) name: &'static str,
    /// Its object id in Postgres.
    pub(crate) oid: u32,
    pub(crate) columns: &'static [(&'static str, DataType)],
    /// Adds its rows; none if it never has any.
    rows: Option<fn(&Catalog, &mut Rows)>,
}

impl PartialEq for SystemTable {
    fn eq(&self, other: &SystemTable) -> bool {
        self.oid == other.oid
    }
}

/// A query with a name, over system tables.
pub(crate) struct SystemView {
    pub(crate) schema: &'static str,
    pub(crate) name: &'static str,
    pub(crate) query: &'static str,
}

impl core::fmt::Debug for SystemTable {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name)
    }
}

impl core::fmt::Debug for SystemView {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name)
    }
}

/// Rows of a system table in the making.
pub(crate) struct Rows {
    table: &'static SystemTable,
    rows: Vec<Row>,
}

impl Rows {
    /// Adds a row that has these values. Other columns are NULL if their type has no length of its own, else nothing:
    /// 0, false, an empty name.
    fn add<const N: usize>(&mut self, values: [(&str, Datum); N]) {
        let columns = self.table.columns;
        let mut row: Row = Vec::with_capacity(columns.len() + 1);
        row.extend(columns.iter().map(|(_, data_type)| nothing(*data_type)));
        for (name, value) in values {
            let at = columns.iter().position(|(known, _)| *known == name);
            debug_assert!(at.is_some(), "{} has no column {name}", self.table.name);
            if let Some(slot) = at.and_then(|at| row.get_mut(at)) {
                *slot = value;
            }
        }
        row.push(Datum::Oid(self.table.oid));
        self.rows.push(row);
    }
}

/// What a column holds that means nothing here.
fn nothing(data_type: DataType) -> Datum {
    match data_type {
        DataType::Bool => Datum::Bool(false),
        DataType::Int2 => Datum::Int2(0),
        DataType::Int4 => Datum::Int4(0),
        DataType::Int8 => Datum::Int8(0),
        DataType::Float4 => Datum::Float4(0.0),
        DataType::Oid | DataType::Regproc => Datum::Oid(0),
        DataType::Name => value::text(""),
        _ => Datum::Null,
    }
}

impl SystemTable {
    /// All rows, and behind its columns the table's object id: `tableoid`.
    pub(crate) fn rows(&'static self, catalog: &Catalog) -> Arc<Vec<Row>> {
        let mut rows = Rows { table: self, rows: Vec::new() };
        if let Some(add) = self.rows {
            add(catalog, &mut rows);
        }
        Arc::new(rows.rows)
    }
}

/// All system tables.
pub(crate) fn tables() -> impl Iterator<Item = &'static SystemTable> {
    tables::TABLES.iter().chain(unused::TABLES)
}

/// All system views.
pub(crate) fn views() -> impl Iterator<Item = &'static SystemView> {
    views::VIEWS.iter().chain(information_schema::VIEWS)
}

/// The system table `schema.name`.
pub(crate) fn table(schema: &str, name: &str) -> Option<&'static SystemTable> {
    tables().find(|table| schema == PG_CATALOG && table.name == name)
}

/// The system view `schema.name`.
pub(crate) fn view(schema: &str, name: &str) -> Option<&'static SystemView> {
    views().find(|view| view.schema == schema && view.name == name)
}

/// Whether `schema` is one that nothing is made in.
pub(crate) fn is_system_schema(schema: &str) -> bool {
    matches!(schema, PG_CATALOG | INFORMATION_SCHEMA)
}

/// Declares system tables: name, object id, where rows come from, columns and their types.
macro_rules! system_tables {
    (@rows none) => { None };
    (@rows $module:ident :: $rows:ident) => { Some(super::$module::$rows) };
    (@type [$element:ident]) => { $crate::types::DataType::Array($crate::types::Scalar::$element) };
    (@type $scalar:ident) => { $crate::types::DataType::$scalar };
    ($($name:ident $oid:literal ($($rows:tt)*) => $($column:ident $kind:tt),*;)*) => {
        pub(super) static TABLES: &[super::SystemTable] = &[$(super::SystemTable {
            name: stringify!($name),
            oid: $oid,
            columns: &[$((stringify!($column), super::system_tables!(@type $kind))),*],
            rows: super::system_tables!(@rows $($rows)*),
        }),*];
    };
}

use system_tables;
