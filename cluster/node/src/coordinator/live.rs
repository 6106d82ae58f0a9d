//! Rows of live tables, gathered from all nodes.

use alloc::vec::Vec;
use core::time::Duration;

use cluster_format::NodeId;
use cluster_sql::types::Datum;
use drivers_api::{Instant, Now};

use super::Coordinator;
use crate::shared::Reply;

/// A node that does not answer within this is shown as down.
const LIVE_ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// Rows that have come so far.
pub(super) struct PendingLive {
    pub(super) reply: Reply<Vec<Vec<Datum>>>,
    pub(super) rows: Vec<Vec<Datum>>,
    pub(super) awaited: Vec<NodeId>,
    /// What to show of a node that does not answer.
    pub(super) row_if_down: Option<fn(NodeId) -> Vec<Datum>>,
    pub(super) give_up_at: Instant,
}

impl Coordinator {
    /// A session wants rows of a live table: `rows` are this node's, `others` are to be asked.
    pub(crate) fn live_rows(
        &mut self,
        now: Now,
        rows: Vec<Vec<Datum>>,
        others: Vec<NodeId>,
        row_if_down: Option<fn(NodeId) -> Vec<Datum>>,
        reply: Reply<Vec<Vec<Datum>>>,
    ) -> u64 {
        let number = self.number();
        let give_up_at = now.monotonic + LIVE_ANSWER_WITHIN;
        self.live.insert(number, PendingLive { reply, rows, awaited: others, row_if_down, give_up_at });
        number
    }

    /// A peer has answered with its rows.
    pub(crate) fn live_answered(&mut self, from: NodeId, number: u64, rows: Vec<Vec<Datum>>) {
        let Some(pending) = self.live.get_mut(&number) else { return };
        if pending.awaited.contains(&from) {
            pending.awaited.retain(|node| *node != from);
            pending.rows.extend(rows);
        }
    }

    pub(super) fn answer_live(&mut self, now: Now) {
        let done = |pending: &PendingLive| pending.awaited.is_empty() || pending.give_up_at <= now.monotonic;
        for (_, mut pending) in self.live.extract_if(.., |_, pending| done(pending)) {
            if let Some(row_if_down) = pending.row_if_down {
                pending.rows.extend(pending.awaited.iter().map(|node| row_if_down(*node)));
            }
            let _ = pending.reply.send(Ok(pending.rows));
        }
    }
}
