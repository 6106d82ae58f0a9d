//! Operators that give their first row once they have seen the last one below.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;

use super::aggregate::aggregate;
use super::sort::sort;
use super::window::window;
use super::{Context, Cursor};
use crate::batch::Columns;
use crate::database::Database;
use crate::error::SqlResult;
use crate::plan::rel::{Aggregate, Sort, Window};

/// An operator that must see all rows first.
pub(crate) enum Collected {
    Aggregate(Arc<Aggregate>),
    Window(Arc<Window>),
    Sort(Arc<Sort>),
}

/// What gives all its rows.
pub(super) async fn collect<D: Database>(
    operator: &Collected,
    context: &mut Context<'_, D>,
) -> SqlResult<Cursor> {
    Ok(match operator {
        Collected::Aggregate(node) => Cursor::Rows(aggregate(node, context).await?.into_iter()),
        Collected::Window(node) => Cursor::Rows(window(node, context).await?.into_iter()),
        Collected::Sort(node) => {
            let (columns, order) = sort(node, context).await?;
            Cursor::Ordered(Box::new(Ordered { columns, order: order.into_iter() }))
        }
    })
}

/// Rows, and in which order they come.
pub(crate) struct Ordered {
    columns: Columns,
    order: vec::IntoIter<u32>,
}

impl Ordered {
    /// The next ones; none at the end.
    pub(super) fn next_batch(&mut self) -> Option<Columns> {
        self.columns.gather_next(&mut self.order)
    }
}
