//! Queries.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use sqlparser::ast;

use super::{Translator, fold, refuse, single};
use crate::ast::{Expr, From, OrderBy, Select, SelectItem, TableName};
use crate::error::{SqlError, SqlResult};

impl Translator<'_> {
    pub(super) fn query(&self, query: ast::Query) -> SqlResult<Select> {
        refuse(query.with.is_some(), "WITH")?;
        refuse(
            query.fetch.as_ref().is_some_and(|fetch| fetch.with_ties || fetch.percent),
            "FETCH with ties or percent",
        )?;
        refuse(!query.locks.is_empty(), "a locking clause")?;
        refuse(!query.pipe_operators.is_empty() || query.for_clause.is_some(), "this clause")?;
        let mut select = match *query.body {
            ast::SetExpr::Select(select) => self.select(*select)?,
            ast::SetExpr::Values(values) => self.values(values)?,
            ast::SetExpr::Query(inner) if query.order_by.is_none() && query.limit_clause.is_none() => {
                return self.query(*inner);
            }
            ast::SetExpr::SetOperation { .. } => {
                return Err(SqlError::not_supported("UNION, INTERSECT or EXCEPT"));
            }
            ast::SetExpr::Table(table) => self.table_command(&table)?,
            _ => return Err(SqlError::not_supported("this form of query")),
        };
        if let Some(order_by) = query.order_by {
            let ast::OrderByKind::Expressions(keys) = order_by.kind else {
                return Err(SqlError::not_supported("ORDER BY ALL"));
            };
            select.order_by = keys.into_iter().map(|key| self.order_by(key)).collect::<SqlResult<_>>()?;
        }
        match query.limit_clause {
            None => {}
            Some(ast::LimitClause::LimitOffset { limit, offset, limit_by }) => {
                refuse(!limit_by.is_empty(), "LIMIT BY")?;
                select.limit = limit.map(|limit| self.expr(limit)).transpose()?;
                select.offset = offset.map(|offset| self.expr(offset.value)).transpose()?;
            }
            Some(ast::LimitClause::OffsetCommaLimit { .. }) => {
                return Err(SqlError::not_supported("LIMIT #,# syntax")
                    .hint("Use separate LIMIT and OFFSET clauses."));
            }
        }
        if let Some(fetch) = query.fetch {
            let one = Expr::Number("1".into());
            select.limit = Some(fetch.quantity.map_or(Ok(one), |quantity| self.expr(quantity))?);
        }
        Ok(select)
    }

    fn values(&self, values: ast::Values) -> SqlResult<Select> {
        let rows = values.rows.into_iter().map(|row| self.exprs(row.content)).collect::<SqlResult<_>>()?;
        Ok(all_of(From::Values(rows)))
    }

    fn table_command(&self, table: &ast::Table) -> SqlResult<Select> {
        let lower = |name: &Option<String>| name.as_ref().map(|name| name.to_lowercase());
        let name = lower(&table.table_name).unwrap_or_default();
        let name = TableName { schema: lower(&table.schema_name), name, position: None };
        Ok(all_of(From::Table { name, alias: None, columns: Vec::new() }))
    }

    fn select(&self, select: ast::Select) -> SqlResult<Select> {
        refuse(select.into.is_some(), "SELECT INTO")?;
        refuse(!select.named_window.is_empty(), "a window function")?;
        refuse(select.qualify.is_some() || select.top.is_some() || select.prewhere.is_some(), "this clause")?;
        refuse(!select.lateral_views.is_empty() || !select.connect_by.is_empty(), "this clause")?;
        let distinct = match select.distinct {
            None | Some(ast::Distinct::All) => false,
            Some(ast::Distinct::Distinct) => true,
            Some(ast::Distinct::On(_)) => return Err(SqlError::not_supported("DISTINCT ON")),
        };
        let group_by = match select.group_by {
            ast::GroupByExpr::Expressions(exprs, modifiers) if modifiers.is_empty() => self.exprs(exprs)?,
            _ => return Err(SqlError::not_supported("this form of GROUP BY")),
        };
        Ok(Select {
            distinct,
            items: self.items(select.projection)?,
            from: self.from(select.from)?,
            filter: select.selection.map(|filter| self.expr(filter)).transpose()?,
            group_by,
            having: select.having.map(|having| self.expr(having)).transpose()?,
            order_by: Vec::new(),
            limit: None,
            offset: None,
        })
    }

    pub(super) fn items(&self, items: Vec<ast::SelectItem>) -> SqlResult<Vec<SelectItem>> {
        items.into_iter().map(|item| self.item(item)).collect()
    }

    fn item(&self, item: ast::SelectItem) -> SqlResult<SelectItem> {
        Ok(match item {
            ast::SelectItem::UnnamedExpr(expr) => SelectItem::Expr { expr: self.expr(expr)?, alias: None },
            ast::SelectItem::ExprWithAlias { expr, alias } => {
                SelectItem::Expr { expr: self.expr(expr)?, alias: Some(fold(&alias)) }
            }
            ast::SelectItem::Wildcard(options) if is_plain(&options) => SelectItem::All(None),
            ast::SelectItem::QualifiedWildcard(ast::SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                SelectItem::All(Some(self.table_name(&name)?.name))
            }
            _ => return Err(SqlError::not_supported("this form of select item")),
        })
    }

    fn order_by(&self, key: ast::OrderByExpr) -> SqlResult<OrderBy> {
        let descending = match key.options.sort {
            None | Some(ast::OrderBySort::Asc) => false,
            Some(ast::OrderBySort::Desc) => true,
            Some(ast::OrderBySort::Using(_)) => return Err(SqlError::not_supported("ORDER BY USING")),
        };
        let nulls_first = key.options.nulls_first.unwrap_or(descending);
        Ok(OrderBy { expr: self.expr(key.expr)?, descending, nulls_first })
    }

    fn from(&self, mut from: Vec<ast::TableWithJoins>) -> SqlResult<From> {
        refuse(from.len() > 1, "a join")?;
        match from.pop() {
            None => Ok(From::Nothing),
            Some(table) => self.factor(table),
        }
    }

    fn factor(&self, table: ast::TableWithJoins) -> SqlResult<From> {
        refuse(!table.joins.is_empty(), "a join")?;
        match table.relation {
            ast::TableFactor::Table {
                name, alias, args: None, sample: None, with_ordinality: false, ..
            } => {
                let name = self.table_name(&name)?;
                let (alias, columns) = split_alias(alias);
                Ok(From::Table { name, alias, columns })
            }
            ast::TableFactor::Table { name, alias, args: Some(args), with_ordinality: false, .. } => {
                self.series(&name, alias, args.args)
            }
            ast::TableFactor::Function { name, alias, args, lateral: false, with_ordinality: false } => {
                self.series(&name, alias, args)
            }
            ast::TableFactor::Derived { .. } => Err(SqlError::not_supported("a subquery")),
            ast::TableFactor::NestedJoin { .. } => Err(SqlError::not_supported("a join")),
            _ => Err(SqlError::not_supported("this kind of FROM item")),
        }
    }

    fn series(
        &self,
        name: &ast::ObjectName,
        alias: Option<ast::TableAlias>,
        args: Vec<ast::FunctionArg>,
    ) -> SqlResult<From> {
        let name = self.table_name(name)?;
        refuse(name.name != "generate_series", "a function in FROM other than generate_series")?;
        let mut arguments = Vec::new();
        for argument in args {
            match argument {
                ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(expr)) => {
                    arguments.push(self.expr(expr)?)
                }
                _ => return Err(SqlError::not_supported("a named function argument")),
            }
        }
        let (alias, columns) = split_alias(alias);
        Ok(From::Series { arguments, alias, column: columns.into_iter().next() })
    }

    /// A table that is changed: no joins, perhaps an alias.
    pub(super) fn target(&self, table: ast::TableWithJoins) -> SqlResult<(TableName, Option<String>)> {
        match self.factor(table)? {
            From::Table { name, alias, .. } => Ok((name, alias)),
            _ => Err(SqlError::not_supported("changing anything but a table")),
        }
    }

    pub(super) fn column_names(&self, names: &[ast::ObjectName]) -> SqlResult<Vec<String>> {
        names.iter().map(single).collect()
    }

    pub(super) fn boxed_query(&self, query: Box<ast::Query>) -> SqlResult<Box<Select>> {
        self.query(*query).map(Box::new)
    }
}

/// Whether a wildcard is just that.
fn is_plain(options: &ast::WildcardAdditionalOptions) -> bool {
    options.opt_ilike.is_none()
        && options.opt_exclude.is_none()
        && options.opt_except.is_none()
        && options.opt_replace.is_none()
        && options.opt_rename.is_none()
        && options.opt_alias.is_none()
}

fn split_alias(alias: Option<ast::TableAlias>) -> (Option<String>, Vec<String>) {
    match alias {
        None => (None, Vec::new()),
        Some(alias) => {
            (Some(fold(&alias.name)), alias.columns.iter().map(|column| fold(&column.name)).collect())
        }
    }
}

/// `SELECT * FROM from`
fn all_of(from: From) -> Select {
    Select::of(vec![SelectItem::All(None)], from)
}
