//! What `sys.inodes` says of a file.

use alloc::string::String;

use cluster_calendar::Timestamptz;
use cluster_sql::types::Datum;

use super::error::{FileResult, damaged};

/// What an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It has contents.
    File,
    /// It has entries.
    Directory,
    /// It says where to go on: a symbolic link.
    Link,
}

impl Kind {
    /// What its rows call it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::File => "file",
            Kind::Directory => "directory",
            Kind::Link => "link",
        }
    }

    fn of_name(name: &str) -> Option<Kind> {
        [Kind::File, Kind::Directory, Kind::Link].into_iter().find(|kind| kind.name() == name)
    }
}

/// A file, a directory or a symbolic link, apart from its names and contents.
#[derive(Clone, Debug, PartialEq)]
pub struct Inode {
    /// Its number, which no other ever has.
    pub id: i64,
    /// What it is.
    pub kind: Kind,
    /// Permissions, at most 0o7777. Nobody enforces them yet.
    pub mode: u32,
    /// Whose it is, and whose quota counts it.
    pub owner: String,
    /// How long it is, in bytes.
    pub size: u64,
    /// What a symbolic link says.
    pub target: Option<String>,
    /// When its contents were changed.
    pub modified_at: Timestamptz,
    /// When anything of it was changed, but for its names.
    pub changed_at: Timestamptz,
    /// When it was made.
    pub created_at: Timestamptz,
}

impl Inode {
    /// As a row has it, in the order of the statements.
    pub(super) fn of_row(row: &[Datum]) -> FileResult<Inode> {
        Inode::decode(row).ok_or_else(damaged)
    }

    fn decode(row: &[Datum]) -> Option<Inode> {
        let [
            Datum::Int8(id),
            Datum::Text(kind),
            Datum::Int4(mode),
            Datum::Text(owner),
            Datum::Int8(size),
            target,
            Datum::Timestamptz(modified_at),
            Datum::Timestamptz(changed_at),
            Datum::Timestamptz(created_at),
        ] = row
        else {
            return None;
        };
        let inode = Inode {
            id: *id,
            kind: Kind::of_name(kind)?,
            mode: u32::try_from(*mode).ok()?,
            owner: owner.clone(),
            size: u64::try_from(*size).ok()?,
            target: if let Datum::Text(target) = target { Some(target.clone()) } else { None },
            modified_at: *modified_at,
            changed_at: *changed_at,
            created_at: *created_at,
        };
        ((inode.kind == Kind::Link) == inode.target.is_some()).then_some(inode)
    }

    pub(super) fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }
}

/// What is said of a file that is made.
#[derive(Clone, Copy, Debug)]
pub struct New<'a> {
    /// Permissions, at most 0o7777. Those of symbolic links are 0o777.
    pub mode: u32,
    /// Whose it is: not empty, and 255 bytes at most.
    pub owner: &'a str,
}

/// Permissions as a value, if they are any.
pub(super) fn check_mode(mode: u32) -> Option<Datum> {
    (mode <= 0o7777).then(|| i32::try_from(mode).ok()).flatten().map(Datum::Int4)
}

/// An owner as a value, if it may be one.
pub(super) fn check_owner(owner: &str) -> Option<Datum> {
    let is_one = (1..=255).contains(&owner.len()) && !owner.contains('\0');
    is_one.then(|| Datum::Text(owner.into()))
}
