//! `CREATE TABLE` and what it declares.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use sqlparser::ast;

use super::{Translator, fold, refuse};
use crate::ast::{
    ColumnDefinition, Constraint, ConstraintKind, CreateTable, DefaultDefinition, Deferral, Expr,
    ForeignKeyDefinition, ReferentialAction, SequenceOptions, Source, Statement,
};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::types::{DataType, TypeName};

impl Translator<'_> {
    pub(super) fn create_table(&self, create: ast::CreateTable) -> SqlResult<Statement> {
        refuse(create.temporary, "a temporary table")?;
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
            constraints: Vec::new(),
            query: create.query.map(|query| self.boxed_query(query)).transpose()?.map(|query| (query, true)),
        };
        for column in create.columns {
            let column = self.column_definition(column, &mut table.constraints)?;
            table.columns.push(column);
        }
        for constraint in create.constraints {
            table.constraints.push(self.table_constraint(constraint)?);
        }
        let is_key = |constraint: &&Constraint| matches!(constraint.kind, ConstraintKind::PrimaryKey(_));
        if table.constraints.iter().filter(is_key).count() > 1 {
            let message = format!("multiple primary keys for table \"{}\" are not allowed", table.table.name);
            return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
        }
        Ok(Statement::CreateTable(Box::new(table)))
    }

    /// A column; its constraints are added to `constraints`.
    pub(super) fn column_definition(
        &self,
        column: ast::ColumnDef,
        constraints: &mut Vec<Constraint>,
    ) -> SqlResult<ColumnDefinition> {
        let name = fold(&column.name);
        let (data_type, modifier, default) = match serial(&column.data_type) {
            Some(data_type) => (data_type, None, Some(DefaultDefinition::Serial)),
            None => {
                let TypeName { data_type, modifier } = self.data_type(&column.data_type)?;
                (data_type, modifier, None)
            }
        };
        let not_null = default.is_some();
        let mut definition = ColumnDefinition { name, data_type, modifier, not_null, default };
        for option in column.options {
            let constraint_name = option.name.as_ref().map(fold);
            self.column_option(option.option, constraint_name, &mut definition, constraints)?;
        }
        Ok(definition)
    }

    fn column_option(
        &self,
        option: ast::ColumnOption,
        name: Option<String>,
        definition: &mut ColumnDefinition,
        constraints: &mut Vec<Constraint>,
    ) -> SqlResult<()> {
        let columns = || [definition.name.clone()].into();
        let characteristics = match &option {
            ast::ColumnOption::PrimaryKey(key) => key.characteristics,
            ast::ColumnOption::Unique(key) => key.characteristics,
            ast::ColumnOption::ForeignKey(key) => key.characteristics,
            _ => None,
        };
        let kind = match option {
            ast::ColumnOption::Null => return Ok(()),
            ast::ColumnOption::NotNull => {
                definition.not_null = true;
                return Ok(());
            }
            ast::ColumnOption::Default(expr) => {
                let source = self.source(expr)?;
                if source.expr != Expr::Null {
                    definition.default = Some(DefaultDefinition::Expr(source));
                }
                return Ok(());
            }
            ast::ColumnOption::Generated {
                generated_as, sequence_options, generation_expr: None, ..
            } => {
                let options = self.sequence_options(sequence_options.unwrap_or_default())?;
                let always = matches!(generated_as, ast::GeneratedAs::Always);
                definition.default = Some(DefaultDefinition::Identity(always, options));
                definition.not_null = true;
                return Ok(());
            }
            ast::ColumnOption::PrimaryKey(_) => ConstraintKind::PrimaryKey(columns()),
            ast::ColumnOption::Unique(_) => ConstraintKind::Unique(columns()),
            ast::ColumnOption::Check(check) => ConstraintKind::Check(self.source(*check.expr)?),
            ast::ColumnOption::ForeignKey(mut key) => {
                key.columns = [ast::Ident::with_quote('"', definition.name.clone())].into();
                ConstraintKind::ForeignKey(self.foreign_key(key)?)
            }
            ast::ColumnOption::Generated { .. } => {
                return Err(SqlError::not_supported("a column that is computed from others"));
            }
            _ => return Err(SqlError::not_supported("this column option")),
        };
        constraints.push(Constraint { name, kind, deferral: deferral(characteristics)? });
        Ok(())
    }

    pub(super) fn table_constraint(&self, constraint: ast::TableConstraint) -> SqlResult<Constraint> {
        use ast::TableConstraint as C;
        let characteristics = match &constraint {
            C::PrimaryKey(key) => key.characteristics,
            C::Unique(key) => key.characteristics,
            C::ForeignKey(key) => key.characteristics,
            _ => None,
        };
        let (name, kind) = match constraint {
            C::PrimaryKey(key) => (key.name, ConstraintKind::PrimaryKey(plain_columns(&key.columns)?)),
            C::Unique(unique) => {
                refuse(
                    matches!(unique.nulls_distinct, ast::NullsDistinctOption::NotDistinct),
                    "NULLS NOT DISTINCT",
                )?;
                (unique.name, ConstraintKind::Unique(plain_columns(&unique.columns)?))
            }
            C::ForeignKey(key) => (key.name.clone(), ConstraintKind::ForeignKey(self.foreign_key(key)?)),
            C::Check(check) => (check.name, ConstraintKind::Check(self.source(*check.expr)?)),
            _ => return Err(SqlError::not_supported("this table constraint")),
        };
        Ok(Constraint { name: name.as_ref().map(fold), kind, deferral: deferral(characteristics)? })
    }

    fn foreign_key(&self, key: ast::ForeignKeyConstraint) -> SqlResult<ForeignKeyDefinition> {
        refuse(
            matches!(key.match_kind, Some(kind) if kind != ast::ConstraintReferenceMatchKind::Simple),
            "MATCH FULL or PARTIAL",
        )?;
        Ok(ForeignKeyDefinition {
            columns: key.columns.iter().map(fold).collect(),
            table: self.table_name(&key.foreign_table)?,
            referenced: key.referred_columns.iter().map(fold).collect(),
            on_delete: action(key.on_delete),
            on_update: action(key.on_update),
        })
    }

    /// An expression that is kept as text.
    pub(super) fn source(&self, expr: ast::Expr) -> SqlResult<Source> {
        let text = expr.to_string();
        Ok(Source { expr: self.expr(expr)?, text })
    }

    pub(super) fn sequence_options(&self, options: Vec<ast::SequenceOptions>) -> SqlResult<SequenceOptions> {
        use ast::SequenceOptions as O;
        let mut all = SequenceOptions::default();
        for option in options {
            match option {
                O::IncrementBy(expr, _) => all.increment = Some(whole(&expr)?),
                O::MinValue(expr) => all.min = expr.as_ref().map(whole).transpose()?,
                O::MaxValue(expr) => all.max = expr.as_ref().map(whole).transpose()?,
                O::StartWith(expr, _) => all.start = Some(whole(&expr)?),
                // How many numbers are taken at once is not for the user to say.
                O::Cache(expr) => drop(whole(&expr)?),
                // The parser calls NO CYCLE true.
                O::Cycle(no_cycle) => all.cycle = Some(!no_cycle),
            }
        }
        Ok(all)
    }
}

/// When a constraint is checked that is declared so.
fn deferral(characteristics: Option<ast::ConstraintCharacteristics>) -> SqlResult<Deferral> {
    let Some(characteristics) = characteristics else { return Ok(Deferral::No) };
    refuse(characteristics.enforced == Some(false), "NOT ENFORCED")?;
    match (characteristics.deferrable, characteristics.initially) {
        (Some(false), Some(ast::DeferrableInitial::Deferred)) => {
            let message = "constraint declared INITIALLY DEFERRED must be DEFERRABLE";
            Err(SqlError::new(SqlState::SYNTAX_ERROR, message))
        }
        (_, Some(ast::DeferrableInitial::Deferred)) => Ok(Deferral::Deferred),
        (Some(true), _) => Ok(Deferral::Immediate),
        _ => Ok(Deferral::No),
    }
}

fn whole(expr: &ast::Expr) -> SqlResult<i64> {
    expr.to_string().replace(' ', "").parse().map_err(|_| {
        let message = format!("\"{expr}\" is not a whole number that fits bigint");
        SqlError::new(SqlState::SYNTAX_ERROR, message)
    })
}

/// The type of a column that `serial` and its like declare.
fn serial(data_type: &ast::DataType) -> Option<DataType> {
    let ast::DataType::Custom(name, modifiers) = data_type else { return None };
    if !modifiers.is_empty() {
        return None;
    }
    match name.to_string().to_ascii_lowercase().as_str() {
        "serial" | "serial4" => Some(DataType::Int4),
        "bigserial" | "serial8" => Some(DataType::Int8),
        "smallserial" | "serial2" => Some(DataType::Int4),
        _ => None,
    }
}

fn action(action: Option<ast::ReferentialAction>) -> ReferentialAction {
    use ast::ReferentialAction as A;
    match action {
        None | Some(A::NoAction) => ReferentialAction::NoAction,
        Some(A::Restrict) => ReferentialAction::Restrict,
        Some(A::Cascade) => ReferentialAction::Cascade,
        Some(A::SetNull) => ReferentialAction::SetNull,
        Some(A::SetDefault) => ReferentialAction::SetDefault,
    }
}

fn plain_columns(columns: &[ast::IndexColumn]) -> SqlResult<Vec<String>> {
    let plain = |column: &ast::IndexColumn| match &column.column.expr {
        ast::Expr::Identifier(ident) => Ok(fold(ident)),
        _ => Err(SqlError::new(SqlState::SYNTAX_ERROR, "a constraint's key is made of columns")),
    };
    columns.iter().map(plain).collect()
}
