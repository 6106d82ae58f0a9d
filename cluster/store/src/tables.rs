//! The applied state: what the ledger amounts to so far.

use alloc::sync::Arc;
use core::fmt;

use cluster_format::{Commit, Entry, Payload, RequestId, StateHash, Version};

use crate::requests::{RequestList, Requests};
use crate::{RequestState, Resolver, Snapshot};

/// Bytes a row costs in memory beyond its key and value: tree node, two reference counts each.
const ROW_OVERHEAD: usize = 128;

/// An entry that does not follow from the state: the ledger has a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApplyError {
    /// The version that should have come.
    pub expected: Version,
    /// The one that came.
    pub found: Version,
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ledger entry {} was applied where {} was due", self.found, self.expected)
    }
}

/// The tables at the newest applied version, with what the leader needs to decide about the next entry.
/// A function of the ledger alone, so equal on every node at equal version.
pub struct Tables {
    newest: Snapshot,
    resolver: Resolver,
    requests: Requests,
    /// What rows and requests amount to.
    state: StateHash,
    len: usize,
}

impl Tables {
    /// The empty state.
    pub fn new() -> Tables {
        Tables::starting_at(Version::ZERO)
    }

    /// No rows, at `version`: to be filled from a snapshot.
    pub(crate) fn starting_at(version: Version) -> Tables {
        Tables {
            newest: Snapshot { version, ..Snapshot::empty() },
            resolver: Resolver::new(version),
            requests: Requests::default(),
            state: StateHash::default(),
            len: 0,
        }
    }

    /// The newest applied version.
    pub fn version(&self) -> Version {
        self.newest.version
    }

    /// The state at [`Tables::version`].
    pub fn snapshot(&self) -> Snapshot {
        self.newest.clone()
    }

    /// What the state amounts to: equal on every node at equal version.
    pub fn state(&self) -> StateHash {
        self.state
    }

    /// The recent writes, for the conflict check.
    pub fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// About how many bytes of memory the rows take.
    pub fn len_bytes(&self) -> usize {
        self.len
    }

    /// Applies the next entry.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), ApplyError> {
        let expected = self.newest.version.next();
        if entry.version != expected {
            return Err(ApplyError { expected, found: entry.version });
        }
        self.newest.version = entry.version;
        if let Payload::Commit(commit) = &entry.payload {
            self.apply_commit(entry.version, commit);
        }
        Ok(())
    }

    fn apply_commit(&mut self, version: Version, commit: &Commit) {
        for write in &commit.writes {
            match &write.value {
                Some(value) => self.put(&write.key, value.clone()),
                None => self.delete(&write.key),
            }
        }
        self.resolver.record(version, commit);
        self.state = self.requests.note(self.state, version, commit.request);
    }

    pub(crate) fn put(&mut self, key: &Arc<[u8]>, value: Arc<[u8]>) {
        self.take_out(key);
        self.len += value.len() + key.len() + ROW_OVERHEAD;
        self.state = self.state.with(StateHash::of(&[key, &value]));
        self.newest.map.insert_mut(key.clone(), value);
    }

    fn delete(&mut self, key: &Arc<[u8]>) {
        self.take_out(key);
        self.newest.map.remove_mut(key);
    }

    /// Takes the row of `key` out of what is counted.
    fn take_out(&mut self, key: &Arc<[u8]>) {
        if let Some(old) = self.newest.map.get(key) {
            self.len -= old.len() + key.len() + ROW_OVERHEAD;
            self.state = self.state.without(StateHash::of(&[key, old]));
        }
    }

    /// What is known of `request`.
    pub fn request_state(&self, request: RequestId) -> RequestState {
        self.requests.state(request)
    }

    /// The version up to which requests may have been forgotten: one that began later is remembered if it
    /// was applied.
    pub fn requests_horizon(&self) -> Version {
        self.requests.horizon()
    }

    pub(crate) fn requests(&self) -> &Requests {
        &self.requests
    }

    pub(crate) fn set_requests(&mut self, list: &RequestList) {
        let (requests, state) = Requests::from_list(list);
        self.requests = requests;
        self.state = self.state.with(state);
    }

    /// Loses a row, as a test build may by mistake.
    #[cfg(feature = "mistakes")]
    pub fn lose_row(&mut self) {
        let key = self.newest.map.keys().next_back().cloned();
        key.iter().for_each(|key| self.delete(key));
    }

    /// Forgets all requests, as a test build may by mistake.
    #[cfg(feature = "mistakes")]
    pub fn forget_requests(&mut self) {
        self.requests = Requests::default();
    }
}

impl Default for Tables {
    fn default() -> Self {
        Tables::new()
    }
}
