//! Functions.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::snapshot::{PG_CATALOG_OID, oid_of};
use super::value::{flag, oid, oids, small, text};
use super::{Catalog, Rows, cluster, quote_ident, types};
use crate::catalog::{Language, Parameter, Returns, RoutineDescriptor, Volatility};
use crate::function::{self, Kind, Mode, Signature};
use crate::types::{Array, DataType, Datum, Scalar};

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

pub(super) fn routines(catalog: &Catalog, rows: &mut Rows) {
    for (id, signature) in (ROUTINES..).zip(function::all()) {
        add(id, signature, rows);
    }
    for routine in &catalog.routines {
        add_of_user(routine, catalog, rows);
    }
}

fn add_of_user(routine: &RoutineDescriptor, catalog: &Catalog, rows: &mut Rows) {
    let parameters = &routine.parameters;
    let defaults = parameters.iter().filter(|parameter| parameter.default.is_some()).count();
    let names = parameters.iter().map(|parameter| Datum::Text(parameter.name.clone())).collect();
    let names = Datum::Array(Box::new(Array::new(Scalar::Text, names)));
    rows.add([
        ("oid", oid(oid_of(routine.id))),
        ("proname", text(&routine.name)),
        ("pronamespace", oid(catalog.schema_oid(&routine.schema))),
        ("proowner", oid(cluster::OWNER)),
        ("prolang", oid(cluster::language_oid(routine.language.name()))),
        ("procost", Datum::Float4(100.0)),
        ("prorows", Datum::Float4(if matches!(routine.returns, Returns::Rows(_)) { 1000.0 } else { 0.0 })),
        ("prokind", text(if routine.is_procedure { "p" } else { "f" })),
        ("proisstrict", flag(routine.strict)),
        ("proretset", flag(matches!(routine.returns, Returns::Rows(_)))),
        (
            "provolatile",
            text(match routine.volatility {
                Volatility::Immutable => "i",
                Volatility::Stable => "s",
                Volatility::Volatile => "v",
            }),
        ),
        ("proparallel", text("u")),
        ("pronargs", small(parameters.len())),
        ("pronargdefaults", small(defaults)),
        ("prorettype", oid(return_type(&routine.returns).0)),
        ("proargtypes", oids(parameters.iter().map(|parameter| parameter.data_type.oid()))),
        (
            "proargnames",
            if parameters.iter().any(|parameter| !parameter.name.is_empty()) { names } else { Datum::Null },
        ),
        // As a library and the name of what is called in it.
        (
            "prosrc",
            text(if let Language::Wasm { entry } = &routine.language { entry } else { &routine.body }),
        ),
        (
            "probin",
            match &routine.language {
                Language::Wasm { .. } => text(&routine.body),
                Language::Sql => Datum::Null,
            },
        ),
    ]);
}

/// The object id and the name of the type of what a routine gives.
fn return_type(returns: &Returns) -> (u32, String) {
    let named = |data_type: DataType| types::format_type(data_type.oid(), None);
    match returns {
        Returns::Nothing => (2278, "void".into()),
        Returns::Trigger => (2279, "trigger".into()),
        Returns::Value(data_type) => (data_type.oid(), named(*data_type)),
        Returns::Rows(columns) => match &columns[..] {
            [(_, data_type)] => (data_type.oid(), format!("SETOF {}", named(*data_type))),
            columns => {
                let columns: Vec<String> = columns
                    .iter()
                    .map(|(name, data_type)| format!("{} {}", quote_ident(name), named(*data_type)))
                    .collect();
                (2249, format!("TABLE({})", columns.join(", ")))
            }
        },
    }
}

fn of_user(id: u32, catalog: &Catalog) -> Option<&RoutineDescriptor> {
    catalog.routines.iter().find(|routine| oid_of(routine.id) == id)
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

/// The object id of the function of users that is called so.
pub(super) fn of_name(schema: &str, name: &str, catalog: &Catalog) -> Option<u32> {
    let mut routines = catalog.routines.iter();
    routines
        .find(|routine| routine.schema == schema && routine.name == name)
        .map(|routine| oid_of(routine.id))
}

/// The object id of the first function of a name.
pub(super) fn called(name: &str, catalog: &Catalog) -> Option<u32> {
    if let Some(routine) = catalog.routines.iter().find(|routine| routine.name == name) {
        return Some(oid_of(routine.id));
    }
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
pub(super) fn name(id: u32, catalog: &Catalog) -> Option<&str> {
    let of_user = || of_user(id, catalog).map(|routine| routine.name.as_str());
    of_oid(id).map(|signature| signature.name).or_else(of_user)
}

/// The type of its result.
pub(super) fn result(id: u32, catalog: &Catalog) -> Option<String> {
    if let Some(routine) = of_user(id, catalog) {
        return (!routine.is_procedure).then(|| return_type(&routine.returns).1);
    }
    of_oid(id).map(|signature| type_name(signature.result))
}

/// The names and types of its arguments, and what they are if they are not given, if that is wanted.
pub(super) fn arguments(id: u32, with_defaults: bool, catalog: &Catalog) -> Option<String> {
    if let Some(routine) = of_user(id, catalog) {
        let argument = |parameter: &Parameter| {
            let mut argument = types::format_type(parameter.data_type.oid(), None);
            if !parameter.name.is_empty() {
                argument = format!("{} {argument}", quote_ident(&parameter.name));
            }
            if let Some(default) = parameter.default.as_ref().filter(|_| with_defaults) {
                argument = format!("{argument} DEFAULT {default}");
            }
            argument
        };
        return Some(routine.parameters.iter().map(argument).collect::<Vec<_>>().join(", "));
    }
    let types = |signature: &Signature| {
        signature.arguments.iter().map(|kind| type_name(*kind)).collect::<Vec<_>>().join(", ")
    };
    of_oid(id).map(types)
}
