//! Schemas.

use super::snapshot::PUBLIC_OID;
use super::value::{oid, text};
use super::{Catalog, Rows, cluster, depend};
use crate::types::Datum;

pub(super) fn namespaces(catalog: &Catalog, rows: &mut Rows) {
    for schema in &catalog.schemas {
        let owner = if schema.oid == PUBLIC_OID { cluster::DATABASE_OWNER } else { cluster::OWNER };
        rows.add([("oid", oid(schema.oid)), ("nspname", text(&schema.name)), ("nspowner", oid(owner))]);
    }
}

/// What Postgres says of the schema that is there from the beginning; nothing else has a comment.
pub(super) fn descriptions(_: &Catalog, rows: &mut Rows) {
    rows.add([
        ("objoid", oid(PUBLIC_OID)),
        ("classoid", oid(depend::SCHEMA)),
        ("objsubid", Datum::Int4(0)),
        ("description", text("standard public schema")),
    ]);
}
