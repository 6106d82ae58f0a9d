//! Who is connected: the bound on connections, the way a cancel request finds its session, and the times by which
//! sessions must have done something.
//!
//! Whoever drives the sessions has the clock: it says what time it is with [`Registry::advance`], and is told by
//! [`Registry::deadline`] when that matters next. A session has one timer at most: of the statement that it runs, or of
//! the pause between two.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use core::task::Waker;
use core::time::Duration;

use cluster_format::limits::CONNECTIONS_MAX;
use cluster_sql::{CancelFlag, CancelReason};
use drivers_api::Instant;
use spin::Mutex;

/// The sessions of one node, by backend process id.
pub struct Registry {
    sessions: Mutex<Sessions>,
    connections_max: usize,
}

struct Sessions {
    by_backend: BTreeMap<u32, Registered>,
    now: Instant,
    /// When timers end, and whose.
    timers: BTreeSet<(Instant, u32)>,
}

struct Registered {
    secret: u32,
    cancel: Arc<CancelFlag>,
    timer: Option<Timer>,
}

struct Timer {
    at: Instant,
    ends: Ends,
}

/// What happens at the end of a time.
enum Ends {
    /// The statement is cancelled.
    Statement,
    /// The session is woken, if it waits.
    Pause(Option<Waker>),
    /// It has been.
    Over,
}

impl Sessions {
    fn disarm(&mut self, backend: u32) -> Option<Timer> {
        let timer = self.by_backend.get_mut(&backend)?.timer.take()?;
        self.timers.remove(&(timer.at, backend));
        Some(timer)
    }

    fn arm(&mut self, backend: u32, after: Duration, ends: Ends) {
        self.disarm(backend);
        let at = self.now + after;
        if let Some(session) = self.by_backend.get_mut(&backend) {
            session.timer = Some(Timer { at, ends });
            self.timers.insert((at, backend));
        }
    }
}

impl Registry {
    /// No sessions yet; at most [`CONNECTIONS_MAX`].
    pub fn new() -> Registry {
        Registry::with_connections_max(CONNECTIONS_MAX)
    }

    /// No sessions yet; at most `connections_max`.
    pub fn with_connections_max(connections_max: usize) -> Registry {
        let sessions = Sessions { by_backend: BTreeMap::new(), now: Instant::ZERO, timers: BTreeSet::new() };
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
        while let Some((at, backend)) = sessions.timers.first().copied()
            && at <= now
        {
            sessions.timers.remove(&(at, backend));
            let Some(session) = sessions.by_backend.get_mut(&backend) else { continue };
            let Some(timer) = &mut session.timer else { continue };
            match core::mem::replace(&mut timer.ends, Ends::Over) {
                Ends::Statement => session.cancel.set(CancelReason::Timeout),
                Ends::Pause(Some(waker)) => waker.wake(),
                Ends::Pause(None) | Ends::Over => {}
            }
        }
    }

    /// When [`Registry::advance`] has something to do next.
    pub fn deadline(&self) -> Option<Instant> {
        self.sessions.lock().timers.first().map(|(at, _)| *at)
    }

    /// Sets the cancel flag of session `backend`, if `secret` is its secret.
    pub fn cancel(&self, backend: u32, secret: u32) {
        if let Some(session) = self.sessions.lock().by_backend.get(&backend)
            && session.secret == secret
        {
            session.cancel.set(CancelReason::Request);
        }
    }

    /// Enters a session until the guard is dropped; none if there are too many, or `backend` is taken.
    pub(crate) fn enter(self: &Arc<Self>, backend: u32, secret: u32) -> Option<Entered> {
        let mut sessions = self.sessions.lock();
        let by_backend = &mut sessions.by_backend;
        if by_backend.len() >= self.connections_max || by_backend.contains_key(&backend) {
            return None;
        }
        let cancel = Arc::new(CancelFlag::default());
        by_backend.insert(backend, Registered { secret, cancel: cancel.clone(), timer: None });
        Some(Entered { registry: self.clone(), backend, cancel, armed: false })
    }
}

impl Default for Registry {
    fn default() -> Self {
        Registry::new()
    }
}

/// A session's place in the registry.
pub(crate) struct Entered {
    registry: Arc<Registry>,
    backend: u32,
    pub(crate) cancel: Arc<CancelFlag>,
    armed: bool,
}

impl Entered {
    /// Something begins: what the last one was asked to do is forgotten.
    pub(crate) fn begin_statement(&mut self) {
        self.cancel.clear();
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
        self.registry.sessions.lock().arm(self.backend, timeout, ends);
    }

    /// Whether the pause has taken too long; `waker` is woken when it has.
    pub(crate) fn pause_is_over(&self, waker: &Waker) -> bool {
        let mut sessions = self.registry.sessions.lock();
        let session = sessions.by_backend.get_mut(&self.backend);
        match session.and_then(|session| session.timer.as_mut()) {
            Some(Timer { ends: Ends::Over, .. }) => true,
            Some(Timer { ends: Ends::Pause(waiting), .. }) => {
                *waiting = Some(waker.clone());
                false
            }
            _ => false,
        }
    }

    /// What was timed has ended.
    pub(crate) fn stop_timer(&mut self) {
        if core::mem::take(&mut self.armed) {
            self.registry.sessions.lock().disarm(self.backend);
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut sessions = self.registry.sessions.lock();
        sessions.disarm(self.backend);
        sessions.by_backend.remove(&self.backend);
    }
}
