//! Who is connected: the bound on connections, and the way a cancel request finds its session.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use cluster_format::limits::CONNECTIONS_MAX;
use cluster_sql::CancelFlag;
use spin::Mutex;

/// The sessions of one node, by backend process id.
pub struct Registry {
    sessions: Mutex<BTreeMap<u32, Registered>>,
    connections_max: usize,
}

struct Registered {
    secret: u32,
    cancel: Arc<CancelFlag>,
}

impl Registry {
    /// No sessions yet; at most [`CONNECTIONS_MAX`].
    pub fn new() -> Registry {
        Registry::with_connections_max(CONNECTIONS_MAX)
    }

    /// No sessions yet; at most `connections_max`.
    pub fn with_connections_max(connections_max: usize) -> Registry {
        Registry { sessions: Mutex::new(BTreeMap::new()), connections_max }
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.sessions.lock().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sets the cancel flag of session `backend`, if `secret` is its secret.
    pub fn cancel(&self, backend: u32, secret: u32) {
        if let Some(session) = self.sessions.lock().get(&backend)
            && session.secret == secret
        {
            session.cancel.set();
        }
    }

    /// Enters a session until the guard is dropped; none if there are too many, or `backend` is taken.
    pub(crate) fn enter(self: &Arc<Self>, backend: u32, secret: u32) -> Option<Entered> {
        let mut sessions = self.sessions.lock();
        if sessions.len() >= self.connections_max || sessions.contains_key(&backend) {
            return None;
        }
        let cancel = Arc::new(CancelFlag::default());
        sessions.insert(backend, Registered { secret, cancel: cancel.clone() });
        Some(Entered { registry: self.clone(), backend, cancel })
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
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.registry.sessions.lock().remove(&self.backend);
    }
}
