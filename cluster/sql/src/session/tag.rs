//! What a finished statement says it did.

use core::fmt;

use crate::plan::Plan;

/// A command tag, as Postgres words it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the commands")]
pub enum Tag {
    Backup(u64),
    Begin,
    Call,
    Commit,
    Copy(u64),
    /// What a statement that defines something is called.
    Defined(&'static str),
    Deallocate,
    DeallocateAll,
    Delete(u64),
    DiscardAll,
    Explain,
    Fetch(u64),
    Move(u64),
    Insert(u64),
    Release,
    Reset,
    Restore(u64),
    Rollback,
    Savepoint,
    Select(u64),
    Set,
    Show,
    StartTransaction,
    Update(u64),
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tag::Backup(count) => return write!(f, "BACKUP {count}"),
            Tag::Copy(count) => return write!(f, "COPY {count}"),
            Tag::Delete(count) => return write!(f, "DELETE {count}"),
            Tag::Fetch(count) => return write!(f, "FETCH {count}"),
            Tag::Move(count) => return write!(f, "MOVE {count}"),
            Tag::Insert(count) => return write!(f, "INSERT 0 {count}"),
            Tag::Restore(count) => return write!(f, "RESTORE {count}"),
            Tag::Select(count) => return write!(f, "SELECT {count}"),
            Tag::Update(count) => return write!(f, "UPDATE {count}"),
            Tag::Defined(command) => command,
            Tag::Begin => "BEGIN",
            Tag::Call => "CALL",
            Tag::Commit => "COMMIT",
            Tag::Deallocate => "DEALLOCATE",
            Tag::DeallocateAll => "DEALLOCATE ALL",
            Tag::DiscardAll => "DISCARD ALL",
            Tag::Explain => "EXPLAIN",
            Tag::Release => "RELEASE",
            Tag::Reset => "RESET",
            Tag::Rollback => "ROLLBACK",
            Tag::Savepoint => "SAVEPOINT",
            Tag::Set => "SET",
            Tag::Show => "SHOW",
            Tag::StartTransaction => "START TRANSACTION",
        })
    }
}

impl Tag {
    /// What a statement that may write says of so many rows.
    pub(super) fn of_plan(plan: &Plan) -> Option<fn(u64) -> Tag> {
        Some(match plan {
            Plan::Insert(_) => Tag::Insert,
            Plan::Update(_) => Tag::Update,
            Plan::Delete(_) => Tag::Delete,
            Plan::With(with) => match &with.last {
                Plan::Query(_) => Tag::Select,
                last => return Tag::of_plan(last),
            },
            _ => return None,
        })
    }

    /// How many rows the statement has given or changed.
    pub fn count(&self) -> u64 {
        match self {
            Tag::Copy(count)
            | Tag::Delete(count)
            | Tag::Fetch(count)
            | Tag::Move(count)
            | Tag::Insert(count)
            | Tag::Select(count)
            | Tag::Update(count) => *count,
            _ => 0,
        }
    }
}
