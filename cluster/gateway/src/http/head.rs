//! The head of a request (RFC 9112): what is to be done with what, and how long the body is that follows.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;

use httparse::{EMPTY_HEADER, Request, Status};
use percent_encoding::percent_decode_str;

use super::body::Framing;

/// Longest head, in bytes.
pub const HEAD_LEN_MAX: usize = 16 << 10;

/// Most fields in a head.
pub const FIELDS_MAX: usize = 64;

/// What is wrong with a request that nobody can answer: a status, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub u16, pub &'static str);

/// What a client asks for, before the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// `GET` and so on.
    pub method: String,
    /// Without escapes, from the first slash on.
    pub path: String,
    /// Names and values behind the question mark, without escapes.
    pub query: Vec<(String, String)>,
    /// Names in small letters, and values.
    fields: Vec<(String, String)>,
    /// How the body ends.
    pub framing: Framing,
    /// Whether the connection is for further requests too.
    pub is_kept: bool,
    /// Whether it is of HTTP/1.1, and not of HTTP/1.0.
    pub is_1_1: bool,
}

impl Head {
    /// The head at the beginning of `bytes`, and its length; none if more is to come.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Head, usize)>, Malformed> {
        let mut fields = [EMPTY_HEADER; FIELDS_MAX];
        let mut request = Request::new(&mut fields);
        let seen = bytes.get(..HEAD_LEN_MAX).unwrap_or(bytes);
        match request.parse(seen) {
            Ok(Status::Complete(len)) => Head::of(&request).map(|head| Some((head, len))),
            Ok(Status::Partial) if seen.len() == HEAD_LEN_MAX => {
                Err(Malformed(431, "the head of a request may have 16384 bytes"))
            }
            Ok(Status::Partial) => Ok(None),
            Err(httparse::Error::TooManyHeaders) => {
                Err(Malformed(431, "a request may have 64 header fields"))
            }
            Err(httparse::Error::Version) => Err(Malformed(505, "HTTP/1.1 and HTTP/1.0 are spoken here")),
            Err(_) => Err(Malformed(400, "this is not a request of HTTP/1.1")),
        }
    }

    fn of(request: &Request<'_, '_>) -> Result<Head, Malformed> {
        let (method, target) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
        let is_1_1 = request.version == Some(1);
        let mut fields = Vec::with_capacity(request.headers.len());
        for field in request.headers.iter() {
            let value = core::str::from_utf8(field.value)
                .map_err(|_| Malformed(400, "a header field is not UTF-8"))?;
            fields.push((field.name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let (path, query) = target_of(target)?;
        let mut head = Head {
            method: method.to_owned(),
            path,
            query,
            fields,
            framing: Framing::Length(0),
            is_kept: is_1_1,
            is_1_1,
        };
        if is_1_1 && head.all("host").count() != 1 {
            return Err(Malformed(400, "one field Host is wanted"));
        }
        head.framing = head.find_framing()?;
        let connection = head.field("connection").unwrap_or_default().to_ascii_lowercase();
        let mut options = connection.split(',').map(str::trim);
        // Keeping one of HTTP/1.0 is asked for; most that speak it do not.
        head.is_kept =
            if is_1_1 { !options.any(|word| word == "close") } else { options.any(|w| w == "keep-alive") };
        Ok(head)
    }

    /// Two ways to tell where a body ends, or two lengths, are how requests are smuggled past whoever stands before.
    fn find_framing(&self) -> Result<Framing, Malformed> {
        let mut codings = self.all("transfer-encoding");
        let mut lengths = self.all("content-length");
        match (codings.next(), codings.next(), lengths.next(), lengths.next()) {
            (None, _, None, _) => Ok(Framing::Length(0)),
            (None, _, Some(length), None) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
                length.parse().map(Framing::Length).map_err(|_| Malformed(413, "the body is too long"))
            }
            (Some(coding), None, None, _) if coding.eq_ignore_ascii_case("chunked") => {
                if self.is_1_1 {
                    Ok(Framing::CHUNKED)
                } else {
                    Err(Malformed(400, "HTTP/1.0 has no chunks"))
                }
            }
            (Some(_), None, None, _) => Err(Malformed(501, "of transfer codings, chunked is known here")),
            _ => Err(Malformed(400, "where the body ends is not said, or not once")),
        }
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a field, whose name is in small letters.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The value of a parameter behind the question mark.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether a page of another site may have sent this, for whoever happens to look at it: it says so; or it calls this node by
    /// a name, which whoever owns the name may have made lead here.
    pub fn is_of_another_site(&self) -> bool {
        let Some(host) = self.field("host") else { return false };
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        if address.is_err() && !name.eq_ignore_ascii_case("localhost") {
            return true;
        }
        let is_other = |origin: &str| origin.split_once("://").map_or(origin, |(_, site)| site) != host;
        self.field("origin").is_some_and(is_other)
            || matches!(self.field("sec-fetch-site"), Some("cross-site" | "same-site"))
    }
}

/// The path and the parameters of a target: of an absolute one, too.
fn target_of(target: &str) -> Result<(String, Vec<(String, String)>), Malformed> {
    let target = match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => target,
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = unescaped(path)?;
    if !path.starts_with('/') {
        return Err(Malformed(400, "a path begins with a slash"));
    }
    let mut parameters = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        parameters.push((unescaped(&name.replace('+', " "))?, unescaped(&value.replace('+', " "))?));
    }
    Ok((path, parameters))
}

/// What `text` says once its escapes are read.
pub(super) fn unescaped(text: &str) -> Result<String, Malformed> {
    let text = percent_decode_str(text).decode_utf8();
    let text = text.map_err(|_| Malformed(400, "what is escaped is not UTF-8"))?;
    if text.contains('\0') {
        return Err(Malformed(400, "there is a zero byte in the target"));
    }
    Ok(text.to_string())
}

/// The path of a target that is named in a field: as a URL, or from the slash on.
pub(super) fn path_of(target: &str) -> Result<String, Malformed> {
    target_of(target).map(|(path, _)| path)
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    fn decode(text: &str) -> Result<Option<(Head, usize)>, Malformed> {
        Head::decode(text.as_bytes())
    }

    fn head(text: &str) -> Head {
        decode(text).expect("well formed").expect("whole").0
    }

    fn status(text: &str) -> u16 {
        decode(text).expect_err("malformed").0
    }

    #[test]
    fn a_target_is_read_without_its_escapes() {
        let head = head("PUT /files/a%20b/%C3%A9?owner=a+b&x=%26&flag HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!((head.method.as_str(), head.path.as_str()), ("PUT", "/files/a b/é"));
        assert_eq!(head.parameter("owner"), Some("a b"));
        assert_eq!(
            (head.parameter("x"), head.parameter("flag"), head.parameter("y")),
            (Some("&"), Some(""), None)
        );
        assert_eq!(super::path_of("http://h:1/files/a%2Fb"), Ok("/files/a/b".into()));
        assert_eq!(status("GET /%ff HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
        assert_eq!(status("GET /%00 HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
        assert_eq!(status("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
    }

    #[test]
    fn a_body_has_one_end() {
        let framing = |fields: &str| head(&format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n")).framing;
        assert_eq!(framing(""), Framing::Length(0));
        assert_eq!(framing("Content-Length: 7\r\n"), Framing::Length(7));
        assert_eq!(framing("Transfer-Encoding: Chunked\r\n"), Framing::CHUNKED);
        let status = |fields: &str| status(&format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n"));
        assert_eq!(status("Content-Length: 7\r\nContent-Length: 8\r\n"), 400);
        assert_eq!(status("Content-Length: 7\r\nTransfer-Encoding: chunked\r\n"), 400);
        assert_eq!(status("Content-Length: +7\r\n"), 400);
        assert_eq!(status("Content-Length: 99999999999999999999\r\n"), 413);
        assert_eq!(status("Transfer-Encoding: gzip\r\n"), 501);
        assert_eq!(status("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"), 400);
    }

    #[test]
    fn a_connection_is_kept_as_its_version_has_it() {
        assert!(head("GET / HTTP/1.1\r\nHost: h\r\n\r\n").is_kept);
        assert!(!head("GET / HTTP/1.1\r\nHost: h\r\nConnection: x, Close\r\n\r\n").is_kept);
        assert!(!head("GET / HTTP/1.0\r\n\r\n").is_kept);
        assert!(head("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").is_kept);
        assert_eq!(status("GET / HTTP/2.0\r\n\r\n"), 505);
        assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), 400);
    }

    #[test]
    fn a_head_is_as_long_as_it_may_be() {
        assert_eq!(decode("GET / HTTP/1.1\r\nHost: h\r\n"), Ok(None));
        let long = "x".repeat(HEAD_LEN_MAX);
        assert_eq!(status(&format!("GET / HTTP/1.1\r\nHost: h\r\nX: {long}\r\n\r\n")), 431);
        let many = "a: b\r\n".repeat(FIELDS_MAX + 1);
        assert_eq!(status(&format!("GET / HTTP/1.1\r\n{many}\r\n")), 431);
    }

    #[test]
    fn pages_of_other_sites_are_known() {
        let from = |host: &str, fields: &str| {
            head(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n")).is_of_another_site()
        };
        let of = |fields: &str| from("127.0.0.1:8", fields);
        assert!(!of(""));
        assert!(!of("Origin: http://127.0.0.1:8\r\n"));
        assert!(of("Origin: https://elsewhere.example\r\n"));
        assert!(of("Origin: null\r\n"));
        assert!(of("Sec-Fetch-Site: cross-site\r\n"));
        assert!(!of("Sec-Fetch-Site: none\r\n"));
        for host in ["localhost", "LOCALHOST:1", "10.77.0.1", "[::1]:80"] {
            assert!(!from(host, ""), "{host}");
        }
        // A name may lead anywhere, and the browser takes what is there for the name's own.
        assert!(from("evil.example:8", "Origin: http://evil.example:8\r\n"));
        assert!(from("", ""));
    }
}
