//! What other nodes are asked for themselves: rows of live tables, gathered from all of them, and to tell their sessions
//! something.

use alloc::vec::Vec;
use core::time::Duration;

use cluster_format::NodeId;
use cluster_sql::database::{DatabaseError, LiveRows};
use cluster_sql::types::Datum;
use drivers_api::{Instant, Now};

use super::Coordinator;
use crate::shared::Reply;

/// A node that does not answer within this is down, as far as the query is concerned.
const LIVE_ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// Rows that have come so far.
pub(super) struct PendingLive {
    pub(super) reply: Reply<LiveRows>,
    pub(super) rows: Vec<Vec<Datum>>,
    pub(super) awaited: Vec<NodeId>,
    /// What to show of a node that does not answer; it is told to be missed, if nothing.
    pub(super) row_if_down: Option<fn(NodeId) -> Vec<Datum>>,
    pub(super) give_up_at: Instant,
}

/// A session of another node that was told something.
pub(super) struct PendingSignal {
    pub(super) reply: Reply<bool>,
    pub(super) node: NodeId,
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
        reply: Reply<LiveRows>,
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

    /// A session wants one of `node`'s told something.
    pub(crate) fn signal(&mut self, now: Now, node: NodeId, reply: Reply<bool>) -> u64 {
        let number = self.number();
        let give_up_at = now.monotonic + LIVE_ANSWER_WITHIN;
        self.signals.insert(number, PendingSignal { reply, node, give_up_at });
        number
    }

    /// A peer has told its session, or has none.
    pub(crate) fn signal_answered(&mut self, number: u64, told: bool) {
        if let Some(pending) = self.signals.remove(&number) {
            let _ = pending.reply.send(Ok(told));
        }
    }

    pub(super) fn answer_live(&mut self, now: Now) {
        for (_, pending) in self.signals.extract_if(.., |_, pending| pending.give_up_at <= now.monotonic) {
            let _ = pending.reply.send(Err(DatabaseError::Silent(pending.node)));
        }
        let done = |pending: &PendingLive| pending.awaited.is_empty() || pending.give_up_at <= now.monotonic;
        for (_, mut pending) in self.live.extract_if(.., |_, pending| done(pending)) {
            if let Some(row_if_down) = pending.row_if_down {
                pending.rows.extend(pending.awaited.drain(..).map(row_if_down));
            }
            let _ = pending.reply.send(Ok(LiveRows { rows: pending.rows, silent: pending.awaited }));
        }
    }
}
