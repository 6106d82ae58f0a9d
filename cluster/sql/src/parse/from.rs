//! What a query reads: tables, functions, queries, joins.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use sqlparser::ast;

use super::{Translator, fold, refuse};
use crate::ast::{Alias, Expr, From, Join, JoinCondition, JoinKind, TableName};
use crate::error::{SqlError, SqlResult, SqlState};

impl Translator<'_> {
    pub(super) fn from(&self, from: Vec<ast::TableWithJoins>) -> SqlResult<Vec<From>> {
        from.into_iter().map(|table| self.joined(table)).collect()
    }

    /// A chain of joins leans to the left and may be long: it is walked, not recursed into.
    fn joined(&self, table: ast::TableWithJoins) -> SqlResult<From> {
        self.deeper(table.joins.len(), || {
            let mut left = self.factor(table.relation)?;
            for join in table.joins {
                let right = self.factor(join.relation)?;
                let (kind, condition) = self.join(join.join_operator)?;
                left = From::Join(Box::new(Join { kind, left, right, condition, alias: None }));
            }
            Ok(left)
        })
    }

    fn join(&self, operator: ast::JoinOperator) -> SqlResult<(JoinKind, JoinCondition)> {
        use ast::JoinOperator as J;
        let (kind, constraint) = match operator {
            J::Join(constraint) | J::Inner(constraint) => (JoinKind::Inner, constraint),
            J::Left(constraint) | J::LeftOuter(constraint) => (JoinKind::Left, constraint),
            J::Right(constraint) | J::RightOuter(constraint) => (JoinKind::Right, constraint),
            J::FullOuter(constraint) => (JoinKind::Full, constraint),
            J::CrossJoin(ast::JoinConstraint::None) => return Ok((JoinKind::Inner, JoinCondition::None)),
            _ => return Err(SqlError::not_supported("this kind of join")),
        };
        let condition = match constraint {
            ast::JoinConstraint::On(condition) => JoinCondition::On(self.expr(condition)?),
            ast::JoinConstraint::Using(names) => JoinCondition::Using(self.column_names(&names)?),
            ast::JoinConstraint::Natural => JoinCondition::Natural,
            // The parser lets it through; Postgres does not.
            ast::JoinConstraint::None => {
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, "a join needs ON or USING"));
            }
        };
        Ok((kind, condition))
    }

    fn factor(&self, factor: ast::TableFactor) -> SqlResult<From> {
        match factor {
            ast::TableFactor::Table {
                name, alias, args: None, sample: None, with_ordinality: false, ..
            } => Ok(From::Table { name: self.table_name(&name)?, alias: alias.map(translate_alias) }),
            ast::TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. } => {
                self.function(&name, alias, args.args, with_ordinality)
            }
            ast::TableFactor::Function { name, alias, args, lateral: false, with_ordinality } => {
                self.function(&name, alias, args, with_ordinality)
            }
            ast::TableFactor::UNNEST { alias, array_exprs, with_offset: false, with_ordinality, .. } => {
                Ok(From::Function {
                    name: TableName { schema: None, name: "unnest".into(), position: None },
                    arguments: self.exprs(array_exprs)?,
                    ordinality: with_ordinality,
                    alias: alias.map(translate_alias),
                })
            }
            ast::TableFactor::Derived { lateral: false, subquery, alias, sample: None } => {
                Ok(From::Query { query: self.boxed_query(subquery)?, alias: alias.map(translate_alias) })
            }
            ast::TableFactor::Derived { lateral: true, .. } => Err(SqlError::not_supported("LATERAL")),
            ast::TableFactor::NestedJoin { table_with_joins, alias } => {
                let mut from = self.deeper(1, || self.joined(*table_with_joins))?;
                match (&mut from, alias) {
                    (_, None) => {}
                    (From::Join(join), Some(alias)) => join.alias = Some(translate_alias(alias)),
                    _ => return Err(SqlError::not_supported("an alias of parentheses")),
                }
                Ok(from)
            }
            _ => Err(SqlError::not_supported("this kind of FROM item")),
        }
    }

    fn function(
        &self,
        name: &ast::ObjectName,
        alias: Option<ast::TableAlias>,
        args: Vec<ast::FunctionArg>,
        ordinality: bool,
    ) -> SqlResult<From> {
        let mut name = self.table_name(name)?;
        name.schema = name.schema.filter(|schema| schema != "pg_catalog");
        let mut arguments: Vec<Expr> = Vec::new();
        for argument in args {
            match argument {
                ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(expr)) => {
                    arguments.push(self.expr(expr)?)
                }
                _ => return Err(SqlError::not_supported("a named function argument")),
            }
        }
        Ok(From::Function { name, arguments, ordinality, alias: alias.map(translate_alias) })
    }

    /// A table that is changed: no joins, perhaps an alias.
    pub(super) fn target(&self, table: ast::TableWithJoins) -> SqlResult<(TableName, Option<String>)> {
        refuse(!table.joins.is_empty(), "a join here")?;
        match self.factor(table.relation)? {
            From::Table { name, alias } => Ok((name, alias.map(|alias| alias.name))),
            _ => Err(SqlError::not_supported("changing anything but a table")),
        }
    }
}

fn translate_alias(alias: ast::TableAlias) -> Alias {
    Alias {
        name: fold(&alias.name),
        columns: alias.columns.iter().map(|column| fold(&column.name)).collect(),
    }
}
