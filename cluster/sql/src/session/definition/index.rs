//! `CREATE INDEX`

use alloc::string::String;
use alloc::vec::Vec;

use super::{constraint, is_free, put_table, rows, table_called};
use crate::ast::{CreateIndex, Expr as AstExpr};
use crate::bind::{Binder, scope_of};
use crate::catalog::{self, Deferral, Descriptor, Index, IndexConstraint, IndexKey, IndexValue};
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::exec::{Context, check_not_pending};
use crate::expr::Expr;
use crate::plan::{Planner, Relations};
use crate::session::Notice;

/// Most columns of an index, as in Postgres.
const KEYS_MAX: usize = 32;

pub(super) async fn create<D: Database>(
    create: &CreateIndex,
    context: &mut Context<'_, D>,
) -> SqlResult<Vec<Notice>> {
    let table = table_called(&create.table, context).await?;
    check_not_pending("CREATE INDEX", &table.descriptor, context).await?;
    let mut descriptor = table.descriptor.clone();
    if let Some(name) = &create.name
        && let Err(notice) = is_free(&descriptor.schema, name, create.if_not_exists, context).await?
    {
        return Ok([notice].into());
    }
    if create.keys.len() > KEYS_MAX {
        let message = alloc::format!("cannot use more than {KEYS_MAX} columns in an index");
        return Err(SqlError::new(SqlState("54011"), message));
    }
    let scope = scope_of(&descriptor, descriptor.name.clone());
    let mut planner = Planner::new(Relations::default(), &[]);
    let mut keys = Vec::with_capacity(create.keys.len());
    let mut columns = Vec::new();
    for key in &create.keys {
        let mut binder = Binder::new(&scope, &mut planner, "index expressions");
        let (expr, data_type) = binder.output(&key.source.expr)?;
        check_fit(&expr)?;
        let value = match (&key.source.expr, expr) {
            (AstExpr::Column { .. }, Expr::Column(at)) => {
                let at = u16::try_from(at).unwrap_or(u16::MAX);
                columns.push(at);
                IndexValue::Column(at)
            }
            _ => IndexValue::Expression(key.source.text.clone()),
        };
        let (descending, nulls_first) = (key.descending, key.nulls_first);
        keys.push(IndexKey { value, data_type, descending, nulls_first });
    }
    let predicate: Option<String> = match &create.predicate {
        None => None,
        Some(source) => {
            let mut binder = Binder::new(&scope, &mut planner, "index predicates");
            check_fit(&binder.condition(&source.expr, "WHERE")?)?;
            Some(source.text.clone())
        }
    };
    let suffix = if columns.len() == keys.len() { "idx" } else { "expr_idx" };
    let name = constraint::index_name(&descriptor, create.name.as_ref(), &columns, suffix, context).await?;
    let id = catalog::take_id(context.transaction, context.env.session.service).await?;
    let of_table = Descriptor::Index(descriptor.name.clone());
    catalog::put(context.transaction, &descriptor.schema, &name, &of_table).await?;
    let state = constraint::state_of_new(context)?;
    descriptor.indexes.push(Index {
        id,
        name,
        unique: create.unique,
        constraint: IndexConstraint::None,
        keys,
        predicate,
        state,
        deferral: Deferral::No,
        comment: None,
        constraint_comment: None,
    });
    let at = descriptor.indexes.len() - 1;
    put_table(descriptor, context).await?;
    // As it is now, with what the new index is bound to.
    let table = table_called(&create.table, context).await?;
    if context.env.session.builder.is_none() {
        rows::fill_index(&table, at, context).await?;
    }
    Ok(Vec::new())
}

/// Whether `expr` gives the same whenever it sees the same row.
fn check_fit(expr: &Expr) -> SqlResult<()> {
    if expr.has_subquery() {
        let message = "cannot use subquery in index expression or predicate";
        return Err(SqlError::new(SqlState::NOT_SUPPORTED, message));
    }
    if expr.is_volatile() || expr.any(&mut |expr| expr.is_of_session()) {
        let message = "functions in index expression must be marked IMMUTABLE";
        return Err(SqlError::new(SqlState::INVALID_OBJECT, message));
    }
    Ok(())
}
