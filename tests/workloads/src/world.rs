//! Where a workload runs: the small seam between it and a cluster.

use std::fmt;
use std::time::Duration;

/// One row, as text.
pub type Row = Vec<Option<String>>;

/// What a statement gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The rows of all statements.
    pub rows: Vec<Row>,
    /// How many rows the last statement returned or changed.
    pub affected: u64,
}

impl Answer {
    /// The number in a cell.
    pub fn number(&self, row: usize, column: usize) -> Option<i64> {
        self.rows.get(row)?.get(column)?.as_ref()?.parse().ok()
    }
}

/// Why a statement gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server said so: SQLSTATE and message.
    Server(String, String),
    /// The connection broke, or the answer took too long: the statement's fate is unknown.
    Lost,
}

impl Failure {
    /// Whether the statement may have taken effect all the same.
    pub fn is_unknown(&self) -> bool {
        match self {
            // transaction_resolution_unknown
            Failure::Server(state, _) => state == "08007",
            Failure::Lost => true,
        }
    }

    /// Whether the server said this.
    pub fn is(&self, sqlstate: &str) -> bool {
        matches!(self, Failure::Server(state, _) if state == sqlstate)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Server(state, message) => write!(f, "{state}: {message}"),
            Failure::Lost => f.write_str("the connection broke, or the answer took too long"),
        }
    }
}

/// A cluster, as its clients see it. No call takes for ever.
#[allow(async_fn_in_trait, reason = "every client's future stays on the thread that made it")]
pub trait World: Clone + 'static {
    /// A session with one node.
    type Connection: Connection;

    /// How many nodes there are: 1 to this.
    fn nodes(&self) -> u8;

    /// Connects to a node.
    async fn connect(&self, node: u8) -> Result<Self::Connection, Failure>;

    /// Waits.
    async fn sleep(&self, span: Duration);

    /// The time since some start that all clients share.
    fn now(&self) -> Duration;

    /// A random number.
    fn random(&self) -> u64;
}

/// A session with one node.
#[allow(async_fn_in_trait, reason = "every client's future stays on the thread that made it")]
pub trait Connection {
    /// Runs statements.
    async fn query(&mut self, sql: &str) -> Result<Answer, Failure>;
}

/// A random number below `bound`.
pub fn below<W: World>(world: &W, bound: u64) -> u64 {
    world.random() % bound.max(1)
}
