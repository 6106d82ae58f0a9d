//! Who is connected: the bound on connections, the way a cancel request finds its session, and the times by which
//! sessions must have done something.
//!
//! Whoever drives the sessions has the clock: it says what time it is with [`Registry::advance`], and is told by
//! [`Registry::deadline`] when that matters next. A session has one timer at most: of the statement that it runs, or of
//! the pause between two.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Poll, Waker};
use core::time::Duration;

use cluster_format::limits::CONNECTIONS_MAX;
use cluster_sql::database::Database;
use cluster_sql::sessions::{Activity, OpenBlock, SessionStatus, Signal};
use cluster_sql::{CancelFlag, CancelReason, Status};
use drivers_api::Instant;
use spin::Mutex;

use crate::client::Ended;
use crate::serve::USER;

/// A client must say who it is within this.
pub const ARRIVED_WITHIN: Duration = Duration::from_secs(10);

/// The sessions of one node, by backend process id.
pub struct Registry {
    sessions: Mutex<Sessions>,
    connections_max: usize,
}

struct Sessions {
    by_backend: BTreeMap<u32, Registered>,
    now: Instant,
    /// Whose time runs, also of clients that are not in a session yet.
    timers: BTreeMap<u32, Timer>,
    /// When they end.
    due: BTreeSet<(Instant, u32)>,
}

struct Registered {
    secret: u32,
    cancel: Arc<CancelFlag>,
    shown: Shown,
}

/// What is shown of a session, which keeps it up to date.
pub(crate) type Shown = Arc<Mutex<SessionStatus>>;

struct Timer {
    at: Instant,
    ends: Ends,
}

/// What happens at the end of a time.
enum Ends {
    /// The statement is cancelled.
    Statement,
    /// Whoever waits for the client is woken.
    Pause(Option<Waker>),
    /// It has been.
    Over,
}

impl Sessions {
    fn disarm(&mut self, backend: u32) {
        if let Some(timer) = self.timers.remove(&backend) {
            self.due.remove(&(timer.at, backend));
        }
    }

    fn arm(&mut self, backend: u32, after: Duration, ends: Ends) {
        self.disarm(backend);
        let at = self.now + after;
        self.timers.insert(backend, Timer { at, ends });
        self.due.insert((at, backend));
    }
}

impl Registry {
    /// No sessions yet; at most [`CONNECTIONS_MAX`].
    pub fn new() -> Registry {
        Registry::with_connections_max(CONNECTIONS_MAX)
    }

    /// No sessions yet; at most `connections_max`.
    pub fn with_connections_max(connections_max: usize) -> Registry {
        let sessions = Sessions {
            by_backend: BTreeMap::new(),
            now: Instant::ZERO,
            timers: BTreeMap::new(),
            due: BTreeSet::new(),
        };
        Registry { sessions: Mutex::new(sessions), connections_max }
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.sessions.lock().by_backend.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// It is `now`: whatever has taken too long ends.
    pub fn advance(&self, now: Instant) {
        let mut sessions = self.sessions.lock();
        sessions.now = now;
        while let Some((at, backend)) = sessions.due.first().copied()
            && at <= now
        {
            sessions.due.remove(&(at, backend));
            let Some(timer) = sessions.timers.get_mut(&backend) else { continue };
            match core::mem::replace(&mut timer.ends, Ends::Over) {
                Ends::Statement => {
                    if let Some(session) = sessions.by_backend.get(&backend) {
                        session.cancel.set(CancelReason::Timeout);
                    }
                }
                Ends::Pause(Some(waker)) => waker.wake(),
                Ends::Pause(None) | Ends::Over => {}
            }
        }
    }

    /// When [`Registry::advance`] has something to do next.
    pub fn deadline(&self) -> Option<Instant> {
        self.sessions.lock().due.first().map(|(at, _)| *at)
    }

    /// Sets the cancel flag of session `backend`, if `secret` is its secret.
    pub fn cancel(&self, backend: u32, secret: u32) {
        if let Some(session) = self.sessions.lock().by_backend.get(&backend)
            && session.secret == secret
        {
            session.cancel.set(CancelReason::Request);
        }
    }

    /// What there is to say of each session.
    pub fn sessions(&self) -> Vec<SessionStatus> {
        self.sessions.lock().by_backend.values().map(|session| session.shown.lock().clone()).collect()
    }

    /// Tells a session to stop its statement, or to end; whether it is there.
    pub fn signal(&self, signal: Signal) -> bool {
        let sessions = self.sessions.lock();
        let session = sessions.by_backend.get(&signal.pid.cast_unsigned());
        session.is_some_and(|session| {
            session.cancel.set(if signal.ends { CancelReason::End } else { CancelReason::Request });
            true
        })
    }

    /// Tells all sessions to end.
    pub fn end_all(&self) {
        self.sessions.lock().by_backend.values().for_each(|session| session.cancel.set(CancelReason::End));
    }

    /// The time of a client that has yet to say who it is begins.
    pub(crate) fn arrive(self: &Arc<Self>, backend: u32) -> Timed {
        let timed = Timed { registry: self.clone(), backend };
        timed.arm(ARRIVED_WITHIN, Ends::Pause(None));
        timed
    }

    /// Whether the time that a client had is over; `waker` is woken when it is.
    fn is_over(&self, backend: u32, waker: &Waker) -> bool {
        match self.sessions.lock().timers.get_mut(&backend) {
            Some(Timer { ends: Ends::Over, .. }) => true,
            Some(Timer { ends: Ends::Pause(waiting), .. }) => {
                *waiting = Some(waker.clone());
                false
            }
            _ => false,
        }
    }
}

impl Default for Registry {
    fn default() -> Self {
        Registry::new()
    }
}

/// A client that is connected, and the time that it has for what it does next, if that is bounded.
pub(crate) struct Timed {
    registry: Arc<Registry>,
    backend: u32,
}

impl Timed {
    /// Enters a session, which shows `status`, until the guard is dropped; none if there are too many, or one of this
    /// process id.
    pub(crate) fn enter(self, secret: u32, status: SessionStatus) -> Option<Entered> {
        self.disarm();
        let cancel = Arc::new(CancelFlag::default());
        let mut sessions = self.registry.sessions.lock();
        let by_backend = &mut sessions.by_backend;
        if by_backend.len() >= self.registry.connections_max || by_backend.contains_key(&self.backend) {
            return None;
        }
        let shown = Arc::new(Mutex::new(status));
        by_backend.insert(self.backend, Registered { secret, cancel: cancel.clone(), shown: shown.clone() });
        drop(sessions);
        Some(Entered { timed: self, cancel, shown, armed: false })
    }

    /// What `future` says, unless it takes longer than the client's time.
    pub(crate) async fn in_time<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.registry.is_over(self.backend, context.waker()) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    fn arm(&self, after: Duration, ends: Ends) {
        self.registry.sessions.lock().arm(self.backend, after, ends);
    }

    fn disarm(&self) {
        self.registry.sessions.lock().disarm(self.backend);
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        self.disarm();
    }
}

/// What is shown of a session that has just begun, whose client speaks `kind`.
pub(crate) fn arrived<D: Database>(kind: &'static str, backend: u32, database: &D) -> SessionStatus {
    let now = database.wall_micros();
    SessionStatus {
        pid: backend.cast_signed(),
        kind,
        user: USER.into(),
        application_name: String::new(),
        activity: Activity::Waiting(Status::Idle),
        statement: "".into(),
        started: now,
        transaction_started: None,
        statement_started: None,
        changed: now,
        block: None,
    }
}

/// A session's place in the registry.
pub(crate) struct Entered {
    timed: Timed,
    pub(crate) cancel: Arc<CancelFlag>,
    shown: Shown,
    armed: bool,
}

impl Entered {
    /// A statement begins, at `now`: what the last one was asked to do is forgotten.
    pub(crate) fn begin_statement(&mut self, statement: Arc<str>, now: i64) {
        self.cancel.clear();
        let mut shown = self.shown.lock();
        if shown.activity != Activity::Running {
            (shown.activity, shown.changed) = (Activity::Running, now);
        }
        shown.statement = statement;
        shown.statement_started = Some(now);
        shown.transaction_started.get_or_insert(now);
    }

    /// What the last step was asked to do is forgotten: another step of what is under way begins.
    pub(crate) fn go_on(&self) {
        self.cancel.clear();
    }

    /// The client may send the next one.
    pub(crate) fn rest(&mut self, status: Status, block: Option<OpenBlock>, now: i64) {
        let mut shown = self.shown.lock();
        if shown.activity == Activity::Running {
            (shown.activity, shown.changed) = (Activity::Waiting(status), now);
        }
        shown.block = block;
        if status == Status::Idle {
            shown.transaction_started = None;
        }
    }

    /// The client calls itself something else.
    pub(crate) fn rename(&mut self, application_name: String) {
        self.shown.lock().application_name = application_name;
    }

    /// An end, if somebody wants the session to have one.
    pub(crate) fn check_wanted(&self) -> Result<(), Ended> {
        if self.cancel.ends() { Err(Ended::Terminated) } else { Ok(()) }
    }

    /// The time of a statement begins, unless it has.
    pub(crate) fn time_statement(&mut self, timeout: Option<Duration>) {
        if let Some(timeout) = timeout
            && !self.armed
        {
            self.arm(timeout, Ends::Statement);
        }
    }

    /// The time of a pause begins.
    pub(crate) fn time_pause(&mut self, timeout: Duration) {
        self.arm(timeout, Ends::Pause(None));
    }

    fn arm(&mut self, timeout: Duration, ends: Ends) {
        self.armed = true;
        self.timed.arm(timeout, ends);
    }

    /// What `future` says, unless the pause takes too long, or the session is to end.
    pub(crate) async fn in_time<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        self.cancel.unless_ended(self.timed.in_time(future)).await.flatten()
    }

    /// What `future` says, unless it takes longer than that.
    pub(crate) async fn within<T>(&mut self, time: Duration, future: impl Future<Output = T>) -> Option<T> {
        self.time_pause(time);
        let said = self.in_time(future).await;
        self.stop_timer();
        said
    }

    /// What was timed has ended.
    pub(crate) fn stop_timer(&mut self) {
        if core::mem::take(&mut self.armed) {
            self.timed.disarm();
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.timed.registry.sessions.lock().by_backend.remove(&self.timed.backend);
    }
}
