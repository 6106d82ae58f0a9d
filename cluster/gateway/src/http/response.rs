//! What a request is answered with.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use cluster_calendar::{Timestamptz, Zone};
use cluster_services::files::{FileError, Problem};
use cluster_sql::types::Json;
use cluster_sql::{SqlError, SqlState};

use super::head::Malformed;
use crate::Closed;

/// A status, fields, and a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) status: u16,
    fields: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

/// Why a request is not gone on with.
#[derive(Debug)]
pub(super) enum Stop {
    /// The client has gone, or is too slow.
    Closed,
    /// It is told.
    Refused(Response),
    /// The same, and nothing that it sends is understood any more.
    Lost(Response),
}

impl Response {
    /// Without a body.
    pub(super) fn empty(status: u16) -> Response {
        Response { status, fields: Vec::new(), body: Vec::new() }
    }

    /// Of a body of that type.
    pub(super) fn new(status: u16, media_type: &str, body: impl Into<Vec<u8>>) -> Response {
        Response { body: body.into(), ..Response::empty(status) }.with("Content-Type", media_type)
    }

    pub(super) fn json(status: u16, body: &Json) -> Response {
        Response::new(status, "application/json", format!("{body}\n"))
    }

    /// An error: `{"error": "..."}`, and what to do about it.
    pub(super) fn error(status: u16, message: &str, hint: Option<&str>) -> Response {
        let mut pairs = alloc::vec![("error".into(), Json::String(message.into()))];
        pairs.extend(hint.map(|hint| ("hint".into(), Json::String(hint.into()))));
        Response::json(status, &Json::object(pairs))
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Response {
        self.fields.push((name, value.into()));
        self
    }

    /// Status and fields as they are sent. A body follows that is so long; or nothing is said of it, as if there were none.
    pub(super) fn head(&self, len: Option<u64>, now: Timestamptz, is_kept: bool) -> String {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        let mut field = |name: &str, value: &str| {
            // A value is one line, whatever it was made of.
            let value: String = value.chars().filter(|letter| !letter.is_control()).collect();
            head.push_str(&format!("{name}: {value}\r\n"));
        };
        field("Date", &http_date(now));
        self.fields.iter().for_each(|(name, value)| field(name, value));
        if let Some(len) = len {
            field("Content-Length", &format!("{len}"));
        }
        if !is_kept {
            field("Connection", "close");
        }
        head.push_str("\r\n");
        head
    }
}

/// A time as header fields have it (RFC 9110, section 5.6.7); nothing for one that has no such form.
pub(super) fn http_date(at: Timestamptz) -> String {
    let template = "Dy, DD Mon YYYY HH24:MI:SS \"GMT\"";
    at.format(template, &Zone::utc()).ok().flatten().unwrap_or_default()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        304 => "Not Modified",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        416 => "Range Not Satisfiable",
        422 => "Unprocessable Content",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "",
    }
}

impl From<Closed> for Stop {
    fn from(_: Closed) -> Stop {
        Stop::Closed
    }
}

impl From<Malformed> for Stop {
    fn from(Malformed(status, why): Malformed) -> Stop {
        Stop::Lost(Response::error(status, why, None))
    }
}

impl From<Response> for Stop {
    fn from(response: Response) -> Stop {
        Stop::Refused(response)
    }
}

impl From<SqlError> for Stop {
    fn from(error: SqlError) -> Stop {
        let response = Response::error(status_of(error.state), &error.message, error.hint.as_deref());
        Stop::Refused(match response.status {
            503 => response.with("Retry-After", "1"),
            _ => response,
        })
    }
}

impl From<FileError> for Stop {
    fn from(error: FileError) -> Stop {
        let status = match &error {
            FileError::Sql(_) => 500,
            FileError::Path { problem, .. } => match problem {
                Problem::NotFound => 404,
                Problem::Exists | Problem::NotDirectory | Problem::IsDirectory | Problem::NotEmpty => 409,
                Problem::NotPermitted => 403,
                Problem::TooLarge => 413,
                Problem::QuotaExceeded { .. } => 507,
                Problem::NameTooLong | Problem::TooManyLinks | Problem::Invalid => 400,
            },
        };
        match error {
            FileError::Sql(error) => error.into(),
            error => Stop::Refused(Response::error(status, &format!("{error}"), None)),
        }
    }
}

/// The status that says of an error who is to do something about it: the client, somebody, or the client later.
fn status_of(state: SqlState) -> u16 {
    match state {
        SqlState::DISK_FULL => 507,
        SqlState::UNIQUE_VIOLATION => 409,
        SqlState::OUTCOME_UNKNOWN => 500,
        SqlState::SERIALIZATION_FAILURE | SqlState::QUERY_CANCELED => 503,
        SqlState(code) => match code.get(..2) {
            Some("08" | "53" | "57" | "58") => 503,
            Some("22" | "23" | "54") => 400,
            Some("XX") => 500,
            // What is asked for is in the server's own words.
            _ => 500,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_what_its_client_needs() {
        let moment = Timestamptz::from_unix_micros(784_111_777_000_000).expect("a time");
        let response = Response::new(200, "text/plain", "hello").with("Location", "/a\r\nEvil: 1");
        assert_eq!(
            response.head(Some(5), moment, false),
            "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain\r\n\
             Location: /aEvil: 1\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn who_is_to_do_something_is_said_by_the_status() {
        for (state, status) in [
            (SqlState::INVALID_TEXT, 400),
            (SqlState::CHECK_VIOLATION, 400),
            (SqlState::UNIQUE_VIOLATION, 409),
            (SqlState::OUTCOME_UNKNOWN, 500),
            (SqlState::CANNOT_CONNECT_NOW, 503),
            (SqlState::LIMIT_REACHED, 503),
            (SqlState::DISK_FULL, 507),
        ] {
            assert_eq!(status_of(state), status);
        }
    }
}
