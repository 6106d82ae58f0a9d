//! What clients are sent.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use cluster_sql::types::{DataType, Datum};
use cluster_sql::wire::Style;
use cluster_sql::{Notice, Notification, OutputColumn, SqlError, Status, wire};

/// Messages on their way to a client.
#[derive(Debug, Default)]
pub(crate) struct Output(pub(crate) Vec<u8>);

impl Output {
    fn message(&mut self, tag: u8, body: impl FnOnce(&mut Vec<u8>)) {
        self.0.push(tag);
        let start = self.0.len();
        self.0.extend_from_slice(&[0; 4]);
        body(&mut self.0);
        let len = u32::try_from(self.0.len() - start).unwrap_or(u32::MAX);
        if let Some(place) = self.0.get_mut(start..start + 4) {
            place.copy_from_slice(&len.to_be_bytes());
        }
    }

    fn plain(&mut self, tag: u8) {
        self.message(tag, |_| {});
    }

    pub(crate) fn authentication_ok(&mut self) {
        self.message(b'R', |out| out.extend_from_slice(&[0; 4]));
    }

    pub(crate) fn backend_key(&mut self, backend: u32, secret: u32) {
        self.message(b'K', |out| {
            out.extend_from_slice(&backend.to_be_bytes());
            out.extend_from_slice(&secret.to_be_bytes());
        });
    }

    /// Offers protocol 3.0 to a client that wants more.
    pub(crate) fn negotiate_version(&mut self, unknown_options: &[&str]) {
        self.message(b'v', |out| {
            out.extend_from_slice(&(3u32 << 16).to_be_bytes());
            out.extend_from_slice(&count_u32(unknown_options.len()));
            unknown_options.iter().for_each(|option| text(option, out));
        });
    }

    pub(crate) fn parameter_status(&mut self, name: &str, value: &str) {
        self.message(b'S', |out| {
            text(name, out);
            text(value, out);
        });
    }

    pub(crate) fn ready_for_query(&mut self, status: Status) {
        self.message(b'Z', |out| {
            out.push(match status {
                Status::Idle => b'I',
                Status::Transaction => b'T',
                Status::Failed => b'E',
            });
        });
    }

    pub(crate) fn error(&mut self, severity: &str, error: &SqlError) {
        self.message(b'E', |out| {
            let position = error.position.map(|position| position.to_string());
            for (field, value) in [
                (b'S', Some(severity)),
                (b'V', Some(severity)),
                (b'C', Some(error.state.0)),
                (b'M', Some(error.message.as_str())),
                (b'D', error.detail.as_deref()),
                (b'H', error.hint.as_deref()),
                (b'W', error.context.as_deref()),
                (b'P', position.as_deref()),
            ] {
                field_if(field, value, out);
            }
            out.push(0);
        });
    }

    pub(crate) fn notice(&mut self, notice: &Notice) {
        self.message(b'N', |out| {
            field_if(b'S', Some(notice.severity), out);
            field_if(b'V', Some(notice.severity), out);
            field_if(b'C', Some(notice.state.0), out);
            field_if(b'M', Some(&notice.message), out);
            out.push(0);
        });
    }

    pub(crate) fn notification(&mut self, notification: &Notification) {
        self.message(b'A', |out| {
            out.extend_from_slice(&notification.backend.to_be_bytes());
            text(&notification.channel, out);
            text(&notification.payload, out);
        });
    }

    pub(crate) fn row_description(&mut self, columns: &[OutputColumn], formats: &[i16]) {
        self.message(b'T', |out| {
            out.extend_from_slice(&count_u16(columns.len()));
            for (index, column) in columns.iter().enumerate() {
                text(&column.name, out);
                // No table and no column of one: outputs are expressions.
                out.extend_from_slice(&[0; 6]);
                out.extend_from_slice(&column.data_type.oid().to_be_bytes());
                out.extend_from_slice(&column.data_type.wire_len().to_be_bytes());
                out.extend_from_slice(&(-1i32).to_be_bytes());
                out.extend_from_slice(&format_of(formats, index).to_be_bytes());
            }
        });
    }

    pub(crate) fn parameter_description(&mut self, oids: &[u32]) {
        self.message(b't', |out| {
            out.extend_from_slice(&count_u16(oids.len()));
            oids.iter().for_each(|oid| out.extend_from_slice(&oid.to_be_bytes()));
        });
    }

    pub(crate) fn data_row(&mut self, row: &[Datum], formats: &[i16], style: &Style) {
        self.message(b'D', |out| {
            out.extend_from_slice(&count_u16(row.len()));
            for (index, datum) in row.iter().enumerate() {
                value(datum, format_of(formats, index) == 1, style, out);
            }
        });
    }

    pub(crate) fn command_complete(&mut self, tag: &str) {
        self.message(b'C', |out| text(tag, out));
    }

    pub(crate) fn copy_response(&mut self, into: bool, binary: bool, columns: usize) {
        self.message(if into { b'G' } else { b'H' }, |out| {
            out.push(u8::from(binary));
            out.extend_from_slice(&count_u16(columns));
            (0..columns).for_each(|_| out.extend_from_slice(&[0, u8::from(binary)]));
        });
    }

    /// What follows are bytes without columns.
    pub(crate) fn copy_bytes_response(&mut self, into: bool) {
        self.message(if into { b'G' } else { b'H' }, |out| out.extend_from_slice(&[1, 0, 0]));
    }

    pub(crate) fn copy_data(&mut self, data: &[u8]) {
        self.message(b'd', |out| out.extend_from_slice(data));
    }

    pub(crate) fn copy_done(&mut self) {
        self.plain(b'c');
    }

    pub(crate) fn parse_complete(&mut self) {
        self.plain(b'1');
    }

    pub(crate) fn bind_complete(&mut self) {
        self.plain(b'2');
    }

    pub(crate) fn close_complete(&mut self) {
        self.plain(b'3');
    }

    pub(crate) fn no_data(&mut self) {
        self.plain(b'n');
    }

    pub(crate) fn portal_suspended(&mut self) {
        self.plain(b's');
    }

    pub(crate) fn empty_query(&mut self) {
        self.plain(b'I');
    }
}

/// The format of a column: all may share one, and none given is text.
pub(crate) fn format_of(formats: &[i16], index: usize) -> i16 {
    match formats {
        [] => 0,
        [all] => *all,
        each => each.get(index).copied().unwrap_or(0),
    }
}

fn count_u16(count: usize) -> [u8; 2] {
    u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes()
}

fn count_u32(count: usize) -> [u8; 4] {
    u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes()
}

/// A text and its zero byte. A zero within would end it early.
fn text(text: &str, out: &mut Vec<u8>) {
    out.extend(text.bytes().filter(|byte| *byte != 0));
    out.push(0);
}

fn field_if(field: u8, value: Option<&str>, out: &mut Vec<u8>) {
    if let Some(value) = value {
        out.push(field);
        text(value, out);
    }
}

fn value(datum: &Datum, binary: bool, style: &Style, out: &mut Vec<u8>) {
    if datum.is_null() {
        return out.extend_from_slice(&[0xff; 4]);
    }
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    match datum {
        Datum::Text(text) => out.extend_from_slice(text.as_bytes()),
        datum if binary => wire::write_binary(datum, out),
        datum => {
            let mut text = String::new();
            wire::write_text(datum, style, &mut text);
            out.extend_from_slice(text.as_bytes());
        }
    }
    let len = count_u32(out.len() - start - 4);
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&len);
    }
}

/// What a parameter's type is called on the wire; none is unknown.
pub(crate) fn type_of_oid(oid: u32) -> Option<Option<DataType>> {
    match oid {
        0 | 705 => Some(None),
        oid => DataType::of_oid(oid).map(Some),
    }
}
