//! `CREATE TABLE` and `DROP TABLE`.

use alloc::string::String;
use alloc::vec::Vec;

use sqlparser::ast;

use super::{Translator, fold, refuse};
use crate::ast::{ColumnDefinition, CreateTable, Expr, Statement};
use crate::error::{SqlError, SqlResult, SqlState};

impl Translator<'_> {
    pub(super) fn create_table(&self, create: ast::CreateTable) -> SqlResult<Statement> {
        refuse(create.temporary, "a temporary table")?;
        refuse(create.unlogged, "an unlogged table")?;
        refuse(create.query.is_some(), "CREATE TABLE AS")?;
        refuse(create.like.is_some(), "CREATE TABLE LIKE")?;
        refuse(create.inherits.is_some(), "inheritance")?;
        refuse(create.partition_by.is_some() || create.partition_of.is_some(), "partitioning")?;
        refuse(
            create.external || create.or_replace || create.on_commit.is_some(),
            "this form of CREATE TABLE",
        )?;
        let mut table = CreateTable {
            table: self.table_name(&create.name)?,
            if_not_exists: create.if_not_exists,
            columns: Vec::new(),
            primary_key: Vec::new(),
            primary_key_name: None,
        };
        for column in create.columns {
            let column = self.column_definition(column, &mut table)?;
            table.columns.push(column);
        }
        for constraint in create.constraints {
            self.table_constraint(constraint, &mut table)?;
        }
        Ok(Statement::CreateTable(table))
    }

    fn column_definition(
        &self,
        column: ast::ColumnDef,
        table: &mut CreateTable,
    ) -> SqlResult<ColumnDefinition> {
        let name = fold(&column.name);
        let (data_type, chars_max) = self.data_type(&column.data_type)?;
        let mut definition = ColumnDefinition { name, data_type, chars_max, not_null: false, default: None };
        for option in column.options {
            match option.option {
                ast::ColumnOption::Null => {}
                ast::ColumnOption::NotNull => definition.not_null = true,
                ast::ColumnOption::Default(expr) => {
                    definition.default = Some(self.expr(expr)?).filter(|expr| *expr != Expr::Null);
                }
                ast::ColumnOption::PrimaryKey(_) => {
                    let name = option.name.as_ref().map(fold);
                    set_primary_key(table, [definition.name.clone()].into(), name)?;
                }
                ast::ColumnOption::Unique(_) => return Err(SqlError::not_supported("a UNIQUE constraint")),
                ast::ColumnOption::ForeignKey(_) => return Err(SqlError::not_supported("a foreign key")),
                ast::ColumnOption::Check(_) => return Err(SqlError::not_supported("a CHECK constraint")),
                ast::ColumnOption::Generated { .. } | ast::ColumnOption::Identity(_) => {
                    return Err(SqlError::not_supported("a generated column"));
                }
                _ => return Err(SqlError::not_supported("this column option")),
            }
        }
        Ok(definition)
    }

    fn table_constraint(&self, constraint: ast::TableConstraint, table: &mut CreateTable) -> SqlResult<()> {
        match constraint {
            ast::TableConstraint::PrimaryKey(key) => {
                let mut columns = Vec::new();
                for column in &key.columns {
                    match &column.column.expr {
                        ast::Expr::Identifier(ident) => columns.push(fold(ident)),
                        _ => return Err(SqlError::not_supported("an expression in a primary key")),
                    }
                }
                set_primary_key(table, columns, key.name.as_ref().map(fold))
            }
            ast::TableConstraint::Unique(_) => Err(SqlError::not_supported("a UNIQUE constraint")),
            ast::TableConstraint::ForeignKey(_) => Err(SqlError::not_supported("a foreign key")),
            ast::TableConstraint::Check(_) => Err(SqlError::not_supported("a CHECK constraint")),
            _ => Err(SqlError::not_supported("this table constraint")),
        }
    }
}

fn set_primary_key(table: &mut CreateTable, columns: Vec<String>, name: Option<String>) -> SqlResult<()> {
    if !table.primary_key.is_empty() {
        let message =
            alloc::format!("multiple primary keys for table \"{}\" are not allowed", table.table.name);
        return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
    }
    table.primary_key = columns;
    table.primary_key_name = name;
    Ok(())
}
