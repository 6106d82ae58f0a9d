//! Constraints.

use super::snapshot::{key_index_oid, oid_of};
use super::value::{attnum, flag, oid, smalls, text};
use super::{Catalog, Rows};
use crate::catalog::{Deferral, ForeignKey, Index, IndexConstraint, ReferentialAction, TableDescriptor};
use crate::types::Datum;

/// A constraint of a table.
pub(super) enum Constraint<'a> {
    /// The primary key that rows are stored by.
    Key,
    Index(&'a Index),
    Check(&'a crate::catalog::Check),
    ForeignKey(&'a ForeignKey),
}

/// The constraints of `table`, with their names.
pub(super) fn of_table(table: &TableDescriptor) -> impl Iterator<Item = (&str, Constraint<'_>)> {
    let key = (!table.primary_key.is_empty()).then_some((table.primary_key_name.as_str(), Constraint::Key));
    let declared = table.indexes.iter().filter(|index| index.constraint != IndexConstraint::None);
    let indexes = declared.map(|index| (index.name.as_str(), Constraint::Index(index)));
    let checks = table.checks.iter().map(|check| (check.name.as_str(), Constraint::Check(check)));
    let foreign = table.foreign_keys.iter().map(|key| (key.name.as_str(), Constraint::ForeignKey(key)));
    key.into_iter().chain(indexes).chain(checks).chain(foreign)
}

fn action(action: ReferentialAction) -> &'static str {
    match action {
        ReferentialAction::NoAction => "a",
        ReferentialAction::Restrict => "r",
        ReferentialAction::Cascade => "c",
        ReferentialAction::SetNull => "n",
        ReferentialAction::SetDefault => "d",
    }
}

/// The object id of the index of a unique key over `columns` of `table`.
fn unique_index(table: &TableDescriptor, columns: &[u16]) -> u32 {
    if table.primary_key == columns {
        return key_index_oid(table);
    }
    let fits = |index: &&Index| index.unique && index.columns() == columns;
    table.indexes.iter().find(fits).map_or(0, |index| oid_of(index.id))
}

fn columns_of(columns: &[u16]) -> Datum {
    smalls(columns.iter().map(|column| attnum(*column)))
}

pub(super) fn constraints(catalog: &Catalog, rows: &mut Rows) {
    for (relation, table) in catalog.stored_tables() {
        for (name, constraint) in of_table(table) {
            let deferral = match &constraint {
                Constraint::Index(index) => index.deferral,
                Constraint::ForeignKey(key) => key.deferral,
                Constraint::Key | Constraint::Check(_) => Deferral::No,
            };
            let (mut index, mut referenced) = (0, (0, Datum::Null, "", "", ""));
            let (kind, columns) = match &constraint {
                Constraint::Key => {
                    index = key_index_oid(table);
                    ("p", columns_of(&table.primary_key))
                }
                Constraint::Index(unique) => {
                    index = oid_of(unique.id);
                    let is_primary = unique.constraint == IndexConstraint::PrimaryKey;
                    (if is_primary { "p" } else { "u" }, columns_of(&unique.columns()))
                }
                // Which columns a check reads is written in its text alone.
                Constraint::Check(check) => ("c", columns_of(&columns_in(table, &check.expression))),
                Constraint::ForeignKey(key) => {
                    let target = catalog.relation_called(&key.table.0, &key.table.1);
                    if let Some(super::snapshot::RelationKind::Table(table)) = target.map(|found| &found.kind)
                    {
                        index = unique_index(table, &key.referenced);
                    }
                    referenced = (
                        target.map_or(0, |target| target.oid),
                        columns_of(&key.referenced),
                        action(key.on_update),
                        action(key.on_delete),
                        "s",
                    );
                    ("f", columns_of(&key.columns))
                }
            };
            let fixed =
                |text_or_blank: &str| text(if text_or_blank.is_empty() { " " } else { text_or_blank });
            rows.add([
                ("oid", oid(catalog.named(relation, name))),
                ("conname", text(name)),
                ("connamespace", oid(catalog.schema_oid(&table.schema))),
                ("contype", text(kind)),
                ("condeferrable", flag(deferral != Deferral::No)),
                ("condeferred", flag(deferral == Deferral::Deferred)),
                ("convalidated", flag(true)),
                ("conrelid", oid(relation)),
                ("conindid", oid(index)),
                ("confrelid", oid(referenced.0)),
                ("confupdtype", fixed(referenced.2)),
                ("confdeltype", fixed(referenced.3)),
                ("confmatchtype", fixed(referenced.4)),
                ("conislocal", flag(true)),
                ("connoinherit", flag(kind != "c")),
                ("conkey", columns),
                ("confkey", referenced.1),
                (
                    "conbin",
                    match &constraint {
                        Constraint::Check(check) => text(&check.expression),
                        _ => Datum::Null,
                    },
                ),
            ]);
        }
    }
}

/// The columns whose names stand in `text`, where no string and no longer word holds them.
fn columns_in(table: &TableDescriptor, text: &str) -> alloc::vec::Vec<u16> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    // Every other piece between quotes is a string.
    let outside = text.split('\'').step_by(2);
    let words: alloc::collections::BTreeSet<&str> =
        outside.flat_map(|piece| piece.split(|c| !is_part(c))).collect();
    let named = table.live_columns().filter(|(_, column)| words.contains(column.name.as_str()));
    named.filter_map(|(at, _)| u16::try_from(at).ok()).collect()
}
