//! What a member is given: who it is, its intervals, and what its journal brought back.

use alloc::sync::Arc;
use core::time::Duration;

use cluster_format::{Incarnation, LogPosition, Membership, NodeId, Planted, SnapshotHead, Version};
use serde::{Deserialize, Serialize};

use crate::Log;

/// Intervals. Heartbeats must be well below elections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between a leader's heartbeats.
    pub heartbeat: Duration,
    /// A follower that hears no leader for between one and two of these stands for election.
    pub election: Duration,
    /// The same for a member that has just started and never heard a leader.
    pub first_election: Duration,
    /// How long a leader may serve reads after a quorum has heard from it, without asking again; zero
    /// switches that off. At most half of `election`, and safe only where no node's clock stands still or
    /// runs more than a tenth faster or slower than another's: not where VMs are paused or migrated.
    pub lease: Duration,
    /// Between pieces of a snapshot, so that it leaves room for other traffic.
    pub snapshot_pause: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            heartbeat: Duration::from_millis(100),
            election: Duration::from_millis(600),
            first_election: Duration::from_millis(150),
            lease: Duration::ZERO,
            snapshot_pause: Duration::from_millis(2),
        }
    }
}

/// Who this member is.
#[derive(Clone, Debug)]
pub struct Config {
    /// This member.
    pub id: NodeId,
    /// The life of its disk.
    pub incarnation: Incarnation,
    /// Intervals.
    pub timing: Timing,
    /// Seeds the randomised timeouts.
    pub seed: [u8; 32],
    /// Most bytes of entries in memory: those that wait for disk and quorum, and recent ones.
    pub log_len_max: usize,
    /// About how many bytes of entries one append carries at most, unless one entry alone is longer.
    pub append_len_max: usize,
    /// About how many bytes of entries one [`crate::LogWrite`] carries at most, unless one entry alone is longer.
    pub write_len_max: usize,
    /// Leadership goes to the member with the highest, when it can.
    pub priority: u8,
    /// A mistake to make, in test builds.
    pub planted: Planted,
}

/// What a member must never forget about elections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Vote {
    /// The highest term seen.
    pub term: u64,
    /// Whom it voted for in that term.
    pub voted_for: Option<NodeId>,
}

/// What the journal brought back.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// The last vote.
    pub vote: Vote,
    /// The log up to the first damage; entries behind `applied` are in memory.
    pub log: Log,
    /// An index known to be committed.
    pub commit: Version,
    /// How far the tables are.
    pub applied: Version,
    /// Where the log ended before something of it was lost, or an earlier position if nothing was. The
    /// member has promised to keep it up to here.
    pub promised: LogPosition,
    /// A snapshot that had begun to arrive, and how many pieces are there.
    pub incoming: Option<(Arc<SnapshotHead>, u64)>,
}

impl Recovered {
    /// What a blank disk brings back, in a cluster with these founding members.
    pub fn nothing(founding: Membership) -> Recovered {
        Recovered {
            vote: Vote::default(),
            log: Log::new(founding),
            commit: Version::ZERO,
            applied: Version::ZERO,
            promised: LogPosition::default(),
            incoming: None,
        }
    }
}
