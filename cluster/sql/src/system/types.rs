//! Types.

use alloc::format;
use alloc::string::String;

use super::snapshot::PG_CATALOG_OID;
use super::value::{flag, oid, text};
use super::{Catalog, Rows, cluster};
use crate::types::{Category, DataType, Datum, Scalar, TypeName};

/// What `pg_attribute` calls the length of a type: -1 if it varies.
pub(super) fn len(data_type: DataType) -> i16 {
    data_type.wire_len()
}

/// Whether Postgres passes its values by value.
pub(super) fn is_by_value(data_type: DataType) -> bool {
    matches!(len(data_type), 1 | 2 | 4 | 8)
}

/// What Postgres aligns its values to.
pub(super) fn alignment(data_type: DataType) -> &'static str {
    match (data_type, len(data_type)) {
        (DataType::Array(element), _) if len(element.data_type()) == 8 => "d",
        (DataType::Name | DataType::Uuid, _) | (_, 1) => "c",
        (_, 2) => "s",
        (_, 8 | 16) => "d",
        _ => "i",
    }
}

/// How Postgres stores its values.
pub(super) fn storage(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Numeric => "m",
        _ if len(data_type) < 0 => "x",
        _ => "p",
    }
}

/// Its collation.
pub(super) fn collation(data_type: DataType) -> u32 {
    match data_type.element().unwrap_or(data_type) {
        DataType::Name => 950,
        DataType::Text | DataType::Varchar | DataType::Bpchar => cluster::DEFAULT_COLLATION,
        _ => 0,
    }
}

/// A modifier as Postgres counts them; -1 without one.
pub(super) fn typmod(name: TypeName) -> i32 {
    let Some(modifier) = name.modifier.and_then(|modifier| i32::try_from(modifier).ok()) else { return -1 };
    match name.data_type.element().unwrap_or(name.data_type) {
        DataType::Varchar | DataType::Bpchar | DataType::Text | DataType::Numeric => {
            modifier.saturating_add(4)
        }
        _ => modifier,
    }
}

fn category(data_type: DataType) -> &'static str {
    match data_type.category() {
        Category::Array => "A",
        Category::Boolean => "B",
        Category::Moment => "D",
        Category::Number => "N",
        Category::Text => "S",
        Category::Span => "T",
        Category::Other => "U",
    }
}

pub(super) fn types(_: &Catalog, rows: &mut Rows) {
    for scalar in Scalar::ALL {
        add(scalar.data_type(), scalar.catalog_name(), scalar.array_oid(), 0, rows);
        let array = DataType::Array(*scalar);
        add(array, &format!("_{}", scalar.catalog_name()), 0, scalar.oid(), rows);
    }
    // Types of values that there are none of here, under which tools look for names.
    for (id, name, array, kind) in [(18, "char", 1002, "b"), (705, "unknown", 0, "p"), (2278, "void", 0, "p")]
    {
        rows.add([
            ("oid", oid(id)),
            ("typname", text(name)),
            ("typnamespace", oid(PG_CATALOG_OID)),
            ("typowner", oid(cluster::OWNER)),
            ("typlen", Datum::Int2(if id == 18 { 1 } else { 4 })),
            ("typtype", text(kind)),
            ("typcategory", text(if id == 18 { "Z" } else { "P" })),
            ("typisdefined", flag(true)),
            ("typdelim", text(",")),
            ("typarray", oid(array)),
            ("typalign", text("c")),
            ("typstorage", text("p")),
            ("typtypmod", Datum::Int4(-1)),
        ]);
    }
}

fn add(data_type: DataType, name: &str, array: u32, element: u32, rows: &mut Rows) {
    rows.add([
        ("oid", oid(data_type.oid())),
        ("typname", text(name)),
        ("typnamespace", oid(PG_CATALOG_OID)),
        ("typowner", oid(cluster::OWNER)),
        ("typlen", Datum::Int2(len(data_type))),
        ("typbyval", flag(is_by_value(data_type))),
        ("typtype", text("b")),
        ("typcategory", text(category(data_type))),
        ("typispreferred", flag(data_type.is_preferred())),
        ("typisdefined", flag(true)),
        ("typdelim", text(",")),
        ("typelem", oid(element)),
        ("typarray", oid(array)),
        ("typalign", text(alignment(data_type))),
        ("typstorage", text(storage(data_type))),
        ("typtypmod", Datum::Int4(-1)),
        ("typcollation", oid(collation(data_type))),
    ]);
}

/// The name of a type as SQL writes it, with a modifier as Postgres counts them, if there is one.
pub(crate) fn format_type(type_oid: u32, typmod: Option<i32>) -> String {
    let Some(data_type) = DataType::of_oid(type_oid) else {
        let special = [(0, "-"), (18, "\"char\""), (1002, "\"char\"[]"), (705, "unknown"), (2278, "void")];
        let known = special.into_iter().find(|(known, _)| *known == type_oid);
        return known.map_or("???", |(_, name)| name).into();
    };
    let base = data_type.element().unwrap_or(data_type);
    let brackets = if base == data_type { "" } else { "[]" };
    let given = typmod.filter(|typmod| *typmod >= 0);
    let length = given.map(|typmod| typmod.saturating_sub(4));
    let name = base.name();
    match (base, given, length) {
        (DataType::Bpchar, None, _) if typmod.is_some() => format!("bpchar{brackets}"),
        (DataType::Varchar | DataType::Bpchar, _, Some(length)) => format!("{name}({length}){brackets}"),
        (DataType::Numeric, _, Some(length)) => {
            // Eleven bits, with a sign.
            let scale = ((length & 0x7ff) ^ 1024) - 1024;
            format!("numeric({},{scale}){brackets}", length >> 16 & 0xffff)
        }
        (DataType::Time | DataType::Timestamp | DataType::Timestamptz, Some(digits), _) => {
            match name.split_once(' ') {
                Some((first, rest)) => format!("{first}({digits}) {rest}{brackets}"),
                None => format!("{name}({digits}){brackets}"),
            }
        }
        (DataType::Interval, Some(modifier), _) if modifier & 0xffff <= 6 => {
            format!("interval({}){brackets}", modifier & 0xffff)
        }
        _ => format!("{name}{brackets}"),
    }
}
