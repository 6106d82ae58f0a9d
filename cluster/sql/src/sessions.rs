//! `sys.sessions`: who is connected, to which node, and what each does. Live, as its rows are computed where the sessions are;
//! here, as sessions can be ended by functions and by deleting their rows, and `pg_stat_activity` shows the same.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;

use cluster_calendar::Timestamptz;
use cluster_format::{NodeId, Version};
use serde::{Deserialize, Serialize};

use crate::database::LiveTable;
use crate::exec::Row;
use crate::session::Status;
use crate::types::{DataType, Datum};

/// The table.
pub const TABLE: LiveTable = LiveTable {
    name: "sessions",
    columns: &[
        ("node", DataType::Int4),
        ("pid", DataType::Int4),
        ("kind", DataType::Text),
        ("user_name", DataType::Text),
        ("application_name", DataType::Text),
        ("state", DataType::Text),
        ("statement", DataType::Text),
        ("started_at", DataType::Timestamptz),
        ("transaction_started_at", DataType::Timestamptz),
        ("statement_started_at", DataType::Timestamptz),
        ("state_changed_at", DataType::Timestamptz),
    ],
    configured: None,
};

/// Where [`TABLE`] has the process id.
pub(crate) const PID: usize = 1;

/// Bytes of a statement's text that are shown.
pub const STATEMENT_LEN_MAX: usize = 1024;

/// What is asked of a session from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// The session's process id, which says whose it is.
    pub pid: i32,
    /// It is to end; else its statement is to stop.
    pub ends: bool,
}

/// What a session does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It runs a statement.
    Running,
    /// It waits for its client.
    Waiting(Status),
}

impl Activity {
    /// As PostgreSQL calls it.
    pub fn name(self) -> &'static str {
        match self {
            Activity::Running => "active",
            Activity::Waiting(Status::Idle) => "idle",
            Activity::Waiting(Status::Transaction) => "idle in transaction",
            Activity::Waiting(Status::Failed) => "idle in transaction (aborted)",
        }
    }
}

/// A transaction block that is open, as it was when its last statement had ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenBlock {
    /// The version that it reads; none before its first statement.
    pub version: Option<Version>,
    /// Bytes that it is going to write.
    pub written_len: usize,
    /// How many rows, and entries of indexes, these are.
    pub written: usize,
    /// Whether it may write.
    pub read_only: bool,
}

/// What there is to say of a session. Times are in microseconds since the Unix epoch.
#[derive(Clone, Debug)]
pub struct SessionStatus {
    /// Its process id.
    pub pid: i32,
    /// By which protocol its client speaks.
    pub kind: &'static str,
    /// Whose it is.
    pub user: Arc<str>,
    /// What its client calls itself.
    pub application_name: String,
    /// What it does.
    pub activity: Activity,
    /// What it runs, or ran last: the beginning of the text.
    pub statement: Arc<str>,
    /// When it began.
    pub started: i64,
    /// When its transaction did, if it is in one.
    pub transaction_started: Option<i64>,
    /// When its statement did.
    pub statement_started: Option<i64>,
    /// Since when it does what it does.
    pub changed: i64,
    /// The block that it is in.
    pub block: Option<OpenBlock>,
}

impl SessionStatus {
    /// Its row, as one of `node`.
    pub fn row(&self, node: NodeId) -> Row {
        vec![
            Datum::Int4(node.0.into()),
            Datum::Int4(self.pid),
            Datum::Text(self.kind.into()),
            Datum::Text((*self.user).into()),
            Datum::Text(self.application_name.clone()),
            Datum::Text(self.activity.name().into()),
            Datum::Text((*self.statement).into()),
            moment(Some(self.started)),
            moment(self.transaction_started),
            moment(self.statement_started),
            moment(Some(self.changed)),
        ]
    }
}

/// A time in microseconds since the Unix epoch, as a value.
pub fn moment(micros: Option<i64>) -> Datum {
    let known = micros.and_then(|micros| Timestamptz::from_unix_micros(micros).ok());
    known.map_or(Datum::Null, Datum::Timestamptz)
}

/// What of a statement's text is shown.
pub fn shown(sql: &str) -> Arc<str> {
    sql.get(..sql.floor_char_boundary(STATEMENT_LEN_MAX)).unwrap_or_default().into()
}
