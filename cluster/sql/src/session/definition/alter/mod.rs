//! `ALTER TABLE`

mod column;
mod rename;

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::constraint::{self, Added};
use super::drop::name_of;
use super::referenced::let_go;
use super::{place_of, put_table, rows, skipping, table, table_called};
use crate::ast::{AlterTable, TableChange};
use crate::catalog::{self, Column, ColumnDefault, Identity, IndexConstraint, StoredTable, TableDescriptor};
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::exec::{Context, check_not_pending, delete_all};
use crate::session::Notice;
use crate::types::{DataType, Datum};

pub(super) async fn alter<D: Database>(
    alter: &AlterTable,
    context: &mut Context<'_, D>,
) -> SqlResult<Vec<Notice>> {
    let mut notices = Vec::new();
    let mut name = alter.table.clone();
    if alter.if_exists {
        let schema = place_of(&name, context).await?;
        if catalog::find(context.transaction, &schema, &name.name).await?.is_none() {
            let message = format!("relation \"{}\" does not exist, skipping", name.name);
            return Ok([skipping(SqlState("00000"), message)].into());
        }
    }
    if alter.changes.iter().all(|change| *change == TableChange::Nothing) {
        // Views and sequences have owners, too, as far as anything has.
        let schema = place_of(&name, context).await?;
        return match catalog::find(context.transaction, &schema, &name.name).await? {
            Some(_) => Ok(notices),
            None => Err(catalog::undefined_table(name.schema.as_deref(), &name.name)),
        };
    }
    for change in &alter.changes {
        let stored = table_called(&name, context).await?;
        if !matches!(
            change,
            TableChange::Nothing
                | TableChange::RenameTable(_)
                | TableChange::RenameColumn(..)
                | TableChange::RenameConstraint(..)
        ) {
            check_not_pending("ALTER TABLE", &stored.descriptor, context).await?;
        }
        let mut changing = Changing { old: stored.clone(), table: stored.descriptor.clone(), context };
        let notice = changing.apply(change).await?;
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
    async fn apply(&mut self, change: &TableChange) -> SqlResult<Option<Notice>> {
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
        if self.context.env.session.builder.is_some() {
            // An index is all that is added so, and what it demands is seen when rows are put into it.
            return Ok(None);
        }
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
        loop {
            let batch = all.next_batch(stored, self.context).await?;
            if batch.is_empty() {
                break;
            }
            for (_, row) in batch {
                references.want(&related, stored.descriptor.id, &row, self.context)?;
            }
        }
        references.keep_only(at);
        references.check(false, &related, self.context).await
    }

    /// Takes an index away. Returns the columns that it was of.
    async fn remove_index(&mut self, at: usize) -> SqlResult<Vec<u16>> {
        let index = self.table.indexes.remove(at);
        let key = catalog::descriptor_key(&self.table.schema, &index.name);
        self.context.transaction.delete(&key)?;
        delete_all(index.id, self.context).await?;
        Ok(index.columns())
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

    async fn drop_constraint(
        &mut self,
        name: &str,
        if_exists: bool,
        cascade: bool,
    ) -> SqlResult<Option<Notice>> {
        let what = format!("constraint {name} on table {}", self.table.name);
        if !self.table.primary_key.is_empty() && self.table.primary_key_name == name {
            let mut without = self.table.clone();
            let columns = core::mem::take(&mut without.primary_key);
            if !cascade {
                let_go(&mut without, &columns, &what, false, self.context).await?;
            }
            return Err(SqlError::not_supported("dropping the key that rows are stored by"));
        }
        let mut notice = None;
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
            let columns = self.remove_index(at).await?;
            notice = let_go(&mut self.table, &columns, &what, cascade, self.context).await?;
        } else if if_exists {
            let message =
                format!("constraint \"{name}\" of relation \"{}\" does not exist, skipping", self.table.name);
            return Ok(Some(skipping(SqlState("00000"), message)));
        } else {
            return Err(no_constraint(name, &self.table.name));
        }
        self.store(&[]).await?;
        Ok(notice)
    }
}

/// What a row that is there breaks, as it is said when that is found out.
pub(in crate::session) fn broken(error: SqlError, table: &str) -> SqlError {
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
