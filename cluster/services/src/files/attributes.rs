//! What is said of files, and of directories what is in them.

use alloc::string::String;
use alloc::vec::Vec;

use cluster_calendar::Timestamptz;
use cluster_sql::Session;
use cluster_sql::database::Database;
use cluster_sql::types::Datum;

use super::error::{FileResult, Problem, damaged};
use super::inode::{Inode, check_mode, check_owner};
use super::path::{Last, walk};
use super::{LIST_MAX, quota, statements};

/// What is at `path`. Symbolic links are followed.
pub async fn stat<D: Database>(session: &mut Session<D>, path: &str) -> FileResult<Inode> {
    walk(session, path, Last::Follow).await?.found().cloned()
}

/// What is at `path`, be it a symbolic link. One with a slash behind it is followed.
pub async fn stat_link<D: Database>(session: &mut Session<D>, path: &str) -> FileResult<Inode> {
    let last = if path.ends_with('/') { Last::Follow } else { Last::Keep };
    walk(session, path, last).await?.found().cloned()
}

/// How many names what is at `path` has. The root has one, though it is not an entry.
pub async fn links<D: Database>(session: &mut Session<D>, path: &str) -> FileResult<u64> {
    let place = walk(session, path, Last::Keep).await?;
    let id = place.found()?.id;
    if id == super::ROOT {
        return Ok(1);
    }
    let answer = session.run(statements::NAMES, [Datum::Int8(id)].into()).await?;
    match answer.value() {
        Some(Datum::Int8(names)) => Ok(names.unsigned_abs()),
        _ => Err(damaged()),
    }
}

/// What is in a directory, in the order of names (of their bytes), from the first after `after` on; the first of all comes after
/// the empty name. So many at most, and not more than [`LIST_MAX`]. `.` and `..` are not among them.
pub async fn list<D: Database>(
    session: &mut Session<D>,
    path: &str,
    after: &str,
    most: usize,
) -> FileResult<Vec<(String, Inode)>> {
    let place = walk(session, path, Last::Follow).await?;
    let directory = place.directory()?.id;
    entries(session, directory, after, most).await
}

/// The entries of a directory.
pub(super) async fn entries<D: Database>(
    session: &mut Session<D>,
    directory: i64,
    after: &str,
    most: usize,
) -> FileResult<Vec<(String, Inode)>> {
    let most = i64::try_from(most.min(LIST_MAX)).unwrap_or(0);
    let params = [Datum::Int8(directory), Datum::Text(after.into()), Datum::Int8(most)];
    let answer = session.run(statements::LIST, params.into()).await?;
    let entry = |row: &Vec<Datum>| match &row[..] {
        [Datum::Text(name), inode @ ..] => Ok((name.clone(), Inode::of_row(inode)?)),
        _ => Err(damaged()),
    };
    answer.rows.iter().map(entry).collect()
}

/// What a symbolic link says.
pub async fn read_link<D: Database>(session: &mut Session<D>, path: &str) -> FileResult<String> {
    let last = if path.ends_with('/') { Last::Follow } else { Last::Keep };
    let place = walk(session, path, last).await?;
    place.found()?.target.clone().ok_or_else(|| place.error(Problem::Invalid))
}

/// Changes the permissions of what is at `path`; symbolic links are followed.
pub async fn set_mode<D: Database>(session: &mut Session<D>, path: &str, mode: u32) -> FileResult<()> {
    let place = walk(session, path, Last::Follow).await?;
    let id = place.found()?.id;
    let mode = check_mode(mode).ok_or_else(|| place.error(Problem::Invalid))?;
    session.run(statements::SET_MODE, [Datum::Int8(id), mode].into()).await?;
    Ok(())
}

/// Gives what is at `path` to another owner, whose quota must have room for it; symbolic links are followed.
pub async fn set_owner<D: Database>(session: &mut Session<D>, path: &str, owner: &str) -> FileResult<()> {
    let place = walk(session, path, Last::Follow).await?;
    let inode = place.found()?;
    let value = check_owner(owner).ok_or_else(|| place.error(Problem::Invalid))?;
    if inode.owner != owner {
        quota::charge(session, &place, owner, quota::signed(inode.size), 1).await?;
        quota::charge(session, &place, &inode.owner, -quota::signed(inode.size), -1).await?;
    }
    session.run(statements::SET_OWNER, [Datum::Int8(inode.id), value].into()).await?;
    Ok(())
}

/// Sets when the contents of what is at `path` were changed; symbolic links are followed.
pub async fn set_modified<D: Database>(
    session: &mut Session<D>,
    path: &str,
    modified_at: Timestamptz,
) -> FileResult<()> {
    let place = walk(session, path, Last::Follow).await?;
    let id = place.found()?.id;
    session.run(statements::SET_MODIFIED, [Datum::Int8(id), Datum::Timestamptz(modified_at)].into()).await?;
    Ok(())
}
