//! Commit requests that were applied, so that none is applied twice.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use cluster_format::limits::REQUEST_SESSIONS_MAX;
use cluster_format::{RequestId, StateHash, Version};
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

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

/// The newest request of each session that has committed lately. A function of the ledger alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Requests {
    /// Sequence and version, by session.
    newest: HashMap<u64, (u64, Version)>,
    /// Sessions by the version of their newest request.
    by_age: BTreeMap<Version, u64>,
    /// Requests up to this version may have been forgotten.
    horizon: Version,
}

/// The same, to be sent: sessions, sequences and versions by ascending version, and the horizon.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RequestList {
    requests: Vec<(RequestId, Version)>,
    horizon: Version,
}

impl Requests {
    pub(crate) fn state(&self, request: RequestId) -> RequestState {
        match self.newest.get(&request.session) {
            Some((sequence, version)) if *sequence == request.sequence => RequestState::Applied(*version),
            Some((sequence, _)) if *sequence > request.sequence => RequestState::Superseded,
            _ => RequestState::Unknown,
        }
    }

    pub(crate) fn horizon(&self) -> Version {
        self.horizon
    }

    /// Notes that `request` was applied at `version`, and forgets the oldest session when there are too many.
    /// Returns what that makes of the state hash.
    pub(crate) fn note(&mut self, state: StateHash, version: Version, request: RequestId) -> StateHash {
        let mut state = state.with(hash_of(request, version));
        if let Some((sequence, before)) = self.newest.insert(request.session, (request.sequence, version)) {
            self.by_age.remove(&before);
            state = state.without(hash_of(RequestId { sequence, ..request }, before));
        }
        self.by_age.insert(version, request.session);
        while self.newest.len() > REQUEST_SESSIONS_MAX {
            let Some((version, session)) = self.by_age.pop_first() else { break };
            let Some((sequence, _)) = self.newest.remove(&session) else { continue };
            self.horizon = version;
            state = state.without(hash_of(RequestId { session, sequence }, version));
        }
        state
    }

    pub(crate) fn to_list(&self) -> RequestList {
        let sequence = |session: &u64| self.newest.get(session).map_or(0, |(sequence, _)| *sequence);
        let request = |session| RequestId { session, sequence: sequence(&session) };
        let requests = self.by_age.iter().map(|(version, session)| (request(*session), *version)).collect();
        RequestList { requests, horizon: self.horizon }
    }

    /// What a list holds, and what it adds to the state hash.
    pub(crate) fn from_list(list: &RequestList) -> (Requests, StateHash) {
        let mut requests = Requests { horizon: list.horizon, ..Requests::default() };
        let mut state = StateHash::default();
        for (request, version) in list.requests.iter().take(REQUEST_SESSIONS_MAX) {
            requests.newest.insert(request.session, (request.sequence, *version));
            requests.by_age.insert(*version, request.session);
            state = state.with(hash_of(*request, *version));
        }
        (requests, state)
    }
}

fn hash_of(request: RequestId, version: Version) -> StateHash {
    let parts = [request.session, request.sequence, version.0].map(u64::to_le_bytes);
    StateHash::of(&[b"request", &parts[0], &parts[1], &parts[2]])
}
