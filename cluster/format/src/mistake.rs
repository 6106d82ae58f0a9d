//! Known mistakes that a test build can plant, to see that the simulator finds them.
//!
//! In any other build (without the feature `mistakes`, which no shipped package turns on) [`Planted`] is
//! empty and [`Planted::is`] is constantly false, so nothing of this is left in the machine code.

/// A mistake that someone made once in a replicated system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// A vote is announced before it is durable.
    VoteNotFlushed,
    /// Entries are acknowledged before they are durable.
    AckBeforeFlush,
    /// An entry of an older term is committed by counting copies (Raft, figure 8).
    OldTermCommittedByCount,
    /// A leader serves reads without having heard from a quorum.
    ReadWithoutQuorum,
    /// A leader that hands over its office goes on using its lease.
    LeaseAfterTransfer,
    /// A damaged entry in the middle of the journal is taken for its torn end.
    DamageTakenForTornTail,
    /// Records are written without waiting until the medium holds them.
    WriteNotFlushed,
    /// A root is made durable without waiting until the medium holds its tables.
    TablesNotFlushed,
    /// Request ids are forgotten when a node restarts.
    RequestsForgottenOnRestart,
    /// The leader does not look up whether a request was appended already.
    RequestNotDeduplicated,
    /// A member with a blank disk keeps the vote of the one it replaces.
    BlankDiskVotes,
    /// A membership change takes effect while another is under way.
    OverlappingMembershipChanges,
    /// The conflict check looks only at applied entries, not at those on their way.
    PendingWritesNotChecked,
    /// A follower takes an entry without looking at what precedes it.
    PreviousNotChecked,
    /// A row is lost when the entry at version 40 is applied.
    RowLost,
}

impl Mistake {
    /// All of them.
    pub const ALL: &'static [Mistake] = &[
        Mistake::VoteNotFlushed,
        Mistake::AckBeforeFlush,
        Mistake::OldTermCommittedByCount,
        Mistake::ReadWithoutQuorum,
        Mistake::LeaseAfterTransfer,
        Mistake::DamageTakenForTornTail,
        Mistake::WriteNotFlushed,
        Mistake::TablesNotFlushed,
        Mistake::RequestsForgottenOnRestart,
        Mistake::RequestNotDeduplicated,
        Mistake::BlankDiskVotes,
        Mistake::OverlappingMembershipChanges,
        Mistake::PendingWritesNotChecked,
        Mistake::PreviousNotChecked,
        Mistake::RowLost,
    ];
}

/// The mistake planted in this node, if any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Planted {
    #[cfg(feature = "mistakes")]
    mistake: Option<Mistake>,
}

impl Planted {
    /// None.
    pub const NONE: Planted = Planted {
        #[cfg(feature = "mistakes")]
        mistake: None,
    };

    /// This one.
    #[cfg(feature = "mistakes")]
    pub fn new(mistake: Mistake) -> Planted {
        Planted { mistake: Some(mistake) }
    }

    /// Whether `mistake` is planted.
    #[cfg(feature = "mistakes")]
    pub fn is(self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    /// Whether `mistake` is planted: never, in this build.
    #[cfg(not(feature = "mistakes"))]
    pub const fn is(self, _mistake: Mistake) -> bool {
        false
    }
}
