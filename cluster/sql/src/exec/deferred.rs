//! Constraints that are checked when their transaction ends.
//!
//! What a statement leaves to be checked is noted: values that rows refer to, or that nothing may refer to any more, and keys
//! that several rows may have. It is checked against what is there by then, so that a note which has become void, by whatever
//! was done or undone since, does no harm. A constraint that does not wait is checked at the end of each statement.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::KeyRange;
use cluster_store::{Direction, MemoryPool};

use super::change::collect;
use super::foreign::{not_present, still_referenced};
use super::store::{UniqueKey, duplicate_key};
use super::{Budget, Context, Row, row_len};
use crate::catalog::{self, Deferral, IndexConstraint, StoredTable, TableDescriptor};
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::key;
use crate::plan::{Related, related_to};

/// Most bytes of notes.
const NOTES_LEN_MAX: usize = 16 * 1024 * 1024;

/// A schema and a name in it.
type FullName = (String, String);

/// What is to be checked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    /// Rows of the first table refer to values by this foreign key.
    Wanted,
    /// Rows of the table had values that rows of another referred to, by this foreign key of that.
    Gone(FullName),
    /// Rows of the table may have the same key in the index of this constraint.
    Key,
}

/// A note: a constraint, and the values that it is to be checked for, as bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Note {
    table: FullName,
    constraint: String,
    subject: Subject,
    form: Vec<u8>,
}

/// Whether constraints wait, where the transaction has said so: all, or these of a schema.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiting {
    all: Option<bool>,
    named: BTreeMap<FullName, bool>,
}

/// What is noted of a transaction.
#[derive(Debug, Default)]
pub(crate) struct Deferred {
    waiting: Waiting,
    notes: BTreeMap<Note, Row>,
    /// Keys that the statement in hand has written.
    written: BTreeSet<(FullName, String, Vec<u8>)>,
    len: usize,
    /// What of the node's memory they take.
    budget: Option<Budget>,
}

impl Deferred {
    /// Nothing so far; what will be noted counts towards `pool`.
    pub(crate) fn new(pool: &Arc<MemoryPool>) -> Deferred {
        Deferred { budget: Some(Budget::new(pool)), ..Deferred::default() }
    }

    /// Whether a constraint waits for the end of the transaction.
    pub(crate) fn waits(&self, deferral: Deferral, schema: &str, name: &str) -> bool {
        let Waiting { all, named } = &self.waiting;
        let told = || named.get(&(schema.into(), name.into())).copied().or(*all);
        match deferral {
            Deferral::No => false,
            Deferral::Immediate => told().unwrap_or(false),
            Deferral::Deferred => told().unwrap_or(true),
        }
    }

    /// `SET CONSTRAINTS ALL`
    pub(crate) fn set_all(&mut self, waits: bool) {
        self.waiting = Waiting { all: Some(waits), named: BTreeMap::new() };
    }

    /// `SET CONSTRAINTS`
    pub(crate) fn set(&mut self, schema: &str, name: &str, waits: bool) {
        self.waiting.named.insert((schema.into(), name.into()), waits);
    }

    /// What has been said of that so far.
    pub(crate) fn waiting(&self) -> Waiting {
        self.waiting.clone()
    }

    /// Comes back to what was said of that.
    pub(crate) fn set_waiting(&mut self, waiting: Waiting) {
        self.waiting = waiting;
    }

    /// Whether there is nothing to be checked.
    pub(crate) fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    /// Forgets what is noted: the statements are run again.
    pub(crate) fn forget_notes(&mut self) {
        self.notes.clear();
        self.written.clear();
        self.len = 0;
        self.budget.iter_mut().for_each(|budget| budget.return_to(0));
    }

    /// The table `from` is called `to` from now on. What is noted of it by its old name stays: this may be undone.
    pub(crate) fn rename_table(&mut self, from: &FullName, to: &FullName) -> SqlResult<()> {
        self.copy(|note| {
            if note.table == *from {
                note.table.clone_from(to);
            }
            if let Subject::Gone(child) = &mut note.subject
                && child == from
            {
                child.clone_from(to);
            }
        })
    }

    /// The constraint `from` of `table` is called `to` from now on.
    pub(crate) fn rename_constraint(&mut self, table: &FullName, from: &str, to: &str) -> SqlResult<()> {
        let told = self.waiting.named.get(&(table.0.clone(), from.into())).copied();
        if let Some(waits) = told {
            self.set(&table.0, to, waits);
        }
        self.copy(|note| {
            let owner = match &note.subject {
                Subject::Gone(child) => child,
                Subject::Wanted | Subject::Key => &note.table,
            };
            if owner == table && note.constraint == from {
                note.constraint = to.into();
            }
        })
    }

    /// Notes, beside what is noted, what `change` makes of it.
    fn copy(&mut self, mut change: impl FnMut(&mut Note)) -> SqlResult<()> {
        let mut changed = Vec::new();
        for (note, values) in &self.notes {
            let mut copy = note.clone();
            change(&mut copy);
            if copy != *note {
                changed.push((copy, values.clone()));
            }
        }
        changed.into_iter().try_for_each(|(note, values)| self.note(note, values))
    }

    fn charge(&mut self, len: usize) -> SqlResult<()> {
        self.len += len;
        if self.len > NOTES_LEN_MAX {
            let message = "too much is left to be checked at the end of the transaction";
            return Err(SqlError::new(SqlState::LIMIT_EXCEEDED, message));
        }
        self.budget.as_mut().map_or(Ok(()), |budget| budget.charge(len))
    }

    fn note(&mut self, note: Note, values: Row) -> SqlResult<()> {
        let len = note.form.len() + row_len(&values) + 128;
        if self.notes.insert(note, values).is_none() {
            self.charge(len)?;
        }
        Ok(())
    }

    pub(super) fn note_wanted(&mut self, table: FullName, key: &str, values: &Row) -> SqlResult<()> {
        let form = super::distinct::same_form(values);
        let note = Note { table, constraint: key.into(), subject: Subject::Wanted, form };
        self.note(note, values.clone())
    }

    pub(super) fn note_gone(
        &mut self,
        table: FullName,
        child: FullName,
        key: &str,
        values: &Row,
    ) -> SqlResult<()> {
        let form = super::distinct::same_form(values);
        let note = Note { table, constraint: key.into(), subject: Subject::Gone(child), form };
        self.note(note, values.clone())
    }

    /// The statement in hand has written `prefix`, which several rows may begin with, into the index of a constraint.
    pub(super) fn note_written(
        &mut self,
        table: &StoredTable,
        index: &str,
        prefix: Vec<u8>,
    ) -> SqlResult<()> {
        let name = (table.descriptor.schema.clone(), table.descriptor.name.clone());
        let len = prefix.len() + 96;
        if self.written.insert((name, index.into(), prefix)) {
            self.charge(len)?;
        }
        Ok(())
    }
}

/// The end of a statement: keys that do not wait are checked, or all unless they `may_wait`; the others are noted.
pub(crate) async fn settle_keys<D: Database>(may_wait: bool, context: &mut Context<'_, D>) -> SqlResult<()> {
    let deferred = context.env.session.deferred.clone();
    let written = core::mem::take(&mut deferred.lock().written);
    for (index, (table, constraint, form)) in written.into_iter().enumerate() {
        context.breathe(index).await?;
        let note = Note { table, constraint, subject: Subject::Key, form };
        let Some(stored) = catalog::find_table(context.transaction, &note.table.0, &note.table.1).await?
        else {
            continue;
        };
        let deferral = stored.descriptor.indexes.iter().find(|index| index.name == note.constraint);
        let deferral = deferral.map_or(Deferral::No, |index| index.deferral);
        if may_wait && deferred.lock().waits(deferral, &note.table.0, &note.constraint) {
            deferred.lock().note(note, Row::new())?;
        } else {
            check_key(&stored, &note, context).await?;
        }
    }
    Ok(())
}

/// Checks what is noted: all, or what does not wait any more.
pub(crate) async fn check_deferred<D: Database>(all: bool, context: &mut Context<'_, D>) -> SqlResult<()> {
    let deferred = context.env.session.deferred.clone();
    if deferred.lock().is_empty() {
        return Ok(());
    }
    let len = deferred.lock().len;
    context.budget.charge(len)?;
    // They stay noted: what has been checked in the middle of a transaction may be undone to a savepoint.
    let notes = deferred.lock().notes.clone();
    let mut known: BTreeMap<FullName, Arc<Related>> = BTreeMap::new();
    for (index, (note, values)) in notes.iter().enumerate() {
        context.breathe(index).await?;
        let Some(table) = catalog::find_table(context.transaction, &note.table.0, &note.table.1).await?
        else {
            continue;
        };
        let deferral = deferral_of(&table, note, context).await?;
        if !all && deferred.lock().waits(deferral, &note.table.0, &note.constraint) {
            continue;
        }
        match &note.subject {
            Subject::Key => check_key(&table, note, context).await?,
            Subject::Wanted => {
                let parent = table.descriptor.foreign_keys.iter().find(|key| key.name == note.constraint);
                let Some(parent) = parent.map(|key| key.table.clone()) else { continue };
                check_reference(&parent, &note.table, note, values, true, &mut known, context).await?;
            }
            Subject::Gone(child) => {
                check_reference(&note.table, child, note, values, false, &mut known, context).await?;
            }
        }
    }
    Ok(())
}

/// 55006 if rows of `table` are still to be checked: `command` would change what they are checked against.
pub(crate) async fn check_not_pending<D: Database>(
    command: &str,
    table: &TableDescriptor,
    context: &mut Context<'_, D>,
) -> SqlResult<()> {
    let deferred = context.env.session.deferred.clone();
    if deferred.lock().is_empty() {
        return Ok(());
    }
    let is_of = |note: &&Note| note.table.0 == table.schema && note.table.1 == table.name;
    let mut pending: Vec<Note> = deferred.lock().notes.keys().filter(is_of).cloned().collect();
    pending.dedup_by(|a, b| (&a.constraint, &a.subject) == (&b.constraint, &b.subject));
    for note in pending {
        let Some(stored) = catalog::find_table(context.transaction, &note.table.0, &note.table.1).await?
        else {
            continue;
        };
        let deferral = deferral_of(&stored, &note, context).await?;
        if deferred.lock().waits(deferral, &note.table.0, &note.constraint) {
            let message =
                format!("cannot {command} \"{}\" because it has pending trigger events", table.name);
            return Err(SqlError::new(SqlState::OBJECT_IN_USE, message));
        }
    }
    Ok(())
}

async fn deferral_of<D: Database>(
    table: &Arc<StoredTable>,
    note: &Note,
    context: &mut Context<'_, D>,
) -> SqlResult<Deferral> {
    let of_key = |table: &StoredTable| {
        let key = table.descriptor.foreign_keys.iter().find(|key| key.name == note.constraint);
        key.map_or(Deferral::No, |key| key.deferral)
    };
    Ok(match &note.subject {
        Subject::Key => {
            let index = table.descriptor.indexes.iter().find(|index| index.name == note.constraint);
            index.map_or(Deferral::No, |index| index.deferral)
        }
        Subject::Wanted => of_key(table),
        Subject::Gone(child) => {
            let child = catalog::find_table(context.transaction, &child.0, &child.1).await?;
            child.map_or(Deferral::No, |child| of_key(&child))
        }
    })
}

/// Whether rows of `child` refer to a row of `parent` that is not there.
async fn check_reference<D: Database>(
    parent: &FullName,
    child: &FullName,
    note: &Note,
    values: &Row,
    wanted: bool,
    known: &mut BTreeMap<FullName, Arc<Related>>,
    context: &mut Context<'_, D>,
) -> SqlResult<()> {
    let related = match known.get(parent) {
        Some(related) => related.clone(),
        None => {
            let Some(table) = catalog::find_table(context.transaction, &parent.0, &parent.1).await? else {
                return Ok(());
            };
            let related = related_to(&table, context).await?;
            known.insert(parent.clone(), related.clone());
            related
        }
    };
    let is_called = |table: &StoredTable, name: &FullName| {
        table.descriptor.schema == name.0 && table.descriptor.name == name.1
    };
    let find = |name: &FullName| related.tables.values().find(|known| is_called(&known.table, name));
    let (Some(parent), Some(referring)) = (find(parent), find(child)) else { return Ok(()) };
    let keys = &referring.table.descriptor.foreign_keys;
    let Some(at) = keys.iter().position(|key| key.name == note.constraint) else { return Ok(()) };
    let id = referring.table.descriptor.id;
    let by = |child: &&crate::plan::Child| child.table == id && child.foreign_key.name == note.constraint;
    let (Some(child), Some(rows)) = (parent.children.iter().find(by), referring.parents.get(at)) else {
        return Ok(());
    };
    if collect(&child.rows, &mut context.within(values)).await?.is_empty()
        || !collect(rows, &mut context.within(values)).await?.is_empty()
    {
        return Ok(());
    }
    Err(match (wanted, keys.get(at)) {
        (true, Some(key)) => not_present(&referring.table.descriptor, key, values),
        _ => still_referenced(parent, child, &referring.table.descriptor, values),
    })
}

/// Whether no two rows have the key of `note`.
async fn check_key<D: Database>(
    table: &StoredTable,
    note: &Note,
    context: &mut Context<'_, D>,
) -> SqlResult<()> {
    let indexes = &table.descriptor.indexes;
    let Some(at) = indexes.iter().position(|index| index.name == note.constraint) else { return Ok(()) };
    let range = KeyRange::prefix(&note.form);
    let entries = context.transaction.scan(range, Direction::Forward).next_batch(context.transaction).await?;
    let [(_, tail), _, ..] = entries.as_slice() else { return Ok(()) };
    let mut row_key = key::table_prefix(table.descriptor.id);
    row_key.extend_from_slice(tail);
    let Some(value) = context.transaction.get(&row_key).await? else { return Ok(()) };
    let row = table.read(&value, &alloc::vec![true; table.types.len()])?;
    Err(duplicate_key(table, UniqueKey::Index(at), &row))
}

/// The constraint called `name` in `schema`, and when it is checked; none if there is none.
pub(crate) async fn find_constraint<D: Database>(
    schema: &str,
    name: &str,
    context: &mut Context<'_, D>,
) -> SqlResult<Option<bool>> {
    let mut found = None;
    for (in_schema, _, descriptor) in catalog::everything(context.transaction).await? {
        let catalog::Descriptor::Table(table) = descriptor else { continue };
        if in_schema != schema {
            continue;
        }
        let keys = table.foreign_keys.iter().map(|key| (&key.name, key.deferral));
        let indexes = table.indexes.iter().filter(|index| index.constraint != IndexConstraint::None);
        let indexes = indexes.map(|index| (&index.name, index.deferral));
        let checks = table.checks.iter().map(|check| (&check.name, Deferral::No));
        let primary = (!table.primary_key.is_empty()).then_some((&table.primary_key_name, Deferral::No));
        for (known, deferral) in keys.chain(indexes).chain(checks).chain(primary) {
            if known == name {
                found = Some(deferral != Deferral::No);
            }
        }
    }
    Ok(found)
}
