//! Operators that give their first row once they have seen the last one below.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::aggregate::aggregate;
use super::sort::sort;
use super::window::window;
use super::{Context, Row};
use crate::database::Database;
use crate::error::SqlResult;
use crate::plan::rel::{Aggregate, Sort, Window};

/// An operator that must see all rows first.
pub(crate) enum Collected {
    Aggregate(Arc<Aggregate>),
    Window(Arc<Window>),
    Sort(Arc<Sort>),
}

/// All its rows.
pub(super) async fn collect<D: Database>(
    operator: &Collected,
    context: &mut Context<'_, D>,
) -> SqlResult<Vec<Row>> {
    match operator {
        Collected::Aggregate(node) => aggregate(node, context).await,
        Collected::Window(node) => window(node, context).await,
        Collected::Sort(node) => sort(node, context).await,
    }
}
