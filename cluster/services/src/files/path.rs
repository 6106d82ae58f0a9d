//! Where a path leads.
//!
//! A path is gone along name by name, from the root. The directories that were gone through are remembered, so `..` is the
//! one before, and so it is known what a place is below of.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use cluster_sql::database::Database;
use cluster_sql::types::Datum;
use cluster_sql::{Session, SqlError, SqlState, Status};

use super::error::{FileError, FileResult, Problem};
use super::inode::{Inode, Kind};
use super::{HOPS_MAX, NAME_LEN_MAX, PATH_LEN_MAX, ROOT, statements};

/// What is done about a symbolic link at the end of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    /// It is gone on with where it says.
    Follow,
    /// It is what is meant.
    Keep,
}

/// Where a path leads.
pub(super) struct Place<'a> {
    /// As it was given.
    path: &'a str,
    /// The directories down to the one that it is in, from the root; or to itself, if it has no name.
    above: Vec<i64>,
    /// Its name there. The root has none, nor what is called `.` or `..`.
    name: Option<String>,
    /// What is there.
    inode: Option<Inode>,
    /// Whether the path ends in a slash: only a directory may be there.
    slash: bool,
}

impl Place<'_> {
    pub(super) fn error(&self, problem: Problem) -> FileError {
        FileError::new(self.path, problem)
    }

    /// Whether it is below of the directory `id`.
    pub(super) fn is_below(&self, id: i64) -> bool {
        self.above.contains(&id)
    }

    pub(super) fn inode(&self) -> Option<&Inode> {
        self.inode.as_ref()
    }

    /// What is there.
    pub(super) fn found(&self) -> FileResult<&Inode> {
        self.inode.as_ref().ok_or_else(|| self.error(Problem::NotFound))
    }

    /// The file that is there.
    pub(super) fn file(&self) -> FileResult<&Inode> {
        let inode = self.found()?;
        match inode.kind {
            Kind::File => Ok(inode),
            Kind::Directory => Err(self.error(Problem::IsDirectory)),
            Kind::Link => Err(self.error(Problem::Invalid)),
        }
    }

    /// The directory that is there.
    pub(super) fn directory(&self) -> FileResult<&Inode> {
        let inode = self.found()?;
        if inode.is_directory() { Ok(inode) } else { Err(self.error(Problem::NotDirectory)) }
    }

    /// The directory that it is in, and its name, if it has one.
    pub(super) fn entry(&self) -> FileResult<(i64, &str)> {
        match (self.above.last(), &self.name) {
            (Some(directory), Some(name)) => Ok((*directory, name)),
            _ => Err(self.error(Problem::Invalid)),
        }
    }

    /// The same, if something of this kind may be put there, where nothing is.
    pub(super) fn vacant(&self, kind: Kind) -> FileResult<(i64, &str)> {
        match kind {
            _ if self.inode.is_some() => Err(self.error(Problem::Exists)),
            Kind::File if self.slash => Err(self.error(Problem::IsDirectory)),
            Kind::Link if self.slash => Err(self.error(Problem::NotFound)),
            _ => self.entry(),
        }
    }

    /// Whether only a directory may be there.
    pub(super) fn is_for_directory(&self) -> bool {
        self.slash
    }
}

/// Goes along `path`. Something is at each name but the last.
pub(super) async fn walk<'a, D: Database>(
    session: &mut Session<D>,
    path: &'a str,
    last: Last,
) -> FileResult<Place<'a>> {
    // Without a block, each statement would be a transaction of its own.
    if session.status() == Status::Idle {
        return Err(
            SqlError::new(SqlState::NO_TRANSACTION, "files are changed in a transaction block").into()
        );
    }
    let error = |problem| FileError::new(path, problem);
    match path.as_bytes() {
        [] => return Err(error(Problem::NotFound)),
        [b'/', ..] => {}
        _ => return Err(error(Problem::Invalid)),
    }
    let mut rest = Vec::new();
    put_ahead(path, &mut rest).map_err(error)?;
    let mut place = Place { path, above: vec![ROOT], name: None, inode: None, slash: path.ends_with('/') };
    let mut hops = 0;
    while let Some(name) = rest.pop() {
        match &*name {
            "." => continue,
            ".." => {
                if place.above.len() > 1 {
                    place.above.pop();
                }
                continue;
            }
            _ => {}
        }
        let is_last = rest.is_empty();
        let found = entry(session, &place, &name).await?;
        match found {
            Some(Inode { kind: Kind::Link, target: Some(target), .. })
                if !is_last || last == Last::Follow =>
            {
                hops += 1;
                if hops > HOPS_MAX {
                    return Err(error(Problem::TooManyLinks));
                }
                put_ahead(&target, &mut rest).map_err(error)?;
                if target.starts_with('/') {
                    place.above.truncate(1);
                }
                place.slash |= is_last && target.ends_with('/');
            }
            found if is_last => {
                if place.slash && found.as_ref().is_some_and(|inode| !inode.is_directory()) {
                    return Err(error(Problem::NotDirectory));
                }
                return Ok(Place { name: Some(name), inode: found, ..place });
            }
            Some(inode) if inode.is_directory() => place.above.push(inode.id),
            Some(_) => return Err(error(Problem::NotDirectory)),
            None => return Err(error(Problem::NotFound)),
        }
    }
    let here = place.above.last().copied().unwrap_or(ROOT);
    let answer = session.run(statements::INODE, [Datum::Int8(here)].into()).await?;
    place.inode = answer.rows.first().map(|row| Inode::of_row(row)).transpose()?;
    Ok(place)
}

/// Puts the names of `path` before those that are still to be gone along, whose next one is at the end.
fn put_ahead(path: &str, rest: &mut Vec<String>) -> Result<(), Problem> {
    if path.len() > PATH_LEN_MAX {
        return Err(Problem::NameTooLong);
    }
    if path.contains('\0') {
        return Err(Problem::Invalid);
    }
    for name in path.split('/').rev().filter(|name| !name.is_empty()) {
        if name.len() > NAME_LEN_MAX {
            return Err(Problem::NameTooLong);
        }
        rest.push(name.into());
    }
    Ok(())
}

/// What is at a name, in the directory that was come to.
async fn entry<D: Database>(
    session: &mut Session<D>,
    place: &Place<'_>,
    name: &str,
) -> FileResult<Option<Inode>> {
    let directory = place.above.last().copied().unwrap_or(ROOT);
    let answer =
        session.run(statements::ENTRY, [Datum::Int8(directory), Datum::Text(name.into())].into()).await?;
    answer.rows.first().map(|row| Inode::of_row(row)).transpose()
}
