//! The bounds that users, peers and disks meet, in one place, with the relations between them checked when this
//! compiles. What only one module needs to know, such as how much it has in flight, stands there.

/// Most voting members.
pub const VOTERS_MAX: usize = 7;

/// Most members, voters and learners: as many as there may be links between nodes.
pub const MEMBERS_MAX: usize = 32;

/// Most bytes of one piece of a snapshot.
pub const CHUNK_LEN_MAX: usize = 256 * 1024;

/// Longest key of a row, in bytes: the primary key, encoded.
pub const KEY_LEN_MAX: usize = 2 * 1024;

/// Longest row, in bytes: all columns, encoded.
pub const ROW_LEN_MAX: usize = 1024 * 1024;

/// Most bytes one transaction may write.
pub const TRANSACTION_LEN_MAX: usize = 8 * 1024 * 1024;

/// Most keys one transaction may write.
pub const WRITES_MAX: usize = TRANSACTION_LEN_MAX / 32;

/// Most ranges in a transaction's read set; neighbours are merged beyond it.
pub const READ_RANGES_MAX: usize = 1024;

/// Most ranges that a transaction deletes as a whole.
pub const RANGE_DELETES_MAX: usize = 1024;

/// Longest ledger entry, encoded.
pub const ENTRY_LEN_MAX: usize = 16 * 1024 * 1024;

/// Most bytes of entries a leader sends a follower in one message, unless one entry alone is longer.
pub const APPEND_LEN_MAX: usize = 256 * 1024;

/// Longest message between peers.
pub const MESSAGE_LEN_MAX: usize = ENTRY_LEN_MAX + 4096;

/// Longest SQL text of one query message, in bytes.
pub const SQL_LEN_MAX: usize = 1024 * 1024;

/// Rows handed over at a time between operators, sessions and the store.
pub const BATCH_ROWS: usize = 256;

/// Sessions whose last request id is remembered for exactly-once commits.
pub const REQUEST_SESSIONS_MAX: usize = 4096;

/// SQL connections a node serves at once, if it has the memory for as many.
pub const CONNECTIONS_MAX: usize = 512;

/// Bytes of TCP buffers for each connection, on average: the first ones have more, the others less.
pub const CONNECTION_BUFFERS_LEN: usize = 28 * 1024;

/// Bytes that an idle session takes.
pub const CONNECTION_SESSION_LEN: usize = 20 * 1024;

/// Of a machine's memory, connections may take one in so many bytes.
pub const CONNECTIONS_SHARE: usize = 4;

/// Connections that a machine with so many bytes of memory serves at once.
pub const fn connections_max(memory_len: usize) -> usize {
    let most = memory_len / CONNECTIONS_SHARE / (CONNECTION_BUFFERS_LEN + CONNECTION_SESSION_LEN);
    if most < CONNECTIONS_MAX { most } else { CONNECTIONS_MAX }
}

/// No cluster lives to see this many terms or versions: whoever says more is broken, and arithmetic on what is less
/// cannot overflow.
pub const COUNT_MAX: u64 = u64::MAX / 4;

const _: () = {
    assert!(KEY_LEN_MAX < ROW_LEN_MAX);
    assert!(ROW_LEN_MAX < TRANSACTION_LEN_MAX);
    // The read set comes with the writes: its keys, twice (start and end), at their longest.
    let reads_len = READ_RANGES_MAX * (2 * (KEY_LEN_MAX + 1) + 4);
    // As `Commit::len_estimate` counts, by which a journal decides whether it takes an entry.
    assert!(TRANSACTION_LEN_MAX + 8 * WRITES_MAX + 4 * RANGE_DELETES_MAX + reads_len + 4096 < ENTRY_LEN_MAX);
    assert!(ENTRY_LEN_MAX < MESSAGE_LEN_MAX);
    assert!(VOTERS_MAX <= MEMBERS_MAX);
    assert!(CHUNK_LEN_MAX < ENTRY_LEN_MAX);
    // A VM of 128 MiB has so much when its kernel has what it needs.
    assert!(connections_max(112 * 1024 * 1024) == CONNECTIONS_MAX);
    assert!(connections_max(48 * 1024 * 1024) >= 256);
};
