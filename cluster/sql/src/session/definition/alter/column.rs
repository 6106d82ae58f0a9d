//! Columns that come, go and change.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Changing, depended_on};
use crate::ast::{ColumnDefinition, Constraint, DefaultDefinition, Source};
use crate::bind::{Binder, Typed, scope_of};
use crate::catalog::{Column, ColumnDefault, IndexValue};
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::exec::{Replaced, replace_rows};
use crate::expr::Expr;
use crate::parse;
use crate::plan::{Planner, Relations};
use crate::session::Notice;
use crate::session::definition::constraint::{self, Added};
use crate::session::definition::drop::{dependents, drop_sequences_of, name_of};
use crate::session::definition::referenced::let_go;
use crate::session::definition::trigger::forget_column;
use crate::session::definition::{put_table, rows, skipping, table, table_called};
use crate::types::{DataType, Datum};

impl<D: Database> Changing<'_, '_, D> {
    pub(super) async fn add_column(
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
    pub(super) async fn fill_column(&mut self, at: usize) -> SqlResult<()> {
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
                replaced.push(Replaced { key, old, new });
            }
            replace_rows(&stored, &replaced, self.context.transaction, &self.context.env).await?;
        }
    }

    pub(super) async fn drop_column(
        &mut self,
        name: &str,
        if_exists: bool,
        cascade: bool,
    ) -> SqlResult<Option<Notice>> {
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
        let notice = self.drop_what_uses(column, cascade).await?;
        drop_sequences_of(&self.table, Some(column), self.context).await?;
        if let Some(column) = self.table.columns.get_mut(at) {
            *column = Column { dropped: true, ..Column::new(&column.name, column.data_type) };
        }
        self.store(&[]).await?;
        Ok(notice)
    }

    /// Whether the expression `text` over the table's rows looks at `column`.
    fn is_used_in(&self, column: u16, text: &str) -> SqlResult<bool> {
        let scope = scope_of(&self.table, self.table.name.clone());
        let mut planner = Planner::new(Relations::default(), &[]);
        let expr = Binder::new(&scope, &mut planner, "check constraints").value(&parse::expression(text)?)?;
        Ok(expr.any(&mut |expr| *expr == Expr::Column(usize::from(column))))
    }

    /// The places of the indexes that `column` is part of, by itself or in an expression.
    fn indexes_that_use(&self, column: u16) -> SqlResult<Vec<usize>> {
        let mut places = Vec::new();
        for (at, index) in self.table.indexes.iter().enumerate() {
            let mut is_used = false;
            for key in &index.keys {
                is_used |= match &key.value {
                    IndexValue::Column(at) => *at == column,
                    IndexValue::Expression(text) => self.is_used_in(column, text)?,
                };
            }
            if let Some(predicate) = &index.predicate {
                is_used |= self.is_used_in(column, predicate)?;
            }
            if is_used {
                places.push(at);
            }
        }
        Ok(places)
    }

    /// Drops the constraints and indexes that a column is part of.
    pub(super) async fn drop_what_uses(&mut self, column: u16, cascade: bool) -> SqlResult<Option<Notice>> {
        let name = self.table.columns.get(usize::from(column)).map_or("", |column| column.name.as_str());
        let what = format!("column {name} of table {}", self.table.name);
        let gone = self.indexes_that_use(column)?;
        let mut checks = Vec::new();
        for check in &self.table.checks {
            if !self.is_used_in(column, &check.expression)? {
                checks.push(check.clone());
            }
        }
        forget_column(&mut self.table, column, cascade, self.context).await?;
        let mut notice = None;
        for at in gone.into_iter().rev() {
            let columns = self.remove_index(at).await?;
            notice = notice.or(let_go(&mut self.table, &columns, &what, cascade, self.context).await?);
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
        Ok(notice)
    }

    pub(super) async fn set_not_null(&mut self, name: &str, not_null: bool) -> SqlResult<Option<Notice>> {
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

    pub(super) async fn set_type(
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
            || !self.indexes_that_use(column)?.is_empty()
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
                let typed = Typed { expr: Expr::Column(at), data_type: Some(old.data_type) };
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
                let typed = Typed { expr: Expr::Const(value), data_type: Some(old.data_type) };
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
