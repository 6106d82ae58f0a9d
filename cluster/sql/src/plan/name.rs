//! What outputs are called that have no name.

use alloc::string::String;

use crate::ast::{Body, Expr, SelectItem};

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
        Expr::Subquery(query) => (of_body(&query.body), true),
        Expr::Cast(inner, to) => strong(inner).unwrap_or_else(|| (to.data_type.catalog_name().into(), false)),
        Expr::Case { otherwise, .. } => {
            otherwise.as_deref().and_then(strong).unwrap_or_else(|| ("case".into(), false))
        }
        _ => return None,
    })
}

/// A subquery's value is called as its column, be that without a name.
fn of_body(body: &Body) -> String {
    match body {
        Body::Select(select) => match select.items.first() {
            Some(SelectItem::Expr { alias: Some(alias), .. }) => alias.clone(),
            Some(SelectItem::Expr { expr, .. }) => name_of(expr),
            _ => name_of(&Expr::Null),
        },
        Body::Values(_) => "column1".into(),
        Body::Query(query) => of_body(&query.body),
        Body::Set(set) => of_body(&set.left),
    }
}
