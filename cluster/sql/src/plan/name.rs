//! What outputs are called that have no name.

use alloc::string::String;

use crate::ast::{Body, Expr, Query, SelectItem};

/// The name Postgres gives an output that has none.
pub(super) fn name_of(expr: &Expr) -> String {
    weighed_name(expr).map_or_else(|| "?column?".into(), |(name, _)| name)
}

/// The name of an output, and whether it holds against that of a cast or `CASE` around it.
fn weighed_name(expr: &Expr) -> Option<(String, bool)> {
    let strong = |inner: &Expr| weighed_name(inner).filter(|(_, is_strong)| *is_strong);
    Some(match expr {
        Expr::Column { name, .. } => (name.clone(), true),
        // A part of a value is called as the value is.
        Expr::Call(call) if call.name.starts_with("value[") => {
            return call.arguments.first().and_then(weighed_name);
        }
        Expr::Call(call) => (call.name.clone(), true),
        Expr::Array(_) => ("array".into(), true),
        Expr::Row(_) => ("row".into(), true),
        Expr::Exists(_) => ("exists".into(), true),
        Expr::Subquery(query) => return of_query(query),
        Expr::Cast(inner, to) => strong(inner).unwrap_or_else(|| (to.data_type.catalog_name().into(), false)),
        Expr::Case { otherwise, .. } => {
            otherwise.as_deref().and_then(strong).unwrap_or_else(|| ("case".into(), false))
        }
        _ => return None,
    })
}

/// A subquery's value is called as its column.
fn of_query(query: &Query) -> Option<(String, bool)> {
    match &query.body {
        Body::Select(select) => match select.items.first()? {
            SelectItem::Expr { alias: Some(alias), .. } => Some((alias.clone(), true)),
            SelectItem::Expr { expr, .. } => weighed_name(expr),
            SelectItem::All(_) => None,
        },
        Body::Values(_) => Some(("column1".into(), true)),
        _ => None,
    }
}
