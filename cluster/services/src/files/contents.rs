//! What is in files: blocks, of which those that are not there are zeros.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use cluster_sql::Session;
use cluster_sql::database::Database;
use cluster_sql::types::{Array, Datum, Scalar};

use super::error::{FileResult, Problem, damaged};
use super::inode::Inode;
use super::path::{Last, Place, walk};
use super::release::remove_blocks;
use super::{BLOCK_LEN, FILE_LEN_MAX, READ_LEN_MAX, WRITE_BLOCKS, quota, statements};

/// The same, to count with positions in files.
const LEN: u64 = BLOCK_LEN as u64;

/// The bytes of a file from `offset` on: `len` of them, unless it ends before, and not more than [`READ_LEN_MAX`].
pub async fn read<D: Database>(
    session: &mut Session<D>,
    path: &str,
    offset: u64,
    len: usize,
) -> FileResult<Vec<u8>> {
    let place = walk(session, path, Last::Follow).await?;
    let file = place.file()?;
    let there = usize::try_from(file.size.saturating_sub(offset)).unwrap_or(usize::MAX);
    let len = len.min(there).min(READ_LEN_MAX);
    if len == 0 {
        return Ok(Vec::new());
    }
    let mut bytes = vec![0; len];
    let last = (offset + len as u64 - 1) / LEN;
    let params = [file.id, quota::signed(offset / LEN), quota::signed(last)].map(Datum::Int8);
    for (number, data) in blocks(session, statements::BLOCKS, params).await? {
        // A block begins before the bytes that are wanted, or among them.
        let start = number * LEN;
        let skipped = usize::try_from(offset.saturating_sub(start)).unwrap_or(usize::MAX);
        let at = usize::try_from(start.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (from, to) = (data.get(skipped..).unwrap_or_default(), bytes.get_mut(at..).unwrap_or_default());
        let len = from.len().min(to.len());
        to[..len].copy_from_slice(&from[..len]);
    }
    Ok(bytes)
}

/// Blocks of a file, with their numbers.
async fn blocks<D: Database>(
    session: &mut Session<D>,
    sql: &str,
    params: [Datum; 3],
) -> FileResult<Vec<(u64, Arc<[u8]>)>> {
    let answer = session.run(sql, params.into()).await?;
    let block = |row: Vec<Datum>| match &row[..] {
        [Datum::Int8(number), Datum::Bytea(data)] => Some((u64::try_from(*number).ok()?, data.clone())),
        _ => None,
    };
    let blocks: Option<_> = answer.rows.into_iter().map(block).collect();
    blocks.ok_or_else(damaged)
}

/// Writes `data` at `offset`. A file that ends before is made longer; what it did not have is zeros.
pub async fn write<D: Database>(
    session: &mut Session<D>,
    path: &str,
    offset: u64,
    data: &[u8],
) -> FileResult<()> {
    let place = walk(session, path, Last::Follow).await?;
    let file = place.file()?;
    put(session, &place, file, offset, data).await
}

/// Writes `data` at the end of a file; where that was.
pub async fn append<D: Database>(session: &mut Session<D>, path: &str, data: &[u8]) -> FileResult<u64> {
    let place = walk(session, path, Last::Follow).await?;
    let file = place.file()?;
    put(session, &place, file, file.size, data).await?;
    Ok(file.size)
}

async fn put<D: Database>(
    session: &mut Session<D>,
    place: &Place<'_>,
    file: &Inode,
    offset: u64,
    data: &[u8],
) -> FileResult<()> {
    if data.is_empty() {
        return Ok(());
    }
    let end = offset.checked_add(data.len() as u64).filter(|end| *end <= FILE_LEN_MAX);
    let end = end.ok_or_else(|| place.error(Problem::TooLarge))?;
    let growth = quota::signed(end.saturating_sub(file.size));
    quota::charge(session, place, &file.owner, growth, 0).await?;
    let edges = edges(session, file, offset, end).await?;
    // The first piece ends where a block does, the others are blocks.
    let head = data.len().min(BLOCK_LEN - (offset % LEN) as usize);
    let (head, rest) = data.split_at(head);
    let pieces = core::iter::once(head).chain(rest.chunks(BLOCK_LEN));
    let mut pieces = pieces.enumerate().map(|(index, piece)| {
        let number = offset / LEN + index as u64;
        let at = if index == 0 { (offset % LEN) as usize } else { 0 };
        let old = edges.iter().find(|(edge, _)| *edge == number).map(|(_, data)| &data[..]);
        (Datum::Int8(quota::signed(number)), Datum::Bytea(overlaid(old.unwrap_or_default(), at, piece)))
    });
    loop {
        let (numbers, datas): (Vec<Datum>, Vec<Datum>) = pieces.by_ref().take(WRITE_BLOCKS).unzip();
        if numbers.is_empty() {
            break;
        }
        let array = |scalar, items| Datum::Array(Box::new(Array::new(scalar, items)));
        let params = [Datum::Int8(file.id), array(Scalar::Int8, numbers), array(Scalar::Bytea, datas)];
        session.run(statements::PUT_BLOCKS, params.into()).await?;
    }
    set_size(session, file, end.max(file.size)).await
}

/// Of the first and the last of the blocks that are written, those of which something is to stay.
async fn edges<D: Database>(
    session: &mut Session<D>,
    file: &Inode,
    offset: u64,
    end: u64,
) -> FileResult<Vec<(u64, Arc<[u8]>)>> {
    let first = (!offset.is_multiple_of(LEN)).then_some(offset / LEN);
    let last = (!end.is_multiple_of(LEN) && end < file.size).then_some(end / LEN);
    let (Some(one), Some(other)) = (first.or(last), last.or(first)) else { return Ok(Vec::new()) };
    let params = [file.id, quota::signed(one), quota::signed(other)].map(Datum::Int8);
    blocks(session, statements::EDGES, params).await
}

/// A block with `piece` written over it.
fn overlaid(old: &[u8], at: usize, piece: &[u8]) -> Arc<[u8]> {
    let end = at + piece.len();
    if at == 0 && end >= old.len() {
        return piece.into();
    }
    let mut bytes = old.to_vec();
    bytes.resize(old.len().max(end), 0);
    bytes[at..end].copy_from_slice(piece);
    bytes.into()
}

/// Sets how long a file is: what is beyond goes, and what there was not is zeros.
pub async fn truncate<D: Database>(session: &mut Session<D>, path: &str, size: u64) -> FileResult<()> {
    let place = walk(session, path, Last::Follow).await?;
    let file = place.file()?;
    if size > FILE_LEN_MAX {
        return Err(place.error(Problem::TooLarge));
    }
    let growth = quota::signed(size) - quota::signed(file.size);
    quota::charge(session, &place, &file.owner, growth, 0).await?;
    if size < file.size {
        remove_blocks(session, file.id, size.div_ceil(LEN)).await?;
        if !size.is_multiple_of(LEN) {
            let params = [
                Datum::Int8(file.id),
                Datum::Int8(quota::signed(size / LEN)),
                Datum::Int4((size % LEN) as i32),
            ];
            session.run(statements::CUT_BLOCK, params.into()).await?;
        }
    }
    set_size(session, file, size).await
}

async fn set_size<D: Database>(session: &mut Session<D>, file: &Inode, size: u64) -> FileResult<()> {
    let params = [file.id, quota::signed(size)].map(Datum::Int8);
    session.run(statements::SET_SIZE, params.into()).await?;
    Ok(())
}
