//! What is asked of the tables. Each goes by a primary key or an index, which a test makes sure of.

/// The columns of an inode, as [`Inode::of_row`](super::Inode::of_row) reads them.
macro_rules! inode {
    () => {
        "i.id, i.kind, i.mode, i.owner, i.size, i.target, i.modified_at, i.changed_at, i.created_at"
    };
}

/// What a directory has at a name.
pub(super) const ENTRY: &str = concat!(
    "SELECT ",
    inode!(),
    " FROM sys.entries e JOIN sys.inodes i ON i.id = e.inode WHERE e.directory = $1 AND e.name = $2"
);

pub(super) const INODE: &str = concat!("SELECT ", inode!(), " FROM sys.inodes i WHERE i.id = $1");

/// What a directory has after a name, with the names. So many are taken first, or all inodes there are might be gone through.
pub(super) const LIST: &str = concat!(
    "SELECT e.name, ",
    inode!(),
    " FROM (SELECT name, inode FROM sys.entries WHERE directory = $1 AND name > $2 ORDER BY name LIMIT $3) e \
     JOIN sys.inodes i ON i.id = e.inode ORDER BY e.name"
);

/// Whether a directory has anything.
pub(super) const ANY_ENTRY: &str = "SELECT FROM sys.entries WHERE directory = $1 LIMIT 1";

/// How many names an inode has.
pub(super) const NAMES: &str = "SELECT count(*) FROM sys.entries WHERE inode = $1";

/// Makes an inode, and names it.
pub(super) const MAKE: &str = concat!(
    "WITH i AS (INSERT INTO sys.inodes (kind, mode, owner, size, target) \
     VALUES ($3, $4, $5, $6, $7) RETURNING *), \
     named AS (INSERT INTO sys.entries (directory, name, inode) SELECT $1::bigint, $2::text, id FROM i) \
     SELECT ",
    inode!(),
    " FROM i"
);

/// Names an inode; what had the name before has it no more.
pub(super) const NAME: &str = "INSERT INTO sys.entries (directory, name, inode) VALUES ($1, $2, $3) \
                               ON CONFLICT (directory, name) DO UPDATE SET inode = excluded.inode";

pub(super) const UNNAME: &str = "DELETE FROM sys.entries WHERE directory = $1 AND name = $2";

/// Takes away the names after one, up to another.
pub(super) const UNNAME_ALL: &str =
    "DELETE FROM sys.entries WHERE directory = $1 AND name > $2 AND name <= $3";

pub(super) const TOUCH: &str =
    "UPDATE sys.inodes i SET changed_at = now() FROM unnest($1::bigint[]) t (id) WHERE i.id = t.id";

pub(super) const SET_MODE: &str = "UPDATE sys.inodes SET mode = $2, changed_at = now() WHERE id = $1";

pub(super) const SET_OWNER: &str = "UPDATE sys.inodes SET owner = $2, changed_at = now() WHERE id = $1";

pub(super) const SET_MODIFIED: &str =
    "UPDATE sys.inodes SET modified_at = $2, changed_at = now() WHERE id = $1";

pub(super) const SET_SIZE: &str =
    "UPDATE sys.inodes SET size = $2, modified_at = now(), changed_at = now() WHERE id = $1";

/// Of some inodes: whose each is, how long, and whether it still has a name.
pub(super) const HOLDINGS: &str = "SELECT i.id, i.owner, i.size, EXISTS (SELECT FROM sys.entries e WHERE e.inode = i.id) \
     FROM (SELECT DISTINCT unnest($1::bigint[]) AS id) t JOIN sys.inodes i ON i.id = t.id";

/// Their blocks go with them.
pub(super) const REMOVE: &str =
    "DELETE FROM sys.inodes i USING unnest($1::bigint[]) t (id) WHERE i.id = t.id";

/// The blocks from one to another.
pub(super) const BLOCKS: &str =
    "SELECT number, data FROM sys.blocks WHERE inode = $1 AND number BETWEEN $2 AND $3";

/// One or two blocks.
pub(super) const EDGES: &str = "SELECT number, data FROM sys.blocks WHERE inode = $1 AND number IN ($2, $3)";

pub(super) const PUT_BLOCKS: &str = "INSERT INTO sys.blocks (inode, number, data) SELECT $1::bigint, b.number, b.data \
     FROM (SELECT unnest($2::bigint[]) AS number, unnest($3::bytea[]) AS data) b \
     ON CONFLICT (inode, number) DO UPDATE SET data = excluded.data";

/// The first block from one on.
pub(super) const NEXT_BLOCK: &str =
    "SELECT number FROM sys.blocks WHERE inode = $1 AND number >= $2 ORDER BY number LIMIT 1";

pub(super) const REMOVE_BLOCKS: &str =
    "DELETE FROM sys.blocks WHERE inode = $1 AND number >= $2 AND number < $3";

pub(super) const CUT_BLOCK: &str = "UPDATE sys.blocks SET data = substring(data, 1, $3) \
                                    WHERE inode = $1 AND number = $2 AND octet_length(data) > $3";

/// What an owner has, if it has not been counted yet.
macro_rules! used {
    (bytes) => {
        "coalesce(bytes_used, (SELECT coalesce(sum(i.size), 0)::bigint FROM sys.inodes i WHERE i.owner = $1))"
    };
    (files) => {
        "coalesce(files_used, (SELECT count(*) FROM sys.inodes i WHERE i.owner = $1))"
    };
}

/// If an owner has a quota: what of it, bytes or files, is not enough for so many more. It does not say how much is left, which
/// may well be something else when the transaction is done again because of a conflict.
pub(super) const LACKS: &str = concat!(
    "SELECT CASE WHEN $2::bigint > 0 AND ",
    used!(bytes),
    " > bytes_max - $2 THEN bytes_max END, CASE WHEN $3::bigint > 0 AND ",
    used!(files),
    " > files_max - $3 THEN files_max END FROM sys.quotas WHERE owner = $1"
);

pub(super) const CHARGE: &str = concat!(
    "UPDATE sys.quotas SET bytes_used = greatest(0, ",
    used!(bytes),
    " + $2::bigint), files_used = greatest(0, ",
    used!(files),
    " + $3::bigint) WHERE owner = $1"
);

/// All of them.
#[cfg(test)]
pub(super) const ALL: &[&str] = &[
    ENTRY,
    INODE,
    LIST,
    ANY_ENTRY,
    NAMES,
    MAKE,
    NAME,
    UNNAME,
    UNNAME_ALL,
    TOUCH,
    SET_MODE,
    SET_OWNER,
    SET_MODIFIED,
    SET_SIZE,
    HOLDINGS,
    REMOVE,
    BLOCKS,
    EDGES,
    PUT_BLOCKS,
    NEXT_BLOCK,
    REMOVE_BLOCKS,
    CUT_BLOCK,
    LACKS,
    CHARGE,
];
