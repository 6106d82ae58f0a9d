//! What there is one of: the database, its owner; and what every Postgres has.

use super::value::{flag, oid, text};
use super::{Catalog, Rows};
use crate::types::Datum;

/// The role that owns everything: the session's user.
pub(super) const OWNER: u32 = 10;
/// The access method of tables.
pub(super) const HEAP: u32 = 2;
/// The access method of indexes.
pub(super) const BTREE: u32 = 403;
/// The only collation: that of bytes.
pub(super) const DEFAULT_COLLATION: u32 = 100;
/// The role that stands for whoever owns the database: it owns the schema that everybody uses.
pub(super) const DATABASE_OWNER: u32 = 6171;
/// The extension that schema `sys` belongs to.
pub(super) const EXTENSION: u32 = 14_900;
const DATABASE: u32 = 5;
const DEFAULT_TABLESPACE: u32 = 1663;
/// `UTF8`
pub(super) const ENCODING: i32 = 6;

pub(super) fn databases(catalog: &Catalog, rows: &mut Rows) {
    rows.add([
        ("oid", oid(DATABASE)),
        ("datname", text(&catalog.database)),
        ("datdba", oid(OWNER)),
        ("encoding", Datum::Int4(ENCODING)),
        ("datlocprovider", text("c")),
        ("datallowconn", flag(true)),
        ("datconnlimit", Datum::Int4(-1)),
        ("dattablespace", oid(DEFAULT_TABLESPACE)),
        ("datcollate", text("C")),
        ("datctype", text("C")),
    ]);
}

/// What a node shows of itself in schema `sys` comes as an extension.
pub(super) fn extensions(catalog: &Catalog, rows: &mut Rows) {
    rows.add([
        ("oid", oid(EXTENSION)),
        ("extname", text("relix")),
        ("extowner", oid(OWNER)),
        ("extnamespace", oid(catalog.schema_oid(crate::catalog::SYS))),
        ("extversion", text(env!("CARGO_PKG_VERSION"))),
    ]);
}

pub(super) fn roles(catalog: &Catalog, rows: &mut Rows) {
    let can = flag(true);
    rows.add([
        ("oid", oid(OWNER)),
        ("rolname", text(&catalog.user)),
        ("rolsuper", can.clone()),
        ("rolinherit", can.clone()),
        ("rolcreaterole", can.clone()),
        ("rolcreatedb", can.clone()),
        ("rolcanlogin", can.clone()),
        ("rolreplication", can.clone()),
        ("rolbypassrls", can),
        ("rolconnlimit", Datum::Int4(-1)),
    ]);
    rows.add([
        ("oid", oid(DATABASE_OWNER)),
        ("rolname", text("pg_database_owner")),
        ("rolinherit", flag(true)),
        ("rolconnlimit", Datum::Int4(-1)),
    ]);
}

pub(super) fn access_methods(_: &Catalog, rows: &mut Rows) {
    for (id, name, kind) in [(HEAP, "heap", "t"), (BTREE, "btree", "i")] {
        rows.add([("oid", oid(id)), ("amname", text(name)), ("amtype", text(kind))]);
    }
}

pub(super) fn collations(_: &Catalog, rows: &mut Rows) {
    for (id, name, provider) in [(DEFAULT_COLLATION, "default", "d"), (950, "C", "c"), (951, "POSIX", "c")] {
        rows.add([
            ("oid", oid(id)),
            ("collname", text(name)),
            ("collnamespace", oid(super::snapshot::PG_CATALOG_OID)),
            ("collowner", oid(OWNER)),
            ("collprovider", text(provider)),
            ("collisdeterministic", flag(true)),
            ("collencoding", Datum::Int4(-1)),
        ]);
    }
}

/// What functions may be written in; Postgres has no number for the last.
const LANGUAGES: [(u32, &str); 4] = [(12, "internal"), (13, "c"), (14, "sql"), (15, "wasm")];

/// The object id of a language.
pub(super) fn language_oid(name: &str) -> u32 {
    LANGUAGES.iter().find(|(_, known)| *known == name).map_or(0, |(id, _)| *id)
}

pub(super) fn languages(_: &Catalog, rows: &mut Rows) {
    for (id, name) in LANGUAGES {
        rows.add([
            ("oid", oid(id)),
            ("lanname", text(name)),
            ("lanowner", oid(OWNER)),
            ("lanpltrusted", flag(name == "sql" || name == "wasm")),
        ]);
    }
}

pub(super) fn settings(catalog: &Catalog, rows: &mut Rows) {
    for (name, value) in catalog.settings.all() {
        rows.add([
            ("name", text(name)),
            ("setting", text(&value)),
            ("category", text("Client Connection Defaults")),
            ("context", text("user")),
            ("vartype", text("string")),
            ("source", text("session")),
            ("reset_val", text(&value)),
        ]);
    }
}

pub(super) fn tablespaces(_: &Catalog, rows: &mut Rows) {
    for (id, name) in [(DEFAULT_TABLESPACE, "pg_default"), (1664, "pg_global")] {
        rows.add([("oid", oid(id)), ("spcname", text(name)), ("spcowner", oid(OWNER))]);
    }
}
