//! `ALTER TABLE`

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::constraint::{self, Added};
use super::drop::{dependents, drop_sequences_of, name_of};
use super::{is_free, put_table, rows, skipping, table, table_called};
use crate::ast::{AlterTable, ColumnDefinition, Constraint, DefaultDefinition, Source, TableChange};
use crate::bind::{Binder, scope_of};
use crate::catalog::{
    self, Column, ColumnDefault, Descriptor, Identity, IndexConstraint, IndexValue, StoredTable,
    TableDescriptor,
};
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::exec::{Context, RowIds, delete_all};
use crate::expr::Expr;
use crate::parse;
use crate::plan::{Planner, Relations};
use crate::session::Notice;
use crate::types::{DataType, Datum};

pub(super) async fn alter<D: Database>(
    alter: &AlterTable,
    row_ids: &mut RowIds,
    context: &mut Context<'_, D>,
) -> SqlResult<Vec<Notice>> {
    let mut notices = Vec::new();
    let mut name = alter.table.clone();
    if alter.if_exists {
        let schema = name.schema.as_deref().unwrap_or(catalog::PUBLIC);
        if catalog::find(context.transaction, schema, &name.name).await?.is_none() {
            let message = format!("relation \"{}\" does not exist, skipping", name.name);
            return Ok([skipping(SqlState("00000"), message)].into());
        }
    }
    for change in &alter.changes {
        let stored = table_called(&name, context).await?;
        let mut changing = Changing { old: stored.clone(), table: stored.descriptor.clone(), context };
        let notice = changing.apply(change, row_ids).await?;
        notices.extend(notice);
        if let TableChange::RenameTable(new) = change {
            name.name.clone_from(new);
        }
    }
    Ok(notices)
}

/// A table that is changed.
struct Changing<'a, 'b, D> {
    old: Arc<StoredTable>,
    table: TableDescriptor,
    context: &'a mut Context<'b, D>,
}

impl<D: Database> Changing<'_, '_, D> {
    async fn apply(&mut self, change: &TableChange, _row_ids: &mut RowIds) -> SqlResult<Option<Notice>> {
        match change {
            TableChange::Nothing => Ok(None),
            TableChange::AddColumn(column, constraints, if_not_exists) => {
                self.add_column(column, constraints, *if_not_exists).await
            }
            TableChange::DropColumn { name, if_exists, cascade } => {
                self.drop_column(name, *if_exists, *cascade).await
            }
            TableChange::RenameColumn(from, to) => self.rename_column(from, to).await,
            TableChange::RenameTable(to) => self.rename_table(to).await,
            TableChange::RenameConstraint(from, to) => self.rename_constraint(from, to).await,
            TableChange::AddConstraint(constraint) => {
                let added = constraint::add(&mut self.table, constraint, true, self.context).await?;
                self.store(&[added]).await
            }
            TableChange::DropConstraint { name, if_exists, cascade } => {
                self.drop_constraint(name, *if_exists, *cascade).await
            }
            TableChange::NotNull(name, not_null) => self.set_not_null(name, *not_null).await,
            TableChange::Default(name, source) => {
                let at = self.column(name)?;
                let column =
                    self.table.columns.get(at).cloned().unwrap_or_else(|| Column::new(name, DataType::Text));
                let default = match source {
                    None => ColumnDefault::Value(Datum::Null),
                    Some(source) => table::default(source, &column, self.context)?,
                };
                if let Some(column) = self.table.columns.get_mut(at) {
                    column.default = default;
                }
                self.store(&[]).await
            }
            TableChange::Type(name, data_type, modifier, using) => {
                self.set_type(name, *data_type, *modifier, using.as_ref()).await
            }
            TableChange::AddIdentity(name, always, options) => {
                let at = self.column(name)?;
                if let Some(mut column) = self.table.columns.get(at).cloned() {
                    column.identity = if *always { Identity::Always } else { Identity::ByDefault };
                    table::count_by_sequence(&self.table, &mut column, *options, self.context).await?;
                    if let Some(slot) = self.table.columns.get_mut(at) {
                        *slot = column;
                    }
                }
                self.store(&[Added::NotNull]).await
            }
        }
    }

    fn column(&self, name: &str) -> SqlResult<usize> {
        self.table.column(name).map(|(at, _)| at).ok_or_else(|| {
            let message = format!("column \"{name}\" of relation \"{}\" does not exist", self.table.name);
            SqlError::new(SqlState::UNDEFINED_COLUMN, message)
        })
    }

    /// Stores the table as it is now, and makes sure that its rows are as what has been added demands.
    async fn store(&mut self, added: &[Added]) -> SqlResult<Option<Notice>> {
        put_table(self.table.clone(), self.context).await?;
        let stored = table_called(&name_of(&self.table), self.context).await?;
        for added in added {
            match added {
                Added::Index(at) => rows::fill_index(&stored, *at, self.context).await?,
                Added::NotNull | Added::Check => {}
                Added::ForeignKey(at) => self.check_references(&stored, *at).await?,
            }
        }
        if added.iter().any(|added| !matches!(added, Added::ForeignKey(_))) {
            let name = self.table.name.clone();
            rows::check_rows(&stored, self.context, |error| broken(error, &name)).await?;
        }
        Ok(None)
    }

    /// Whether what the rows refer to is there.
    async fn check_references(&mut self, stored: &Arc<StoredTable>, at: usize) -> SqlResult<()> {
        let related = crate::plan::related_to(stored, self.context).await?;
        let mut references = crate::exec::References::default();
        let mut all = rows::Rows::of(stored, self.context);
        let _ = at;
        loop {
            let batch = all.next_batch(stored, self.context).await?;
            if batch.is_empty() {
                break;
            }
            for (_, row) in batch {
                references.want(&related, stored.descriptor.id, &row, self.context)?;
            }
        }
        references.check(&related, self.context).await
    }

    async fn add_column(
        &mut self,
        definition: &ColumnDefinition,
        constraints: &[Constraint],
        if_not_exists: bool,
    ) -> SqlResult<Option<Notice>> {
        let name = &definition.name;
        if self.table.column(name).is_some() {
            let message = format!("column \"{name}\" of relation \"{}\" already exists", self.table.name);
            if if_not_exists {
                return Ok(Some(skipping(SqlState::DUPLICATE_COLUMN, format!("{message}, skipping"))));
            }
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
        }
        table::add_column(&mut self.table, definition, self.context).await?;
        let at = self.table.columns.len() - 1;
        let mut added = Vec::new();
        let mut each = None;
        if let Some(column) = self.table.columns.get_mut(at) {
            // One value for all rows need not be written into any.
            match table::missing(&column.default) {
                Some(value) => column.missing = value,
                None => each = Some(()),
            }
            if column.not_null {
                added.push(Added::NotNull);
            }
        }
        if each.is_some() || matches!(definition.default, Some(DefaultDefinition::Serial)) {
            self.fill_column(at).await?;
        }
        for constraint in constraints {
            added.push(constraint::add(&mut self.table, constraint, true, self.context).await?);
        }
        self.store(&added).await
    }

    /// Gives each row its own value in the new column at `at`.
    async fn fill_column(&mut self, at: usize) -> SqlResult<()> {
        put_table(self.table.clone(), self.context).await?;
        let stored = table_called(&name_of(&self.table), self.context).await?;
        let mut all = rows::Rows::of(&stored, self.context);
        loop {
            let batch = all.next_batch(&stored, self.context).await?;
            if batch.is_empty() {
                return Ok(());
            }
            let mut replaced = Vec::with_capacity(batch.len());
            for (key, old) in batch {
                let mut new = old.clone();
                let default = stored.bound.defaults.get(at);
                let value = match default {
                    Some(default) => self.context.eval(default, &[]).await?,
                    None => Datum::Null,
                };
                if let Some(slot) = new.get_mut(at) {
                    *slot = value;
                }
                replaced.push(crate::exec::Replaced { key, old, new });
            }
            crate::exec::replace_rows(&stored, &replaced, self.context.transaction, &self.context.env)
                .await?;
        }
    }

    async fn drop_column(&mut self, name: &str, if_exists: bool, cascade: bool) -> SqlResult<Option<Notice>> {
        let Ok(at) = self.column(name) else {
            let message = format!("column \"{name}\" of relation \"{}\" does not exist", self.table.name);
            if if_exists {
                return Ok(Some(skipping(SqlState("00000"), format!("{message}, skipping"))));
            }
            return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message));
        };
        let own = (self.table.schema.clone(), self.table.name.clone());
        if !dependents(&own, self.context).await?.is_empty() {
            return Err(depended_on(&format!("column {name} of table {}", self.table.name)));
        }
        let column = u16::try_from(at).unwrap_or(u16::MAX);
        if self.table.primary_key.contains(&column) {
            return Err(SqlError::not_supported("dropping a column of the key that rows are stored by"));
        }
        self.drop_what_uses(column, cascade).await?;
        drop_sequences_of(&self.table, Some(column), self.context).await?;
        if let Some(column) = self.table.columns.get_mut(at) {
            *column = Column { dropped: true, ..Column::new(&column.name, column.data_type) };
        }
        self.store(&[]).await
    }

    /// Drops the constraints and indexes that a column is part of.
    async fn drop_what_uses(&mut self, column: u16, cascade: bool) -> SqlResult<()> {
        let is_referenced = |table: &TableDescriptor| !table.referenced_by.is_empty();
        let scope = scope_of(&self.table, self.table.name.clone());
        let mut planner = Planner::new(Relations::default(), &[]);
        let mut uses = |text: &String| -> SqlResult<bool> {
            let expr =
                Binder::new(&scope, &mut planner, "check constraints").value(&parse::expression(text)?)?;
            Ok(expr.any(&mut |expr| *expr == Expr::Column(usize::from(column))))
        };
        let mut gone = Vec::new();
        for (at, index) in self.table.indexes.iter().enumerate() {
            let mut is_used = false;
            for key in &index.keys {
                is_used |= match &key.value {
                    IndexValue::Column(at) => *at == column,
                    IndexValue::Expression(text) => uses(text)?,
                };
            }
            if let Some(predicate) = &index.predicate {
                is_used |= uses(predicate)?;
            }
            if is_used {
                gone.push(at);
            }
        }
        let mut checks = Vec::new();
        for check in &self.table.checks {
            if !uses(&check.expression)? {
                checks.push(check.clone());
            }
        }
        if gone.iter().any(|at| self.table.indexes.get(*at).is_some_and(|index| index.unique))
            && is_referenced(&self.table)
            && !cascade
        {
            return Err(depended_on(&format!("a key of table {}", self.table.name)));
        }
        for at in gone.into_iter().rev() {
            self.remove_index(at).await?;
        }
        self.table.checks = checks;
        let keys: Vec<String> = self
            .table
            .foreign_keys
            .iter()
            .filter(|key| key.columns.contains(&column))
            .map(|key| key.name.clone())
            .collect();
        for name in keys {
            self.remove_foreign_key(&name).await?;
        }
        Ok(())
    }

    async fn remove_index(&mut self, at: usize) -> SqlResult<()> {
        let index = self.table.indexes.remove(at);
        let key = catalog::descriptor_key(&self.table.schema, &index.name);
        self.context.transaction.delete(&key)?;
        delete_all(index.id, self.context).await
    }

    async fn remove_foreign_key(&mut self, name: &str) -> SqlResult<()> {
        let Some(at) = self.table.foreign_keys.iter().position(|key| key.name == name) else { return Ok(()) };
        let key = self.table.foreign_keys.remove(at);
        let own = (self.table.schema.clone(), self.table.name.clone());
        if self.table.foreign_keys.iter().any(|other| other.table == key.table) {
            return Ok(());
        }
        if key.table == own {
            self.table.referenced_by.retain(|name| *name != own);
        } else if let Some(parent) =
            catalog::find_table(self.context.transaction, &key.table.0, &key.table.1).await?
        {
            let mut parent = parent.descriptor.clone();
            parent.referenced_by.retain(|name| *name != own);
            put_table(parent, self.context).await?;
        }
        Ok(())
    }

    async fn rename_column(&mut self, from: &str, to: &str) -> SqlResult<Option<Notice>> {
        let at = self.column(from)?;
        if self.table.column(to).is_some() {
            let message = format!("column \"{to}\" of relation \"{}\" already exists", self.table.name);
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
        }
        let own = (self.table.schema.clone(), self.table.name.clone());
        let has_text = !self.table.checks.is_empty()
            || self.table.indexes.iter().any(|index| {
                index.predicate.is_some()
                    || index.keys.iter().any(|key| matches!(key.value, IndexValue::Expression(_)))
            });
        if has_text || !dependents(&own, self.context).await?.is_empty() {
            return Err(SqlError::not_supported(
                "renaming a column of a table that expressions or views refer to",
            ));
        }
        if let Some(column) = self.table.columns.get_mut(at) {
            column.name = to.into();
        }
        self.store(&[]).await
    }

    async fn rename_table(&mut self, to: &str) -> SqlResult<Option<Notice>> {
        is_free(&self.table.schema, to, false, self.context).await?.ok();
        let own = (self.table.schema.clone(), self.table.name.clone());
        if !dependents(&own, self.context).await?.is_empty() {
            return Err(SqlError::not_supported("renaming a table that views read"));
        }
        let new = (own.0.clone(), String::from(to));
        let old_name = core::mem::replace(&mut self.table.name, to.into());
        self.context.transaction.delete(&catalog::descriptor_key(&own.0, &own.1))?;
        for index in &self.table.indexes {
            let descriptor = Descriptor::Index(to.into());
            catalog::put(self.context.transaction, &own.0, &index.name, &descriptor).await?;
        }
        if !self.table.primary_key.is_empty() {
            let descriptor = Descriptor::Index(to.into());
            catalog::put(self.context.transaction, &own.0, &self.table.primary_key_name, &descriptor).await?;
        }
        for (schema, name, descriptor) in catalog::everything(self.context.transaction).await? {
            match descriptor {
                Descriptor::Sequence(mut sequence) => {
                    if let Some((table, _)) = &mut sequence.owner
                        && schema == own.0
                        && *table == old_name
                    {
                        *table = to.into();
                        let descriptor = Descriptor::Sequence(sequence);
                        catalog::put(self.context.transaction, &schema, &name, &descriptor).await?;
                    }
                }
                Descriptor::Table(mut other) if (schema.clone(), name.clone()) != own => {
                    let before = other.clone();
                    renamed_in(&mut other, &own, &new);
                    if other != before {
                        put_table(other, self.context).await?;
                    }
                }
                _ => {}
            }
        }
        renamed_in(&mut self.table, &own, &new);
        self.store(&[]).await
    }

    async fn rename_constraint(&mut self, from: &str, to: &str) -> SqlResult<Option<Notice>> {
        if constraint::names(&self.table).iter().any(|name| name == to) {
            let message = format!("constraint \"{to}\" for relation \"{}\" already exists", self.table.name);
            return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, message));
        }
        let mut found = false;
        let checks = self.table.checks.iter_mut().map(|check| &mut check.name);
        let keys = self.table.foreign_keys.iter_mut().map(|key| &mut key.name);
        for name in checks.chain(keys).filter(|name| *name == from) {
            *name = to.into();
            found = true;
        }
        let indexes = self.table.indexes.iter_mut().filter(|index| index.constraint != IndexConstraint::None);
        let primary = (!self.table.primary_key.is_empty()).then_some(&mut self.table.primary_key_name);
        for name in indexes.map(|index| &mut index.name).chain(primary).filter(|name| *name == from) {
            *name = to.into();
            found = true;
            let schema = &self.table.schema;
            self.context.transaction.delete(&catalog::descriptor_key(schema, from))?;
            let descriptor = Descriptor::Index(self.table.name.clone());
            catalog::put(self.context.transaction, schema, to, &descriptor).await?;
        }
        if !found {
            return Err(no_constraint(from, &self.table.name));
        }
        self.store(&[]).await
    }

    async fn drop_constraint(
        &mut self,
        name: &str,
        if_exists: bool,
        cascade: bool,
    ) -> SqlResult<Option<Notice>> {
        if !self.table.primary_key.is_empty() && self.table.primary_key_name == name {
            return Err(SqlError::not_supported("dropping the key that rows are stored by"));
        }
        if self.table.checks.iter().any(|check| check.name == name) {
            self.table.checks.retain(|check| check.name != name);
        } else if self.table.foreign_keys.iter().any(|key| key.name == name) {
            self.remove_foreign_key(name).await?;
        } else if let Some(at) = self
            .table
            .indexes
            .iter()
            .position(|index| index.name == name && index.constraint != IndexConstraint::None)
        {
            if !self.table.referenced_by.is_empty() && !cascade {
                return Err(depended_on(&format!("constraint {name} on table {}", self.table.name)));
            }
            self.remove_index(at).await?;
        } else if if_exists {
            let message =
                format!("constraint \"{name}\" of relation \"{}\" does not exist, skipping", self.table.name);
            return Ok(Some(skipping(SqlState("00000"), message)));
        } else {
            return Err(no_constraint(name, &self.table.name));
        }
        self.store(&[]).await
    }

    async fn set_not_null(&mut self, name: &str, not_null: bool) -> SqlResult<Option<Notice>> {
        let at = self.column(name)?;
        let column = u16::try_from(at).unwrap_or(u16::MAX);
        if !not_null && self.table.declared_key().contains(&column) {
            let message = format!("column \"{name}\" is in a primary key");
            return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
        }
        if let Some(column) = self.table.columns.get_mut(at) {
            column.not_null = not_null;
        }
        self.store(if not_null { &[Added::NotNull] } else { &[] }).await
    }

    async fn set_type(
        &mut self,
        name: &str,
        data_type: DataType,
        modifier: Option<u32>,
        using: Option<&Source>,
    ) -> SqlResult<Option<Notice>> {
        let at = self.column(name)?;
        let column = u16::try_from(at).unwrap_or(u16::MAX);
        let own = (self.table.schema.clone(), self.table.name.clone());
        if !dependents(&own, self.context).await?.is_empty() {
            return Err(depended_on(&format!("column {name} of table {}", self.table.name)));
        }
        let is_key = self.table.primary_key.contains(&column)
            || self.table.indexes.iter().any(|index| index.columns().contains(&column))
            || self.table.foreign_keys.iter().any(|key| key.columns.contains(&column));
        let same_type = self.table.columns.get(at).is_some_and(|column| column.data_type == data_type);
        if is_key && !same_type {
            return Err(SqlError::not_supported("another type for a column of a key or an index"));
        }
        let Some(old) = self.table.columns.get(at).cloned() else { return Ok(None) };
        let scope = scope_of(&self.old.descriptor, self.table.name.clone());
        let mut planner = Planner::new(Relations::default(), &[]);
        let mut binder = Binder::new(&scope, &mut planner, "transform expressions");
        let column_now = Column { data_type, modifier, ..old.clone() };
        let value = match using {
            Some(using) => binder.assign(&using.expr, &column_now)?,
            None => {
                let typed = crate::bind::Typed { expr: Expr::Column(at), data_type: Some(old.data_type) };
                binder.assign_typed(typed, &column_now).map_err(|error| {
                    let message = format!(
                        "column \"{name}\" cannot be cast automatically to type {}",
                        data_type.name()
                    );
                    SqlError { message, ..error }
                        .hint(format!("You might need to specify \"USING {name}::{}\".", data_type.name()))
                })?
            }
        };
        let default = match old.default {
            ColumnDefault::Value(Datum::Null) => ColumnDefault::Value(Datum::Null),
            ColumnDefault::Value(value) => {
                let typed = crate::bind::Typed { expr: Expr::Const(value), data_type: Some(old.data_type) };
                let expr = binder.assign_typed(typed, &column_now)?;
                ColumnDefault::Value(expr.eval(&[], &self.context.env)?.into_owned())
            }
            other => other,
        };
        if let Some(slot) = self.table.columns.get_mut(at) {
            *slot = Column { default, missing: Datum::Null, ..column_now };
        }
        let old_table = self.old.clone();
        // All rows are read as they were before any is written as it will be.
        put_table(self.table.clone(), self.context).await?;
        let stored = table_called(&name_of(&self.table), self.context).await?;
        let env = self.context.env;
        let change = move |row: &[Datum]| {
            let mut new = row.to_vec();
            let value = value.eval(row, &env)?.into_owned();
            if let Some(slot) = new.get_mut(at) {
                *slot = value;
            }
            Ok(new)
        };
        rows::rewrite(&old_table, &stored, self.context, Box::new(change)).await?;
        Ok(None)
    }
}

fn renamed_in(table: &mut TableDescriptor, own: &(String, String), new: &(String, String)) {
    let keys = table.foreign_keys.iter_mut().map(|key| &mut key.table);
    for name in keys.chain(&mut table.referenced_by).filter(|name| *name == own) {
        name.clone_from(new);
    }
}

/// What a row that is there breaks, as it is said when that is found out.
fn broken(error: SqlError, table: &str) -> SqlError {
    let quoted = |message: &str, before: &str| {
        message.split(before).nth(1).and_then(|rest| rest.split('"').next()).map(String::from)
    };
    let message = match error.state {
        SqlState::NOT_NULL_VIOLATION => quoted(&error.message, "column \"")
            .map(|column| format!("column \"{column}\" of relation \"{table}\" contains null values")),
        SqlState::CHECK_VIOLATION => quoted(&error.message, "constraint \"").map(|name| {
            format!("check constraint \"{name}\" of relation \"{table}\" is violated by some row")
        }),
        _ => None,
    };
    match message {
        Some(message) => SqlError { message, detail: None, ..error },
        None => error,
    }
}

fn no_constraint(name: &str, table: &str) -> SqlError {
    let message = format!("constraint \"{name}\" of relation \"{table}\" does not exist");
    SqlError::new(SqlState::UNDEFINED_OBJECT, message)
}

fn depended_on(what: &str) -> SqlError {
    let message = format!("cannot change or drop {what} because other objects depend on it");
    SqlError::new(SqlState::DEPENDENT_OBJECTS, message)
}
