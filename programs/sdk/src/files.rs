//! Files of the cluster, in the transaction of the run.
//!
//! Paths begin with a slash. A piece has 1 MiB at most, so longer files are read and written in several; what one transaction
//! writes has 8 MiB at most.

use crate::{Error, Result, imports};

/// Bytes that the node reads or writes at once.
const PIECE_LEN_MAX: usize = 1 << 20;

/// All that is in a file.
pub fn read(path: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let piece = read_at(path, bytes.len() as u64, PIECE_LEN_MAX)?;
        let is_last = piece.len() < PIECE_LEN_MAX;
        bytes.extend(piece);
        if is_last {
            return Ok(bytes);
        }
    }
}

/// What is in a file that is text.
pub fn read_text(path: &str) -> Result<String> {
    String::from_utf8(read(path)?).map_err(|_| Error::Type(format!("{path}: it is not UTF-8")))
}

/// A piece of a file: as many bytes as there are from `offset` on, at most `len` and 1 MiB.
pub fn read_at(path: &str, offset: u64, len: usize) -> Result<Vec<u8>> {
    imports::file_read(path, signed(offset), len).map_err(Error::File)
}

/// Writes a file, in the place of a file or an empty directory that is there.
pub fn write(path: &str, bytes: impl AsRef<[u8]>) -> Result<()> {
    // There may be none. If it cannot be removed for another reason, it cannot be written either.
    let _ = imports::file_remove(path);
    write_at(path, 0, bytes)
}

/// Writes a piece of a file, which is made if it is not there.
pub fn write_at(path: &str, offset: u64, bytes: impl AsRef<[u8]>) -> Result<()> {
    let bytes = bytes.as_ref();
    let mut at = 0;
    loop {
        let piece = &bytes[at..bytes.len().min(at + PIECE_LEN_MAX)];
        let offset = offset.saturating_add(at as u64);
        imports::file_write(path, signed(offset), piece).map_err(Error::File)?;
        at += piece.len();
        if at == bytes.len() {
            return Ok(());
        }
    }
}

/// Writes behind the end of a file, which is made if it is not there.
pub fn append(path: &str, bytes: impl AsRef<[u8]>) -> Result<()> {
    let (first, others) = bytes.as_ref().split_at(bytes.as_ref().len().min(PIECE_LEN_MAX));
    let mut pieces = std::iter::once(first).chain(others.chunks(PIECE_LEN_MAX));
    pieces.try_for_each(|piece| imports::file_write(path, -1, piece).map_err(Error::File))
}

/// Removes a file, or an empty directory.
pub fn remove(path: &str) -> Result<()> {
    imports::file_remove(path).map_err(Error::File)
}

/// Gives a file or a directory another path. A file that is there is replaced.
pub fn rename(path: &str, to: &str) -> Result<()> {
    imports::file_rename(path, to).map_err(Error::File)
}

/// Makes a directory, and those on the way to it.
pub fn mkdir(path: &str) -> Result<()> {
    imports::file_mkdir(path).map_err(Error::File)
}

/// An offset as the node takes it: what is beyond all numbers is beyond all files.
fn signed(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}
