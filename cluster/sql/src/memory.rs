//! A database of one node that lives in memory: the same tables, the same conflict check, no disk and no
//! peers. For tests, examples and trying SQL; it forgets everything when the last clone is dropped.

use alloc::string::String;
use alloc::sync::Arc;

use cluster_format::limits::TRANSACTION_LEN_MAX;
use cluster_format::{Commit, Digest, Entry, LogPosition, NodeId, Origin, Payload, Version};
use cluster_store::{MemoryPool, RequestState, Snapshot, Tables};
use spin::Mutex;

use crate::builders::Builders;
use crate::catalog::TableCache;
use crate::claims::Claims;
use crate::database::{Database, DatabaseError, Freshness, LiveRows, LiveTable, Procedure, SequenceNumbers};
use crate::notify::{Channels, notifications};
use crate::programs::Programs;
use crate::sessions::{self, Signal};
use crate::turns::Turns;
use crate::types::{DataType, Datum};

/// A single-node, in-memory [`Database`]. Clones are the same database.
#[derive(Clone)]
pub struct MemoryDatabase {
    state: Arc<Mutex<State>>,
    memory: Arc<MemoryPool>,
    sequences: Arc<SequenceNumbers>,
    tables: Arc<TableCache>,
    claims: Arc<Claims>,
    builders: Arc<Builders>,
    turns: Arc<Turns>,
    channels: Arc<Channels>,
    programs: Arc<Programs>,
}

/// What its sessions share, in bytes.
const SESSIONS_MEMORY: usize = 256 << 20;

struct State {
    tables: Tables,
    len_max: usize,
    sessions: u64,
    wall_micros: i64,
}

static LIVE_TABLES: [LiveTable; 2] = [
    LiveTable {
        name: "nodes",
        columns: &[("id", DataType::Int4), ("name", DataType::Text), ("applied", DataType::Int8)],
        configured: None,
    },
    sessions::TABLE,
];

impl MemoryDatabase {
    /// An empty database whose clock stands at `wall_micros` (microseconds since the Unix epoch) until
    /// [`MemoryDatabase::set_wall_micros`].
    pub fn new(wall_micros: i64) -> MemoryDatabase {
        let state = State {
            tables: Tables::in_memory(),
            len_max: 64 * TRANSACTION_LEN_MAX,
            sessions: 0,
            wall_micros,
        };
        MemoryDatabase {
            state: Arc::new(Mutex::new(state)),
            memory: MemoryPool::new(SESSIONS_MEMORY),
            sequences: Arc::default(),
            tables: Arc::default(),
            claims: Arc::default(),
            builders: Arc::default(),
            turns: Arc::default(),
            channels: Arc::default(),
            programs: Arc::default(),
        }
    }

    /// Moves the clock.
    pub fn set_wall_micros(&self, wall_micros: i64) {
        self.state.lock().wall_micros = wall_micros;
    }

    fn commit_now(&self, commit: Commit) -> Result<Version, DatabaseError> {
        let mut state = self.state.lock();
        match state.tables.request_state(commit.request) {
            RequestState::Applied(version) => return Ok(version),
            RequestState::Superseded => return Err(DatabaseError::Unknown),
            RequestState::Unknown => {}
        }
        if state.tables.memory_len() + commit.len_estimate() > state.len_max {
            return Err(DatabaseError::MemoryFull);
        }
        let checked = state.tables.check(&commit);
        checked.map_err(DatabaseError::Conflict)?;
        let version = state.tables.version().next();
        let told = notifications(&commit);
        let payload = Payload::Commit(Arc::new(commit));
        let (wall_micros, previous) = (state.wall_micros, Digest::ZERO);
        let entry = Entry::new(LogPosition { term: 1, version }, wall_micros, previous, payload);
        state.tables.apply(&entry).map_err(|_| DatabaseError::Unknown)?;
        self.channels.tell(told);
        Ok(version)
    }
}

impl Database for MemoryDatabase {
    async fn snapshot(&self, _freshness: Freshness) -> Result<Snapshot, DatabaseError> {
        Ok(self.state.lock().tables.snapshot())
    }

    async fn commit(&self, commit: Commit) -> Result<Version, DatabaseError> {
        self.commit_now(commit)
    }

    async fn call(&self, _procedure: Procedure) -> Result<(), DatabaseError> {
        // One that is alone can neither hand over nor remove itself.
        Err(DatabaseError::NoSuccessor)
    }

    fn origin(&self) -> Origin {
        Origin { node: NodeId(1) }
    }

    fn new_session_id(&self) -> u64 {
        let mut state = self.state.lock();
        state.sessions += 1;
        state.sessions
    }

    fn wall_micros(&self) -> i64 {
        self.state.lock().wall_micros
    }

    fn live_tables(&self) -> &'static [LiveTable] {
        &LIVE_TABLES
    }

    async fn live_rows(&self, name: &str) -> Result<LiveRows, DatabaseError> {
        let mut live = LiveRows::default();
        if name == "nodes" {
            let applied = i64::try_from(self.state.lock().tables.version().0).unwrap_or(i64::MAX);
            live.rows.push([Datum::Int4(1), Datum::Text("memory".into()), Datum::Int8(applied)].into());
        }
        Ok(live)
    }

    async fn signal(&self, _signal: Signal) -> Result<bool, DatabaseError> {
        // It knows nobody's sessions.
        Ok(false)
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
        "memory".into()
    }
}
