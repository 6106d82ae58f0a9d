//! What outputs are called that have no name.

use alloc::string::String;

use crate::ast::{Body, Expr, SelectItem};
use crate::types::DataType;

const NO_NAME: &str = "?column?";

/// The name Postgres gives an output that has none.
pub(super) fn name_of(expr: &Expr) -> String {
    match expr {
        Expr::Column { name, .. } => name.clone(),
        Expr::Call(call) => call.name.clone(),
        Expr::Cast(inner, data_type) => match name_of(inner) {
            name if name == NO_NAME => match data_type {
                DataType::Bool => "bool".into(),
                DataType::Int4 => "int4".into(),
                DataType::Int8 => "int8".into(),
                DataType::Float8 => "float8".into(),
                DataType::Text => "text".into(),
                DataType::Timestamp => "timestamp".into(),
            },
            name => name,
        },
        Expr::Case { otherwise, .. } => match otherwise.as_deref().map(name_of) {
            Some(name) if name != NO_NAME => name,
            _ => "case".into(),
        },
        Expr::Bool(_) => "bool".into(),
        Expr::Exists(_) => "exists".into(),
        Expr::Row(_) => "row".into(),
        Expr::Subquery(query) => match &query.body {
            Body::Select(select) => match select.items.first() {
                Some(SelectItem::Expr { alias: Some(alias), .. }) => alias.clone(),
                Some(SelectItem::Expr { expr, .. }) => name_of(expr),
                _ => NO_NAME.into(),
            },
            Body::Values(_) => "column1".into(),
            _ => NO_NAME.into(),
        },
        _ => NO_NAME.into(),
    }
}
