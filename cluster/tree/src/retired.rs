//! Tables that are no longer in the levels, until their cells are free.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::{CellRun, Table};

/// Which manifests name a table that is no longer in the levels.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    /// The newest.
    Newest,
    /// The durable one, and not the one that is being written.
    Durable,
    /// None: its cells are free when nobody reads it any more.
    Nowhere,
}

/// Tables that are no longer in the levels, but named on the disk, or still read.
#[derive(Default)]
pub(crate) struct Retired {
    tables: Vec<(Arc<Table>, Named)>,
}

impl Retired {
    /// These are no longer in the levels.
    pub(crate) fn extend<'a>(&mut self, tables: impl Iterator<Item = &'a Arc<Table>>) {
        self.tables.extend(tables.map(|table| (table.clone(), Named::Newest)));
    }

    /// A manifest of the levels is about to be written.
    pub(crate) fn manifest_begun(&mut self) {
        self.change(Named::Newest, Named::Durable);
    }

    /// Its root is durable.
    pub(crate) fn root_durable(&mut self) {
        self.change(Named::Durable, Named::Nowhere);
    }

    fn change(&mut self, from: Named, to: Named) {
        self.tables.iter_mut().filter(|(_, named)| *named == from).for_each(|(_, named)| *named = to);
    }

    /// Whether any is only kept for whoever still reads it.
    pub(crate) fn keeps_any(&self) -> bool {
        self.tables.iter().any(|(_, named)| *named == Named::Nowhere)
    }

    /// Those that are only kept for whoever still reads them: no longer.
    pub(crate) fn revoke(&mut self) -> Vec<Arc<Table>> {
        self.tables.extract_if(.., |(_, named)| *named == Named::Nowhere).map(|(table, _)| table).collect()
    }

    /// The cells of those that nobody names or reads any more.
    pub(crate) fn take_unused(&mut self) -> impl Iterator<Item = CellRun> {
        let is_unused = |(table, named): &mut (Arc<Table>, Named)| {
            *named == Named::Nowhere && Arc::strong_count(table) == 1
        };
        self.tables.extract_if(.., is_unused).map(|(table, _)| table.cells)
    }
}
