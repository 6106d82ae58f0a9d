//! Functions.

use alloc::string::String;
use alloc::vec::Vec;

use super::snapshot::PG_CATALOG_OID;
use super::value::{flag, oid, oids, small, text};
use super::{Catalog, Rows, cluster, types};
use crate::function::{self, Kind, Mode, Signature};
use crate::types::Datum;

/// The object id of the first function: Postgres's own are not known here.
const ROUTINES: u32 = 3 << 28;

fn type_oid(kind: Kind) -> u32 {
    match kind {
        Kind::Is(data_type) => data_type.oid(),
        Kind::AnyElement => 2283,
        Kind::AnyArray => 2277,
        Kind::Any => 2276,
        Kind::AnyNonArray => 2776,
    }
}

pub(super) fn routines(_: &Catalog, rows: &mut Rows) {
    for (id, signature) in (ROUTINES..).zip(function::all()) {
        add(id, signature, rows);
    }
}

fn add(id: u32, signature: &Signature, rows: &mut Rows) {
    rows.add([
        ("oid", oid(id)),
        ("proname", text(signature.name)),
        ("pronamespace", oid(PG_CATALOG_OID)),
        ("proowner", oid(cluster::OWNER)),
        ("prolang", oid(12)),
        ("procost", Datum::Float4(1.0)),
        ("prokind", text("f")),
        ("proisstrict", flag(signature.mode == Mode::Strict)),
        ("provolatile", text("i")),
        ("proparallel", text("s")),
        ("pronargs", small(signature.arguments.len())),
        ("prorettype", oid(type_oid(signature.result))),
        ("proargtypes", oids(signature.arguments.iter().map(|kind| type_oid(*kind)))),
        ("prosrc", text(signature.name)),
    ]);
}

/// The object id of the first function of a name.
pub(super) fn called(name: &str) -> Option<u32> {
    let found = (ROUTINES..).zip(function::all()).find(|(_, signature)| signature.name == name);
    found.map(|(id, _)| id)
}

fn of_oid(id: u32) -> Option<&'static Signature> {
    function::all().nth(usize::try_from(id.checked_sub(ROUTINES)?).ok()?)
}

fn type_name(kind: Kind) -> String {
    match kind {
        Kind::Is(data_type) => types::format_type(data_type.oid(), None),
        Kind::AnyElement => "anyelement".into(),
        Kind::AnyArray => "anyarray".into(),
        Kind::Any => "\"any\"".into(),
        Kind::AnyNonArray => "anynonarray".into(),
    }
}

/// The name of the function of an object id.
pub(super) fn name(id: u32) -> Option<&'static str> {
    of_oid(id).map(|signature| signature.name)
}

/// The type of its result.
pub(super) fn result(id: u32) -> Option<String> {
    of_oid(id).map(|signature| type_name(signature.result))
}

/// The types of its arguments.
pub(super) fn arguments(id: u32) -> Option<String> {
    let types = |signature: &Signature| {
        signature.arguments.iter().map(|kind| type_name(*kind)).collect::<Vec<_>>().join(", ")
    };
    of_oid(id).map(types)
}
