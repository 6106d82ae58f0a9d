//! What SQL asks of the node below it. Replication slides in behind this trait.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;

use cluster_format::{Commit, NodeId, Origin, RequestId, Version};
use cluster_store::{Conflict, MemoryPool, ReadError, Snapshot};

use crate::builders::Builders;
use crate::catalog::TableCache;
use crate::claims::Claims;
use crate::notify::Channels;
pub use crate::numbers::SequenceNumbers;
use crate::programs::Programs;
use crate::sessions::Signal;
use crate::turns::Turns;
use crate::types::{DataType, Datum};

/// How new a snapshot must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Holds everything that was committed anywhere before the call: confirmed by the leader.
    Linearizable,
    /// What this node has applied, even while it is out of service. Enough for a transaction that writes, as
    /// the commit's conflict check makes sure that nothing it read has changed, and for one that reads live
    /// tables alone.
    Local,
    /// What this node has applied, as soon as that holds the entry at this version: what a commit met a conflict with, and
    /// may be on its way still. Enough for a transaction that writes.
    AtLeast(Version),
}

/// Why the database could not answer. Nothing was changed, unless the variant says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseError {
    /// No leader could be reached in time: no quorum (SQLSTATE 57P03).
    NoQuorum,
    /// Something that was read has changed since: run the transaction again (40001).
    Conflict(Conflict),
    /// A data disk is full (53100).
    DiskFull,
    /// Tables that nobody can mend take no more (XX001).
    Damaged,
    /// The tables have reached their memory limit (53200).
    MemoryFull,
    /// The commit was sent and its answer never came: it may or may not have taken place (08007).
    Unknown,
    /// The cluster has one node so far, and waits for more of those that are to found it (57P03).
    Founding,
    /// This node's tables are being rebuilt: ask another (57P03).
    Rebuilding,
    /// This node was removed from the cluster: ask another (57P03).
    Removed,
    /// Something on this node's disk cannot be read: see [`ReadError`].
    Unreadable(ReadError),
    /// The cluster has no such node (42704).
    NoSuchNode,
    /// No node can take over leadership (55000).
    NoSuccessor,
    /// That node has not answered: whether it has done what it was asked for is not known (57P03).
    Silent(NodeId),
    /// Without that node, too few that vote would be up (55000).
    NoQuorumLeft,
}

/// What `CALL sys.NAME(...)` does: changes of the cluster itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Procedure {
    /// `transfer_leadership([node])`: that node leads, or the one that is best fit.
    TransferLeadership(Option<i64>),
    /// `remove_node(node)`: takes it out of the cluster, for good unless it gets a blank disk.
    RemoveNode(i64),
}

/// A table that is computed rather than stored, such as `sys.nodes`.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveTable {
    /// Its name within schema `sys`.
    pub name: &'static str,
    /// Its columns.
    pub columns: &'static [(&'static str, DataType)],
    /// Those that can be changed, if some can.
    pub configured: Option<Configured>,
}

/// Columns of a live table that are configuration: a stored table of schema `sys` has them, under the same names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Configured {
    /// The columns.
    pub columns: &'static [&'static str],
    /// Where they are stored.
    pub table: &'static str,
    /// What tells which row is which: a column of the live table, and one of the stored.
    pub key: (&'static str, &'static str),
}

/// The rows of a live table, as far as they could be had.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveRows {
    /// The rows of the nodes that have answered, in the order of the table's columns.
    pub rows: Vec<Vec<Datum>>,
    /// The nodes that have not, and whose rows are missed.
    pub silent: Vec<NodeId>,
}

/// The node, as its sessions see it. Cheap to clone; every clone is the same node.
pub trait Database: Clone + Send + Sync + 'static {
    /// The tables as they are now.
    fn snapshot(&self, freshness: Freshness) -> impl Future<Output = Result<Snapshot, DatabaseError>> + Send;

    /// Commits, durably on a quorum, and returns the version. Retries with the same request id until the
    /// outcome is known or time is up.
    fn commit(&self, commit: Commit) -> impl Future<Output = Result<Version, DatabaseError>> + Send;

    /// Changes the cluster itself.
    fn call(&self, procedure: Procedure) -> impl Future<Output = Result<(), DatabaseError>> + Send;

    /// Who this node's sessions are, for the ledger.
    fn origin(&self) -> Origin;

    /// A new session's random name (the `session` of its [`RequestId`]s).
    fn new_session_id(&self) -> u64;

    /// Wall time now, in microseconds since the Unix epoch.
    fn wall_micros(&self) -> i64;

    /// The live tables of schema `sys`.
    fn live_tables(&self) -> &'static [LiveTable];

    /// The rows of one of them.
    fn live_rows(&self, name: &str) -> impl Future<Output = Result<LiveRows, DatabaseError>> + Send;

    /// Tells a session, of whatever node, to stop its statement or to end; whether it was there.
    fn signal(&self, signal: Signal) -> impl Future<Output = Result<bool, DatabaseError>> + Send;

    /// The memory that this node's sessions share.
    fn memory(&self) -> &Arc<MemoryPool>;

    /// In which order this node's sessions go on that keep meeting conflicts.
    fn turns(&self) -> &Arc<Turns>;

    /// Which of this node's transaction blocks has changed which rows.
    fn claims(&self) -> &Arc<Claims>;

    /// Which sessions build indexes.
    fn builders(&self) -> &Arc<Builders>;

    /// Who of this node's sessions listens to what.
    fn channels(&self) -> &Arc<Channels>;

    /// The tables that this node's sessions have read last.
    fn tables(&self) -> &TableCache;

    /// The numbers of sequences that this node has taken for its sessions.
    fn sequences(&self) -> &SequenceNumbers;

    /// The programs that this node has ready to run.
    fn programs(&self) -> &Programs;

    /// The cluster's name, for people.
    fn cluster_name(&self) -> String;
}

/// A snapshot that holds what a commit met a conflict with.
pub(crate) async fn snapshot_after<D: Database>(
    database: &D,
    conflict: Conflict,
) -> Result<Snapshot, DatabaseError> {
    // It may be on its way still; if it is lost on that, what is newest will do.
    if let Conflict::Written(version) = conflict
        && let Ok(snapshot) = database.snapshot(Freshness::AtLeast(version)).await
    {
        return Ok(snapshot);
    }
    database.snapshot(Freshness::Linearizable).await
}

/// Counts a session's commits.
#[derive(Debug)]
pub struct RequestIds {
    next: RequestId,
}

impl RequestIds {
    /// The ids of the session called `session`.
    pub fn new(session: u64) -> RequestIds {
        RequestIds { next: RequestId { session, sequence: 1 } }
    }

    /// Whose they are.
    pub fn session(&self) -> u64 {
        self.next.session
    }

    /// The next id.
    pub fn take(&mut self) -> RequestId {
        let id = self.next;
        self.next.sequence += 1;
        id
    }
}
