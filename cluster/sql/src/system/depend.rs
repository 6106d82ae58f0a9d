//! What depends on what: as much of it as tools ask for.

use super::snapshot::{Relation, RelationKind, oid_of};
use super::value::{attnum, oid, text};
use super::{Catalog, Rows, attribute, cluster, constraint};
use crate::catalog::{Identity, SYS};
use crate::types::Datum;

/// The object ids of the tables that objects are rows of.
const ROUTINE: u32 = 1255;
pub(super) const CLASS: u32 = 1259;
const DEFAULT: u32 = 2604;
pub(super) const CONSTRAINT: u32 = 2606;
pub(super) const SCHEMA: u32 = 2615;
const EXTENSION: u32 = 3079;
const RULE: u32 = 2618;

/// Adds that `object`, a row of `class`, depends on a relation, or on a column of it.
fn add(rows: &mut Rows, (class, object): (u32, u32), (relation, column): (u32, i16), kind: &str) {
    add_to(rows, (class, object), (CLASS, relation), column, kind);
}

fn add_to(rows: &mut Rows, object: (u32, u32), on: (u32, u32), column: i16, kind: &str) {
    rows.add([
        ("classid", oid(object.0)),
        ("objid", oid(object.1)),
        ("refclassid", oid(on.0)),
        ("refobjid", oid(on.1)),
        ("refobjsubid", Datum::Int4(column.into())),
        ("deptype", text(kind)),
    ]);
}

pub(super) fn dependencies(catalog: &Catalog, rows: &mut Rows) {
    add_to(rows, (SCHEMA, catalog.schema_oid(SYS)), (EXTENSION, cluster::EXTENSION), 0, "e");
    for routine in catalog.routines.iter().filter(|routine| routine.schema == SYS) {
        add_to(rows, (ROUTINE, oid_of(routine.id)), (EXTENSION, cluster::EXTENSION), 0, "e");
    }
    for relation in &catalog.relations {
        let schema = catalog.schema_oid(&relation.schema);
        match &relation.kind {
            // What comes with the system is in no dump: pg_dump leaves out what an extension brings.
            _ if relation.schema == SYS => {
                add_to(rows, (CLASS, relation.oid), (EXTENSION, cluster::EXTENSION), 0, "e");
                continue;
            }
            RelationKind::Table(_) => of_table(catalog, relation, rows),
            RelationKind::Sequence(sequence) => {
                let owner = sequence.owner.as_ref();
                let table = owner.and_then(|(table, column)| {
                    Some((catalog.relation_called(&relation.schema, table)?, *column))
                });
                if let Some((table, column)) = table
                    && let RelationKind::Table(descriptor) = &table.kind
                {
                    let owning = descriptor.columns.get(usize::from(column));
                    let counts = owning.is_some_and(|column| column.identity != Identity::No);
                    let kind = if counts { "i" } else { "a" };
                    add(rows, (CLASS, relation.oid), (table.oid, attnum(column)), kind);
                }
            }
            RelationKind::View(view) => {
                let rule = catalog.named(relation.oid, "_RETURN");
                add(rows, (RULE, rule), (relation.oid, 0), "i");
                for used in used_by(catalog, relation, &view.query) {
                    add(rows, (RULE, rule), (used, 0), "n");
                }
            }
            _ => continue,
        }
        add_to(rows, (CLASS, relation.oid), (SCHEMA, schema), 0, "n");
    }
}

fn of_table(catalog: &Catalog, relation: &Relation, rows: &mut Rows) {
    let RelationKind::Table(table) = &relation.kind else { return };
    for (name, constraint) in constraint::of_table(table) {
        let object = (CONSTRAINT, catalog.named(relation.oid, name));
        add(rows, object, (relation.oid, 0), "a");
        match constraint {
            constraint::Constraint::Key => {
                let index = super::snapshot::key_index_oid(table);
                add_to(rows, (CLASS, index), object, 0, "i");
            }
            constraint::Constraint::Index(index) => {
                add_to(rows, (CLASS, oid_of(index.id)), object, 0, "i");
            }
            constraint::Constraint::ForeignKey(key) => {
                if let Some(target) = catalog.relation_called(&key.table.0, &key.table.1) {
                    add(rows, object, (target.oid, 0), "n");
                }
            }
            constraint::Constraint::Check(_) => {}
        }
    }
    for (at, column) in table.live_columns() {
        let Some(default) = attribute::default_of(column) else { continue };
        let place = u16::try_from(at).map_or(i16::MAX, attnum);
        let object = (DEFAULT, catalog.named(relation.oid, &alloc::format!("default {at}")));
        add(rows, object, (relation.oid, place), "a");
        let sequence = super::define::sequence_of(&default)
            .and_then(|(schema, name)| catalog.relation_called(&schema, &name));
        if let Some(sequence) = sequence {
            add(rows, object, (sequence.oid, 0), "n");
        }
    }
}

/// The relations that the query of a view reads.
fn used_by(catalog: &Catalog, view: &Relation, query: &str) -> alloc::vec::Vec<u32> {
    let mut used = alloc::vec::Vec::new();
    let Ok(query) = crate::parse::query(query) else { return used };
    crate::ast::visit::tables_of_query(&query, &mut |table| {
        let schema = table.schema.as_deref().unwrap_or(crate::catalog::PUBLIC);
        if let Some(found) = catalog.relation_called(schema, &table.name)
            && found.oid != view.oid
            && !used.contains(&found.oid)
        {
            used.push(found.oid);
        }
    });
    used
}
