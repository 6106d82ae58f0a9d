//! `WITH` around statements that change tables, which are written as queries.

use alloc::boxed::Box;
use alloc::vec::Vec;

use sqlparser::ast;

use super::{Translator, fold};
use crate::ast::{Statement, With, WithItem};
use crate::error::{SqlError, SqlResult, SqlState};

/// Whether `query` is no query.
fn is_change(query: &ast::Query) -> bool {
    matches!(*query.body, ast::SetExpr::Insert(_) | ast::SetExpr::Update(_) | ast::SetExpr::Delete(_))
}

impl Translator<'_> {
    /// A query, or a statement that is written as one.
    pub(super) fn query_statement(&self, mut query: Box<ast::Query>) -> SqlResult<Statement> {
        let names_change = |with: &ast::With| with.cte_tables.iter().any(|cte| is_change(&cte.query));
        let is_query = !is_change(&query);
        if is_query && !query.with.as_ref().is_some_and(names_change) {
            return Ok(Statement::Query(self.boxed_query(query)?));
        }
        let with = query.with.take();
        let statement = match is_query {
            true => Statement::Query(self.boxed_query(query)?),
            false => self.change(*query)?,
        };
        let Some(with) = with else { return Ok(statement) };
        let items =
            with.cte_tables.into_iter().map(|cte| self.with_item(cte)).collect::<SqlResult<Vec<_>>>()?;
        Ok(Statement::With(Box::new(With { recursive: with.recursive, items, statement })))
    }

    fn with_item(&self, cte: ast::Cte) -> SqlResult<WithItem> {
        if !is_change(&cte.query) {
            return Ok(WithItem::Query(self.cte(cte)?));
        }
        let statement = self.deeper(1, || self.query_statement(cte.query))?;
        if let Statement::With(with) = &statement
            && with.items.iter().any(|item| matches!(item, WithItem::Change { .. }))
        {
            return Err(not_at_top());
        }
        let columns = cte.alias.columns.iter().map(|column| fold(&column.name)).collect();
        Ok(WithItem::Change { name: fold(&cte.alias.name), columns, statement })
    }

    /// What is no query.
    fn change(&self, query: ast::Query) -> SqlResult<Statement> {
        match *query.body {
            ast::SetExpr::Insert(ast::Statement::Insert(insert)) => self.insert(insert),
            ast::SetExpr::Update(ast::Statement::Update(update)) => self.update(update),
            ast::SetExpr::Delete(ast::Statement::Delete(delete)) => self.delete(delete),
            _ => Err(SqlError::not_supported("this form of query")),
        }
    }
}

/// What changes a table stands where only queries may.
pub(super) fn not_at_top() -> SqlError {
    let message = "WITH clause containing a data-modifying statement must be at the top level";
    SqlError::new(SqlState::NOT_SUPPORTED, message)
}
