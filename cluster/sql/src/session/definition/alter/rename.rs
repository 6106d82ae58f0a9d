//! New names.

use alloc::format;
use alloc::string::String;

use super::{Changing, no_constraint};
use crate::catalog::{self, Descriptor, Index, IndexConstraint, IndexValue, TableDescriptor};
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::session::Notice;
use crate::session::definition::drop::dependents;
use crate::session::definition::{constraint, is_free, put_table};

impl<D: Database> Changing<'_, '_, D> {
    pub(super) async fn rename_column(&mut self, from: &str, to: &str) -> SqlResult<Option<Notice>> {
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
            })
            || self.table.triggers.iter().any(|known| known.condition.is_some() || !known.columns.is_empty());
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

    pub(super) async fn rename_table(&mut self, to: &str) -> SqlResult<Option<Notice>> {
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
        self.context.env.session.deferred.lock().rename_table(&own, &new)?;
        self.store(&[]).await
    }

    pub(super) async fn rename_constraint(&mut self, from: &str, to: &str) -> SqlResult<Option<Notice>> {
        if constraint::names(&self.table).iter().any(|name| name == to) {
            let message = format!("constraint \"{to}\" for relation \"{}\" already exists", self.table.name);
            return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, message));
        }
        if !constraint::names(&self.table).iter().any(|name| name == from) {
            return Err(no_constraint(from, &self.table.name));
        }
        let is_from = |index: &Index| index.constraint != IndexConstraint::None && index.name == from;
        let is_primary = !self.table.primary_key.is_empty() && self.table.primary_key_name == from;
        if is_primary || self.table.indexes.iter().any(is_from) {
            // Its index is called so, too.
            is_free(&self.table.schema, to, false, self.context).await?.ok();
        }
        let own = (self.table.schema.clone(), self.table.name.clone());
        self.context.env.session.deferred.lock().rename_constraint(&own, from, to)?;
        let checks = self.table.checks.iter_mut().map(|check| &mut check.name);
        let keys = self.table.foreign_keys.iter_mut().map(|key| &mut key.name);
        for name in checks.chain(keys).filter(|name| *name == from) {
            *name = to.into();
        }
        let indexes = self.table.indexes.iter_mut().filter(|index| index.constraint != IndexConstraint::None);
        let primary = (!self.table.primary_key.is_empty()).then_some(&mut self.table.primary_key_name);
        for name in indexes.map(|index| &mut index.name).chain(primary).filter(|name| *name == from) {
            *name = to.into();
            let schema = &self.table.schema;
            self.context.transaction.delete(&catalog::descriptor_key(schema, from))?;
            let descriptor = Descriptor::Index(self.table.name.clone());
            catalog::put(self.context.transaction, schema, to, &descriptor).await?;
        }
        self.store(&[]).await
    }
}

fn renamed_in(table: &mut TableDescriptor, own: &(String, String), new: &(String, String)) {
    let keys = table.foreign_keys.iter_mut().map(|key| &mut key.table);
    for name in keys.chain(&mut table.referenced_by).filter(|name| *name == own) {
        name.clone_from(new);
    }
}
