//! Rows as bytes.
//!
//! ```text
//! 02 | number of columns, varint | one bit per column, set if NULL | the values that are not
//! bool: 1 byte    integers: zigzag varint    floats: 4 or 8 bytes, little-endian    uuid: 16 bytes
//! text, bytea, jsonb: number of bytes, varint | bytes
//! numeric, date, time, timestamps, interval: see cluster/numeric and cluster/calendar
//! array: number of elements, varint | one bit per element, set if NULL | the elements that are not
//! ```
//! The first format, 01, had timestamps as zigzag varints, counted from 1970; it is still read.
//! A row with fewer columns than its table was written before the others were added: they are NULL.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;

use cluster_calendar::{Date, Interval, Time, Timestamp, Timestamptz};
use cluster_numeric::Numeric;

use crate::batch::{ColumnBuilder, WordKind};
use crate::error::{SqlError, SqlResult};
use crate::types::{Array, DataType, Datum, Scalar, parse_json};

/// The version of this format.
const FORMAT: u8 = 2;

/// The one before.
const FORMAT_BEFORE: u8 = 1;

/// More than a value takes beside its text.
const DATUM_LEN_MAX: usize = 10;

/// `row` as bytes.
pub fn encode(row: &[Datum]) -> Vec<u8> {
    let text_len = |datum: &Datum| if let Datum::Text(text) = datum { text.len() } else { 0 };
    let texts: usize = row.iter().map(text_len).sum();
    let mut out = Vec::with_capacity(texts + (1 + row.len()) * DATUM_LEN_MAX);
    out.push(FORMAT);
    write_all(row, &mut out);
    out
}

fn write_all(row: &[Datum], out: &mut Vec<u8>) {
    write_varint(row.len() as u64, out);
    let bitmap = out.len();
    out.resize(bitmap + row.len().div_ceil(8), 0);
    for (index, datum) in row.iter().enumerate() {
        match out.get_mut(bitmap + index / 8) {
            Some(byte) if datum.is_null() => *byte |= 1 << (index % 8),
            _ => write(datum, out),
        }
    }
}

fn write(datum: &Datum, out: &mut Vec<u8>) {
    match datum {
        Datum::Null => {}
        Datum::Bool(value) => out.push(u8::from(*value)),
        Datum::Int2(value) => write_varint(zigzag(i64::from(*value)), out),
        Datum::Int4(value) => write_varint(zigzag(i64::from(*value)), out),
        Datum::Int8(value) => write_varint(zigzag(*value), out),
        Datum::Oid(value) => write_varint(zigzag(i64::from(*value)), out),
        Datum::Float4(value) => out.extend_from_slice(&value.to_bits().to_le_bytes()),
        Datum::Float8(value) => out.extend_from_slice(&value.to_bits().to_le_bytes()),
        Datum::Numeric(value) => value.write(out),
        Datum::Text(text) | Datum::Bpchar(text) => write_bytes(text.as_bytes(), out),
        Datum::Bytea(bytes) => write_bytes(bytes, out),
        Datum::Date(value) => value.encode(out),
        Datum::Time(value) => value.encode(out),
        Datum::Timestamp(value) => value.encode(out),
        Datum::Timestamptz(value) => value.encode(out),
        Datum::Interval(value) => value.encode(out),
        Datum::Uuid(bytes) => out.extend_from_slice(bytes),
        Datum::Jsonb(json) => write_bytes(json.to_string().as_bytes(), out),
        Datum::Array(array) => write_all(&array.items, out),
    }
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
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
    let (mut reader, count, bitmap) = Reader::begin(bytes, types.len())?;
    // What lies behind the last column that is needed need not be looked at.
    let end = match needed.is_empty() {
        true => types.len(),
        false => needed.iter().rposition(|needed| *needed).map_or(0, |last| last + 1),
    };
    for (index, data_type) in types.iter().enumerate().take(end) {
        let is_null = index >= count || bitmap.get(index / 8)? >> (index % 8) & 1 == 1;
        let wanted = needed.get(index).copied().unwrap_or(true);
        row.push(match (is_null, wanted) {
            (true, _) => Datum::Null,
            (false, true) => reader.datum(*data_type)?,
            (false, false) => {
                reader.skip(*data_type)?;
                Datum::Null
            }
        });
    }
    row.resize(types.len(), Datum::Null);
    (end < types.len() || reader.rest.is_empty()).then_some(count)
}

/// Reads a row's values to the ends of `columns`: those of the columns that `needed` marks, which others get nothing. What
/// lies behind the last column of `needed` is not looked at.
pub(crate) fn read_columns(
    bytes: &[u8],
    types: &[DataType],
    needed: &[bool],
    missing: &[Datum],
    columns: &mut [ColumnBuilder],
) -> SqlResult<()> {
    read_to_columns(bytes, types, needed, missing, columns).ok_or_else(|| SqlError::corrupted("row"))
}

fn read_to_columns(
    bytes: &[u8],
    types: &[DataType],
    needed: &[bool],
    missing: &[Datum],
    columns: &mut [ColumnBuilder],
) -> Option<()> {
    let (mut reader, count, bitmap) = Reader::begin(bytes, types.len())?;
    let has_nulls = bitmap.iter().any(|byte| *byte != 0);
    for (index, ((data_type, column), needed)) in types.iter().zip(columns).zip(needed).enumerate() {
        let is_null = has_nulls && bitmap.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1);
        match (index < count, *needed) {
            (true, false) if is_null => {}
            (true, false) => reader.skip(*data_type)?,
            (true, true) if is_null => column.push_null(),
            (true, true) => reader.push(*data_type, column)?,
            (false, true) => column.push(missing.get(index).cloned().unwrap_or(Datum::Null)),
            (false, false) => {}
        }
    }
    Some(())
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Bytes of the longest integer.
const VARINT_LEN_MAX: usize = 10;

fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Stored bytes, read from the front; none where they end too early.
struct Reader<'a> {
    rest: &'a [u8],
    /// Whether they have the format before.
    before: bool,
}

impl<'a> Reader<'a> {
    /// At the first value of a row of at most `columns_max` columns: how many it has, and the bits of those that are NULL.
    fn begin(bytes: &'a [u8], columns_max: usize) -> Option<(Reader<'a>, usize, &'a [u8])> {
        let (format, rest) = bytes.split_first()?;
        let mut reader = Reader { rest, before: *format == FORMAT_BEFORE };
        if !matches!(*format, FORMAT | FORMAT_BEFORE) {
            return None;
        }
        let count = usize::try_from(reader.varint()?).ok().filter(|count| *count <= columns_max)?;
        let bitmap = reader.bytes(count.div_ceil(8))?;
        Some((reader, count, bitmap))
    }

    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(bytes)
    }

    fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    /// Most have one or two bytes.
    #[inline]
    fn varint(&mut self) -> Option<u64> {
        match *self.rest {
            [only @ ..0x80, ref rest @ ..] => {
                self.rest = rest;
                Some(only.into())
            }
            [first, second @ ..0x80, ref rest @ ..] => {
                self.rest = rest;
                Some(u64::from(first & 0x7f) | u64::from(second) << 7)
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Option<u64> {
        let bytes = self.bytes(self.varint_len()?)?;
        Some(bytes.iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f)))
    }

    /// How many bytes the integer has that comes next: the last one is without its highest bit.
    #[inline]
    fn varint_len(&self) -> Option<usize> {
        const HIGHEST: u64 = 0x8080_8080_8080_8080;
        if let Some(head) = self.rest.first_chunk() {
            let lasts = !u64::from_le_bytes(*head) & HIGHEST;
            if lasts != 0 {
                return Some(lasts.trailing_zeros() as usize / 8 + 1);
            }
        }
        self.rest.iter().take(VARINT_LEN_MAX).position(|byte| *byte < 0x80).map(|last| last + 1)
    }

    #[inline]
    fn skip_varint(&mut self) -> Option<()> {
        self.bytes(self.varint_len()?).map(drop)
    }

    fn integer<T: TryFrom<i64>>(&mut self) -> Option<T> {
        unzigzag(self.varint()?).try_into().ok()
    }

    fn counted(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.varint()?).ok()?;
        self.bytes(len)
    }

    /// What `read` finds at the beginning.
    fn of<T, E>(&mut self, read: impl FnOnce(&'a [u8]) -> Result<(T, &'a [u8]), E>) -> Option<T> {
        let (value, rest) = read(self.rest).ok()?;
        self.rest = rest;
        Some(value)
    }

    /// Passes over a value.
    #[inline]
    fn skip(&mut self, data_type: DataType) -> Option<()> {
        match data_type.base() {
            DataType::Int2 | DataType::Int4 | DataType::Int8 | DataType::Oid => self.skip_varint()?,
            DataType::Numeric => self.rest = Numeric::skip(self.rest)?,
            base if is_counted(base) => {
                self.counted()?;
            }
            _ => {
                self.datum(data_type)?;
            }
        }
        Some(())
    }

    /// Reads a value to the end of `column`.
    fn push(&mut self, data_type: DataType, column: &mut ColumnBuilder) -> Option<()> {
        let base = data_type.base();
        let kind = match base {
            DataType::Int2 => WordKind::Int2,
            DataType::Int4 => WordKind::Int4,
            DataType::Int8 => WordKind::Int8,
            DataType::Date => {
                column.push_word(WordKind::Date, self.of(Date::decode)?.days().into());
                return Some(());
            }
            DataType::Numeric => {
                match Numeric::read_parts(self.rest) {
                    Some(((coefficient, scale), rest)) => {
                        column.push_word(WordKind::Decimal(scale), coefficient);
                        self.rest = rest;
                    }
                    None => column.push(self.datum(data_type)?),
                }
                return Some(());
            }
            base if is_counted(base) && !matches!(base, DataType::Bytea | DataType::Jsonb) => {
                let text = core::str::from_utf8(self.counted()?).ok()?;
                column.push_text(text, base == DataType::Bpchar);
                return Some(());
            }
            _ => {
                column.push(self.datum(data_type)?);
                return Some(());
            }
        };
        column.push_word(kind, unzigzag(self.varint()?));
        Some(())
    }

    fn datum(&mut self, data_type: DataType) -> Option<Datum> {
        Some(match data_type.base() {
            DataType::Bool => Datum::Bool(self.fixed()? != [0]),
            DataType::Int2 => Datum::Int2(self.integer()?),
            DataType::Int4 => Datum::Int4(self.integer()?),
            DataType::Int8 => Datum::Int8(self.integer()?),
            DataType::Oid => Datum::Oid(self.integer()?),
            DataType::Timestamp if self.before => Datum::timestamp_of_unix(self.integer()?),
            DataType::Float4 => Datum::Float4(f32::from_bits(u32::from_le_bytes(self.fixed()?))),
            DataType::Float8 => Datum::Float8(f64::from_bits(u64::from_le_bytes(self.fixed()?))),
            DataType::Numeric => Datum::numeric(self.of(|bytes| Numeric::read(bytes).ok_or(()))?),
            DataType::Date => Datum::Date(self.of(Date::decode)?),
            DataType::Time => Datum::Time(self.of(Time::decode)?),
            DataType::Timestamp => Datum::Timestamp(self.of(Timestamp::decode)?),
            DataType::Timestamptz => Datum::Timestamptz(self.of(Timestamptz::decode)?),
            DataType::Interval => Datum::Interval(self.of(Interval::decode)?),
            DataType::Uuid => Datum::Uuid(self.fixed()?),
            DataType::Array(element) => self.array(element)?,
            base if is_counted(base) => of_bytes(data_type, self.counted()?)?,
            _ => return None,
        })
    }

    fn array(&mut self, element: Scalar) -> Option<Datum> {
        let len = usize::try_from(self.varint()?).ok()?;
        let bitmap = self.bytes(len.div_ceil(8))?;
        let mut items = Vec::with_capacity(len.min(self.rest.len() + 8 * bitmap.len()));
        for index in 0..len {
            let is_null = bitmap.get(index / 8)? >> (index % 8) & 1 == 1;
            items.push(if is_null { Datum::Null } else { self.datum(element.data_type())? });
        }
        Some(Datum::Array(Box::new(Array::new(element, items))))
    }
}

/// Whether values of this type are bytes behind their number.
fn is_counted(base: DataType) -> bool {
    use DataType::{Bpchar, Bytea, Json, Jsonb, Name, Text, Varchar};
    matches!(base, Bytea | Jsonb | Text | Varchar | Bpchar | Name | Json)
}

fn of_bytes(data_type: DataType, bytes: &[u8]) -> Option<Datum> {
    if data_type == DataType::Bytea {
        return Some(Datum::Bytea(bytes.into()));
    }
    let text = core::str::from_utf8(bytes).ok()?;
    Some(match data_type {
        DataType::Jsonb => Datum::json(parse_json(text).ok()?),
        DataType::Bpchar => Datum::Bpchar(text.into()),
        _ => Datum::Text(text.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec;
    use proptest::prelude::*;

    fn typed() -> impl Strategy<Value = (DataType, Datum)> {
        let value = prop_oneof![
            any::<bool>().prop_map(Datum::Bool),
            any::<i32>().prop_map(Datum::Int4),
            any::<i64>().prop_map(Datum::Int8),
            (-1i64 << 57..1 << 57).prop_map(Datum::timestamp_of_unix),
            (-1e9..1e9).prop_map(Datum::Float8),
            any::<String>().prop_map(Datum::Text),
            any::<i16>().prop_map(Datum::Int2),
            any::<u32>().prop_map(Datum::Oid),
            any::<i64>().prop_map(|value| Datum::numeric(Numeric::from(value))),
            any::<[u8; 16]>().prop_map(Datum::Uuid),
            any::<Vec<u8>>().prop_map(|bytes| Datum::Bytea(bytes.into())),
            any::<(i32, i32, i64)>().prop_map(|(a, b, c)| Datum::Interval(Interval::new(a, b, c))),
            proptest::collection::vec(proptest::option::of(any::<i32>()), 0..20).prop_map(|items| {
                let items = items.into_iter().map(|item| item.map_or(Datum::Null, Datum::Int4)).collect();
                Datum::Array(Box::new(Array::new(Scalar::Int4, items)))
            }),
        ];
        (value, any::<bool>()).prop_map(|(datum, null)| {
            (datum.data_type().unwrap_or(DataType::Bool), if null { Datum::Null } else { datum })
        })
    }

    proptest! {
        #[test]
        fn columns_that_are_not_needed_are_null(
            columns in proptest::collection::vec((typed(), any::<bool>()), 1..20)
        ) {
            let (columns, needed): (Vec<_>, Vec<bool>) = columns.into_iter().unzip();
            let (types, row): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
            let expected: Vec<Datum> = row.iter().zip(&needed)
                .map(|(datum, needed)| if *needed { datum.clone() } else { Datum::Null }).collect();
            prop_assert_eq!(read(&encode(&row), &types, &needed, &[]), Ok(expected));
        }

        #[test]
        fn rows_survive_the_round_trip(columns in proptest::collection::vec(typed(), 0..20)) {
            let (types, row): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
            prop_assert_eq!(read(&encode(&row), &types, &[], &[]), Ok(row));
        }

        /// One that goes on for ten bytes and more is none; of the tenth, one bit counts.
        #[test]
        fn integers_are_read_and_passed_over(
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), 0x80..=0xff_u8], 0..14)
        ) {
            let len = bytes.iter().take(VARINT_LEN_MAX).position(|byte| *byte < 0x80).map(|last| last + 1);
            let expected = len.map(|len| {
                let digits = bytes[..len].iter().zip((0..).step_by(7));
                digits.fold(0, |value, (byte, shift)| value | u64::from(byte & 0x7f) << shift)
            });
            let mut reader = Reader { rest: &bytes, before: false };
            prop_assert_eq!(reader.varint(), expected);
            let read = bytes.len() - reader.rest.len();
            let mut reader = Reader { rest: &bytes, before: false };
            prop_assert_eq!(reader.skip_varint(), expected.map(drop));
            prop_assert_eq!((read, bytes.len() - reader.rest.len()), (len.unwrap_or(0), len.unwrap_or(0)));
        }

        #[test]
        fn any_bytes_are_a_row_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = read(&bytes, &[DataType::Int4, DataType::Array(Scalar::Numeric), DataType::Float8], &[], &[]);
        }
    }
}
