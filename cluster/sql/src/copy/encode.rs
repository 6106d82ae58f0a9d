//! Rows as lines.

use alloc::string::String;
use alloc::vec::Vec;

use crate::ast::LineFormat;
use crate::plan::OutputColumn;
use crate::types::Datum;
use crate::wire::{self, Style};

/// Appends the line that names the columns.
pub(super) fn write_header(columns: &[OutputColumn], format: &LineFormat, out: &mut Vec<u8>) {
    for (index, column) in columns.iter().enumerate() {
        if index > 0 {
            out.push(format.delimiter);
        }
        write_field(&column.name, format, out);
    }
    out.push(b'\n');
}

/// Appends the line of `row`.
pub(super) fn write_row(row: &[Datum], format: &LineFormat, style: &Style, out: &mut Vec<u8>) {
    let mut text = String::new();
    for (index, datum) in row.iter().enumerate() {
        if index > 0 {
            out.push(format.delimiter);
        }
        match datum {
            Datum::Null => out.extend_from_slice(format.null.as_bytes()),
            Datum::Text(text) => write_field(text, format, out),
            other => {
                text.clear();
                wire::write_text(other, style, &mut text);
                write_field(&text, format, out);
            }
        }
    }
    out.push(b'\n');
}

fn write_field(text: &str, format: &LineFormat, out: &mut Vec<u8>) {
    if format.csv {
        return write_csv(text, format, out);
    }
    for byte in text.bytes() {
        let escaped = match byte {
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            8 => b'b',
            11 => b'v',
            12 => b'f',
            byte if byte == format.delimiter => byte,
            byte => {
                out.push(byte);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', escaped]);
    }
}

fn write_csv(text: &str, format: &LineFormat, out: &mut Vec<u8>) {
    let special =
        |byte: u8| byte == format.delimiter || byte == format.quote || byte == b'\n' || byte == b'\r';
    if text != format.null && text != "\\." && !text.bytes().any(special) {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(format.quote);
    for byte in text.bytes() {
        if byte == format.quote || byte == format.escape {
            out.push(format.escape);
        }
        out.push(byte);
    }
    out.push(format.quote);
}
