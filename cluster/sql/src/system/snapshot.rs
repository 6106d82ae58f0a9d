//! What there is, as a statement's transaction sees it, with object ids.
//!
//! | object ids | what has them |
//! |---|---|
//! | below 16384 | Postgres's own: built-in schemas, types, catalogues; Relix's live tables and views |
//! | 16384 + id | tables, indexes, views, sequences: by the id in the descriptor |
//! | from `KEY_INDEX` | the index of a primary key that rows are stored by: by the table's id |
//! | from `NAMED` | schemas, constraints, defaults: a digest of what they belong to and are called |

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_store::Transaction;

use super::{INFORMATION_SCHEMA, PG_CATALOG, SystemTable, SystemView, tables, trigger, views};
use crate::catalog::{
    self, Descriptor, Index, PUBLIC, RoutineDescriptor, SYS, SequenceDescriptor, TableDescriptor,
    ViewDescriptor,
};
use crate::database::LiveTable;
use crate::error::SqlResult;
use crate::eval::SessionFacts;
use crate::session::Settings;
use crate::settings;
use crate::types::DataType;

/// The first object id that is not Postgres's own.
pub(super) const FIRST_OID: u32 = 16_384;
const KEY_INDEX: u32 = 1 << 28;
const NAMED: u32 = 2 << 28;
const NAMED_END: u32 = 3 << 28;
/// Views of the system: those of Postgres have no fixed ids either.
const VIEWS: u32 = 12_000;
const INFORMATION_SCHEMA_OID: u32 = 13_000;
const SYS_OID: u32 = 14_000;
pub(super) const PG_CATALOG_OID: u32 = 11;
pub(super) const PUBLIC_OID: u32 = 2200;

/// A table, view, sequence or index.
pub(crate) struct Relation {
    pub(super) oid: u32,
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) kind: RelationKind,
}

/// What a relation is.
pub(crate) enum RelationKind {
    Table(Arc<TableDescriptor>),
    View(ViewDescriptor),
    Sequence(SequenceDescriptor),
    /// An index of a table; without one, that of the primary key that rows are stored by.
    Index(Arc<TableDescriptor>, Option<usize>),
    System(&'static SystemTable),
    SystemView(&'static SystemView),
    Live(&'static LiveTable),
}

/// A schema.
pub(crate) struct Schema {
    pub(super) oid: u32,
    pub(super) name: String,
}

/// What there is.
pub(crate) struct Catalog {
    pub(super) schemas: Vec<Schema>,
    /// By schema and name, the system's last.
    pub(super) relations: Vec<Relation>,
    /// Functions and procedures that users have defined.
    pub(super) routines: Vec<RoutineDescriptor>,
    by_oid: BTreeMap<u32, usize>,
    by_name: BTreeMap<(String, String), usize>,
    /// What has an id of its name: what it belongs to, and what it is called.
    named: BTreeMap<(u32, String), u32>,
    pub(super) user: Arc<str>,
    pub(super) database: Arc<str>,
    pub(super) settings: Arc<Settings>,
}

impl core::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Catalog of {} relations", self.relations.len())
    }
}

/// Reads what there is.
pub(crate) async fn load(
    transaction: &mut Transaction,
    facts: &SessionFacts,
    live: &'static [LiveTable],
) -> SqlResult<Catalog> {
    let everything = catalog::everything(transaction).await?;
    let mut catalog = Catalog {
        schemas: Vec::new(),
        relations: Vec::new(),
        routines: Vec::new(),
        by_oid: BTreeMap::new(),
        by_name: BTreeMap::new(),
        named: BTreeMap::new(),
        user: facts.user.clone(),
        database: facts.database.clone(),
        settings: facts.settings.clone(),
    };
    let built_in = [
        (PG_CATALOG, PG_CATALOG_OID),
        (INFORMATION_SCHEMA, INFORMATION_SCHEMA_OID),
        (PUBLIC, PUBLIC_OID),
        (SYS, SYS_OID),
    ];
    catalog.schemas.extend(built_in.map(|(name, oid)| Schema { oid, name: name.into() }));
    let mut names = Vec::new();
    for (schema, name, descriptor) in everything {
        catalog.add(schema, name, descriptor, &mut names);
    }
    catalog.add_system(live);
    catalog.name_all(names);
    let placed = catalog.relations.iter().enumerate();
    catalog.by_oid = placed.clone().map(|(at, relation)| (relation.oid, at)).collect();
    catalog.by_name =
        placed.map(|(at, relation)| ((relation.schema.clone(), relation.name.clone()), at)).collect();
    Ok(catalog)
}

impl Catalog {
    /// Adds what a descriptor stands for, and notes what in it has an id of its name.
    fn add(&mut self, schema: String, name: String, descriptor: Descriptor, names: &mut Vec<(u32, String)>) {
        let (id, kind) = match descriptor {
            Descriptor::Schema => {
                names.push((0, schema));
                return;
            }
            // Indexes are described with their tables.
            Descriptor::Index(_) => return,
            Descriptor::Routine(routine) => {
                self.routines.push(routine);
                return;
            }
            Descriptor::Table(table) => {
                let table = Arc::new(table);
                self.add_indexes(&table);
                let oid = oid_of(table.id);
                names.extend(table.checks.iter().map(|check| (oid, check.name.clone())));
                names.extend(table.foreign_keys.iter().map(|key| (oid, key.name.clone())));
                names.extend(table.indexes.iter().map(|index| (oid, index.name.clone())));
                names.extend(table.triggers.iter().map(|trigger| (oid, trigger::object_name(trigger))));
                names.push((oid, table.primary_key_name.clone()));
                let columns = table.live_columns();
                names.extend(columns.map(|(at, _)| (oid, alloc::format!("default {at}"))));
                (table.id, RelationKind::Table(table))
            }
            Descriptor::View(view) => {
                names.push((oid_of(view.id), "_RETURN".into()));
                (view.id, RelationKind::View(view))
            }
            Descriptor::Sequence(sequence) => (sequence.id, RelationKind::Sequence(sequence)),
        };
        self.relations.push(Relation { oid: oid_of(id), schema, name, kind });
    }

    fn add_indexes(&mut self, table: &Arc<TableDescriptor>) {
        let mut add = |oid, name: &String, at| {
            let kind = RelationKind::Index(table.clone(), at);
            self.relations.push(Relation { oid, schema: table.schema.clone(), name: name.clone(), kind });
        };
        if !table.primary_key.is_empty() {
            add(key_index_oid(table), &table.primary_key_name, None);
        }
        for (at, index) in table.indexes.iter().enumerate() {
            add(oid_of(index.id), &index.name, Some(at));
        }
    }

    fn add_system(&mut self, live: &'static [LiveTable]) {
        let mut add = |oid, schema: &str, name: &str, kind| {
            self.relations.push(Relation { oid, schema: schema.into(), name: name.into(), kind });
        };
        for table in tables() {
            add(table.oid, PG_CATALOG, table.name, RelationKind::System(table));
        }
        for (oid, view) in (VIEWS..).zip(views()) {
            add(oid, view.schema, view.name, RelationKind::SystemView(view));
        }
        for (oid, table) in (SYS_OID + 1..).zip(live.iter().chain([&settings::TABLE])) {
            add(oid, SYS, table.name, RelationKind::Live(table));
        }
    }

    /// Gives ids to what is called so: the digest's, or the next one that is free.
    fn name_all(&mut self, names: Vec<(u32, String)>) {
        let mut taken = BTreeSet::new();
        for (of, name) in names {
            let mut oid = NAMED + digest(of, &name) % (NAMED_END - NAMED);
            while !taken.insert(oid) {
                oid = if oid + 1 < NAMED_END { oid + 1 } else { NAMED };
            }
            if of == 0 {
                self.schemas.push(Schema { oid, name: name.clone() });
            }
            self.named.insert((of, name), oid);
        }
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn len_memory(&self) -> usize {
        let columns: usize = self.stored_tables().map(|(_, table)| table.columns.len()).sum();
        let bodies: usize = self.routines.iter().map(|routine| routine.body.len()).sum();
        let routines = self.routines.len() * size_of::<RoutineDescriptor>() + bodies;
        self.relations.len() * (size_of::<Relation>() + 192)
            + self.named.len() * 96
            + columns * 160
            + routines
    }

    /// The object id of what belongs to the object `of` and is called `name`.
    pub(super) fn named(&self, of: u32, name: &str) -> u32 {
        self.named.get(&(of, name.into())).copied().unwrap_or(0)
    }

    /// The relation of this object id.
    pub(super) fn relation(&self, oid: u32) -> Option<&Relation> {
        self.by_oid.get(&oid).and_then(|at| self.relations.get(*at))
    }

    /// The relation of this schema and name.
    pub(super) fn relation_called(&self, schema: &str, name: &str) -> Option<&Relation> {
        let at = self.by_name.get(&(schema.into(), name.into()));
        at.and_then(|at| self.relations.get(*at))
    }

    /// The object id of a schema; 0 if there is none.
    pub(super) fn schema_oid(&self, name: &str) -> u32 {
        self.schemas.iter().find(|schema| schema.name == name).map_or(0, |schema| schema.oid)
    }

    /// The stored tables, with their object ids.
    pub(super) fn stored_tables(&self) -> impl Iterator<Item = (u32, &Arc<TableDescriptor>)> {
        self.relations.iter().filter_map(|relation| match &relation.kind {
            RelationKind::Table(table) => Some((relation.oid, table)),
            _ => None,
        })
    }
}

impl Relation {
    /// The names and types of its columns; those of a system view are known to its query alone.
    pub(super) fn columns(&self) -> Vec<(String, DataType)> {
        let fixed = |columns: &[(&str, DataType)]| {
            columns.iter().map(|(name, data_type)| (String::from(*name), *data_type)).collect()
        };
        match &self.kind {
            RelationKind::View(view) => view.columns.clone(),
            RelationKind::System(table) => fixed(table.columns),
            RelationKind::Live(table) => fixed(table.columns),
            RelationKind::Sequence(_) => fixed(&[
                ("last_value", DataType::Int8),
                ("log_cnt", DataType::Int8),
                ("is_called", DataType::Bool),
            ]),
            _ => Vec::new(),
        }
    }

    /// The index it is, if it is one that is described with its table.
    pub(super) fn index(&self) -> Option<(&TableDescriptor, Option<&Index>)> {
        match &self.kind {
            RelationKind::Index(table, at) => Some((table, at.and_then(|at| table.indexes.get(at)))),
            _ => None,
        }
    }
}

/// The object id of what has `id` in its descriptor.
pub(super) const fn oid_of(id: u32) -> u32 {
    FIRST_OID.saturating_add(id)
}

/// The object id of the index of the primary key that rows of `table` are stored by.
pub(super) const fn key_index_oid(table: &TableDescriptor) -> u32 {
    KEY_INDEX.saturating_add(table.id)
}

/// FNV-1a.
fn digest(of: u32, name: &str) -> u32 {
    let bytes = of.to_be_bytes().into_iter().chain(name.bytes());
    bytes.fold(0x811c_9dc5, |digest, byte| (digest ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
