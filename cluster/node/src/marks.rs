//! Rare branches of the node.

cluster_format::marks! {
    TablesDiverged = "node: the tables differed from a quorum's",
    TablesRebuilt = "node: the tables were rebuilt from the leader's",
    EntriesAsked = "node: lost entries were asked of peers",
    CommitRepeated = "node: a commit was asked for again and had taken place",
    CommitForgotten = "node: a commit was refused because its request may have been forgotten",
    CommitConflict = "node: a commit was refused because of a conflict",
    CommitUnknown = "node: a commit's fate was never learned",
    DiskFull = "node: a commit was refused because a disk is full",
    MemoryFull = "node: a commit was refused because the tables are full",
    CommitDeferred = "node: a commit waited for a new leader to be ready",
}
