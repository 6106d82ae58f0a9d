//! What is done to files in one transaction.

use alloc::format;

use cluster_services::files::{self, FileError, Inode, Kind, New, Problem, SYSTEM};
use cluster_sql::database::Database;
use cluster_sql::{Session, SqlError, SqlState};

use super::head::Head;
use super::response::{Response, Stop};

/// A change of what is at a path.
pub(super) struct Change<'a> {
    pub(super) path: &'a str,
    pub(super) what: What<'a>,
    /// What the client expects to be there (RFC 9110, section 13).
    pub(super) expects: &'a Head,
}

/// What is done.
pub(super) enum What<'a> {
    /// Nothing: whether a file may be put there.
    Look,
    /// A file takes the place of what is there.
    Put(Attributes<'a>, &'a [u8]),
    /// A file begins to gather beside, at this path.
    Begin(&'a str, New<'a>, &'a [u8]),
    /// It goes on.
    Gather(&'a str, u64, &'a [u8]),
    /// It takes the place of what is there.
    Place(&'a str),
    /// It is not wanted any more.
    Forget(&'a str),
    /// Bytes are written to a file that is there.
    Write(u64, &'a [u8]),
    /// A file or an empty directory goes; or all that is below of it, too.
    Remove { is_recursive: bool },
    /// A directory is made.
    MakeDirectory(Attributes<'a>),
    /// Another name.
    Move { to: &'a str, may_replace: bool },
}

/// Why a transaction has not taken place.
pub(super) enum Undone {
    /// It is to be tried again.
    Conflict(SqlError),
    /// It is given up.
    Stop(Stop),
    /// It may have taken place: it must not be done again.
    Over(SqlError),
}

impl Undone {
    pub(super) fn of(error: SqlError) -> Undone {
        match error.state {
            SqlState::SERIALIZATION_FAILURE => Undone::Conflict(error),
            _ => Undone::Stop(error.into()),
        }
    }
}

impl From<FileError> for Undone {
    fn from(error: FileError) -> Undone {
        match error {
            FileError::Sql(error) => Undone::of(error),
            error => Undone::Stop(error.into()),
        }
    }
}

impl From<Stop> for Undone {
    fn from(stop: Stop) -> Undone {
        Undone::Stop(stop)
    }
}

impl Change<'_> {
    /// Does it in the transaction that is open. Returns what has been at the path before, or for what is moved, at the new one.
    pub(super) async fn apply<D: Database>(&self, session: &mut Session<D>) -> Result<Option<Inode>, Undone> {
        let path = self.path;
        let found = match self.what {
            What::Look => self.place(session).await?,
            What::Put(attributes, bytes) => {
                let found = self.place(session).await?;
                if found.is_some() {
                    files::unlink(session, path).await?;
                }
                files::create(session, path, attributes.of_file(found.as_ref()), true).await?;
                files::write(session, path, 0, bytes).await?;
                found
            }
            What::Begin(beside, new, bytes) => {
                files::create(session, beside, new, true).await?;
                files::write(session, beside, 0, bytes).await?;
                None
            }
            What::Gather(beside, at, bytes) => {
                files::write(session, beside, at, bytes).await?;
                None
            }
            What::Place(beside) => {
                let found = self.place(session).await?;
                files::rename(session, beside, path).await?;
                found
            }
            What::Forget(beside) => {
                files::unlink(session, beside).await?;
                None
            }
            What::Write(at, bytes) => {
                let found = self.expected(session, path).await?;
                files::write(session, path, at, bytes).await?;
                found
            }
            What::Remove { is_recursive } => {
                let found = self.expected(session, path).await?;
                match found.as_ref().map(|inode| inode.kind) {
                    _ if is_recursive => files::remove_tree(session, path).await?,
                    Some(Kind::Directory) => files::remove_directory(session, path).await?,
                    _ => files::unlink(session, path).await?,
                }
                found
            }
            What::MakeDirectory(attributes) => {
                let new =
                    New { mode: attributes.mode.unwrap_or(0o755), owner: attributes.owner.unwrap_or(SYSTEM) };
                files::make_directory(session, path, new).await.map_err(below)?;
                None
            }
            What::Move { to, may_replace } => {
                if self.expected(session, path).await?.is_none() {
                    return Err(FileError::new(path, Problem::NotFound).into());
                }
                let replaced = there(session, to).await?;
                if replaced.is_some() && !may_replace {
                    return Err(Stop::from(Response::error(412, &format!("{to}: file exists"), None)).into());
                }
                files::rename(session, path, to).await.map_err(below)?;
                replaced
            }
        };
        Ok(found)
    }

    /// What is at a path, if it is as the client expects. Who reads a symbolic link is shown what it leads to, so that is what
    /// is expected of one.
    async fn expected<D: Database>(
        &self,
        session: &mut Session<D>,
        path: &str,
    ) -> Result<Option<Inode>, Undone> {
        let found = there(session, path).await?;
        let is_link = found.as_ref().is_some_and(|inode| inode.kind == Kind::Link);
        if !is_link {
            check(self.expects, found.as_ref())?;
            return Ok(found);
        }
        match files::stat(session, path).await {
            Ok(shown) => check(self.expects, Some(&shown))?,
            Err(FileError::Path { .. }) => check(self.expects, None)?,
            Err(error) => return Err(error.into()),
        }
        Ok(found)
    }

    /// What is where a file is to be put, which must not be a directory.
    async fn place<D: Database>(&self, session: &mut Session<D>) -> Result<Option<Inode>, Undone> {
        let found = self.expected(session, self.path).await?;
        match &found {
            Some(inode) if inode.kind == Kind::Directory => {
                Err(FileError::new(self.path, Problem::IsDirectory).into())
            }
            Some(_) => Ok(found),
            None => {
                // Is there a directory for it?
                let slash = self.path.rfind('/').map_or(0, |slash| slash + 1);
                let directory = self.path.get(..slash).unwrap_or_default();
                files::stat(session, directory).await.map_err(below)?;
                Ok(None)
            }
        }
    }
}

/// What is at a path, if anything is.
async fn there<D: Database>(session: &mut Session<D>, path: &str) -> Result<Option<Inode>, Undone> {
    match files::stat_link(session, path).await {
        Ok(inode) => Ok(Some(inode)),
        Err(error) if error.problem() == Some(&Problem::NotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Another for each contents that a file has had.
pub(super) fn tag(inode: &Inode) -> alloc::string::String {
    format!("\"{:x}-{:x}-{:x}\"", inode.id, inode.modified_at.unix_micros(), inode.size)
}

/// 412, if a client that says what it expects finds something else.
pub(super) fn check(head: &Head, found: Option<&Inode>) -> Result<(), Stop> {
    let holds = |tags: &str, or_weak: bool| {
        found.is_some_and(|inode| {
            let known = tag(inode);
            let bare = |tag| if or_weak { str::strip_prefix(tag, "W/").unwrap_or(tag) } else { tag };
            tags.trim() == "*" || tags.split(',').any(|one| bare(one.trim()) == known)
        })
    };
    let is_met = head.field("if-match").is_none_or(|tags| holds(tags, false))
        && head.field("if-none-match").is_none_or(|tags| !holds(tags, true));
    if is_met {
        Ok(())
    } else {
        Err(Response::error(412, "the file is not as it is expected to be", None).into())
    }
}

/// 409, where there is no directory for what is to be made: it is not what is asked for that is not found.
fn below(error: FileError) -> Undone {
    match error.problem() {
        Some(Problem::NotFound) => {
            let hint = "Make the directory above it first.";
            Stop::from(Response::error(409, &format!("{error}"), Some(hint))).into()
        }
        _ => error.into(),
    }
}

/// What is said of a file that is put.
#[derive(Clone, Copy)]
pub(super) struct Attributes<'a> {
    mode: Option<u32>,
    owner: Option<&'a str>,
}

impl<'a> Attributes<'a> {
    pub(super) fn of(head: &'a Head) -> Result<Attributes<'a>, Stop> {
        let mode = match head.parameter("mode") {
            None => None,
            Some(text) => match u32::from_str_radix(text, 8) {
                Ok(mode) => Some(mode),
                Err(_) => return Err(Response::error(400, "a mode is octal, as 644 is", None).into()),
            },
        };
        Ok(Attributes { mode, owner: head.parameter("owner") })
    }

    /// What the file is like that comes into the place of another: as that was, unless it is said.
    pub(super) fn of_file(self, found: Option<&'a Inode>) -> New<'a> {
        let found = found.filter(|inode| inode.kind == Kind::File);
        New {
            mode: self.mode.or(found.map(|inode| inode.mode)).unwrap_or(0o644),
            owner: self.owner.or(found.map(|inode| inode.owner.as_str())).unwrap_or(SYSTEM),
        }
    }
}
