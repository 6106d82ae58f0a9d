//! Joins that just ask which rows of the left match any of the right.

use alloc::vec;
use alloc::vec::Vec;

use super::Context;
use super::pairs::{Candidates, Pairing, Room};
use super::table::Table;
use crate::batch::{COLUMNS_ROWS, Columns, NO_ROW, numbers};
use crate::database::Database;
use crate::error::SqlResult;
use crate::plan::rel::JoinType;

/// A batch of the left. One match of a row is as good as many: its candidates are looked at in rounds, one at first and twice as
/// many each time, together with those of other rows.
pub(super) struct Probe {
    columns: Columns,
    row_len_max: usize,
    /// Which rows have matched.
    matched: Vec<bool>,
    /// The rows that have not, each with the next one that may match it.
    open: Vec<(u32, u32)>,
    /// So many candidates of each come next.
    depth: usize,
}

impl Probe {
    /// `last` has the last row that may match, for each row of `columns`; whether there is a condition that says if it does.
    pub(super) fn new(columns: Columns, last: Vec<u32>, has_condition: bool) -> Probe {
        let (mut matched, mut open) = (vec![false; columns.len], Vec::new());
        if has_condition {
            open = (0..).zip(last).filter(|(_, next)| *next != NO_ROW).collect();
        } else {
            matched = last.into_iter().map(|next| next != NO_ROW).collect();
        }
        Probe { row_len_max: columns.row_len_max(), columns, matched, open, depth: 1 }
    }

    /// Looks at more candidates of the rows that have not matched yet: a batch of pairs at most.
    pub(super) async fn look<D: Database>(
        &mut self,
        table: &Table,
        pairing: &Pairing,
        context: &mut Context<'_, D>,
    ) -> SqlResult<()> {
        let Some(condition) = &pairing.node.condition else { return Ok(()) };
        let mut room = Room::new(self.row_len_max, table.row_len_max);
        let mut found = Candidates::default();
        for (row, next) in &mut self.open {
            table.add_candidates(&self.columns, *row, next, self.depth, &mut room, &mut found);
        }
        let kept = pairing.holding(condition, &found, &self.columns, &table.columns, context).await?;
        for row in kept.into_iter().filter_map(|at| found.left.get(at as usize)) {
            if let Some(matched) = self.matched.get_mut(*row as usize) {
                *matched = true;
            }
        }
        let matched = &self.matched;
        self.open.retain(|(row, next)| *next != NO_ROW && matched.get(*row as usize) == Some(&false));
        self.depth = (COLUMNS_ROWS / self.open.len().max(1)).clamp(1, 2 * self.depth);
        Ok(())
    }

    /// Whether it is known of all rows whether they match.
    pub(super) fn is_settled(&self) -> bool {
        self.open.is_empty()
    }

    /// The rows that are given, in order.
    pub(super) fn given(mut self, join_type: JoinType) -> Columns {
        let is_given = join_type == JoinType::Semi;
        let rows = numbers(0..self.columns.len).zip(&self.matched);
        let kept: Vec<u32> = rows.filter(|(_, matched)| **matched == is_given).map(|(row, _)| row).collect();
        self.columns.keep(&kept);
        self.columns
    }
}
