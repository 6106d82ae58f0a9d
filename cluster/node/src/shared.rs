//! What sessions and the node share: requests one way, snapshots the other.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::{Commit, NodeId, Origin, Version};
use cluster_services::{LIVE_TABLES, tables};
use cluster_sql::catalog::TableCache;
use cluster_sql::database::{
    Database, DatabaseError, Freshness, LiveRows, LiveTable, Procedure, SequenceNumbers,
};
use cluster_sql::programs::Programs;
use cluster_sql::sessions::Signal;
use cluster_sql::{Builders, Channels, Claims, Turns};
use cluster_store::{MemoryPool, Mended, Mending, ReadError, Snapshot, Tables};
use futures_channel::oneshot;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use spin::Mutex;

use crate::message::Change;

/// An answer to a session. A session that has gone is not missed.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, DatabaseError>>;

/// What a session asks of the node.
pub(crate) enum Request {
    Snapshot(Reply<Snapshot>),
    /// What is applied once that holds this version.
    SnapshotAt(Version, Reply<Snapshot>),
    /// A read has met this, and is repeated if it is mended.
    Mended(ReadError, Reply<Snapshot>),
    Commit(Arc<Commit>, Reply<Version>),
    Change(Change, Reply<()>),
    LiveRows(String, Reply<LiveRows>),
    /// A session, of whatever node, is to stop its statement or to end.
    Signal(Signal, Reply<bool>),
}

/// The common ground.
pub(crate) struct Shared {
    pub(crate) requests: VecDeque<Request>,
    /// What this node has applied.
    pub(crate) newest: Snapshot,
    /// Why no stored table is to be read or written here, if so.
    pub(crate) out_of_service: Option<DatabaseError>,
    /// The cluster is not yet what it is to be: users wait, services do not.
    pub(crate) is_founding: bool,
    pub(crate) wall_micros: i64,
    rng: ChaCha8Rng,
}

/// Where sessions ask the node for something, and where it looks.
struct Asking(Mutex<Shared>);

impl Asking {
    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, DatabaseError> {
        let (reply, answer) = oneshot::channel();
        self.0.lock().requests.push_back(request(reply));
        // A request that is dropped unanswered belongs to a node that is going down.
        answer.await.unwrap_or(Err(DatabaseError::NoQuorum))
    }
}

impl Mending for Asking {
    fn mended(&self, error: ReadError) -> Mended<'_> {
        Box::pin(async move { self.ask(|reply| Request::Mended(error, reply)).await.ok() })
    }
}

/// The node, as its sessions see it.
#[derive(Clone)]
pub(crate) struct NodeDatabase {
    asking: Arc<Asking>,
    node: NodeId,
    cluster_name: Arc<str>,
    memory: Arc<MemoryPool>,
    sequences: Arc<SequenceNumbers>,
    tables: Arc<TableCache>,
    claims: Arc<Claims>,
    builders: Arc<Builders>,
    turns: Arc<Turns>,
    channels: Arc<Channels>,
    programs: Arc<Programs>,
    /// Whether it serves users, who are kept from a cluster that is being founded.
    is_for_users: bool,
}

impl NodeDatabase {
    pub(crate) fn new(node: NodeId, cluster_name: &str, memory_len: usize, rng: ChaCha8Rng) -> NodeDatabase {
        let shared = Shared {
            requests: VecDeque::new(),
            newest: Tables::in_memory().snapshot(),
            out_of_service: None,
            is_founding: false,
            wall_micros: 0,
            rng,
        };
        NodeDatabase {
            asking: Arc::new(Asking(Mutex::new(shared))),
            node,
            cluster_name: cluster_name.into(),
            memory: MemoryPool::new(memory_len),
            sequences: Arc::default(),
            tables: Arc::default(),
            claims: Arc::default(),
            builders: Arc::default(),
            turns: Arc::default(),
            channels: Arc::default(),
            programs: Arc::default(),
            is_for_users: false,
        }
    }

    pub(crate) fn lock(&self) -> spin::MutexGuard<'_, Shared> {
        self.asking.0.lock()
    }

    /// The same, for sessions of users.
    pub(crate) fn for_users(&self) -> NodeDatabase {
        NodeDatabase { is_for_users: true, ..self.clone() }
    }

    fn check_in_service(&self) -> Result<(), DatabaseError> {
        let shared = self.lock();
        match &shared.out_of_service {
            Some(error) => Err(error.clone()),
            None if self.is_for_users && shared.is_founding => Err(DatabaseError::Founding),
            None => Ok(()),
        }
    }
}

impl Database for NodeDatabase {
    async fn snapshot(&self, freshness: Freshness) -> Result<Snapshot, DatabaseError> {
        match freshness {
            // Enough to find the live tables, which say why this node is out of service. A statement that
            // reads or writes stored tables goes on to ask for what is refused below.
            Freshness::Local => Ok(self.lock().newest.clone().mended_by(self.asking.clone())),
            Freshness::AtLeast(version) => {
                self.check_in_service()?;
                let asked = self.asking.ask(|reply| Request::SnapshotAt(version, reply)).await?;
                Ok(asked.mended_by(self.asking.clone()))
            }
            Freshness::Linearizable => {
                self.check_in_service()?;
                Ok(self.asking.ask(Request::Snapshot).await?.mended_by(self.asking.clone()))
            }
        }
    }

    async fn commit(&self, commit: Commit) -> Result<Version, DatabaseError> {
        self.check_in_service()?;
        self.asking.ask(|reply| Request::Commit(Arc::new(commit), reply)).await
    }

    async fn call(&self, procedure: Procedure) -> Result<(), DatabaseError> {
        self.check_in_service()?;
        let node = |id: i64| u8::try_from(id).ok().filter(|id| *id > 0).map(NodeId);
        let change = match procedure {
            Procedure::TransferLeadership(None) => Change::Lead(None),
            Procedure::TransferLeadership(Some(id)) => {
                Change::Lead(Some(node(id).ok_or(DatabaseError::NoSuchNode)?))
            }
            Procedure::RemoveNode(id) => Change::Remove(node(id).ok_or(DatabaseError::NoSuchNode)?),
        };
        self.asking.ask(|reply| Request::Change(change, reply)).await
    }

    fn origin(&self) -> Origin {
        Origin { node: self.node }
    }

    fn new_session_id(&self) -> u64 {
        self.lock().rng.next_u64()
    }

    fn wall_micros(&self) -> i64 {
        self.lock().wall_micros
    }

    fn live_tables(&self) -> &'static [LiveTable] {
        LIVE_TABLES
    }

    async fn live_rows(&self, name: &str) -> Result<LiveRows, DatabaseError> {
        if name == tables::TABLE.name {
            self.check_in_service()?;
            let snapshot = self.lock().newest.clone();
            let rows = tables::rows(&snapshot).await.map_err(DatabaseError::Unreadable)?;
            return Ok(LiveRows { rows, silent: Vec::new() });
        }
        let name = name.to_string();
        self.asking.ask(|reply| Request::LiveRows(name, reply)).await
    }

    async fn signal(&self, signal: Signal) -> Result<bool, DatabaseError> {
        self.asking.ask(|reply| Request::Signal(signal, reply)).await
    }

    fn memory(&self) -> &Arc<MemoryPool> {
        &self.memory
    }

    fn turns(&self) -> &Arc<Turns> {
        &self.turns
    }

    fn claims(&self) -> &Arc<Claims> {
        &self.claims
    }

    fn builders(&self) -> &Arc<Builders> {
        &self.builders
    }

    fn channels(&self) -> &Arc<Channels> {
        &self.channels
    }

    fn tables(&self) -> &TableCache {
        &self.tables
    }

    fn sequences(&self) -> &SequenceNumbers {
        &self.sequences
    }

    fn programs(&self) -> &Programs {
        &self.programs
    }

    fn cluster_name(&self) -> String {
        self.cluster_name.to_string()
    }
}
