//! One connection, from its first byte to its last.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;

use cluster_sql::database::Database;
use cluster_sql::{ENDED, Session, SqlError, SqlState, Status};

use crate::client::{Client, Ended, Stop};
use crate::extended::Extended;
use crate::frontend::{Malformed, Message, Startup};
use crate::registry::{Entered, arrived};
use crate::{Connection, Registry};

/// The only user, who may do everything.
pub(crate) const USER: &str = "relix";

/// The only database.
pub(crate) const DATABASE: &str = "relix";

/// The setting by which a client says what it is.
const APPLICATION_NAME: &str = "application_name";

/// Serves one client until it leaves. `backend` is the process id the client is told and must be unique
/// among the node's connections; `secret` is what it must show to cancel.
pub async fn serve<C: Connection, D: Database>(
    connection: C,
    database: D,
    registry: Arc<Registry>,
    backend: u32,
    secret: u32,
) {
    let mut client = Client::new(connection);
    let ended = match begin(&mut client, database, &registry, backend, secret).await {
        Ok(Some((session, entered))) => {
            let extended = Extended::default();
            let mut backend = Backend { client, session, entered, extended, at_rest: true };
            let Err(ended) = backend.run().await;
            client = backend.client;
            ended
        }
        Ok(None) => return,
        Err(ended) => ended,
    };
    if let Some(error) = last_words(ended) {
        client.out.error("FATAL", &error);
        let _ = client.flush().await;
    }
}

/// What the client is told when its connection ends.
fn last_words(ended: Ended) -> Option<SqlError> {
    Some(match ended {
        Ended::Closed => return None,
        Ended::Malformed(Malformed::Version(version)) => {
            let message = format!("unsupported frontend protocol {}.{}", version >> 16, version & 0xffff);
            SqlError::new(SqlState::NOT_SUPPORTED, message)
        }
        Ended::Malformed(Malformed::Length) => violation("invalid length of message".into()),
        Ended::Malformed(Malformed::Type(tag)) => violation(format!("invalid frontend message type {tag}")),
        Ended::Malformed(Malformed::Body) => violation("invalid message format".into()),
        Ended::Malformed(Malformed::Encoding) => {
            SqlError::new(SqlState::BAD_CHARACTER, "invalid byte sequence for encoding \"UTF8\"")
        }
        Ended::Terminated => SqlError::new(SqlState::ADMIN_SHUTDOWN, ENDED),
        Ended::Missed(missed) => {
            SqlError::new(SqlState::ADMIN_SHUTDOWN, format!("terminating connection: {missed}"))
                .hint("Connect again, LISTEN, and look at the tables for what has changed.")
        }
        Ended::Idle { in_transaction: true } => {
            let message = "terminating connection due to idle-in-transaction timeout";
            SqlError::new(SqlState::IDLE_IN_TRANSACTION, message)
        }
        Ended::Idle { in_transaction: false } => {
            SqlError::new(SqlState::IDLE_SESSION, "terminating connection due to idle-session timeout")
        }
    })
}

pub(crate) fn violation(message: String) -> SqlError {
    SqlError::new(SqlState::PROTOCOL_VIOLATION, message)
}

/// The session of a client that has said who it is; none if there is to be none.
async fn begin<C: Connection, D: Database>(
    client: &mut Client<C>,
    database: D,
    registry: &Arc<Registry>,
    backend: u32,
    secret: u32,
) -> Result<Option<(Session<D>, Entered)>, Ended> {
    // As PostgreSQL does, nothing is said to a client that says nothing.
    let arrival = registry.arrive(backend);
    let introduced = arrival.in_time(introduce(client, registry)).await.unwrap_or(Err(Ended::Closed))?;
    let Some((minor, parameters)) = introduced else { return Ok(None) };
    let entered = match check_startup(&parameters) {
        Ok(()) => arrival
            .enter(secret, arrived("postgres", backend, &database))
            .ok_or_else(|| SqlError::new(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already")),
        Err(error) => Err(error),
    };
    let mut entered = match entered {
        Ok(entered) => entered,
        Err(error) => {
            client.out.error("FATAL", &error);
            client.flush().await?;
            return Ok(None);
        }
    };
    let options: Vec<&str> =
        parameters.iter().map(|(name, _)| name.as_str()).filter(|name| name.starts_with("_pq_.")).collect();
    if minor > 0 || !options.is_empty() {
        client.out.negotiate_version(&options);
    }
    client.heed(entered.cancel.clone());
    let mut session = Session::new(database, USER, DATABASE, backend, entered.cancel.clone());
    for (name, value) in &parameters {
        session.set_at_start(name, value);
    }
    client.out.authentication_ok();
    for (name, value) in session.reported_settings() {
        client.out.parameter_status(name, &value);
        if name == APPLICATION_NAME {
            entered.rename(value);
        }
    }
    client.out.backend_key(backend, secret);
    client.out.ready_for_query(session.status());
    client.flush().await?;
    Ok(Some((session, entered)))
}

/// The version that the client speaks, and the parameters of its session; none if it wants another's statement cancelled.
async fn introduce<C: Connection>(
    client: &mut Client<C>,
    registry: &Registry,
) -> Result<Option<(u16, Vec<(String, String)>)>, Ended> {
    loop {
        match client.startup().await? {
            Startup::Ssl | Startup::Gss => client.refuse_encryption().await?,
            Startup::Cancel { backend, secret } => {
                registry.cancel(backend, secret);
                return Ok(None);
            }
            Startup::Start { minor, parameters } => return Ok(Some((minor, parameters))),
        }
    }
}

fn check_startup(parameters: &[(String, String)]) -> Result<(), SqlError> {
    let get =
        |wanted: &str| parameters.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let Some(user) = get("user") else {
        let message = "no PostgreSQL user name specified in startup packet";
        return Err(SqlError::new(SqlState::INVALID_AUTHORIZATION, message));
    };
    if user != USER {
        let error = SqlError::new(SqlState::INVALID_AUTHORIZATION, format!("role \"{user}\" does not exist"));
        return Err(error.hint(format!("The user is \"{USER}\".")));
    }
    match get("database") {
        Some(database) if !database.is_empty() && database != DATABASE => {
            let message = format!("database \"{database}\" does not exist");
            Err(SqlError::new(SqlState::INVALID_CATALOG_NAME, message)
                .hint(format!("The database is \"{DATABASE}\".")))
        }
        _ => Ok(()),
    }
}

/// Waits for the next message, as long as the client has time, if that is bounded. Meanwhile it is told what it listens to.
async fn message_meanwhile<C: Connection, D: Database>(
    client: &mut Client<C>,
    session: &Session<D>,
    time: Option<&Entered>,
) -> Result<Message, Ended> {
    loop {
        let notification = {
            let mut message = pin!(client.message());
            let either = poll_fn(|context| match message.as_mut().poll(context) {
                Poll::Ready(message) => Poll::Ready(Err(message)),
                Poll::Pending => session.poll_notification(context).map(Ok),
            });
            let either = match time {
                None => Some(either.await),
                Some(entered) => entered.in_time(either).await,
            };
            match either.ok_or(Ended::Idle { in_transaction: false })? {
                Err(message) => return message,
                Ok(notification) => notification?,
            }
        };
        client.out.notification(&notification);
        while let Some(notification) = session.take_notification()? {
            client.out.notification(&notification);
        }
        client.flush().await?;
    }
}

/// The server's end of a session.
pub(crate) struct Backend<C, D: Database> {
    pub(crate) client: Client<C>,
    pub(crate) session: Session<D>,
    pub(crate) entered: Entered,
    pub(crate) extended: Extended,
    /// Whether the client was told last that the next command may come.
    at_rest: bool,
}

impl<C: Connection, D: Database> Backend<C, D> {
    /// Answers messages until the connection ends.
    async fn run(&mut self) -> Result<core::convert::Infallible, Ended> {
        loop {
            // What was done is told before the session ends.
            if self.at_rest {
                self.entered.check_wanted()?;
            }
            let message = self.next_message().await?;
            if self.extended.skipping && !matches!(message, Message::Sync | Message::Terminate) {
                continue;
            }
            match message {
                Message::Terminate => return Err(Ended::Closed),
                Message::Query(sql) => self.simple_query(&sql).await?,
                Message::Sync => self.sync().await?,
                Message::Flush => self.client.flush().await?,
                // What is left of a copy that failed.
                Message::CopyData(_) | Message::CopyDone | Message::CopyFail(_) => {}
                message => match self.extended_message(message).await {
                    Ok(()) => {}
                    Err(Stop::Ended(ended)) => return Err(ended),
                    Err(Stop::Sql(error)) => {
                        // Or the Sync behind it would be answered as if this had been done.
                        self.failed(&error)?;
                        self.extended.skipping = true;
                        // A client that has sent Flush rather than Sync waits for this before it sends Sync.
                        self.client.flush().await?;
                    }
                },
            }
        }
    }

    /// Waits for the next message, as long as the session may be idle.
    async fn next_message(&mut self) -> Result<Message, Ended> {
        if !core::mem::take(&mut self.at_rest) {
            return self.client.message().await;
        }
        let Backend { client, session, entered, .. } = self;
        client.rest();
        let timeouts = session.timeouts();
        let in_transaction = session.status() != Status::Idle;
        let timeout = if in_transaction { timeouts.idle_in_transaction } else { timeouts.idle };
        let Some(timeout) = timeout else {
            return match in_transaction {
                true => client.message().await,
                false => message_meanwhile(client, session, None).await,
            };
        };
        entered.time_pause(timeout);
        let message = match in_transaction {
            true => entered.in_time(client.message()).await.unwrap_or(Err(Ended::Idle { in_transaction })),
            false => message_meanwhile(client, session, Some(entered)).await,
        };
        entered.stop_timer();
        message
    }

    /// Tells the client what it listens to, as far as that waits already.
    fn notify(&mut self) -> Result<(), Ended> {
        while let Some(notification) = self.session.take_notification()? {
            self.client.out.notification(&notification);
        }
        Ok(())
    }

    /// Tells the client of a failure.
    pub(crate) fn report(&mut self, error: &SqlError) {
        self.session.fail();
        self.remark();
        if !self.is_end(error) {
            self.client.out.error("ERROR", error);
        }
    }

    /// Tells the client of a failure, after which it is told that the next command may come, unless that is the session's
    /// end.
    pub(crate) fn failed(&mut self, error: &SqlError) -> Result<(), Ended> {
        self.report(error);
        if self.is_end(error) { Err(Ended::Terminated) } else { Ok(()) }
    }

    /// Whether an error says no more than that the session is to end, which the client is told last of all.
    fn is_end(&self, error: &SqlError) -> bool {
        error.state == SqlState::ADMIN_SHUTDOWN && self.entered.check_wanted().is_err()
    }

    /// Tells the client what is worth a remark.
    pub(crate) fn remark(&mut self) {
        for notice in self.session.take_notices() {
            self.client.out.notice(&notice);
        }
        for (name, value) in self.session.take_changed_settings() {
            self.client.out.parameter_status(name, &value);
            if name == APPLICATION_NAME {
                self.entered.rename(value);
            }
        }
    }

    /// A statement begins, of which this is shown.
    pub(crate) fn begin_statement(&mut self, shown: Arc<str>) {
        self.entered.begin_statement(shown, self.session.wall_micros());
    }

    /// Ends an implicit transaction and says that the next command may come.
    pub(crate) async fn ready(&mut self) -> Result<(), Ended> {
        match self.session.sync().await {
            Ok(()) => self.remark(),
            Err(error) => self.failed(&error)?,
        }
        self.entered.stop_timer();
        self.entered.rest(self.session.status(), self.session.open_block(), self.session.wall_micros());
        self.at_rest = true;
        if self.session.status() == Status::Idle {
            self.notify()?;
        }
        self.client.out.ready_for_query(self.session.status());
        self.client.flush().await
    }
}
