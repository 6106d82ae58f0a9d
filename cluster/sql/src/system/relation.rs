//! Tables, indexes, views and sequences as relations.

use super::snapshot::{Relation, RelationKind};
use super::value::{flag, oid, small, text};
use super::{Catalog, Rows, cluster};
use crate::types::Datum;

/// The letter that `relkind` has for it.
pub(super) fn kind(relation: &Relation) -> &'static str {
    match relation.kind {
        RelationKind::Table(_) | RelationKind::System(_) | RelationKind::Live(_) => "r",
        RelationKind::View(_) | RelationKind::SystemView(_) => "v",
        RelationKind::Sequence(_) => "S",
        RelationKind::Index(..) => "i",
    }
}

fn access_method(relation: &Relation) -> u32 {
    match kind(relation) {
        "r" => cluster::HEAP,
        "i" => cluster::BTREE,
        _ => 0,
    }
}

pub(super) fn classes(catalog: &Catalog, rows: &mut Rows) {
    for relation in &catalog.relations {
        let (table, columns) = match &relation.kind {
            RelationKind::Table(table) => (Some(table), table.columns.len()),
            RelationKind::Index(table, at) => {
                let index = at.and_then(|at| table.indexes.get(at));
                (None, index.map_or(table.primary_key.len(), |index| index.keys.len()))
            }
            _ => (None, relation.columns().len()),
        };
        let has_index = table.is_some_and(|table| !table.primary_key.is_empty() || !table.indexes.is_empty());
        let has_triggers = table.is_some_and(|table| {
            !table.foreign_keys.is_empty() || !table.referenced_by.is_empty() || !table.triggers.is_empty()
        });
        rows.add([
            ("oid", oid(relation.oid)),
            ("relname", text(&relation.name)),
            ("relnamespace", oid(catalog.schema_oid(&relation.schema))),
            ("relowner", oid(cluster::OWNER)),
            ("relam", oid(access_method(relation))),
            ("relfilenode", oid(if kind(relation) == "v" { 0 } else { relation.oid })),
            ("reltuples", Datum::Float4(-1.0)),
            ("relhasindex", flag(has_index)),
            ("relpersistence", text("p")),
            ("relkind", text(kind(relation))),
            ("relnatts", small(columns)),
            ("relchecks", small(table.map_or(0, |table| table.checks.len()))),
            ("relhasrules", flag(kind(relation) == "v")),
            ("relhastriggers", flag(has_triggers)),
            ("relispopulated", flag(true)),
            ("relreplident", text("d")),
        ]);
    }
}

/// A view is a relation with a rule.
pub(super) fn rules(catalog: &Catalog, rows: &mut Rows) {
    for relation in &catalog.relations {
        if let RelationKind::View(_) = &relation.kind {
            rows.add([
                ("oid", oid(catalog.named(relation.oid, "_RETURN"))),
                ("rulename", text("_RETURN")),
                ("ev_class", oid(relation.oid)),
                ("ev_type", text("1")),
                ("ev_enabled", text("O")),
                ("is_instead", flag(true)),
            ]);
        }
    }
}
