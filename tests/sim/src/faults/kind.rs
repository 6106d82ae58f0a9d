//! The kinds of faults there are, and what they strike.

macro_rules! fault_kinds {
    ($($kind:ident = $name:literal,)+) => {
        /// The kinds of faults there are.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum FaultKind {
            $(#[doc = $name] $kind,)+
        }

        impl FaultKind {
            /// All of them.
            pub const ALL: [FaultKind; [$(FaultKind::$kind),+].len()] = [$(FaultKind::$kind),+];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(FaultKind::$kind => $name,)+
                }
            }
        }
    };
}

fault_kinds! {
    Crash = "crash",
    CrashInBurst = "crash amid disk requests",
    CrashAll = "crash of all nodes",
    CrashLeader = "crash of the leader",
    IsolatedLeader = "leader cut off",
    Succession = "succession of leaders",
    Pause = "pause",
    Partition = "partition",
    OneWayPartition = "one-way partition",
    LossyWire = "lossy wire",
    JitteryWire = "jittery wire",
    BadLink = "bad link",
    SlowLink = "slow link",
    BadClientLink = "bad client link",
    ClientCut = "client cut",
    ClockDrift = "clock drift",
    ClockLeap = "clock leap",
    ClockJump = "clock jump",
    MemoryPressure = "memory pressure",
    SlowDisk = "slow disk",
    StuckDisk = "stuck disk",
    SickDisk = "sick disk",
    BrokenDisk = "broken disk",
    Rot = "bit rot",
    UnreadableSectors = "unreadable sectors",
    BlankDisk = "blank disk",
    LargerDisk = "larger disk",
    RemovedNode = "removed node",
    RivalRemovals = "rival removals",
    Transfer = "leadership transfer",
    Setting = "changed setting",
    Join = "joining node",
}

impl FaultKind {
    /// Whether it destroys what a node has promised to keep.
    pub(super) fn is_destructive(self) -> bool {
        matches!(
            self,
            FaultKind::SickDisk
                | FaultKind::BrokenDisk
                | FaultKind::Rot
                | FaultKind::UnreadableSectors
                | FaultKind::BlankDisk
                | FaultKind::RemovedNode
                | FaultKind::RivalRemovals
        )
    }

    /// What it changes for a while and then puts back. Two faults at a time of one part would be ended
    /// together, by the first to end.
    pub(super) fn part(self, victim: u8) -> Option<Part> {
        Some(match self {
            FaultKind::LossyWire | FaultKind::JitteryWire => Part::Wire,
            FaultKind::BadLink | FaultKind::SlowLink => Part::LinksFrom(victim),
            FaultKind::BadClientLink | FaultKind::ClientCut => Part::ClientsOf(victim),
            FaultKind::ClockDrift => Part::Clock(victim),
            FaultKind::Pause => Part::Processor(victim),
            FaultKind::MemoryPressure => Part::Memory,
            FaultKind::SlowDisk | FaultKind::SickDisk | FaultKind::BrokenDisk => Part::Disk(victim),
            _ => return None,
        })
    }
}

/// A part of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Wire,
    LinksFrom(u8),
    ClientsOf(u8),
    Clock(u8),
    Processor(u8),
    /// Of all nodes.
    Memory,
    Disk(u8),
}
