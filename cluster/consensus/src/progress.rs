//! What the leader knows of one other member, and how it sends to it.
//!
//! ```text
//!              the logs meet                 memory lacks entries
//!   ┌─────────┐ ───────────► ┌───────────┐ ───────────────────► ┌──────────┐
//!   │ Probing │              │ Streaming │ ◄─────────────────── │ Fetching │
//!   └─────────┘ ◄─────────── └───────────┘        read          └──────────┘
//!        ▲   they do not after all ▲                             ▲    │
//!        └─────────────────────────┼─────────────────────────────┘    │
//!              the same, where it is not known whether the logs meet  │
//!                        installed │          ┌──────────┐            │
//!                                  └───────── │ Snapshot │ ◄──────────┘
//!                                             └──────────┘  the journal lacks them too
//! ```

use alloc::collections::VecDeque;

use cluster_format::{Incarnation, NodeId, Version};
use drivers_api::Instant;

use crate::raft::Raft;
use crate::snapshot::Sending;

/// How the leader sends to a member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Flow {
    /// It is not known where the logs meet: one append at a time.
    Probing {
        /// One is on its way.
        paused: bool,
    },
    /// They have met: appends follow each other without waiting.
    Streaming,
    /// Entries are being read from the journal.
    Fetching {
        /// From here on.
        first: Version,
        /// The logs have met, and appends need not wait for each other.
        met: bool,
    },
    /// A snapshot is on its way, piece by piece.
    Snapshot(Sending),
}

/// What the leader knows of a member.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    pub(crate) node: NodeId,
    /// The disk it last spoke of.
    pub(crate) incarnation: Incarnation,
    pub(crate) priority: u8,
    /// The next entry to send.
    pub(crate) next: Version,
    /// What is known to be durable there.
    pub(crate) matched: Version,
    pub(crate) flow: Flow,
    /// The last version and the bytes of each append on its way.
    pub(crate) inflight: VecDeque<(Version, usize)>,
    pub(crate) inflight_len: usize,
    pub(crate) round_acked: u64,
    pub(crate) commit_sent: Version,
    pub(crate) heard: Instant,
}

/// What the leader knows of a member, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberProgress {
    /// The member.
    pub node: NodeId,
    /// How it is sent to: `probing`, `streaming`, `fetching` or `snapshot`.
    pub flow: &'static str,
    /// What is known to be durable there.
    pub matched: Version,
    /// The next entry to send.
    pub next: Version,
    /// Up to where it was told that entries are committed.
    pub committed: Version,
    /// Bytes that are on their way.
    pub in_flight: usize,
    /// When it was heard last.
    pub heard: Instant,
}

impl Progress {
    fn shown(&self) -> MemberProgress {
        MemberProgress {
            node: self.node,
            flow: match self.flow {
                Flow::Probing { .. } => "probing",
                Flow::Streaming => "streaming",
                Flow::Fetching { .. } => "fetching",
                Flow::Snapshot(_) => "snapshot",
            },
            matched: self.matched,
            next: self.next,
            committed: self.commit_sent,
            in_flight: self.inflight_len,
            heard: self.heard,
        }
    }

    pub(crate) fn new(node: NodeId) -> Progress {
        Progress {
            node,
            incarnation: Incarnation::UNKNOWN,
            priority: 0,
            next: Version(1),
            matched: Version::ZERO,
            flow: Flow::Probing { paused: false },
            inflight: VecDeque::new(),
            inflight_len: 0,
            round_acked: 0,
            commit_sent: Version::ZERO,
            heard: Instant::ZERO,
        }
    }

    /// A new leader takes the member on.
    pub(crate) fn start(&mut self, next: Version, now: Instant) {
        let Progress { node, incarnation, .. } = *self;
        *self = Progress { next, incarnation, heard: now, ..Progress::new(node) };
    }

    /// The member's log is to be found out about.
    pub(crate) fn probe(&mut self) {
        self.flow = Flow::Probing { paused: false };
        self.inflight.clear();
        self.inflight_len = 0;
    }

    /// An append was sent.
    pub(crate) fn launch(&mut self, last: Version, len: usize) {
        self.next = last.next();
        self.inflight.push_back((last, len));
        self.inflight_len += len;
    }

    /// Appends up to `matched` have arrived.
    pub(crate) fn land(&mut self, matched: Version) {
        while let Some((last, len)) = self.inflight.front()
            && *last <= matched
        {
            self.inflight_len -= len;
            self.inflight.pop_front();
        }
    }
}

impl Raft {
    /// Leader: how far each other member is. Others know nothing of it.
    pub fn progress(&self) -> impl Iterator<Item = MemberProgress> {
        self.peers.iter().filter(|_| self.is_leader()).map(Progress::shown)
    }

    /// Up to where the log is durable here.
    pub fn durable(&self) -> Version {
        self.durable
    }
}
