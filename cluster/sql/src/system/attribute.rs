//! Columns, and what they hold by default.

use alloc::format;
use alloc::string::String;

use super::snapshot::{Relation, RelationKind};
use super::value::{attnum, flag, made, oid, small, text};
use super::{Catalog, Rows, define, types};
use crate::catalog::{Column, Identity, IndexValue, TableDescriptor};
use crate::types::{DataType, Datum, TypeName};

/// What there is to say of a column.
struct Attribute<'a> {
    relation: u32,
    name: &'a str,
    place: u16,
    of_type: TypeName,
    not_null: bool,
    has_default: bool,
    identity: Identity,
}

impl Attribute<'_> {
    fn plain(relation: u32, name: &str, place: u16, data_type: DataType) -> Attribute<'_> {
        let (of_type, identity) = (data_type.into(), Identity::No);
        Attribute { relation, name, place, of_type, not_null: false, has_default: false, identity }
    }

    fn add(self, rows: &mut Rows) {
        let data_type = self.of_type.data_type;
        let identity = match self.identity {
            Identity::No => "",
            Identity::Always => "a",
            Identity::ByDefault => "d",
        };
        let dimensions = if data_type.element().is_some() { 1 } else { 0 };
        rows.add([
            ("attrelid", oid(self.relation)),
            ("attname", text(self.name)),
            ("atttypid", oid(data_type.oid())),
            ("attstattarget", Datum::Int4(-1)),
            ("attlen", Datum::Int2(types::len(data_type))),
            ("attnum", Datum::Int2(attnum(self.place))),
            ("attndims", Datum::Int4(dimensions)),
            ("attcacheoff", Datum::Int4(-1)),
            ("atttypmod", Datum::Int4(types::typmod(self.of_type))),
            ("attbyval", flag(types::is_by_value(data_type))),
            ("attalign", text(types::alignment(data_type))),
            ("attstorage", text(types::storage(data_type))),
            ("attcompression", text("")),
            ("attnotnull", flag(self.not_null)),
            ("atthasdef", flag(self.has_default)),
            ("attidentity", text(identity)),
            ("attgenerated", text("")),
            ("attislocal", flag(true)),
            ("attcollation", oid(types::collation(data_type))),
        ]);
    }
}

pub(super) fn attributes(catalog: &Catalog, rows: &mut Rows) {
    for relation in &catalog.relations {
        match &relation.kind {
            RelationKind::Table(table) => of_table(relation.oid, table, rows),
            RelationKind::Index(..) => of_index(relation, rows),
            _ => {
                for (place, (name, data_type)) in (0..).zip(relation.columns()) {
                    Attribute::plain(relation.oid, &name, place, data_type).add(rows);
                }
            }
        }
    }
}

fn of_table(relation: u32, table: &TableDescriptor, rows: &mut Rows) {
    for (place, column) in (0..).zip(&table.columns) {
        if column.dropped {
            rows.add([
                ("attrelid", oid(relation)),
                ("attname", made(format!("........pg.dropped.{}........", attnum(place)))),
                ("attstattarget", Datum::Int4(0)),
                ("attnum", Datum::Int2(attnum(place))),
                ("atttypmod", Datum::Int4(-1)),
                ("attalign", text("i")),
                ("attstorage", text("p")),
                ("attcompression", text("")),
                ("attidentity", text("")),
                ("attgenerated", text("")),
                ("attisdropped", flag(true)),
                ("attislocal", flag(true)),
            ]);
            continue;
        }
        Attribute {
            not_null: column.not_null,
            has_default: default_of(column).is_some(),
            identity: column.identity,
            of_type: declared(column),
            ..Attribute::plain(relation, &column.name, place, column.data_type)
        }
        .add(rows);
    }
}

/// The type of a column as it was declared.
pub(super) fn declared(column: &Column) -> TypeName {
    TypeName { data_type: column.data_type, modifier: column.modifier }
}

/// The default of a column that does not count by itself.
pub(super) fn default_of(column: &Column) -> Option<String> {
    if column.identity == Identity::No { define::default(column) } else { None }
}

fn of_index(relation: &Relation, rows: &mut Rows) {
    let Some((table, index)) = relation.index() else { return };
    let mut add = |place, value: &IndexValue, data_type| match value {
        IndexValue::Column(column) => {
            if let Some(column) = table.columns.get(usize::from(*column)) {
                let plain = Attribute::plain(relation.oid, &column.name, place, column.data_type);
                Attribute { of_type: declared(column), ..plain }.add(rows);
            }
        }
        IndexValue::Expression(_) => Attribute::plain(relation.oid, "expr", place, data_type).add(rows),
    };
    match index {
        Some(index) => (0..).zip(&index.keys).for_each(|(place, key)| add(place, &key.value, key.data_type)),
        None => (0..)
            .zip(&table.primary_key)
            .for_each(|(place, column)| add(place, &IndexValue::Column(*column), DataType::Text)),
    }
}

pub(super) fn defaults(catalog: &Catalog, rows: &mut Rows) {
    for (relation, table) in catalog.stored_tables() {
        for (at, column) in table.live_columns() {
            if let Some(default) = default_of(column) {
                rows.add([
                    ("oid", oid(catalog.named(relation, &format!("default {at}")))),
                    ("adrelid", oid(relation)),
                    ("adnum", small(at + 1)),
                    ("adbin", made(default)),
                ]);
            }
        }
    }
}
