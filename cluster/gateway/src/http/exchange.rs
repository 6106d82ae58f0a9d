//! One request and its answer, over a connection.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use cluster_calendar::Timestamptz;
use cluster_services::files::Inode;
use cluster_sql::database::{Database, Freshness};
use cluster_sql::sessions::shown;
use cluster_sql::types::Datum;
use cluster_sql::{Answer, Session, SqlError, SqlResult, SqlState, Status};
use cluster_store::Lease;

use super::body::Framing;
use super::change::{Change, Undone};
use super::head::Head;
use super::response::{Response, Stop};
use crate::registry::Entered;
use crate::{Closed, Connection};

/// How long a client may keep us waiting: for its next request, for what is missing of one, or until it takes more of an
/// answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long what is done for a request may take, between what comes of it and what is sent.
const WORK_WITHIN: Duration = Duration::from_secs(60);

/// A body that nobody has asked for is read to this length, so that the next request can be.
const UNWANTED_LEN_MAX: u64 = 1 << 20;

/// How often a transaction is repeated because of conflicts.
const CONFLICTS_MAX: usize = 50;

/// A connection, and what was read of it ahead.
pub(super) struct Wire<C> {
    connection: C,
    input: Vec<u8>,
}

impl<C: Connection> Wire<C> {
    pub(super) fn new(connection: C) -> Wire<C> {
        Wire { connection, input: Vec::new() }
    }

    /// The next head.
    pub(super) async fn head(&mut self) -> Result<Head, Stop> {
        loop {
            // Empty lines before a request are none of it (RFC 9112, section 2.2), and the parser knows that.
            if let Some((head, len)) = Head::decode(&self.input)? {
                self.input.drain(..len);
                return Ok(head);
            }
            self.connection.read(&mut self.input).await?;
        }
    }

    /// Sends an answer to somebody with whom nothing else is spoken.
    pub(super) async fn last(&mut self, response: &Response, now: Timestamptz) -> Result<(), Closed> {
        let mut bytes = response.head(Some(response.body.len() as u64), now, false).into_bytes();
        bytes.extend_from_slice(&response.body);
        self.connection.write(&bytes).await
    }
}

/// A client whose requests are answered, one after the other.
pub(super) struct Exchange<C, D: Database> {
    wire: Wire<C>,
    entered: Entered,
    database: D,
    pub(super) session: Session<D>,
    /// What of the body is still to come.
    framing: Framing,
    /// The client waits to be told that the body is wanted.
    is_held_back: bool,
    /// Of the answer, only the head is wanted.
    is_head_only: bool,
    is_kept: bool,
}

impl<C: Connection, D: Database> Exchange<C, D> {
    pub(super) fn new(wire: Wire<C>, entered: Entered, database: D, session: Session<D>) -> Exchange<C, D> {
        let framing = Framing::Length(0);
        Exchange {
            wire,
            entered,
            database,
            session,
            framing,
            is_held_back: false,
            is_head_only: false,
            is_kept: true,
        }
    }

    /// A request begins.
    pub(super) fn begin(&mut self, head: &Head) {
        self.framing = head.framing;
        let expects = head.field("expect").is_some_and(|what| what.eq_ignore_ascii_case("100-continue"));
        self.is_held_back = expects && head.is_1_1 && !head.framing.is_over();
        self.is_head_only = head.method == "HEAD";
        self.is_kept = head.is_kept;
        let shown = shown(&format!("{} {}", head.method, head.path));
        self.entered.begin_statement(shown, self.database.wall_micros());
    }

    /// The head of the next request; none if the connection is not for another.
    pub(super) async fn next(&mut self) -> Result<Option<Head>, Stop> {
        if !self.is_kept {
            return Ok(None);
        }
        let now = self.database.wall_micros();
        let Exchange { wire, entered, .. } = self;
        if entered.cancel.ends() {
            return Err(Stop::Closed);
        }
        entered.rest(Status::Idle, None, now);
        entered.within(PATIENCE, wire.head()).await.unwrap_or(Err(Stop::Closed)).map(Some)
    }

    /// Nothing more is understood of what the client sends.
    pub(super) fn give_up(&mut self) {
        self.is_kept = false;
        self.framing = Framing::Length(0);
    }

    /// How long the rest of the body is, if that is known.
    pub(super) fn body_len(&self) -> Option<u64> {
        self.framing.left()
    }

    /// Appends what comes next of the body to `into`, until that is `most` bytes or the body is over; whether it is.
    pub(super) async fn body(&mut self, into: &mut Vec<u8>, most: usize) -> Result<bool, Stop> {
        while into.len() < most && !self.framing.is_over() {
            let len = self.framing.decode(&self.wire.input, into, most - into.len())?;
            self.wire.input.drain(..len);
            if len == 0 && into.len() < most && !self.framing.is_over() {
                self.read().await?;
            }
        }
        Ok(self.framing.is_over())
    }

    /// The whole body, if it is not longer than that.
    pub(super) async fn whole_body(&mut self, most: usize) -> Result<Vec<u8>, Stop> {
        let too_long = || Response::error(413, &alloc::format!("the body may have {most} bytes"), None);
        if self.framing.left().is_some_and(|len| len > most as u64) {
            return Err(too_long().into());
        }
        let mut body = Vec::new();
        // It may be over with the last byte that it may have, which the next call finds out.
        if self.body(&mut body, most + 1).await? && body.len() <= most {
            Ok(body)
        } else {
            Err(too_long().into())
        }
    }

    async fn read(&mut self) -> Result<(), Stop> {
        if core::mem::take(&mut self.is_held_back) {
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let Exchange { wire, entered, .. } = self;
        let read = entered.within(PATIENCE, wire.connection.read(&mut wire.input)).await;
        Ok(read.unwrap_or(Err(Closed))?)
    }

    /// Sends bytes of the answer.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let Exchange { wire, entered, .. } = self;
        let written = entered.within(PATIENCE, wire.connection.write(bytes)).await;
        Ok(written.unwrap_or(Err(Closed))?)
    }

    /// Answers. What is left of the body is read first, for a client that does not look for the answer before it has sent all;
    /// if it is too much, the connection ends with the answer.
    pub(super) async fn respond(&mut self, response: Response) -> Result<(), Stop> {
        self.skip_body().await?;
        let len = response.body.len() as u64;
        let mut bytes = self.head_of(&response, len).into_bytes();
        if !self.is_head_only {
            bytes.extend_from_slice(&response.body);
        }
        self.write(&bytes).await
    }

    async fn skip_body(&mut self) -> Result<(), Stop> {
        if self.is_held_back {
            // It may send the body all the same, or not.
            self.give_up();
        }
        let mut unwanted = Vec::new();
        let mut len = 0;
        while !self.framing.is_over() && len < UNWANTED_LEN_MAX {
            unwanted.clear();
            self.body(&mut unwanted, 64 << 10).await?;
            len += unwanted.len() as u64;
        }
        if !self.framing.is_over() {
            self.give_up();
        }
        Ok(())
    }

    fn head_of(&self, response: &Response, len: u64) -> String {
        let len = (!matches!(response.status, 204 | 304)).then_some(len);
        response.head(len, self.now(), self.is_kept)
    }

    /// Begins an answer whose body, of that length, follows in pieces; whether it is wanted.
    pub(super) async fn begin_response(&mut self, response: &Response, len: u64) -> Result<bool, Stop> {
        self.skip_body().await?;
        let head = self.head_of(response, len);
        self.write(head.as_bytes()).await?;
        Ok(!self.is_head_only)
    }

    /// Begins an answer whose end nobody knows: it ends with the connection.
    pub(super) async fn begin_endless(&mut self, response: &Response) -> Result<bool, Stop> {
        self.skip_body().await?;
        self.is_kept = false;
        let head = response.head(None, self.now(), false);
        self.write(head.as_bytes()).await?;
        Ok(!self.is_head_only)
    }

    /// What `wait` finds before the time is over. An error if the client has gone, has sent what nobody waits for, or its session
    /// is to end.
    pub(super) async fn meanwhile<T>(
        &mut self,
        time: Duration,
        wait: impl FnMut(&Session<D>, &mut core::task::Context<'_>) -> core::task::Poll<T>,
    ) -> Result<Option<T>, Stop> {
        use core::task::Poll;
        let (mut wait, mut ignored) = (wait, Vec::new());
        let Exchange { wire, entered, session, .. } = self;
        let either = {
            let mut read = core::pin::pin!(wire.connection.read(&mut ignored));
            let either = core::future::poll_fn(|context| match wait(session, context) {
                Poll::Ready(found) => Poll::Ready(Ok(found)),
                Poll::Pending => read.as_mut().poll(context).map(|_| Err(Stop::Closed)),
            });
            entered.within(time, either).await
        };
        if entered.cancel.ends() {
            return Err(Stop::Closed);
        }
        either.transpose()
    }

    pub(super) fn now(&self) -> Timestamptz {
        now(&self.database)
    }

    /// A number that nobody else is given.
    pub(super) fn random(&self) -> u64 {
        self.database.new_session_id()
    }

    /// So much of the memory that this node's sessions share.
    pub(super) fn lease(&self, len: usize) -> Result<Lease, Stop> {
        let mut lease = self.database.memory().lease();
        match lease.resize(len) {
            Ok(()) => Ok(lease),
            Err(_) => {
                let message = "this node has no memory left for another transfer";
                Err(SqlError::new(SqlState::OUT_OF_MEMORY, message).into())
            }
        }
    }

    /// The same for a body that has `most` bytes at most, or of which so many are in memory at once.
    pub(super) fn lease_for_body(&self, most: usize) -> Result<Lease, Stop> {
        let len = self.framing.left().and_then(|len| usize::try_from(len).ok());
        self.lease(len.unwrap_or(most).min(most))
    }

    /// Runs a statement, a transaction of its own.
    pub(super) async fn run(&mut self, sql: &str, params: Vec<Datum>) -> SqlResult<Answer> {
        self.begin_work();
        let mut answer = self.session.run(sql, params).await;
        // What it listens to, it listens to from then on.
        if let Err(error) = self.session.sync().await {
            answer = answer.and(Err(error));
        }
        self.end_work();
        answer
    }

    /// Changes files, in a transaction, and again if that has met a conflict. What this node has applied is enough to succeed
    /// on, as the commit makes sure that it still holds; what fails on it is tried again on what is confirmed.
    pub(super) async fn change(&mut self, change: Change<'_>) -> Result<Option<Inode>, Stop> {
        self.begin_work();
        let (mut freshness, mut conflicts) = (Freshness::Local, 0);
        let done = loop {
            match transaction(&mut self.session, freshness, &change).await {
                Ok(done) => break Ok(done),
                Err(Undone::Conflict(_)) if conflicts < CONFLICTS_MAX => conflicts += 1,
                Err(Undone::Stop(_)) if freshness == Freshness::Local => {}
                Err(Undone::Conflict(error) | Undone::Over(error)) => break Err(error.into()),
                Err(Undone::Stop(stop)) => break Err(stop),
            }
            freshness = Freshness::Linearizable;
        };
        self.end_work();
        done
    }

    /// What takes too long from here on is cancelled.
    pub(super) fn begin_work(&mut self) {
        self.entered.go_on();
        self.entered.time_statement(Some(WORK_WITHIN));
    }

    /// It was done.
    pub(super) fn end_work(&mut self) {
        self.entered.stop_timer();
    }
}

/// What time it is: the clock of a machine may stand anywhere.
pub(super) fn now<D: Database>(database: &D) -> Timestamptz {
    Timestamptz::from_unix_micros(database.wall_micros()).unwrap_or(Timestamptz::INFINITY)
}

async fn transaction<D: Database>(
    session: &mut Session<D>,
    freshness: Freshness,
    change: &Change<'_>,
) -> Result<Option<Inode>, Undone> {
    session.begin_on(freshness).await.map_err(Undone::of)?;
    match change.apply(session).await {
        Ok(found) => session.end_block().await.map(|()| found).map_err(|error| match error.state {
            SqlState::SERIALIZATION_FAILURE => Undone::Conflict(error),
            _ => Undone::Over(error),
        }),
        Err(undone) => {
            session.abandon_block();
            Err(undone)
        }
    }
}
