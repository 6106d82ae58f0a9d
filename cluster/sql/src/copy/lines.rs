//! Lines as rows, from bytes that come in pieces.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use cluster_format::limits::ROW_LEN_MAX;

use super::{Field, Record};
use crate::ast::LineFormat;
use crate::catalog::COLUMNS_MAX;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::wire;

/// Where in a field the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Outside quotes.
    Plain,
    /// Behind a backslash (text).
    Escaped,
    /// Within quotes (CSV).
    Quoted,
    /// Behind an escape character within quotes, which is also the quote if they are the same (CSV).
    QuotedEscape,
}

/// Takes lines apart.
pub(crate) struct LineDecoder {
    format: LineFormat,
    place: Place,
    field: Vec<u8>,
    was_quoted: bool,
    record: Record,
    record_len: usize,
    /// The line in hand, from 1.
    line: u64,
    skip_header: bool,
    ended: bool,
}

impl LineDecoder {
    pub(super) fn new(format: LineFormat) -> LineDecoder {
        let skip_header = format.header;
        LineDecoder {
            format,
            place: Place::Plain,
            field: Vec::new(),
            was_quoted: false,
            record: Vec::new(),
            record_len: 0,
            line: 1,
            skip_header,
            ended: false,
        }
    }

    /// Takes `bytes`, and hands each whole line's fields to `records`.
    pub(super) fn push(&mut self, bytes: &[u8], records: &mut Vec<(u64, Record)>) -> SqlResult<()> {
        for byte in bytes {
            if self.ended {
                return Ok(());
            }
            self.record_len += 1;
            if self.record_len > 2 * ROW_LEN_MAX {
                let message = format!("a line of more than {} bytes exceeds the limit", 2 * ROW_LEN_MAX);
                return Err(SqlError::new(SqlState::LIMIT_EXCEEDED, message));
            }
            match self.format.csv {
                true => self.csv_byte(*byte, records)?,
                false => self.text_byte(*byte, records)?,
            }
        }
        Ok(())
    }

    /// The end of the data: what stands behind the last newline is a line, too.
    pub(super) fn finish(&mut self, records: &mut Vec<(u64, Record)>) -> SqlResult<()> {
        if matches!(self.place, Place::Quoted) {
            return Err(SqlError::new(SqlState::BAD_COPY_FORMAT, "unterminated CSV quoted field"));
        }
        if !self.ended && (self.record_len > 0) {
            self.end_record(records)?;
        }
        Ok(())
    }

    fn text_byte(&mut self, byte: u8, records: &mut Vec<(u64, Record)>) -> SqlResult<()> {
        match (self.place, byte) {
            (Place::Plain, b'\n') => return self.end_record(records),
            (Place::Plain, byte) if byte == self.format.delimiter => return self.end_field(),
            (Place::Plain, b'\\') => self.place = Place::Escaped,
            _ => self.place = Place::Plain,
        }
        self.field.push(byte);
        Ok(())
    }

    fn csv_byte(&mut self, byte: u8, records: &mut Vec<(u64, Record)>) -> SqlResult<()> {
        let LineFormat { quote, escape, delimiter, .. } = self.format;
        match self.place {
            Place::Quoted if byte == escape && escape == quote => self.place = Place::QuotedEscape,
            Place::Quoted if byte == escape => self.place = Place::QuotedEscape,
            Place::Quoted if byte == quote => self.place = Place::Plain,
            Place::Quoted => {
                self.line += u64::from(byte == b'\n');
                self.field.push(byte);
            }
            Place::QuotedEscape if byte == quote || byte == escape => {
                self.field.push(byte);
                self.place = Place::Quoted;
            }
            Place::QuotedEscape if escape == quote => {
                self.place = Place::Plain;
                return self.csv_byte(byte, records);
            }
            Place::QuotedEscape => {
                self.field.extend_from_slice(&[escape, byte]);
                self.place = Place::Quoted;
            }
            _ if byte == b'\n' => return self.end_record(records),
            _ if byte == delimiter => return self.end_field(),
            _ if byte == quote => {
                self.was_quoted = true;
                self.place = Place::Quoted;
            }
            _ => self.field.push(byte),
        }
        Ok(())
    }

    fn end_field(&mut self) -> SqlResult<()> {
        let was_quoted = core::mem::take(&mut self.was_quoted);
        let is_null = !was_quoted && self.field == self.format.null.as_bytes();
        let bytes = if self.format.csv { self.field.clone() } else { unescape(&self.field) };
        // It keeps its memory for the next one.
        self.field.clear();
        // A field takes more memory than it has bytes, and no table has so many columns.
        if self.record.len() > COLUMNS_MAX {
            return Err(SqlError::new(SqlState::BAD_COPY_FORMAT, "extra data after last expected column"));
        }
        self.record.push(match is_null {
            true => Field::Null,
            false => Field::Text(String::from_utf8(bytes).map_err(|_| wire::bad_utf8())?),
        });
        Ok(())
    }

    fn end_record(&mut self, records: &mut Vec<(u64, Record)>) -> SqlResult<()> {
        if self.field.last() == Some(&b'\r') && !self.was_quoted {
            self.field.pop();
        }
        self.place = Place::Plain;
        self.record_len = 0;
        if self.record.is_empty() && self.field == b"\\." && !self.was_quoted {
            self.ended = true;
            return Ok(());
        }
        self.end_field()?;
        let record = core::mem::take(&mut self.record);
        if core::mem::take(&mut self.skip_header) {
            self.line += 1;
            return Ok(());
        }
        records.push((self.line, record));
        self.line += 1;
        Ok(())
    }
}

/// A field of the text format, its backslashes taken at their word.
fn unescape(field: &[u8]) -> Vec<u8> {
    if !field.contains(&b'\\') {
        return field.to_vec();
    }
    let mut out = Vec::with_capacity(field.len());
    let mut bytes = field.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some(escaped) = bytes.next() else { break };
        match escaped {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(11),
            b'0'..=b'7' => {
                let mut value = u32::from(escaped - b'0');
                for _ in 0..2 {
                    let Some(digit) = bytes.next_if(|byte| (b'0'..=b'7').contains(byte)) else { break };
                    value = value * 8 + u32::from(digit - b'0');
                }
                out.push((value & 0xff) as u8);
            }
            b'x' => {
                let mut value = None;
                for _ in 0..2 {
                    let Some(digit) = bytes.next_if(u8::is_ascii_hexdigit) else { break };
                    let digit = char::from(digit).to_digit(16).unwrap_or(0);
                    value = Some(value.unwrap_or(0) * 16 + digit);
                }
                out.push(value.map_or(b'x', |value| (value & 0xff) as u8));
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn format(csv: bool) -> LineFormat {
        let (delimiter, null) = if csv { (b',', "") } else { (b'\t', "\\N") };
        LineFormat { csv, delimiter, null: null.into(), header: false, quote: b'"', escape: b'"' }
    }

    fn decode(csv: bool, pieces: &[&[u8]]) -> Vec<Record> {
        let mut decoder = LineDecoder::new(format(csv));
        let mut records = Vec::new();
        for piece in pieces {
            decoder.push(piece, &mut records).expect("valid");
        }
        decoder.finish(&mut records).expect("valid");
        records.into_iter().map(|(_, record)| record).collect()
    }

    fn record(fields: &[Option<&str>]) -> Record {
        fields.iter().map(|field| field.map_or(Field::Null, |text| Field::Text(text.into()))).collect()
    }

    #[test]
    fn csv_knows_quotes_and_null() {
        let data = b"a,\"b \"\"c\"\"\n,d\",\"\",\r\nx,y,z,w";
        let expected = [
            record(&[Some("a"), Some("b \"c\"\n,d"), Some(""), None]),
            record(&[Some("x"), Some("y"), Some("z"), Some("w")]),
        ];
        assert_eq!(decode(true, &[data]), expected);
        let pieces: Vec<&[u8]> = data.chunks(1).collect();
        assert_eq!(decode(true, &pieces), expected);
    }

    #[test]
    fn a_line_of_more_fields_than_a_table_has_columns_is_refused_before_it_ends() {
        let mut decoder = LineDecoder::new(format(false));
        let refused = decoder.push(&[b'\t'; 10_000], &mut Vec::new()).expect_err("too many");
        assert_eq!(refused.state, SqlState::BAD_COPY_FORMAT);
        assert!(decoder.record.len() <= COLUMNS_MAX + 1);
    }

    #[test]
    fn text_knows_escapes_and_the_end() {
        let expected = [record(&[Some("a\tb"), None, Some("\\N"), Some("A")])];
        assert_eq!(decode(false, &[b"a\\tb\t\\N\t\\\\N\t\\101\n\\.\nignored\n"]), expected);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            csv in any::<bool>(),
            rows in proptest::collection::vec(proptest::collection::vec(proptest::option::of("[a,\"\\\\\t\n.N\r]{0,5}"), 2..4), 0..4)
        ) {
            use crate::types::Datum;
            let mut bytes = Vec::new();
            for row in &rows {
                let row: Vec<Datum> = row.iter().map(|f| f.clone().map_or(Datum::Null, Datum::Text)).collect();
                super::super::encode::write_row(&row, &format(csv), &crate::wire::Style::default(), &mut bytes);
            }
            let fields = |row: &Vec<Option<String>>| row.iter().map(|f| f.clone().map_or(Field::Null, Field::Text)).collect();
            let rows: Vec<Record> = rows.iter().map(fields).collect();
            prop_assert_eq!(decode(csv, &[&bytes]), rows);
        }
    }
}
