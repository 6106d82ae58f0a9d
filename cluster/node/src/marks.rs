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
    DiskGrown = "node: its disk grew while it ran",
    CommitWaited = "node: a commit waited for the tables to take what came before",
    TablesLost = "node: none of the tables could be read any more",
    TablesDamaged = "node: something of the tables could not be read any more",
    TablesMended = "node: what a table had lost was brought back by a peer",
    RangeDeleted = "node: a range of rows was deleted as a whole",
    TableAnalyzed = "node: a table had changed so much that it was analyzed",
    CommitQueued = "node: a commit waited for another's turn on what it writes",
    CommitDeferred = "node: a commit waited for a new leader to be ready",
}
