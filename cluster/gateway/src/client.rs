//! Messages over a connection, in both directions.

use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_sql::{CancelFlag, Missed, SqlError};

use crate::backend::Output;
use crate::frontend::{self, Malformed, Message, Startup};
use crate::{Closed, Connection};

/// Output is sent on when so much of it has gathered.
pub(crate) const CHUNK_LEN: usize = 16 * 1024;

/// A client that is idle keeps so much of its buffers.
const AT_REST_LEN: usize = 2 * 1024;

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Closed,
    Malformed(Malformed),
    /// The client has not been told all that it listens to.
    Missed(Missed),
    /// Somebody wants the session to end.
    Terminated,
    /// The client has said nothing for too long: in a transaction, or outside.
    Idle {
        in_transaction: bool,
    },
}

impl From<Closed> for Ended {
    fn from(_: Closed) -> Ended {
        Ended::Closed
    }
}

impl From<Missed> for Ended {
    fn from(missed: Missed) -> Ended {
        Ended::Missed(missed)
    }
}

impl From<Malformed> for Ended {
    fn from(malformed: Malformed) -> Ended {
        Ended::Malformed(malformed)
    }
}

/// Why the work on a message stops.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The connection has ended.
    Ended(Ended),
    /// The client is told, and goes on.
    Sql(SqlError),
}

impl From<Ended> for Stop {
    fn from(ended: Ended) -> Stop {
        Stop::Ended(ended)
    }
}

impl From<SqlError> for Stop {
    fn from(error: SqlError) -> Stop {
        Stop::Sql(error)
    }
}

/// A connection with what was read ahead and what is not yet written.
pub(crate) struct Client<C> {
    connection: C,
    input: Vec<u8>,
    /// How much of the input is done with.
    consumed: usize,
    pub(crate) out: Output,
    /// Set when the session is to end: nothing is waited for then.
    ending: Arc<CancelFlag>,
}

impl<C: Connection> Client<C> {
    pub(crate) fn new(connection: C) -> Client<C> {
        let (input, out, ending) = (Vec::new(), Output::default(), Arc::default());
        Client { connection, input, consumed: 0, out, ending }
    }

    /// From now on, waiting for the client ends when `ending` says that the session does.
    pub(crate) fn heed(&mut self, ending: Arc<CancelFlag>) {
        self.ending = ending;
    }

    fn ahead(&self) -> &[u8] {
        self.input.get(self.consumed..).unwrap_or_default()
    }

    /// Nothing is under way: what long messages have taken is given back.
    pub(crate) fn rest(&mut self) {
        self.input.shrink_to(AT_REST_LEN);
        self.out.0.shrink_to(AT_REST_LEN);
    }

    async fn read(&mut self) -> Result<(), Ended> {
        self.input.drain(..self.consumed.min(self.input.len()));
        self.consumed = 0;
        let read = self.ending.unless_ended(self.connection.read(&mut self.input)).await;
        Ok(read.ok_or(Ended::Terminated)??)
    }

    fn consume(&mut self, len: usize) {
        self.consumed += len;
        if self.consumed >= self.input.len() {
            self.input.clear();
            self.consumed = 0;
            // One long message is no reason to keep its memory.
            self.input.shrink_to(4 * CHUNK_LEN);
        }
    }

    pub(crate) async fn startup(&mut self) -> Result<Startup, Ended> {
        loop {
            if let Some((startup, len)) = frontend::decode_startup(self.ahead())? {
                self.consume(len);
                return Ok(startup);
            }
            self.read().await?;
        }
    }

    pub(crate) async fn message(&mut self) -> Result<Message, Ended> {
        loop {
            if let Some((message, len)) = frontend::decode(self.ahead())? {
                self.consume(len);
                return Ok(message);
            }
            self.read().await?;
        }
    }

    /// Whether `Sync` comes next. Waits for it or another: until one of those that end a pipeline or ask for
    /// its output has come, no client waits for an answer.
    pub(crate) async fn sync_follows(&mut self) -> Result<bool, Ended> {
        loop {
            if let Some(tag) = self.ahead().first() {
                return Ok(*tag == b'S');
            }
            self.read().await?;
        }
    }

    /// Sends the output if there is much of it.
    pub(crate) async fn flush_if_long(&mut self) -> Result<(), Ended> {
        if self.out.0.len() >= CHUNK_LEN { self.flush().await } else { Ok(()) }
    }

    /// Sends the output.
    pub(crate) async fn flush(&mut self) -> Result<(), Ended> {
        if !self.out.0.is_empty() {
            // Whoever does not take what was begun to be sent is told nothing more.
            let written = self.ending.unless_ended(self.connection.write(&self.out.0)).await;
            written.ok_or(Ended::Closed)??;
            self.out.0.clear();
            self.out.0.shrink_to(4 * CHUNK_LEN);
        }
        Ok(())
    }

    /// Sends a byte that is no message.
    pub(crate) async fn refuse_encryption(&mut self) -> Result<(), Ended> {
        self.connection.write(b"N").await?;
        Ok(())
    }
}
