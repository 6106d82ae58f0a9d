//! What is said of things.

use alloc::string::String;
use alloc::vec::Vec;

use super::snapshot::{Catalog, PUBLIC_OID, RelationKind, key_index_oid, oid_of};
use super::value::{oid, text};
use super::{Rows, depend};
use crate::catalog::{Part, TableDescriptor};
use crate::types::Datum;

/// What a comment is on: the object id of its table, that of the object, and the column.
struct Described {
    class: u32,
    object: u32,
    column: i32,
    text: String,
}

/// All comments.
fn all(catalog: &Catalog) -> impl Iterator<Item = Described> {
    let standard = Described {
        class: depend::SCHEMA,
        object: PUBLIC_OID,
        column: 0,
        text: "standard public schema".into(),
    };
    let said = catalog.relations.iter().flat_map(|relation| {
        let (comments, table) = match &relation.kind {
            RelationKind::Table(table) => (table.comments(), Some(table)),
            RelationKind::View(view) => (view.comments(), None),
            RelationKind::Sequence(sequence) => {
                (sequence.comment.iter().map(|comment| (Part::Itself, comment)).collect(), None)
            }
            _ => return Vec::new(),
        };
        let described = |(part, text): (Part, &String)| {
            let (class, object, column) = match (part, table) {
                (Part::Itself, _) => (depend::CLASS, relation.oid, 0),
                (Part::Column(at), _) => (depend::CLASS, relation.oid, i32::from(at) + 1),
                (part, Some(table)) => place_of(part, relation.oid, table, catalog)?,
                _ => return None,
            };
            Some(Described { class, object, column, text: text.clone() })
        };
        comments.into_iter().filter_map(described).collect()
    });
    core::iter::once(standard).chain(said)
}

/// Where a part of a table that has an object id of its own is described.
fn place_of(
    part: Part,
    relation: u32,
    table: &TableDescriptor,
    catalog: &Catalog,
) -> Option<(u32, u32, i32)> {
    let constraint = |name: &str| Some((depend::CONSTRAINT, catalog.named(relation, name), 0));
    match part {
        Part::Index(at) => Some((depend::CLASS, oid_of(table.indexes.get(usize::from(at))?.id), 0)),
        Part::KeyIndex => Some((depend::CLASS, key_index_oid(table), 0)),
        Part::Constraint(at) => constraint(&table.indexes.get(usize::from(at))?.name),
        Part::Check(at) => constraint(&table.checks.get(usize::from(at))?.name),
        Part::ForeignKey(at) => constraint(&table.foreign_keys.get(usize::from(at))?.name),
        Part::PrimaryKey => constraint(&table.primary_key_name),
        Part::Itself | Part::Column(_) => None,
    }
}

pub(super) fn descriptions(catalog: &Catalog, rows: &mut Rows) {
    for described in all(catalog) {
        rows.add([
            ("objoid", oid(described.object)),
            ("classoid", oid(described.class)),
            ("objsubid", Datum::Int4(described.column)),
            ("description", text(&described.text)),
        ]);
    }
}

/// What is said of the object, or of a column of it; of whatever class if none is given.
pub(super) fn of(class: Option<u32>, object: u32, column: i32, catalog: &Catalog) -> Option<String> {
    let wanted = |described: &Described| {
        described.object == object
            && described.column == column
            && class.is_none_or(|class| described.class == class)
    };
    all(catalog).find(wanted).map(|described| described.text)
}
