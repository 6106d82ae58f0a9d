//! What tests/fuzz feeds with any bytes.

use alloc::vec::Vec;

use crate::ast::CopyFormat;
use crate::copy::CopyDecoder;
use crate::error::SqlResult;

/// The fields of all lines of what `COPY` is sent in `pieces`.
pub fn copy_records(
    format: CopyFormat,
    pieces: &[&[u8]],
) -> SqlResult<Vec<Vec<Option<alloc::string::String>>>> {
    let mut decoder = CopyDecoder::new(format);
    let mut records = Vec::new();
    for piece in pieces {
        decoder.push(piece, &mut records)?;
    }
    decoder.finish(&mut records)?;
    Ok(records.into_iter().map(|(_, record)| record).collect())
}
