//! Schemas.

use super::snapshot::PUBLIC_OID;
use super::value::{oid, text};
use super::{Catalog, Rows, cluster};

pub(super) fn namespaces(catalog: &Catalog, rows: &mut Rows) {
    for schema in &catalog.schemas {
        let owner = if schema.oid == PUBLIC_OID { cluster::DATABASE_OWNER } else { cluster::OWNER };
        rows.add([("oid", oid(schema.oid)), ("nspname", text(&schema.name)), ("nspowner", oid(owner))]);
    }
}
