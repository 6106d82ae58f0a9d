//! What tests/fuzz feeds with any bytes.

use alloc::vec::Vec;

use crate::ast::CopyFormat;
use crate::copy::{CopyDecoder, Field};
use crate::error::SqlResult;

/// The fields of all rows, of so many `columns`, of what `COPY` is sent in `pieces`.
pub fn copy_records(
    format: CopyFormat,
    columns: usize,
    pieces: &[&[u8]],
) -> SqlResult<Vec<Vec<Option<Vec<u8>>>>> {
    let mut decoder = CopyDecoder::new(format, columns);
    let mut records = Vec::new();
    for piece in pieces {
        decoder.push(piece, &mut records)?;
    }
    decoder.finish(&mut records)?;
    let bytes = |field| match field {
        Field::Null => None,
        Field::Text(text) => Some(text.into_bytes()),
        Field::Binary(bytes) => Some(bytes),
    };
    Ok(records.into_iter().map(|(_, record)| record.into_iter().map(bytes).collect()).collect())
}
