//! Names of what happens rarely.

cluster_format::marks! {
    DiskFormatted = "a blank disk was formatted",
    FormatRepeated = "a first format that was cut short was repeated",
    SuperblockRepaired = "a damaged copy of the superblock was written again",
    TornTail = "a record cut short at the end of the journal was given up",
    DamagedRegion = "a damaged region with intact records behind it was passed",
    HeaderOnly = "a record whose header alone is intact proved that damage precedes it",
    MisdirectedRecord = "a record was met at a sector that is not its own",
    SequenceBroken = "a record was met where an earlier one should follow",
    UnreadableSector = "a sector could not be read",
    EntriesInDoubt = "entries before a damaged region may have been replaced by what was lost in it",
    DoubtSettled = "a later entry proved that entries in doubt had not been replaced",
    HoleFilled = "entries were appended that a later, intact part of the log continues",
    SuffixDropped = "a part of the log behind a hole turned out to be of another history",
    LogReplaced = "the end of the log was replaced",
    LogStartedAnew = "a snapshot started the log anew",
    RingAdvanced = "records that the tables hold were given up",
    MultiPieceAppend = "a record took more than one request",
    ReadMetDamage = "a read of old entries met damage",
    ReadChangedPlace = "a read of old entries went on elsewhere on the disk",
}
