//! `CREATE INDEX`, `CREATE VIEW` and so on, `ALTER TABLE`, `DROP`.

use alloc::string::ToString;
use alloc::vec::Vec;

use sqlparser::ast;

use super::{Translator, fold, refuse, single};
use crate::ast::{
    AlterTable, Constraint, CreateIndex, CreateSequence, CreateView, Drop, IndexKeyDefinition, ObjectKind,
    Statement, TableChange, TableName,
};
use crate::error::{SqlError, SqlResult};
use crate::types::{DataType, TypeName};

impl Translator<'_> {
    /// A statement that defines what there is; none if it is not one.
    pub(super) fn definition(
        &self,
        statement: ast::Statement,
    ) -> SqlResult<Result<Statement, ast::Statement>> {
        use ast::Statement as S;
        Ok(Ok(match statement {
            S::CreateTable(create) => self.create_table(create)?,
            S::CreateIndex(create) => Statement::CreateIndex(self.create_index(create)?),
            S::CreateView(create) => Statement::CreateView(self.create_view(create)?),
            S::CreateSequence { temporary, if_not_exists, name, data_type, sequence_options, .. } => {
                refuse(temporary, "a temporary sequence")?;
                let data_type = match data_type {
                    None => DataType::Int8,
                    Some(data_type) => self.data_type(&data_type)?.data_type,
                };
                let options = self.sequence_options(sequence_options)?;
                let name = self.table_name(&name)?;
                Statement::CreateSequence(CreateSequence { name, if_not_exists, data_type, options })
            }
            S::CreateSchema { schema_name, if_not_exists, .. } => match schema_name {
                ast::SchemaName::Simple(name) | ast::SchemaName::NamedAuthorization(name, _) => {
                    Statement::CreateSchema(single(&name)?, if_not_exists)
                }
                ast::SchemaName::UnnamedAuthorization(_) => {
                    return Err(SqlError::not_supported("a schema named after a role"));
                }
            },
            S::AlterTable(alter) => Statement::AlterTable(self.alter_table(alter)?),
            S::Drop { object_type, if_exists, names, cascade, temporary: false, table: None, .. } => {
                self.drop(object_type, if_exists, &names, cascade)?
            }
            other => return self.routine_statement(other),
        }))
    }

    fn drop(
        &self,
        object_type: ast::ObjectType,
        if_exists: bool,
        names: &[ast::ObjectName],
        cascade: bool,
    ) -> SqlResult<Statement> {
        let kind = match object_type {
            ast::ObjectType::Table => ObjectKind::Table,
            ast::ObjectType::Index => ObjectKind::Index,
            ast::ObjectType::Sequence => ObjectKind::Sequence,
            ast::ObjectType::View => ObjectKind::View,
            ast::ObjectType::Schema => ObjectKind::Schema,
            other => {
                let what = other.to_string().to_lowercase();
                return Err(SqlError::not_supported(&alloc::format!("DROP of a {what}")));
            }
        };
        let names = names.iter().map(|name| self.table_name(name)).collect::<SqlResult<Vec<TableName>>>()?;
        Ok(Statement::Drop(Drop { kind, names, if_exists, cascade }))
    }

    fn create_index(&self, create: ast::CreateIndex) -> SqlResult<CreateIndex> {
        let is_btree = |using: &ast::IndexType| matches!(using, ast::IndexType::BTree);
        refuse(create.using.as_ref().is_some_and(|using| !is_btree(using)), "an index other than btree")?;
        refuse(create.nulls_distinct == Some(false), "NULLS NOT DISTINCT")?;
        refuse(!create.include.is_empty(), "INCLUDE")?;
        let mut keys = Vec::with_capacity(create.columns.len());
        for column in create.columns {
            let options = column.column.options;
            let descending = matches!(options.sort, Some(ast::OrderBySort::Desc));
            keys.push(IndexKeyDefinition {
                source: self.source(column.column.expr)?,
                descending,
                nulls_first: options.nulls_first.unwrap_or(descending),
            });
        }
        Ok(CreateIndex {
            name: create.name.map(|name| self.table_name(&name)).transpose()?.map(|name| name.name),
            table: self.table_name(&create.table_name)?,
            unique: create.unique,
            if_not_exists: create.if_not_exists,
            keys,
            predicate: create.predicate.map(|predicate| self.source(predicate)).transpose()?,
        })
    }

    fn create_view(&self, create: ast::CreateView) -> SqlResult<CreateView> {
        refuse(create.materialized, "a materialized view")?;
        refuse(create.temporary, "a temporary view")?;
        Ok(CreateView {
            name: self.table_name(&create.name)?,
            or_replace: create.or_replace,
            columns: create.columns.iter().map(|column| fold(&column.name)).collect(),
            text: create.query.to_string(),
            query: self.boxed_query(create.query)?,
        })
    }

    fn alter_table(&self, alter: ast::AlterTable) -> SqlResult<AlterTable> {
        let mut changes = Vec::new();
        for operation in alter.operations {
            self.table_change(operation, &mut changes)?;
        }
        Ok(AlterTable { table: self.table_name(&alter.name)?, if_exists: alter.if_exists, changes })
    }

    fn table_change(
        &self,
        operation: ast::AlterTableOperation,
        changes: &mut Vec<TableChange>,
    ) -> SqlResult<()> {
        use ast::AlterTableOperation as O;
        let cascades =
            |behavior: Option<ast::DropBehavior>| matches!(behavior, Some(ast::DropBehavior::Cascade));
        changes.push(match operation {
            O::AddColumn { if_not_exists, column_def, .. } => {
                let mut constraints: Vec<Constraint> = Vec::new();
                let column = self.column_definition(column_def, &mut constraints)?;
                TableChange::AddColumn(column, constraints, if_not_exists)
            }
            O::DropColumn { column_names, if_exists, drop_behavior, .. } => {
                let cascade = cascades(drop_behavior);
                let drop = |name| TableChange::DropColumn { name: fold(name), if_exists, cascade };
                changes.extend(column_names.iter().map(drop));
                return Ok(());
            }
            O::RenameColumn { old_column_name, new_column_name } => {
                TableChange::RenameColumn(fold(&old_column_name), fold(&new_column_name))
            }
            O::RenameTable {
                table_name: ast::RenameTableNameKind::To(name) | ast::RenameTableNameKind::As(name),
            } => TableChange::RenameTable(single(&name)?),
            O::RenameConstraint { old_name, new_name } => {
                TableChange::RenameConstraint(fold(&old_name), fold(&new_name))
            }
            O::AddConstraint { constraint, .. } => {
                TableChange::AddConstraint(self.table_constraint(constraint)?)
            }
            O::DropConstraint { if_exists, name, drop_behavior } => {
                let cascade = cascades(drop_behavior);
                TableChange::DropConstraint { name: fold(&name), if_exists, cascade }
            }
            O::AlterColumn { column_name, op } => self.column_change(fold(&column_name), op)?,
            O::OwnerTo { .. } => TableChange::Nothing,
            _ => return Err(SqlError::not_supported("this form of ALTER TABLE")),
        });
        Ok(())
    }

    fn column_change(
        &self,
        name: alloc::string::String,
        change: ast::AlterColumnOperation,
    ) -> SqlResult<TableChange> {
        use ast::AlterColumnOperation as C;
        Ok(match change {
            C::SetNotNull => TableChange::NotNull(name, true),
            C::DropNotNull => TableChange::NotNull(name, false),
            C::SetDefault { value } => TableChange::Default(name, Some(self.source(value)?)),
            C::DropDefault => TableChange::Default(name, None),
            C::SetDataType { data_type, using, .. } => {
                let TypeName { data_type, modifier } = self.data_type(&data_type)?;
                let using = using.map(|using| self.source(using)).transpose()?;
                TableChange::Type(name, data_type, modifier, using)
            }
            C::AddGenerated { generated_as, sequence_options } => {
                let options = self.sequence_options(sequence_options.unwrap_or_default())?;
                let always = matches!(generated_as, Some(ast::GeneratedAs::Always));
                TableChange::AddIdentity(name, always, options)
            }
        })
    }
}
