//! Rows as bytes, from pieces and into them.
//!
//! ```text
//! "PGCOPY\n\xff\r\n\0" | flags, u32: 0, but for the lower half | length of what follows, u32 | what nobody knows
//! for each row: number of fields, i16 | for each field: length, i32, -1 for NULL | its bytes
//! -1, i16
//! ```

use alloc::format;
use alloc::vec::Vec;

use cluster_format::limits::ROW_LEN_MAX;

use super::{Field, Record};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::types::Datum;
use crate::wire;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

/// Of the flags, those that must be understood; and the one that says that rows begin with an object id.
const CRITICAL: u32 = 0xffff_0000;
const WITH_OIDS: u32 = 1 << 16;

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Signature,
    Flags,
    ExtensionLen,
    /// So many bytes that mean nothing.
    Extension(usize),
    /// A row, or the end.
    FieldCount,
    /// Of so many fields, the first one's length.
    FieldLen(usize),
    /// Of so many fields, the first one's bytes, so many.
    Field(usize, usize),
    /// Nothing.
    End,
}

/// Takes rows apart.
pub(crate) struct BinaryDecoder {
    columns: usize,
    place: Place,
    /// The beginning of what comes next.
    part: Vec<u8>,
    record: Record,
    record_len: usize,
    number: u64,
}

fn malformed(message: &str) -> SqlError {
    SqlError::new(SqlState::BAD_COPY_FORMAT, message)
}

fn number<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}

impl BinaryDecoder {
    pub(super) fn new(columns: usize) -> BinaryDecoder {
        let (part, record) = (Vec::new(), Vec::new());
        BinaryDecoder { columns, place: Place::Signature, part, record, record_len: 0, number: 1 }
    }

    pub(super) fn push(&mut self, mut bytes: &[u8], records: &mut Vec<(u64, Record)>) -> SqlResult<()> {
        loop {
            let wanted = match self.place {
                Place::Signature => SIGNATURE.len(),
                Place::Flags | Place::ExtensionLen | Place::FieldLen(_) => 4,
                Place::FieldCount => 2,
                Place::Field(_, len) => len,
                Place::Extension(len) => {
                    let skipped = len.min(bytes.len());
                    bytes = bytes.get(skipped..).unwrap_or_default();
                    self.place =
                        if skipped == len { Place::FieldCount } else { Place::Extension(len - skipped) };
                    if self.place == Place::FieldCount {
                        continue;
                    }
                    return Ok(());
                }
                Place::End if bytes.is_empty() => return Ok(()),
                Place::End => return Err(malformed("received copy data after EOF marker")),
            };
            let (part, rest) = bytes.split_at(bytes.len().min(wanted.saturating_sub(self.part.len())));
            self.part.extend_from_slice(part);
            bytes = rest;
            if self.part.len() < wanted {
                return Ok(());
            }
            self.place = self.next(records)?;
            self.part.clear();
        }
    }

    /// Takes the part, which is complete. Returns what comes behind it.
    fn next(&mut self, records: &mut Vec<(u64, Record)>) -> SqlResult<Place> {
        match self.place {
            Place::Signature if self.part == SIGNATURE => Ok(Place::Flags),
            Place::Signature => Err(malformed("COPY file signature not recognized")),
            Place::Flags => match u32::from_be_bytes(number(&self.part)) & CRITICAL {
                0 => Ok(Place::ExtensionLen),
                flags if flags & WITH_OIDS != 0 => Err(malformed("invalid COPY file header (WITH OIDS)")),
                _ => Err(malformed("unrecognized critical flags in COPY file header")),
            },
            Place::ExtensionLen => match usize::try_from(i32::from_be_bytes(number(&self.part))) {
                Ok(len) => Ok(Place::Extension(len)),
                Err(_) => Err(malformed("invalid COPY file header (missing length)")),
            },
            Place::FieldCount => match i16::from_be_bytes(number(&self.part)) {
                -1 => Ok(Place::End),
                count if usize::try_from(count) == Ok(self.columns) => {
                    Ok(self.behind_field(self.columns, records))
                }
                count => {
                    let message = format!("row field count is {count}, expected {}", self.columns);
                    Err(malformed(&message))
                }
            },
            Place::FieldLen(count) => match i32::from_be_bytes(number(&self.part)) {
                -1 => {
                    self.record.push(Field::Null);
                    Ok(self.behind_field(count - 1, records))
                }
                len => {
                    let len = usize::try_from(len).map_err(|_| malformed("invalid field size"))?;
                    self.charge(len)?;
                    Ok(Place::Field(count, len))
                }
            },
            Place::Field(count, _) => {
                self.record.push(Field::Binary(core::mem::take(&mut self.part)));
                Ok(self.behind_field(count - 1, records))
            }
            place @ (Place::Extension(_) | Place::End) => Ok(place),
        }
    }

    /// A row may be as long as it may be as a line.
    fn charge(&mut self, len: usize) -> SqlResult<()> {
        self.record_len += len;
        if self.record_len > 2 * ROW_LEN_MAX {
            let message = format!("a row of more than {} bytes exceeds the limit", 2 * ROW_LEN_MAX);
            return Err(SqlError::new(SqlState::LIMIT_EXCEEDED, message));
        }
        Ok(())
    }

    /// What comes behind a field, if so many more do; behind the last one, the row is whole.
    fn behind_field(&mut self, count: usize, records: &mut Vec<(u64, Record)>) -> Place {
        if count > 0 {
            return Place::FieldLen(count);
        }
        records.push((self.number, core::mem::take(&mut self.record)));
        self.number += 1;
        self.record_len = 0;
        Place::FieldCount
    }

    /// The end of the data. The marker of the end need not have come.
    pub(super) fn finish(&mut self) -> SqlResult<()> {
        match self.place {
            Place::Signature => Err(malformed("COPY file signature not recognized")),
            Place::Flags => Err(malformed("invalid COPY file header (missing flags)")),
            Place::ExtensionLen => Err(malformed("invalid COPY file header (missing length)")),
            Place::Extension(_) => Err(malformed("invalid COPY file header (wrong length)")),
            Place::FieldLen(_) | Place::Field(..) => Err(malformed("unexpected EOF in COPY data")),
            Place::FieldCount | Place::End => Ok(()),
        }
    }
}

pub(super) fn write_start(out: &mut Vec<u8>) {
    out.extend_from_slice(SIGNATURE);
    out.extend_from_slice(&[0; 8]);
}

pub(super) fn write_row(row: &[Datum], out: &mut Vec<u8>) {
    out.extend_from_slice(&i16::try_from(row.len()).unwrap_or(i16::MAX).to_be_bytes());
    for datum in row {
        if datum.is_null() {
            out.extend_from_slice(&(-1i32).to_be_bytes());
            continue;
        }
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        wire::write_binary(datum, out);
        let len = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
        if let Some(place) = out.get_mut(start..start + 4) {
            place.copy_from_slice(&len.to_be_bytes());
        }
    }
}

pub(super) fn write_end(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1i16).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(columns: usize, pieces: &[&[u8]]) -> SqlResult<Vec<Record>> {
        let mut decoder = BinaryDecoder::new(columns);
        let mut records = Vec::new();
        for piece in pieces {
            decoder.push(piece, &mut records)?;
        }
        decoder.finish()?;
        Ok(records.into_iter().map(|(_, record)| record).collect())
    }

    fn start() -> Vec<u8> {
        let mut bytes = Vec::new();
        write_start(&mut bytes);
        bytes
    }

    #[test]
    fn what_is_malformed_is_named_as_postgres_names_it() {
        let cases: [(&[u8], &str); 12] = [
            (b"", "COPY file signature not recognized"),
            (b"PGCOPY\n\xff\n\n\0\0\0", "COPY file signature not recognized"),
            (b"PGCOPY\n\xff\r\n\0\0\0", "invalid COPY file header (missing flags)"),
            (b"PGCOPY\n\xff\r\n\0\0\x01\0\0", "invalid COPY file header (WITH OIDS)"),
            (b"PGCOPY\n\xff\r\n\0\0\x02\0\0", "unrecognized critical flags in COPY file header"),
            (b"PGCOPY\n\xff\r\n\0\0\0\0\x01\0\0", "invalid COPY file header (missing length)"),
            (b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\x02\0", "invalid COPY file header (wrong length)"),
            (b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x02", "row field count is 2, expected 1"),
            (b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x01\0", "unexpected EOF in COPY data"),
            (b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\x01", "unexpected EOF in COPY data"),
            (b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x01\xff\xff\xff\xfe", "invalid field size"),
            (b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\xff\xff\0", "received copy data after EOF marker"),
        ];
        for (bytes, message) in cases {
            let error = decode(1, &[bytes]).expect_err(message);
            assert_eq!((error.state, error.message.as_str()), (SqlState::BAD_COPY_FORMAT, message));
        }
        let mut too_long = start();
        too_long.extend_from_slice(b"\0\x01\x7f\xff\xff\xff");
        assert_eq!(decode(1, &[&too_long]).expect_err("too long").state, SqlState::LIMIT_EXCEEDED);
    }

    #[test]
    fn the_end_need_not_be_marked_and_an_extension_is_skipped() {
        let bytes = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\x03abc\0\x01\0\0\0\x02hi";
        assert_eq!(decode(1, &[bytes]), Ok([[Field::Binary(b"hi".into())].into()].into()));
        assert_eq!(decode(1, &[&start()]), Ok([].into()));
        let rows = [start(), b"\0\0\0\0\xff\xff".to_vec()].concat();
        assert_eq!(decode(0, &[&rows]), Ok([[].into(), [].into()].into()), "rows may have no columns");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_however_it_is_cut(
            rows in proptest::collection::vec(proptest::collection::vec(proptest::option::of("[a-z]{0,9}"), 3), 0..4),
            piece in 1..40usize,
        ) {
            let mut bytes = start();
            for row in &rows {
                let row: Vec<Datum> = row.iter().map(|f| f.clone().map_or(Datum::Null, Datum::Text)).collect();
                write_row(&row, &mut bytes);
            }
            write_end(&mut bytes);
            let fields = |row: &Vec<Option<alloc::string::String>>| -> Record {
                row.iter().map(|f| f.clone().map_or(Field::Null, |f| Field::Binary(f.into_bytes()))).collect()
            };
            let rows: Vec<Record> = rows.iter().map(fields).collect();
            prop_assert_eq!(decode(3, &bytes.chunks(piece).collect::<Vec<_>>()), Ok(rows));
        }
    }
}
