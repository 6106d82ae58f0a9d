//! Queries.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use sqlparser::ast;

use super::with::not_at_top;
use super::{Translator, fold, refuse, single};
use crate::ast::{
    Body, Cte, Distinct, Expr, From, OrderBy, Query, Select, SelectItem, SetOperation, SetOperator, TableName,
};
use crate::error::{SqlError, SqlResult, SqlState};

impl Translator<'_> {
    pub(super) fn query(&self, query: ast::Query) -> SqlResult<Query> {
        refuse(
            query.fetch.as_ref().is_some_and(|fetch| fetch.with_ties || fetch.percent),
            "FETCH with ties or percent",
        )?;
        refuse(!query.pipe_operators.is_empty() || query.for_clause.is_some(), "this clause")?;
        let recursive = query.with.as_ref().is_some_and(|with| with.recursive);
        let ctes = query.with.map_or_else(Vec::new, |with| with.cte_tables);
        let mut translated = Query {
            with: ctes.into_iter().map(|cte| self.cte(cte)).collect::<SqlResult<_>>()?,
            recursive,
            locks: !query.locks.is_empty(),
            ..Query::of(self.body(*query.body)?)
        };
        if let Some(order_by) = query.order_by {
            let ast::OrderByKind::Expressions(keys) = order_by.kind else {
                return Err(SqlError::not_supported("ORDER BY ALL"));
            };
            translated.order_by = self.order_by(keys)?;
        }
        match query.limit_clause {
            None => {}
            Some(ast::LimitClause::LimitOffset { limit, offset, limit_by }) => {
                refuse(!limit_by.is_empty(), "LIMIT BY")?;
                translated.limit = limit.map(|limit| self.expr(limit)).transpose()?;
                translated.offset = offset.map(|offset| self.expr(offset.value)).transpose()?;
            }
            Some(ast::LimitClause::OffsetCommaLimit { .. }) => {
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, "LIMIT #,# syntax is not supported")
                    .hint("Use separate LIMIT and OFFSET clauses."));
            }
        }
        if let Some(fetch) = query.fetch {
            let one = Expr::Number("1".into());
            translated.limit = Some(fetch.quantity.map_or(Ok(one), |quantity| self.expr(quantity))?);
        }
        // Parentheses around a whole query mean nothing.
        let is_plain = translated.is_plain();
        match translated {
            Query { body: Body::Query(inner), .. } if is_plain => Ok(*inner),
            translated => Ok(translated),
        }
    }

    pub(super) fn cte(&self, cte: ast::Cte) -> SqlResult<Cte> {
        Ok(Cte {
            name: fold(&cte.alias.name),
            columns: cte.alias.columns.iter().map(|column| fold(&column.name)).collect(),
            query: self.query(*cte.query)?,
        })
    }

    fn body(&self, body: ast::SetExpr) -> SqlResult<Body> {
        Ok(match body {
            ast::SetExpr::Select(select) => Body::Select(Box::new(self.select(*select)?)),
            ast::SetExpr::Values(values) => Body::Values(
                values.rows.into_iter().map(|row| self.exprs(row.content)).collect::<SqlResult<_>>()?,
            ),
            ast::SetExpr::Query(inner) => {
                let inner = self.query(*inner)?;
                if inner.is_plain() { inner.body } else { Body::Query(Box::new(inner)) }
            }
            ast::SetExpr::SetOperation { left, op, set_quantifier, right } => {
                let operator = match op {
                    ast::SetOperator::Union => SetOperator::Union,
                    ast::SetOperator::Intersect => SetOperator::Intersect,
                    ast::SetOperator::Except | ast::SetOperator::Minus => SetOperator::Except,
                };
                let all = match set_quantifier {
                    ast::SetQuantifier::All => true,
                    ast::SetQuantifier::Distinct | ast::SetQuantifier::None => false,
                    _ => return Err(SqlError::not_supported("BY NAME")),
                };
                let (left, right) = self.deeper(1, || Ok((self.body(*left)?, self.body(*right)?)))?;
                Body::Set(Box::new(SetOperation { operator, all, left, right }))
            }
            ast::SetExpr::Insert(_) | ast::SetExpr::Update(_) | ast::SetExpr::Delete(_) => {
                return Err(not_at_top());
            }
            ast::SetExpr::Table(table) => Body::Select(Box::new(self.table_command(&table))),
            _ => return Err(SqlError::not_supported("this form of query")),
        })
    }

    fn table_command(&self, table: &ast::Table) -> Select {
        let lower = |name: &Option<String>| name.as_ref().map(|name| name.to_lowercase());
        let name = lower(&table.table_name).unwrap_or_default();
        let name = TableName { schema: lower(&table.schema_name), name, position: None };
        Select::of(vec![SelectItem::All(None)], From::Table { name, alias: None })
    }

    fn select(&self, select: ast::Select) -> SqlResult<Select> {
        refuse(select.into.is_some(), "SELECT INTO")?;
        refuse(select.qualify.is_some() || select.top.is_some() || select.prewhere.is_some(), "this clause")?;
        refuse(!select.lateral_views.is_empty() || !select.connect_by.is_empty(), "this clause")?;
        let distinct = match select.distinct {
            None | Some(ast::Distinct::All) => Distinct::No,
            Some(ast::Distinct::Distinct) => Distinct::Yes,
            Some(ast::Distinct::On(exprs)) => Distinct::On(self.exprs(exprs)?),
        };
        let group_by = match select.group_by {
            ast::GroupByExpr::Expressions(exprs, modifiers) if modifiers.is_empty() => {
                let grouping_set = |expr: &ast::Expr| {
                    matches!(expr, ast::Expr::GroupingSets(_) | ast::Expr::Cube(_) | ast::Expr::Rollup(_))
                };
                refuse(exprs.iter().any(grouping_set), "GROUPING SETS, CUBE or ROLLUP")?;
                self.exprs(exprs)?
            }
            _ => return Err(SqlError::not_supported("this form of GROUP BY")),
        };
        let mut windows = Vec::new();
        for ast::NamedWindowDefinition(name, definition) in select.named_window {
            windows.push((fold(&name), self.named_window(definition)?));
        }
        Ok(Select {
            distinct,
            items: self.items(select.projection)?,
            from: self.from(select.from)?,
            filter: select.selection.map(|filter| self.expr(filter)).transpose()?,
            group_by,
            having: select.having.map(|having| self.expr(having)).transpose()?,
            windows,
        })
    }

    pub(super) fn items(&self, items: Vec<ast::SelectItem>) -> SqlResult<Vec<SelectItem>> {
        items.into_iter().map(|item| self.item(item)).collect()
    }

    fn item(&self, item: ast::SelectItem) -> SqlResult<SelectItem> {
        Ok(match item {
            ast::SelectItem::UnnamedExpr(expr) => SelectItem::Expr { expr: self.expr(expr)?, alias: None },
            ast::SelectItem::ExprWithAlias { alias, .. } if alias.quote_style == Some('\'') => {
                let message = alloc::format!("syntax error at or near \"{alias}\"");
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(self.position(alias.span)));
            }
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

    pub(super) fn order_by(&self, keys: Vec<ast::OrderByExpr>) -> SqlResult<Vec<OrderBy>> {
        keys.into_iter().map(|key| self.sort_key(key)).collect()
    }

    fn sort_key(&self, key: ast::OrderByExpr) -> SqlResult<OrderBy> {
        let descending = match key.options.sort {
            None | Some(ast::OrderBySort::Asc) => false,
            Some(ast::OrderBySort::Desc) => true,
            Some(ast::OrderBySort::Using(_)) => return Err(SqlError::not_supported("ORDER BY USING")),
        };
        let nulls_first = key.options.nulls_first.unwrap_or(descending);
        Ok(OrderBy { expr: self.expr(key.expr)?, descending, nulls_first })
    }

    pub(super) fn column_names(&self, names: &[ast::ObjectName]) -> SqlResult<Vec<String>> {
        names.iter().map(single).collect()
    }

    pub(super) fn boxed_query(&self, query: Box<ast::Query>) -> SqlResult<Box<Query>> {
        self.deeper(1, || self.query(*query)).map(Box::new)
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
