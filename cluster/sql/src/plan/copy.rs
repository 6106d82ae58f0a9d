//! `COPY`

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;

use super::change::columns_named;
use super::optimize::optimize;
use super::related::related;
use super::{CopyInPlan, Plan, Planner, plan_query};
use crate::ast::{Body, Copy, CopySource, Expr as AstExpr, From, Query, Select, SelectItem, TableName};
use crate::error::{SqlError, SqlResult, SqlState};

pub(super) fn plan_copy(copy: &Copy, planner: &mut Planner) -> SqlResult<Plan> {
    let query = match (&copy.source, copy.to) {
        (CopySource::Table(name, columns), false) => {
            let table = planner.relations.find(name)?.writable(name)?;
            let columns = columns_named(&table, columns)?;
            let related = related(&table, planner)?;
            return Ok(Plan::CopyIn(CopyInPlan { table, columns, format: copy.format.clone(), related }));
        }
        (CopySource::Query(_), false) => {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "COPY of a query goes TO, not FROM"));
        }
        (CopySource::Table(name, columns), true) => &all_rows(name.clone(), columns),
        (CopySource::Query(query), true) => &**query,
    };
    let plan = plan_query(query, &[], planner)?;
    Ok(Plan::CopyOut(optimize(plan.rel, planner)?, plan.columns, copy.format.clone()))
}

/// `SELECT columns FROM table`
fn all_rows(name: TableName, columns: &[String]) -> Query {
    let column = |name: &String| SelectItem::Expr {
        expr: AstExpr::Column { table: None, name: name.clone(), position: None },
        alias: None,
    };
    let items =
        if columns.is_empty() { vec![SelectItem::All(None)] } else { columns.iter().map(column).collect() };
    Query::of(Body::Select(Box::new(Select::of(items, From::Table { name, alias: None }))))
}
