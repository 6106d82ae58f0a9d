//! What has lost its last name goes, with all that it had.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use cluster_sql::Session;
use cluster_sql::database::Database;
use cluster_sql::types::{Array, Datum, Scalar};

use super::error::{FileResult, damaged};
use super::path::Place;
use super::{BLOCK_LEN, DELETE_BLOCKS, quota, statements};

/// Bytes that one statement deletes: it has them in memory.
const DELETE_LEN: i64 = DELETE_BLOCKS as i64 * BLOCK_LEN as i64;

/// Ids, as one value.
fn array(ids: impl IntoIterator<Item = i64>) -> Datum {
    Datum::Array(Box::new(Array::new(Scalar::Int8, ids.into_iter().map(Datum::Int8).collect())))
}

/// Lets go of files, links or empty directories, of which a name was taken each.
pub(super) async fn release<D: Database>(
    session: &mut Session<D>,
    place: &Place<'_>,
    ids: impl IntoIterator<Item = i64>,
) -> FileResult<()> {
    let answer = session.run(statements::HOLDINGS, [array(ids)].into()).await?;
    let mut named = Vec::new();
    let mut nameless = Vec::new();
    let mut owners: BTreeMap<&String, (i64, i64)> = BTreeMap::new();
    for row in &answer.rows {
        let [Datum::Int8(id), Datum::Text(owner), Datum::Int8(size), Datum::Bool(is_named)] = &row[..] else {
            return Err(damaged());
        };
        if *is_named {
            named.push(*id);
            continue;
        }
        nameless.push((*id, *size));
        let (bytes, files) = owners.entry(owner).or_default();
        (*bytes, *files) = (bytes.saturating_sub(*size), *files - 1);
    }
    if !named.is_empty() {
        session.run(statements::TOUCH, [array(named)].into()).await?;
    }
    for (owner, (bytes, files)) in owners {
        quota::charge(session, place, owner, bytes, files).await?;
    }
    remove(session, &nameless).await
}

/// Removes inodes of these sizes.
async fn remove<D: Database>(session: &mut Session<D>, inodes: &[(i64, i64)]) -> FileResult<()> {
    let mut together = Vec::new();
    let mut len = 0;
    for (id, size) in inodes {
        if *size > DELETE_LEN {
            remove_blocks(session, *id, 0).await?;
        } else {
            len += size;
        }
        together.push(*id);
        if len > DELETE_LEN {
            session.run(statements::REMOVE, [array(together.drain(..))].into()).await?;
            len = 0;
        }
    }
    if !together.is_empty() {
        session.run(statements::REMOVE, [array(together)].into()).await?;
    }
    Ok(())
}

/// Removes the blocks of an inode, from one on.
pub(super) async fn remove_blocks<D: Database>(
    session: &mut Session<D>,
    inode: i64,
    from: u64,
) -> FileResult<()> {
    let (id, run) = (Datum::Int8(inode), quota::signed(DELETE_BLOCKS));
    let mut from = quota::signed(from);
    loop {
        // Where there is nothing for long, nothing is looked for.
        let params = [id.clone(), Datum::Int8(from)];
        let answer = session.run(statements::NEXT_BLOCK, params.into()).await?;
        let Some(Datum::Int8(first)) = answer.value() else {
            return Ok(());
        };
        let end = first.saturating_add(run);
        let params = [id.clone(), Datum::Int8(*first), Datum::Int8(end)];
        session.run(statements::REMOVE_BLOCKS, params.into()).await?;
        from = end;
    }
}
