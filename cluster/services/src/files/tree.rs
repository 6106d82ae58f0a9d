//! Making, naming and removing.

use alloc::string::String;
use alloc::vec;

use cluster_sql::Session;
use cluster_sql::database::Database;
use cluster_sql::types::Datum;

use super::attributes::entries;
use super::error::{FileError, FileResult, Problem, damaged};
use super::inode::{Inode, Kind, New, check_mode, check_owner};
use super::path::{Last, Place, walk};
use super::release::release;
use super::{LIST_MAX, PATH_LEN_MAX, quota, statements};

/// Makes an empty file; or finds the one that there is, unless it is to be made `exclusive`ly. A symbolic link at the end of
/// the path is followed, unless the file is to be new.
pub async fn create<D: Database>(
    session: &mut Session<D>,
    path: &str,
    new: New<'_>,
    exclusive: bool,
) -> FileResult<Inode> {
    let last = if exclusive { Last::Keep } else { Last::Follow };
    let place = walk(session, path, last).await?;
    if place.inode().is_some() && !exclusive {
        return place.file().cloned();
    }
    make(session, &place, Kind::File, new, None).await
}

/// Makes a directory.
pub async fn make_directory<D: Database>(
    session: &mut Session<D>,
    path: &str,
    new: New<'_>,
) -> FileResult<Inode> {
    let place = walk(session, path, Last::Keep).await?;
    make(session, &place, Kind::Directory, new, None).await
}

/// Makes a directory and all those above it, as far as there are none. If something is in the way, what was made before it
/// came to light stays.
pub async fn make_directories<D: Database>(
    session: &mut Session<D>,
    path: &str,
    new: New<'_>,
) -> FileResult<Inode> {
    if path.len() > PATH_LEN_MAX {
        return Err(FileError::new(path, Problem::NameTooLong));
    }
    for (end, _) in path.match_indices('/').filter(|(end, _)| *end > 0).chain([(path.len(), "")]) {
        match make_directory(session, &path[..end], new).await {
            Err(FileError::Path { problem: Problem::Exists, .. }) => {}
            made => drop(made?),
        }
    }
    let place = walk(session, path, Last::Follow).await?;
    if place.found()?.is_directory() { place.found().cloned() } else { Err(place.error(Problem::Exists)) }
}

/// Makes a symbolic link that says `target`, whatever is there.
pub async fn symlink<D: Database>(
    session: &mut Session<D>,
    target: &str,
    path: &str,
    owner: &str,
) -> FileResult<Inode> {
    let place = walk(session, path, Last::Keep).await?;
    match target.len() {
        0 => return Err(place.error(Problem::NotFound)),
        1..=PATH_LEN_MAX if target.contains('\0') => return Err(place.error(Problem::Invalid)),
        1..=PATH_LEN_MAX => {}
        _ => return Err(place.error(Problem::NameTooLong)),
    }
    make(session, &place, Kind::Link, New { mode: 0o777, owner }, Some(target)).await
}

async fn make<D: Database>(
    session: &mut Session<D>,
    place: &Place<'_>,
    kind: Kind,
    new: New<'_>,
    target: Option<&str>,
) -> FileResult<Inode> {
    let (directory, name) = place.vacant(kind)?;
    let (Some(mode), Some(owner)) = (check_mode(new.mode), check_owner(new.owner)) else {
        return Err(place.error(Problem::Invalid));
    };
    let size = quota::signed(target.map_or(0, str::len) as u64);
    quota::charge(session, place, new.owner, size, 1).await?;
    let params = [
        Datum::Int8(directory),
        Datum::Text(name.into()),
        Datum::Text(kind.name().into()),
        mode,
        owner,
        Datum::Int8(size),
        target.map_or(Datum::Null, |target| Datum::Text(target.into())),
    ];
    let answer = session.run(statements::MAKE, params.into()).await?;
    answer.rows.first().map_or_else(|| Err(damaged()), |row| Inode::of_row(row))
}

/// Gives what is at `path` another name, `new`. It must not be a directory; a symbolic link is given one itself.
pub async fn link<D: Database>(session: &mut Session<D>, path: &str, new: &str) -> FileResult<()> {
    let place = walk(session, path, Last::Keep).await?;
    let inode = place.found()?;
    if inode.is_directory() {
        return Err(place.error(Problem::NotPermitted));
    }
    let named = walk(session, new, Last::Keep).await?;
    let entry = named.vacant(Kind::Link)?;
    name(session, entry, inode.id).await?;
    // As one that loses a name.
    release(session, &place, [inode.id]).await
}

/// Gives what is at `path` the name `new` instead. What has that name, another file or an empty directory, loses it.
pub async fn rename<D: Database>(session: &mut Session<D>, path: &str, new: &str) -> FileResult<()> {
    let from = walk(session, path, Last::Keep).await?;
    let moved = from.found()?;
    let old_entry = from.entry()?;
    let to = walk(session, new, Last::Keep).await?;
    let entry = to.entry()?;
    if moved.is_directory() && to.is_below(moved.id) {
        return Err(to.error(Problem::Invalid));
    }
    match to.inode() {
        Some(there) if there.id == moved.id => return Ok(()),
        Some(there) if there.is_directory() && !moved.is_directory() => {
            return Err(to.error(Problem::IsDirectory));
        }
        Some(there) if there.is_directory() => check_empty(session, &to, there.id).await?,
        Some(_) if moved.is_directory() => return Err(to.error(Problem::NotDirectory)),
        None if to.is_for_directory() && !moved.is_directory() => {
            return Err(to.error(Problem::NotDirectory));
        }
        _ => {}
    }
    unname(session, old_entry).await?;
    name(session, entry, moved.id).await?;
    match to.inode() {
        Some(there) => release(session, &to, [there.id]).await,
        None => Ok(()),
    }
}

async fn name<D: Database>(
    session: &mut Session<D>,
    (directory, name): (i64, &str),
    id: i64,
) -> FileResult<()> {
    let params = [Datum::Int8(directory), Datum::Text(name.into()), Datum::Int8(id)];
    session.run(statements::NAME, params.into()).await?;
    Ok(())
}

async fn unname<D: Database>(session: &mut Session<D>, (directory, name): (i64, &str)) -> FileResult<()> {
    session.run(statements::UNNAME, [Datum::Int8(directory), Datum::Text(name.into())].into()).await?;
    Ok(())
}

async fn check_empty<D: Database>(session: &mut Session<D>, place: &Place<'_>, id: i64) -> FileResult<()> {
    let answer = session.run(statements::ANY_ENTRY, [Datum::Int8(id)].into()).await?;
    if answer.rows.is_empty() { Ok(()) } else { Err(place.error(Problem::NotEmpty)) }
}

/// Takes its name from a file or a symbolic link. What has no other is gone.
pub async fn unlink<D: Database>(session: &mut Session<D>, path: &str) -> FileResult<()> {
    let place = walk(session, path, Last::Keep).await?;
    let inode = place.found()?;
    if inode.is_directory() {
        return Err(place.error(Problem::IsDirectory));
    }
    unname(session, place.entry()?).await?;
    release(session, &place, [inode.id]).await
}

/// Removes an empty directory.
pub async fn remove_directory<D: Database>(session: &mut Session<D>, path: &str) -> FileResult<()> {
    let place = walk(session, path, Last::Keep).await?;
    let id = place.directory()?.id;
    let entry = place.entry()?;
    check_empty(session, &place, id).await?;
    unname(session, entry).await?;
    release(session, &place, [id]).await
}

/// Removes what is at `path`, with all that is below of it. It must be little enough for one transaction,
/// as some ten thousands of files are.
pub async fn remove_tree<D: Database>(session: &mut Session<D>, path: &str) -> FileResult<()> {
    let place = walk(session, path, Last::Keep).await?;
    let top = place.found()?;
    unname(session, place.entry()?).await?;
    if !top.is_directory() {
        return release(session, &place, [top.id]).await;
    }
    // Those whose entries are to go, and at the end they themselves.
    let mut directories = vec![top.id];
    let mut next = 0;
    while let Some(directory) = directories.get(next).copied() {
        next += 1;
        let mut after = String::new();
        loop {
            let page = entries(session, directory, &after, LIST_MAX).await?;
            let Some((last, _)) = page.last() else { break };
            let params = [Datum::Int8(directory), Datum::Text(after), Datum::Text(last.clone())];
            session.run(statements::UNNAME_ALL, params.into()).await?;
            after = last.clone();
            let (below, others) =
                page.into_iter().partition::<vec::Vec<_>, _>(|(_, inode)| inode.is_directory());
            directories.extend(below.into_iter().map(|(_, inode)| inode.id));
            release(session, &place, others.into_iter().map(|(_, inode)| inode.id)).await?;
        }
    }
    release(session, &place, directories).await
}
