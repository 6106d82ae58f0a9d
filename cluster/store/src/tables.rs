//! The applied state: what the ledger amounts to so far.

use alloc::collections::VecDeque;
use core::fmt;

use cluster_format::limits::REQUEST_SESSIONS_MAX;
use cluster_format::{Commit, Entry, Payload, RequestId, Version};
use hashbrown::HashMap;

use crate::{Resolver, Snapshot};

/// Bytes a row costs in memory beyond its key and value: tree node, two reference counts each.
const ROW_OVERHEAD: usize = 128;

/// What is known of a commit request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestState {
    /// It was applied, at this version.
    Applied(Version),
    /// It was not applied so far.
    Unknown,
    /// Its session asked for something newer since: its fate is no longer known, and nobody waits for it.
    Superseded,
}

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
    requests: HashMap<u64, (u64, Version)>,
    /// Sessions by the version of their last commit, oldest first; entries may be stale.
    requests_by_age: VecDeque<(Version, u64)>,
    /// Requests up to this version may have been forgotten.
    requests_horizon: Version,
    len: usize,
}

impl Tables {
    /// The empty state.
    pub fn new() -> Tables {
        Tables {
            newest: Snapshot::empty(),
            resolver: Resolver::new(Version::ZERO),
            requests: HashMap::new(),
            requests_by_age: VecDeque::new(),
            requests_horizon: Version::ZERO,
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
            let old_len = self.newest.map.get(&write.key).map(|old| old.len());
            match &write.value {
                Some(value) => {
                    self.len += value.len();
                    self.len += if old_len.is_none() { write.key.len() + ROW_OVERHEAD } else { 0 };
                    self.newest.map.insert_mut(write.key.clone(), value.clone());
                }
                None => {
                    self.len -= old_len.map_or(0, |_| write.key.len() + ROW_OVERHEAD);
                    self.newest.map.remove_mut(&write.key);
                }
            }
            self.len -= old_len.unwrap_or(0);
        }
        self.resolver.record(version, commit);
        self.note_request(version, commit.request);
    }

    /// What is known of `request`.
    pub fn request_state(&self, request: RequestId) -> RequestState {
        match self.requests.get(&request.session) {
            Some((sequence, version)) if *sequence == request.sequence => RequestState::Applied(*version),
            Some((sequence, _)) if *sequence > request.sequence => RequestState::Superseded,
            _ => RequestState::Unknown,
        }
    }

    /// The version up to which requests may have been forgotten: one that began later is remembered if it
    /// was applied.
    pub fn requests_horizon(&self) -> Version {
        self.requests_horizon
    }

    fn note_request(&mut self, version: Version, request: RequestId) {
        self.requests.insert(request.session, (request.sequence, version));
        self.requests_by_age.push_back((version, request.session));
        while self.requests.len() > REQUEST_SESSIONS_MAX {
            self.forget_oldest_request();
        }
        // A busy session leaves stale marks behind its newest one: drop those at the front.
        while self.requests_by_age.len() > 2 * REQUEST_SESSIONS_MAX {
            self.forget_oldest_request();
        }
    }

    /// Drops the oldest mark, and the session with it if the mark is its newest.
    fn forget_oldest_request(&mut self) {
        let Some((version, session)) = self.requests_by_age.pop_front() else { return };
        self.requests_horizon = version;
        if self.requests.get(&session).is_some_and(|(_, newest)| *newest == version) {
            self.requests.remove(&session);
        }
    }
}

impl Default for Tables {
    fn default() -> Self {
        Tables::new()
    }
}
