//! Constraints: names, columns, and what they demand of rows that are there.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{free_name, made_name, place_of, put_table, table_called};
use crate::ast::{Constraint, ConstraintKind, ForeignKeyDefinition, Source};
use crate::bind::{Binder, scope_of};
use crate::builders;
use crate::catalog::{
    self, Check, Deferral, Descriptor, ForeignKey, Index, IndexConstraint, IndexKey, IndexState, IndexValue,
    TableDescriptor,
};
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::exec::Context;
use crate::expr::Expr;
use crate::plan::{Planner, Relations};

/// What has been added to a table: what its rows must be looked at for.
pub(super) enum Added {
    /// Columns that are not NULL now.
    NotNull,
    Index(usize),
    Check,
    ForeignKey(usize),
}

/// The columns of `table` called `names`.
pub(super) fn columns_named(table: &TableDescriptor, names: &[String], key: &str) -> SqlResult<Vec<u16>> {
    let mut columns = Vec::with_capacity(names.len());
    for name in names {
        let Some((at, _)) = table.column(name) else {
            let message = format!("column \"{name}\" {key} does not exist");
            return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message));
        };
        columns.push(u16::try_from(at).unwrap_or(u16::MAX));
    }
    Ok(columns)
}

/// Adds `constraint` to `table`, whose rows are stored already if `has_rows`.
pub(super) async fn add<D: Database>(
    table: &mut TableDescriptor,
    constraint: &Constraint,
    has_rows: bool,
    context: &mut Context<'_, D>,
) -> SqlResult<Added> {
    if let Some(name) = &constraint.name
        && names(table).contains(name)
    {
        let message = format!("constraint \"{name}\" for relation \"{}\" already exists", table.name);
        return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, message));
    }
    match &constraint.kind {
        ConstraintKind::PrimaryKey(columns) => {
            add_primary_key(table, constraint, columns, has_rows, context).await
        }
        ConstraintKind::Unique(columns) => {
            let columns = distinct_columns(table, columns, "unique")?;
            let name = index_name(table, constraint.name.as_ref(), &columns, "key", context).await?;
            let at = add_index(table, name, &columns, IndexConstraint::Unique, constraint.deferral, context)
                .await?;
            Ok(Added::Index(at))
        }
        ConstraintKind::Check(source) => {
            let check = check(table, constraint.name.as_ref(), source)?;
            table.checks.push(check);
            Ok(Added::Check)
        }
        ConstraintKind::ForeignKey(definition) => {
            add_foreign_key(table, constraint, definition, context).await
        }
    }
}

/// The names of all constraints of `table`.
pub(super) fn names(table: &TableDescriptor) -> Vec<String> {
    let checks = table.checks.iter().map(|check| &check.name);
    let keys = table.foreign_keys.iter().map(|key| &key.name);
    let indexes = table.indexes.iter().filter(|index| index.constraint != IndexConstraint::None);
    let primary = (!table.primary_key.is_empty()).then_some(&table.primary_key_name);
    checks.chain(keys).chain(indexes.map(|index| &index.name)).chain(primary).cloned().collect()
}

fn distinct_columns(table: &TableDescriptor, names: &[String], what: &str) -> SqlResult<Vec<u16>> {
    let columns = columns_named(table, names, "named in key")?;
    for (at, (column, name)) in columns.iter().zip(names).enumerate() {
        if columns.iter().take(at).any(|other| other == column) {
            let message = format!("column \"{name}\" appears twice in {what} constraint");
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
        }
    }
    Ok(columns)
}

async fn add_primary_key<D: Database>(
    table: &mut TableDescriptor,
    constraint: &Constraint,
    columns: &[String],
    has_rows: bool,
    context: &mut Context<'_, D>,
) -> SqlResult<Added> {
    if !table.declared_key().is_empty() {
        let message = format!("multiple primary keys for table \"{}\" are not allowed", table.name);
        return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
    }
    let columns = distinct_columns(table, columns, "primary key")?;
    let is_built_later = context.env.session.builder.is_some();
    for column in columns.iter().filter(|_| !is_built_later) {
        if let Some(column) = table.columns.get_mut(usize::from(*column)) {
            column.not_null = true;
        }
    }
    let name = match &constraint.name {
        Some(name) => given_name(table, name, context).await?,
        None => free_name(&table.schema, (&table.name, "", "pkey"), &names(table), context).await?,
    };
    if has_rows || constraint.deferral != Deferral::No {
        // Rows keep the keys that they are stored by; a key that two rows may have for a while is no such.
        let kind = IndexConstraint::PrimaryKey;
        let at = add_index(table, name, &columns, kind, constraint.deferral, context).await?;
        return Ok(Added::Index(at));
    }
    table.primary_key = columns;
    table.primary_key_name.clone_from(&name);
    let index = Descriptor::Index(table.name.clone());
    catalog::put(context.transaction, &table.schema, &name, &index).await?;
    Ok(Added::NotNull)
}

/// The name of an index, or one made of its table's and its columns' names.
pub(super) async fn index_name<D: Database>(
    table: &TableDescriptor,
    given: Option<&String>,
    columns: &[u16],
    suffix: &str,
    context: &mut Context<'_, D>,
) -> SqlResult<String> {
    match given {
        Some(name) => given_name(table, name, context).await,
        None => {
            let of = (table.name.as_str(), &*joined(table, columns), suffix);
            free_name(&table.schema, of, &names(table), context).await
        }
    }
}

/// A name for an index of `table`: 42P07 if it stands for something already.
pub(super) async fn given_name<D: Database>(
    table: &TableDescriptor,
    name: &str,
    context: &mut Context<'_, D>,
) -> SqlResult<String> {
    // A table that is being made is not found yet.
    if name == table.name {
        return Err(SqlError::new(SqlState::DUPLICATE_TABLE, format!("relation \"{name}\" already exists")));
    }
    super::is_free(&table.schema, name, false, context).await?.ok();
    Ok(name.into())
}

/// The names of `columns`, as they are part of other names.
fn joined(table: &TableDescriptor, columns: &[u16]) -> String {
    let names = columns.iter().filter_map(|column| table.columns.get(usize::from(*column)));
    names.map(|column| column.name.as_str()).collect::<Vec<&str>>().join("_")
}

/// The name of a constraint, unless one is given, that no other of the table has.
fn constraint_name(table: &TableDescriptor, given: Option<&String>, columns: &[u16], suffix: &str) -> String {
    let taken = names(table);
    let made = |number| made_name(&table.name, &joined(table, columns), suffix, number);
    let free = || (0..=taken.len()).map(made).find(|name| !taken.contains(name));
    given.cloned().or_else(free).unwrap_or_default()
}

/// What is demanded of a new table; a key that another demands anyway is not demanded again.
pub(super) fn without_repeats(constraints: &[Constraint]) -> Vec<&Constraint> {
    let demands = |other: &Constraint, one: &Constraint| match (&other.kind, &one.kind) {
        (
            ConstraintKind::PrimaryKey(known) | ConstraintKind::Unique(known),
            ConstraintKind::Unique(columns),
        ) => known == columns && other.deferral == one.deferral,
        _ => false,
    };
    let is_primary = |one: &Constraint| matches!(one.kind, ConstraintKind::PrimaryKey(_));
    let is_repeat = |at: usize, one: &Constraint| {
        let mut others = constraints.iter().enumerate().filter(|(other, _)| *other != at);
        one.name.is_none()
            && others.any(|(other_at, other)| {
                demands(other, one) && (other_at < at || is_primary(other) || other.name.is_some())
            })
    };
    let kept = constraints.iter().enumerate().filter(|(at, one)| !is_repeat(*at, one));
    kept.map(|(_, one)| one).collect()
}

async fn add_index<D: Database>(
    table: &mut TableDescriptor,
    name: String,
    columns: &[u16],
    constraint: IndexConstraint,
    deferral: Deferral,
    context: &mut Context<'_, D>,
) -> SqlResult<usize> {
    let key = |column: &u16| IndexKey {
        value: IndexValue::Column(*column),
        data_type: table
            .columns
            .get(usize::from(*column))
            .map_or(crate::types::DataType::Text, |column| column.data_type),
        descending: false,
        nulls_first: false,
    };
    let keys = columns.iter().map(key).collect();
    let id = catalog::take_id(context.transaction, context.env.session.service).await?;
    let descriptor = Descriptor::Index(table.name.clone());
    catalog::put(context.transaction, &table.schema, &name, &descriptor).await?;
    let state = state_of_new(context)?;
    table.indexes.push(Index {
        id,
        name,
        unique: deferral == Deferral::No,
        constraint,
        keys,
        predicate: None,
        state,
        deferral,
        comment: None,
        constraint_comment: None,
    });
    Ok(table.indexes.len() - 1)
}

/// How far an index is that is made now: it is filled at once, or by a session that builds it.
pub(super) fn state_of_new<D: Database>(context: &mut Context<'_, D>) -> SqlResult<IndexState> {
    let Some(builder) = context.env.session.builder else { return Ok(IndexState::Ready) };
    let note = builders::note(context.database.origin().node, context.transaction.read_version());
    context.transaction.put(&catalog::build_key(builder), &note)?;
    Ok(IndexState::Building { builder })
}

/// `CHECK`: its expression must be one over the table's rows.
fn check(table: &TableDescriptor, given: Option<&String>, source: &Source) -> SqlResult<Check> {
    let scope = scope_of(table, table.name.clone());
    let mut planner = Planner::new(Relations::default(), &[]);
    let expr = Binder::new(&scope, &mut planner, "check constraints").condition(&source.expr, "CHECK")?;
    if expr.has_subquery() {
        return Err(SqlError::not_supported("a subquery in a check constraint"));
    }
    if expr.any(&mut |expr| matches!(expr, Expr::Sequence(_))) {
        return Err(SqlError::not_supported("a function of a sequence in a check constraint"));
    }
    if expr.any(&mut |expr| matches!(expr, Expr::Signal(..))) {
        return Err(SqlError::not_supported("ending other sessions in a check constraint"));
    }
    let mut columns: Vec<u16> = Vec::new();
    expr.any(&mut |expr| {
        if let Expr::Column(at) = expr
            && let Ok(at) = u16::try_from(*at)
            && !columns.contains(&at)
        {
            columns.push(at);
        }
        false
    });
    let of = if columns.len() == 1 { columns.as_slice() } else { &[] };
    let name = constraint_name(table, given, of, "check");
    Ok(Check { name, expression: source.text.clone(), comment: None })
}

async fn add_foreign_key<D: Database>(
    table: &mut TableDescriptor,
    constraint: &Constraint,
    definition: &ForeignKeyDefinition,
    context: &mut Context<'_, D>,
) -> SqlResult<Added> {
    let columns = columns_named(table, &definition.columns, "referenced in foreign key constraint")?;
    let found = place_of(&definition.table, context).await?;
    // A table that is being made is not found yet.
    let is_own = catalog::find(context.transaction, &found, &definition.table.name).await?.is_none();
    let schema = if is_own && definition.table.schema.is_none() { &table.schema } else { &found };
    let is_itself = (schema, &definition.table.name) == (&table.schema, &table.name);
    let mut parent = match is_itself {
        true => table.clone(),
        false => table_called(&definition.table, context).await?.descriptor.clone(),
    };
    let referenced = if definition.referenced.is_empty() {
        parent.declared_key()
    } else {
        columns_named(&parent, &definition.referenced, "referenced in foreign key constraint")?
    };
    if referenced.is_empty() {
        let message = format!("there is no primary key for referenced table \"{}\"", parent.name);
        return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
    }
    if columns.len() != referenced.len() {
        let message = "number of referencing and referenced columns for foreign key disagree";
        return Err(SqlError::new(SqlState::INVALID_FOREIGN_KEY, message));
    }
    if !is_unique(&parent, &referenced) {
        let waits =
            |index: &Index| index.deferral != Deferral::No && is_same_key(&index.columns(), &referenced);
        if parent.indexes.iter().any(waits) {
            let message =
                format!("cannot use a deferrable unique constraint for referenced table \"{}\"", parent.name);
            return Err(SqlError::new(SqlState::OBJECT_NOT_IN_STATE, message));
        }
        let message = format!(
            "there is no unique constraint matching given keys for referenced table \"{}\"",
            parent.name
        );
        return Err(SqlError::new(SqlState::INVALID_FOREIGN_KEY, message));
    }
    let name = constraint_name(table, constraint.name.as_ref(), &columns, "fkey");
    check_types(table, &columns, &parent, &referenced, &name)?;
    let own = (table.schema.clone(), table.name.clone());
    table.foreign_keys.push(ForeignKey {
        name,
        columns,
        table: (parent.schema.clone(), parent.name.clone()),
        referenced,
        on_delete: definition.on_delete,
        on_update: definition.on_update,
        deferral: constraint.deferral,
        comment: None,
    });
    let referenced_by = if is_itself { &mut table.referenced_by } else { &mut parent.referenced_by };
    if !referenced_by.contains(&own) {
        referenced_by.push(own);
        if !is_itself {
            put_table(parent, context).await?;
        }
    }
    Ok(Added::ForeignKey(table.foreign_keys.len() - 1))
}

fn check_types(
    table: &TableDescriptor,
    columns: &[u16],
    parent: &TableDescriptor,
    referenced: &[u16],
    name: &str,
) -> SqlResult<()> {
    for (column, other) in columns.iter().zip(referenced) {
        let (Some(column), Some(other)) =
            (table.columns.get(usize::from(*column)), parent.columns.get(usize::from(*other)))
        else {
            continue;
        };
        let (one, two) = (column.data_type, other.data_type);
        if one != two && !(one.is_numeric() && two.is_numeric()) {
            let message = format!("foreign key constraint \"{name}\" cannot be implemented");
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message).detail(format!(
                "Key columns \"{}\" and \"{}\" are of incompatible types: {} and {}.",
                column.name,
                other.name,
                one.name(),
                two.name()
            )));
        }
    }
    Ok(())
}

/// Whether both are the same columns, in whatever order.
pub(super) fn is_same_key(key: &[u16], columns: &[u16]) -> bool {
    let (mut key, mut columns) = (key.to_vec(), columns.to_vec());
    key.sort_unstable();
    columns.sort_unstable();
    key == columns
}

/// Whether no two rows of `table` have the same values in `columns`.
pub(super) fn is_unique(table: &TableDescriptor, columns: &[u16]) -> bool {
    let is_same = |key: Vec<u16>| is_same_key(&key, columns);
    let whole = |index: &&Index| {
        index.unique
            && index.is_ready()
            && index.predicate.is_none()
            && index.columns().len() == index.keys.len()
    };
    is_same(table.primary_key.clone())
        || table.indexes.iter().filter(whole).any(|index| is_same(index.columns()))
}
