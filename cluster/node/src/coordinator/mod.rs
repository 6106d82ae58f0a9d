//! What sessions wait for: commits, read versions and rows of live tables, seen through changes of leader.

mod changes;
mod commits;
mod live;
mod reads;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use changes::PendingChange;
pub(crate) use changes::change_cluster;
use cluster_format::{Commit, Entry, NodeId, Payload, RequestId};
use cluster_sql::database::DatabaseError;
use cluster_store::{RequestState, Snapshot, Tables};
use commits::PendingCommit;
use drivers_api::{Instant, Now};
use live::{PendingLive, PendingSignal};
use reads::PendingRead;

use crate::leader::Leader;
use crate::message::PeerMessage;
use crate::queue::Queue;
use crate::replica::Replica;
use crate::shared::Reply;

/// A session gives up after this long without a leader's answer.
const GIVE_UP_AFTER: Duration = Duration::from_secs(10);

/// An unanswered request is sent again after this long.
const SEND_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// A leader that is not ready is asked again after this long.
const NOT_YET_PAUSE: Duration = Duration::from_millis(5);

/// Messages to send, by receiver.
pub(crate) type Outbox = Vec<(NodeId, PeerMessage)>;

/// Everything that waits.
pub(crate) struct Coordinator {
    node: NodeId,
    leader: Leader,
    commits: BTreeMap<RequestId, PendingCommit>,
    reads: BTreeMap<u64, PendingRead>,
    new_reads: Vec<Reply<Snapshot>>,
    /// Reads that others asked this node, while it leads: raft's number, the asker and its number.
    forwarded_reads: BTreeMap<u64, (NodeId, u64)>,
    deferred: VecDeque<Arc<Commit>>,
    /// While this node leads: whose turn it is on keys that commits met conflicts on.
    queue: Queue,
    changes: BTreeMap<u64, PendingChange>,
    live: BTreeMap<u64, PendingLive>,
    signals: BTreeMap<u64, PendingSignal>,
    next_number: u64,
    /// The leader that unanswered requests were sent to.
    sent_to: Option<NodeId>,
}

impl Coordinator {
    /// Numbers begin at `first_number`, at random: answers to an earlier life must not fit.
    pub(crate) fn new(node: NodeId, leader: Leader, first_number: u64) -> Coordinator {
        Coordinator {
            node,
            leader,
            commits: BTreeMap::new(),
            reads: BTreeMap::new(),
            new_reads: Vec::new(),
            forwarded_reads: BTreeMap::new(),
            deferred: VecDeque::new(),
            queue: Queue::default(),
            changes: BTreeMap::new(),
            live: BTreeMap::new(),
            signals: BTreeMap::new(),
            next_number: first_number,
            sent_to: None,
        }
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// What the peer was asked may be lost, and is asked again.
    pub(crate) fn peer_reset(&mut self, now: Now, peer: NodeId) {
        if self.sent_to == Some(peer) {
            self.send_everything_at(now.monotonic);
        }
    }

    /// An entry was applied: its session, if it is here, has its answer.
    pub(crate) fn applied(&mut self, entry: &Entry) {
        self.leader.applied(entry);
        if let Payload::Commit(commit) = &entry.payload
            && let Some(pending) = self.commits.remove(&commit.request)
        {
            let _ = pending.reply.send(Ok(entry.version));
        }
    }

    /// The tables were replaced as a whole: what they say of requests is the answer to those that wait.
    pub(crate) fn tables_replaced(&mut self, tables: &Tables) {
        let applied = |pending: &PendingCommit| match tables.request_state(pending.commit.request) {
            RequestState::Applied(version) => Some(version),
            RequestState::Unknown | RequestState::Superseded => None,
        };
        for (_, pending) in self.commits.extract_if(.., |_, pending| applied(pending).is_some()) {
            let version = applied(&pending).ok_or(DatabaseError::Unknown);
            let _ = pending.reply.send(version);
        }
    }

    fn send_everything_at(&mut self, at: Instant) {
        self.commits.values_mut().for_each(|pending| pending.send_at = pending.send_at.min(at));
        self.reads.values_mut().for_each(|pending| pending.send_at = pending.send_at.min(at));
        self.changes.values_mut().for_each(|pending| pending.send_at = pending.send_at.min(at));
    }

    /// Moves everything along that can be.
    pub(crate) fn advance(&mut self, now: Now, replica: &mut Replica, outbox: &mut Outbox) {
        let leader = replica.raft().and_then(|raft| raft.leader());
        if leader != self.sent_to {
            self.sent_to = leader;
            self.send_everything_at(now.monotonic);
        }
        self.take_new_reads(now);
        self.retry_deferred(now, replica, outbox);
        self.send_commits(now, replica, leader, outbox);
        self.decide_queued(now, replica, outbox);
        self.send_reads(now, replica, leader, outbox);
        self.send_changes(now, replica, leader, outbox);
        self.answer_raft_reads(now, replica, outbox);
        self.answer_reads(replica);
        self.answer_live(now);
    }

    /// When [`Coordinator::advance`] has something to do, if ever.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        // Without a leader nothing is sent, so only giving up is due.
        let sends = self.sent_to.is_some();
        let due =
            |send_at: Instant, give_up_at: Instant| if sends { send_at.min(give_up_at) } else { give_up_at };
        let commits = self.commits.values().map(|pending| due(pending.send_at, pending.give_up_at));
        let reads = self.reads.values().map(|pending| match pending.version {
            None => due(pending.send_at, pending.give_up_at),
            Some(_) => pending.give_up_at,
        });
        let signals = self.signals.values().map(|pending| pending.give_up_at);
        let live = self.live.values().map(|pending| pending.give_up_at).chain(signals);
        let changes = self.changes.values().map(|pending| due(pending.send_at, pending.give_up_at));
        commits.chain(reads).chain(live).chain(changes).chain(self.queue.deadline()).min()
    }
}
