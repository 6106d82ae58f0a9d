//! The formats of `COPY`.

mod binary;
mod encode;
mod lines;

use alloc::string::String;
use alloc::vec::Vec;

use crate::ast::CopyFormat;
use crate::error::SqlResult;
use crate::plan::OutputColumn;
use crate::types::Datum;
use crate::wire::Style;

/// A value as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Null,
    /// What a line says.
    Text(String),
    /// As in a message.
    Binary(Vec<u8>),
}

/// The fields of a row.
pub(crate) type Record = Vec<Field>;

/// Takes what is sent apart, in pieces of any length.
pub(crate) enum CopyDecoder {
    Lines(lines::LineDecoder),
    Binary(binary::BinaryDecoder),
}

impl CopyDecoder {
    /// For rows of so many columns.
    pub(crate) fn new(format: CopyFormat, columns: usize) -> CopyDecoder {
        match format {
            CopyFormat::Lines(format) => CopyDecoder::Lines(lines::LineDecoder::new(format)),
            CopyFormat::Binary => CopyDecoder::Binary(binary::BinaryDecoder::new(columns)),
        }
    }

    /// Takes `bytes`, and hands each whole row to `records`, with its number.
    pub(crate) fn push(&mut self, bytes: &[u8], records: &mut Vec<(u64, Record)>) -> SqlResult<()> {
        match self {
            CopyDecoder::Lines(decoder) => decoder.push(bytes, records),
            CopyDecoder::Binary(decoder) => decoder.push(bytes, records),
        }
    }

    /// The end of the data.
    pub(crate) fn finish(&mut self, records: &mut Vec<(u64, Record)>) -> SqlResult<()> {
        match self {
            CopyDecoder::Lines(decoder) => decoder.finish(records),
            CopyDecoder::Binary(decoder) => decoder.finish(),
        }
    }
}

/// Appends what comes before the first row.
pub(crate) fn write_start(columns: &[OutputColumn], format: &CopyFormat, out: &mut Vec<u8>) {
    match format {
        CopyFormat::Lines(format) if format.header => encode::write_header(columns, format, out),
        CopyFormat::Lines(_) => {}
        CopyFormat::Binary => binary::write_start(out),
    }
}

/// Appends `row`.
pub(crate) fn write_row(row: &[Datum], format: &CopyFormat, style: &Style, out: &mut Vec<u8>) {
    match format {
        CopyFormat::Lines(format) => encode::write_row(row, format, style, out),
        CopyFormat::Binary => binary::write_row(row, out),
    }
}

/// Appends what comes behind the last row.
pub(crate) fn write_end(format: &CopyFormat, out: &mut Vec<u8>) {
    if *format == CopyFormat::Binary {
        binary::write_end(out);
    }
}
