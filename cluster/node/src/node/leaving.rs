//! Stopping in order: leadership goes to another node first, sessions are told, then the machine may be switched off.
//! What was acknowledged is on disks already; this is so that nobody waits for an election, or for a node that is gone.

use core::time::Duration;

use cluster_consensus::NotChanged;
use drivers_api::{Instant, Level, Now};

use super::{LogLine, Node};

/// How long another node may take to lead: some elections, for one that lags.
const HANDED_OVER_WITHIN: Duration = Duration::from_secs(3);

/// How long sessions may take to tell their clients.
const ENDED_WITHIN: Duration = Duration::from_millis(300);

/// What is said last has left the machine after this.
const SAID_WITHIN: Duration = Duration::from_millis(50);

/// How far a node has come that leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    /// It leads, and tries to hand over until then.
    HandsOver { until: Instant },
    /// Its sessions end, until then.
    EndsSessions { until: Instant },
    /// Their last words are on the wire.
    Lingers { until: Instant },
    /// It is done.
    Left,
}

impl Node {
    /// Asks the node to stop in order, as a power button does. Asked again, it goes on with it.
    pub fn leave(&mut self, now: Now) {
        if self.leaving.is_none() {
            self.leaving = Some(Leaving::HandsOver { until: now.monotonic + HANDED_OVER_WITHIN });
            self.replica.log_lines.push(LogLine(Level::Info, "asked to stop".into()));
        }
    }

    /// Whether it has done what there was to do after [`leave`](Self::leave): its machine may be switched off.
    pub fn has_left(&self) -> bool {
        self.leaving == Some(Leaving::Left)
    }

    pub(super) fn advance_leaving(&mut self, now: Now) {
        let Some(leaving) = self.leaving else { return };
        let time = now.monotonic;
        // In each phase: it may be elected again.
        let is_to_hand_over = leaving != Leaving::Left && self.hands_over(now);
        match leaving {
            Leaving::HandsOver { until } if is_to_hand_over && time < until => {}
            Leaving::HandsOver { .. } => {
                if self.replica.raft().is_some_and(|raft| raft.is_leader()) {
                    let line = "nobody can take over from this node now: clients wait until it is back";
                    self.replica.log_lines.push(LogLine(Level::Warn, line.into()));
                }
                self.leaving = Some(Leaving::EndsSessions { until: time + ENDED_WITHIN });
                self.registry.end_all();
            }
            Leaving::EndsSessions { until } if time < until && !self.registry.is_empty() => {
                self.registry.end_all();
            }
            Leaving::EndsSessions { .. } => {
                self.leaving = Some(Leaving::Lingers { until: time + SAID_WITHIN });
            }
            Leaving::Lingers { until } if time < until => self.registry.end_all(),
            Leaving::Lingers { .. } => {
                self.replica.log_lines.push(LogLine(Level::Info, "stops: may be switched off".into()));
                self.leaving = Some(Leaving::Left);
            }
            Leaving::Left => {}
        }
    }

    /// Whether it leads, and another may lead instead: then one is being asked to, or will be once one is heard.
    fn hands_over(&mut self, now: Now) -> bool {
        let Some(raft) = self.replica.raft_mut().filter(|raft| raft.is_leader()) else { return false };
        match raft.transfer(now, None) {
            Ok(()) | Err(NotChanged::Busy) => true,
            Err(_) => raft.log().membership().voters.len() > 1,
        }
    }

    /// When leaving must go on.
    pub(super) fn leaving_deadline(&self) -> Option<Instant> {
        match self.leaving? {
            Leaving::HandsOver { until } | Leaving::EndsSessions { until } | Leaving::Lingers { until } => {
                Some(until)
            }
            Leaving::Left => None,
        }
    }
}
