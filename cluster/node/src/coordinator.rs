//! What sessions wait for: commits, read versions and rows of live tables, seen through changes of leader.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use cluster_format::{Commit, Entry, NodeId, Payload, RequestId, Version};
use cluster_sql::database::DatabaseError;
use cluster_sql::types::Datum;
use cluster_store::{Conflict, RequestState, Snapshot, Tables};
use drivers_api::{Instant, Now};

use crate::leader::{Admission, Leader};
use crate::marks::Mark;
use crate::message::{Change, ChangeRefused, PeerMessage, Refused};
use crate::node::change_cluster;
use crate::replica::Replica;
use crate::shared::Reply;

/// A session gives up after this long without a leader's answer.
const GIVE_UP_AFTER: Duration = Duration::from_secs(10);

/// An unanswered request is sent again after this long.
const SEND_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// A leader that is not ready is asked again after this long.
const NOT_YET_PAUSE: Duration = Duration::from_millis(5);

/// A change of the cluster that cannot be made yet is asked for again after this long.
const CHANGE_PAUSE: Duration = Duration::from_millis(50);

/// A node that does not answer within this is shown as down.
const LIVE_ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// Forwarded commits that wait for this node to be ready to lead, at most.
const DEFERRED_MAX: usize = 1024;

/// Bytes of them, at most, unless one alone is longer.
const DEFERRED_LEN_MAX: usize = 1024 * 1024;

/// Messages to send, by receiver.
pub(crate) type Outbox = Vec<(NodeId, PeerMessage)>;

struct PendingCommit {
    commit: Arc<Commit>,
    reply: Reply<Version>,
    /// How often a leader may have got it: from the first time on its fate is not ours to declare.
    sent: u32,
    /// The term it was last sent in: what leaders of earlier ones say of it no longer counts.
    sent_term: u64,
    send_at: Instant,
    give_up_at: Instant,
}

/// Reads that were asked in one turn, and so share an answer.
struct PendingRead {
    replies: Vec<Reply<Snapshot>>,
    /// What may be read, once the leader has said so.
    version: Option<Version>,
    send_at: Instant,
    give_up_at: Instant,
}

struct PendingLive {
    reply: Reply<Vec<Vec<Datum>>>,
    rows: Vec<Vec<Datum>>,
    awaited: Vec<NodeId>,
    /// What to show of a node that does not answer.
    row_if_down: Option<fn(NodeId) -> Vec<Datum>>,
    give_up_at: Instant,
}

struct PendingChange {
    change: Change,
    reply: Reply<()>,
    send_at: Instant,
    give_up_at: Instant,
}

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
    changes: BTreeMap<u64, PendingChange>,
    live: BTreeMap<u64, PendingLive>,
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
            changes: BTreeMap::new(),
            live: BTreeMap::new(),
            next_number: first_number,
            sent_to: None,
        }
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// A session wants to commit.
    pub(crate) fn commit(&mut self, now: Now, commit: Arc<Commit>, reply: Reply<Version>) {
        let (send_at, give_up_at) = (now.monotonic, now.monotonic + GIVE_UP_AFTER);
        let pending = PendingCommit { commit, reply, sent: 0, sent_term: 0, send_at, give_up_at };
        self.commits.insert(pending.commit.request, pending);
    }

    /// A session wants to read what is newest.
    pub(crate) fn read(&mut self, reply: Reply<Snapshot>) {
        self.new_reads.push(reply);
    }

    /// A session wants the cluster changed.
    pub(crate) fn change(&mut self, now: Now, change: Change, reply: Reply<()>) {
        let (send_at, give_up_at) = (now.monotonic, now.monotonic + GIVE_UP_AFTER);
        let number = self.number();
        self.changes.insert(number, PendingChange { change, reply, send_at, give_up_at });
    }

    /// The leader has changed the cluster, or not.
    pub(crate) fn change_answered(&mut self, now: Now, number: u64, answer: Result<(), ChangeRefused>) {
        if answer == Err(ChangeRefused::NotYet) {
            if let Some(pending) = self.changes.get_mut(&number) {
                pending.send_at = now.monotonic + CHANGE_PAUSE;
            }
            return;
        }
        if let Some(pending) = self.changes.remove(&number) {
            let _ = pending.reply.send(answer.map_err(|refused| match refused {
                ChangeRefused::NoSuchNode => DatabaseError::NoSuchNode,
                ChangeRefused::NoQuorumLeft => DatabaseError::NoQuorumLeft,
                ChangeRefused::NoSuccessor | ChangeRefused::NotYet => DatabaseError::NoSuccessor,
            }));
        }
    }

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

    /// What the peer was asked may be lost, and is asked again.
    pub(crate) fn peer_reset(&mut self, now: Now, peer: NodeId) {
        if self.sent_to == Some(peer) {
            self.send_everything_at(now.monotonic);
        }
    }

    /// Someone asks this node, which should lead, to commit.
    pub(crate) fn forwarded_commit(
        &mut self,
        now: Now,
        replica: &mut Replica,
        commit: Arc<Commit>,
        outbox: &mut Outbox,
    ) {
        match self.leader.admit(now, replica, &commit) {
            Admission::Refused(refused) => {
                let term = replica.raft().map_or(0, |raft| raft.term());
                outbox.push((commit.origin.node, PeerMessage::CommitRefused(commit.request, refused, term)));
            }
            Admission::NotYet if self.has_room_for(&commit) => {
                replica.hit(Mark::CommitDeferred);
                self.deferred.push_back(commit);
            }
            // Whoever asked asks the next leader.
            _ => {}
        }
    }

    /// Whether `commit` may wait here: once, and among not too many.
    fn has_room_for(&self, commit: &Commit) -> bool {
        let len: usize = self.deferred.iter().map(|deferred| deferred.len_estimate()).sum();
        let waits_already = self.deferred.iter().any(|deferred| deferred.request == commit.request);
        !waits_already && self.deferred.len() < DEFERRED_MAX && len < DEFERRED_LEN_MAX
    }

    /// The leader of `term` has refused a commit. A leader that was deposed since does not know what became
    /// of it.
    pub(crate) fn commit_refused(&mut self, request: RequestId, refused: Refused, term: u64) {
        if self.commits.get(&request).is_some_and(|pending| term >= pending.sent_term)
            && let Some(pending) = self.commits.remove(&request)
        {
            let error = match refused {
                // Sent once, it was refused the first time it was looked at.
                Refused::Forgotten if pending.sent > 1 => DatabaseError::Unknown,
                refused => error_of(refused),
            };
            let _ = pending.reply.send(Err(error));
        }
    }

    /// A peer asks this node, which should lead, at which version it may read.
    pub(crate) fn forwarded_read(
        &mut self,
        now: Now,
        replica: &mut Replica,
        from: NodeId,
        number: u64,
        outbox: &mut Outbox,
    ) {
        let ours = self.number();
        let accepted = replica.raft_mut().is_some_and(|raft| raft.read(now, ours).is_ok());
        match accepted {
            true => drop(self.forwarded_reads.insert(ours, (from, number))),
            false => outbox.push((from, PeerMessage::ReadAnswer(number, None))),
        }
    }

    /// The leader has said at which version a read may take place.
    pub(crate) fn read_answered(&mut self, now: Now, number: u64, version: Option<Version>) {
        if let Some(pending) = self.reads.get_mut(&number) {
            pending.version = version;
            if version.is_none() {
                pending.send_at = now.monotonic + NOT_YET_PAUSE;
            }
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
        self.send_reads(now, replica, leader, outbox);
        self.send_changes(now, replica, leader, outbox);
        self.answer_raft_reads(now, replica, outbox);
        self.answer_reads(replica);
        self.answer_live(now);
    }

    fn take_new_reads(&mut self, now: Now) {
        self.new_reads.retain(|reply| !reply.is_canceled());
        if !self.new_reads.is_empty() {
            let replies = core::mem::take(&mut self.new_reads);
            let (send_at, give_up_at) = (now.monotonic, now.monotonic + GIVE_UP_AFTER);
            let number = self.number();
            self.reads.insert(number, PendingRead { replies, version: None, send_at, give_up_at });
        }
    }

    fn retry_deferred(&mut self, now: Now, replica: &mut Replica, outbox: &mut Outbox) {
        for _ in 0..self.deferred.len() {
            if let Some(commit) = self.deferred.pop_front() {
                self.forwarded_commit(now, replica, commit, outbox);
            }
        }
    }

    fn send_commits(&mut self, now: Now, replica: &mut Replica, leader: Option<NodeId>, outbox: &mut Outbox) {
        let term = replica.raft().map_or(0, |raft| raft.term());
        let due = self.commits.values_mut().filter(|pending| pending.send_at <= now.monotonic);
        let mut refused = Vec::new();
        for pending in due {
            let Some(leader) = leader else { break };
            // The link is reliable, so an answer that is long in coming is not hurried by asking often.
            pending.send_at = now.monotonic + SEND_AGAIN_AFTER * (1 << pending.sent.min(4));
            pending.sent_term = term;
            if leader != self.node {
                pending.sent += 1;
                outbox.push((leader, PeerMessage::Commit(pending.commit.clone())));
                continue;
            }
            match self.leader.admit(now, replica, &pending.commit) {
                Admission::Appended => pending.sent += 1,
                Admission::Refused(why) => {
                    pending.sent += 1;
                    refused.push((pending.commit.request, why));
                }
                Admission::NotYet | Admission::NotLeader => pending.send_at = now.monotonic + NOT_YET_PAUSE,
            }
        }
        for (request, why) in refused {
            self.commit_refused(request, why, term);
        }
        let late = self.commits.extract_if(.., |_, pending| pending.give_up_at <= now.monotonic);
        for (_, pending) in late {
            let error = if pending.sent > 0 { DatabaseError::Unknown } else { DatabaseError::NoQuorum };
            if pending.sent > 0 {
                replica.hit(Mark::CommitUnknown);
            }
            let _ = pending.reply.send(Err(error));
        }
    }

    fn send_reads(&mut self, now: Now, replica: &mut Replica, leader: Option<NodeId>, outbox: &mut Outbox) {
        let waiting =
            |pending: &&mut PendingRead| pending.version.is_none() && pending.send_at <= now.monotonic;
        let due = self.reads.iter_mut().map(|(number, pending)| (*number, pending));
        for (number, pending) in due.filter(|(_, pending)| waiting(pending)) {
            let Some(leader) = leader else { break };
            pending.send_at = now.monotonic + SEND_AGAIN_AFTER;
            if leader == self.node {
                if let Some(raft) = replica.raft_mut() {
                    // A leader that has just lost its office is found out in the next turn.
                    let _ = raft.read(now, number);
                }
            } else {
                outbox.push((leader, PeerMessage::Read(number)));
            }
        }
        let late = self.reads.extract_if(.., |_, pending| pending.give_up_at <= now.monotonic);
        for reply in late.flat_map(|(_, pending)| pending.replies) {
            let _ = reply.send(Err(DatabaseError::NoQuorum));
        }
    }

    fn send_changes(&mut self, now: Now, replica: &mut Replica, leader: Option<NodeId>, outbox: &mut Outbox) {
        let Some(leader) = leader else { return self.give_changes_up(now) };
        let mut answers = Vec::new();
        for (number, pending) in self.changes.iter_mut().filter(|(_, p)| p.send_at <= now.monotonic) {
            pending.send_at = now.monotonic + SEND_AGAIN_AFTER;
            match leader == self.node {
                true => answers.push((*number, change_cluster(now, replica, pending.change))),
                false => outbox.push((leader, PeerMessage::Change(*number, pending.change))),
            }
        }
        answers.into_iter().for_each(|(number, answer)| self.change_answered(now, number, answer));
        self.give_changes_up(now);
    }

    fn give_changes_up(&mut self, now: Now) {
        for (_, pending) in self.changes.extract_if(.., |_, pending| pending.give_up_at <= now.monotonic) {
            let _ = pending.reply.send(Err(DatabaseError::NoQuorum));
        }
    }

    fn answer_raft_reads(&mut self, now: Now, replica: &mut Replica, outbox: &mut Outbox) {
        let Some(raft) = replica.raft_mut() else { return };
        for (number, version) in raft.take_reads(now) {
            match self.forwarded_reads.remove(&number) {
                Some((asker, theirs)) => outbox.push((asker, PeerMessage::ReadAnswer(theirs, version))),
                None => self.read_answered(now, number, version),
            }
        }
    }

    fn answer_reads(&mut self, replica: &Replica) {
        if let Some(why) = replica.out_of_service() {
            for reply in core::mem::take(&mut self.reads).into_values().flat_map(|pending| pending.replies) {
                let _ = reply.send(Err(why.clone()));
            }
            return;
        }
        let applied = replica.tables.version();
        let ready = |pending: &PendingRead| pending.version.is_some_and(|version| version <= applied);
        let done: Vec<_> = self.reads.extract_if(.., |_, pending| ready(pending)).collect();
        if done.is_empty() {
            return;
        }
        let snapshot = replica.tables.snapshot();
        for reply in done.into_iter().flat_map(|(_, pending)| pending.replies) {
            let _ = reply.send(Ok(snapshot.clone()));
        }
    }

    fn answer_live(&mut self, now: Now) {
        let done = |pending: &PendingLive| pending.awaited.is_empty() || pending.give_up_at <= now.monotonic;
        for (_, mut pending) in self.live.extract_if(.., |_, pending| done(pending)) {
            if let Some(row_if_down) = pending.row_if_down {
                pending.rows.extend(pending.awaited.iter().map(|node| row_if_down(*node)));
            }
            let _ = pending.reply.send(Ok(pending.rows));
        }
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
        let live = self.live.values().map(|pending| pending.give_up_at);
        let changes = self.changes.values().map(|pending| due(pending.send_at, pending.give_up_at));
        commits.chain(reads).chain(live).chain(changes).min()
    }
}

fn error_of(refused: Refused) -> DatabaseError {
    match refused {
        Refused::Conflict(version) => DatabaseError::Conflict(Conflict::Written(version)),
        Refused::TooOld | Refused::Forgotten => DatabaseError::Conflict(Conflict::TooOld),
        Refused::DiskFull => DatabaseError::DiskFull,
        Refused::MemoryFull => DatabaseError::MemoryFull,
    }
}
