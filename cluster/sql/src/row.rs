//! Rows as bytes.
//!
//! ```text
//! 01 | number of columns, varint | one bit per column, set if NULL | the values that are not
//! bool: 1 byte   integers, timestamp: zigzag varint   float: 8 bytes, little-endian   text: varint, bytes
//! ```
//! A row with fewer columns than its table was written before the others were added: they are NULL.

use alloc::vec::Vec;

use crate::error::{SqlError, SqlResult};
use crate::types::{DataType, Datum};

/// The version of this format.
const FORMAT: u8 = 1;

/// More than a value takes beside its text.
const DATUM_LEN_MAX: usize = 10;

/// `row` as bytes.
pub fn encode(row: &[Datum]) -> Vec<u8> {
    let text_len = |datum: &Datum| if let Datum::Text(text) = datum { text.len() } else { 0 };
    let texts: usize = row.iter().map(text_len).sum();
    let mut out = Vec::with_capacity(texts + (1 + row.len()) * DATUM_LEN_MAX);
    out.push(FORMAT);
    write_varint(row.len() as u64, &mut out);
    let bitmap = out.len();
    out.resize(bitmap + row.len().div_ceil(8), 0);
    for (index, datum) in row.iter().enumerate() {
        match datum {
            Datum::Null | Datum::Bytea(_) => {
                if let Some(byte) = out.get_mut(bitmap + index / 8) {
                    *byte |= 1 << (index % 8);
                }
            }
            Datum::Bool(value) => out.push(u8::from(*value)),
            Datum::Int4(value) => write_varint(zigzag(i64::from(*value)), &mut out),
            Datum::Int8(value) | Datum::Timestamp(value) => write_varint(zigzag(*value), &mut out),
            Datum::Float8(value) => out.extend_from_slice(&value.to_bits().to_le_bytes()),
            Datum::Text(text) => {
                write_varint(text.len() as u64, &mut out);
                out.extend_from_slice(text.as_bytes());
            }
        }
    }
    out
}

/// The row in `bytes`, whose columns have `types`. Columns that `needed` does not want stay NULL; those that were not
/// there when it was written are as in `missing`, or NULL.
pub fn read(bytes: &[u8], types: &[DataType], needed: &[bool], missing: &[Datum]) -> SqlResult<Vec<Datum>> {
    let mut row = Vec::with_capacity(types.len());
    let count = read_into(bytes, types, needed, &mut row).ok_or_else(|| SqlError::corrupted("row"))?;
    for (datum, missing) in row.iter_mut().zip(missing).skip(count) {
        datum.clone_from(missing);
    }
    Ok(row)
}

/// Reads a row, and tells how many columns it has.
fn read_into(bytes: &[u8], types: &[DataType], needed: &[bool], row: &mut Vec<Datum>) -> Option<usize> {
    let mut reader = Reader(bytes);
    if reader.byte()? != FORMAT {
        return None;
    }
    let count = usize::try_from(reader.varint()?).ok().filter(|count| *count <= types.len())?;
    let bitmap = reader.bytes(count.div_ceil(8))?;
    for (index, data_type) in types.iter().enumerate() {
        let is_null = index >= count || bitmap.get(index / 8)? >> (index % 8) & 1 == 1;
        let wanted = needed.get(index).copied().unwrap_or(true);
        row.push(if is_null { Datum::Null } else { reader.datum(*data_type, wanted)? });
    }
    reader.0.is_empty().then_some(count)
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Stored bytes, read from the front; none where they end too early.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn datum(&mut self, data_type: DataType, wanted: bool) -> Option<Datum> {
        Some(match data_type {
            DataType::Bool => Datum::Bool(self.byte()? != 0),
            DataType::Int4 => Datum::Int4(unzigzag(self.varint()?).try_into().ok()?),
            DataType::Int8 => Datum::Int8(unzigzag(self.varint()?)),
            DataType::Timestamp => Datum::Timestamp(unzigzag(self.varint()?)),
            DataType::Float8 => {
                Datum::Float8(f64::from_bits(u64::from_le_bytes(self.bytes(8)?.try_into().ok()?)))
            }
            DataType::Text => {
                let len = usize::try_from(self.varint()?).ok()?;
                let bytes = self.bytes(len)?;
                match wanted {
                    true => Datum::Text(core::str::from_utf8(bytes).ok()?.into()),
                    false => Datum::Null,
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use proptest::prelude::*;

    fn typed() -> impl Strategy<Value = (DataType, Datum)> {
        let value = prop_oneof![
            any::<bool>().prop_map(Datum::Bool),
            any::<i32>().prop_map(Datum::Int4),
            any::<i64>().prop_map(Datum::Int8),
            any::<i64>().prop_map(Datum::Timestamp),
            (-1e9..1e9).prop_map(Datum::Float8),
            any::<String>().prop_map(Datum::Text),
        ];
        (value, any::<bool>()).prop_map(|(datum, null)| {
            (datum.data_type().unwrap_or(DataType::Bool), if null { Datum::Null } else { datum })
        })
    }

    proptest! {
        #[test]
        fn rows_survive_the_round_trip(columns in proptest::collection::vec(typed(), 0..20)) {
            let (types, row): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
            prop_assert_eq!(read(&encode(&row), &types, &[], &[]), Ok(row));
        }

        #[test]
        fn any_bytes_are_a_row_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = read(&bytes, &[DataType::Int4, DataType::Text, DataType::Float8], &[], &[]);
        }
    }
}
