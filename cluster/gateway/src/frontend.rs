//! What clients send. Any bytes are a message, the beginning of one, or malformed.

use alloc::string::String;
use alloc::vec::Vec;

/// Longest message. A row, with its parameters, and a statement's text are shorter.
pub const FRONTEND_LEN_MAX: usize = 2 * 1024 * 1024 + 64 * 1024;

/// Longest first message, as in Postgres.
pub const STARTUP_LEN_MAX: usize = 10_000;

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A length below the least or above the most.
    Length,
    /// A type that there is none of.
    Type(u8),
    /// A version of the protocol other than 3.
    Version(u32),
    /// A body that does not hold what its type says.
    Body,
    /// A text that is no UTF-8.
    Encoding,
}

/// The first message of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Startup {
    /// TLS is asked for.
    Ssl,
    /// GSSAPI encryption is asked for.
    Gss,
    /// Another connection's statement is to stop.
    Cancel {
        /// Its process id.
        backend: u32,
        /// What proves the right to.
        secret: u32,
    },
    /// A session is to begin.
    Start {
        /// The minor version of protocol 3.
        minor: u16,
        /// User, database and settings.
        parameters: Vec<(String, String)>,
    },
}

/// What `Describe` and `Close` are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A prepared statement.
    Statement,
    /// A portal.
    Portal,
}

/// A message of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the messages of the protocol")]
pub enum Message {
    Query(String),
    Parse { name: String, sql: String, types: Vec<u32> },
    Bind(Bind),
    Describe(Kind, String),
    Execute { portal: String, rows_max: u32 },
    Close(Kind, String),
    Sync,
    Flush,
    Terminate,
    CopyData(Vec<u8>),
    CopyDone,
    CopyFail(String),
}

/// `Bind`
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the fields of the message")]
pub struct Bind {
    pub portal: String,
    pub statement: String,
    pub formats: Vec<i16>,
    pub values: Vec<Option<Vec<u8>>>,
    pub result_formats: Vec<i16>,
}

/// The first message in `bytes` and its length; none if there is more to come.
pub fn decode_startup(bytes: &[u8]) -> Result<Option<(Startup, usize)>, Malformed> {
    let mut reader = Reader(bytes);
    let Ok(len) = reader.u32() else { return Ok(None) };
    let len = usize::try_from(len).map_err(|_| Malformed::Length)?;
    if !(8..=STARTUP_LEN_MAX).contains(&len) {
        return Err(Malformed::Length);
    }
    let Some(body) = bytes.get(4..len) else { return Ok(None) };
    let mut reader = Reader(body);
    let startup = match reader.u32()? {
        80_877_103 => Startup::Ssl,
        80_877_104 => Startup::Gss,
        80_877_102 => Startup::Cancel { backend: reader.u32()?, secret: reader.u32()? },
        version if version >> 16 == 3 => {
            let mut parameters = Vec::new();
            loop {
                let name = reader.text()?;
                if name.is_empty() {
                    break;
                }
                parameters.push((name, reader.text()?));
            }
            Startup::Start { minor: (version & 0xffff) as u16, parameters }
        }
        version => return Err(Malformed::Version(version)),
    };
    reader.end()?;
    Ok(Some((startup, len)))
}

/// The first message in `bytes` and its length; none if there is more to come.
pub fn decode(bytes: &[u8]) -> Result<Option<(Message, usize)>, Malformed> {
    let Some((&tag, rest)) = bytes.split_first() else { return Ok(None) };
    if !b"QPBDECSHXdcf".contains(&tag) {
        return Err(Malformed::Type(tag));
    }
    let Ok(len) = Reader(rest).u32() else { return Ok(None) };
    let len = usize::try_from(len).map_err(|_| Malformed::Length)?;
    if !(4..=FRONTEND_LEN_MAX).contains(&len) {
        return Err(Malformed::Length);
    }
    let Some(body) = rest.get(4..len) else { return Ok(None) };
    Ok(Some((decode_body(tag, body)?, len + 1)))
}

fn decode_body(tag: u8, body: &[u8]) -> Result<Message, Malformed> {
    let mut reader = Reader(body);
    let message = match tag {
        b'Q' => Message::Query(reader.text()?),
        b'P' => {
            let (name, sql) = (reader.text()?, reader.text()?);
            let count = reader.u16()?;
            let types = (0..count).map(|_| reader.u32()).collect::<Result<_, _>>()?;
            Message::Parse { name, sql, types }
        }
        b'B' => Message::Bind(decode_bind(&mut reader)?),
        b'D' => Message::Describe(reader.kind()?, reader.text()?),
        b'C' => Message::Close(reader.kind()?, reader.text()?),
        b'E' => Message::Execute { portal: reader.text()?, rows_max: reader.u32()? },
        b'S' => Message::Sync,
        b'H' => Message::Flush,
        b'X' => Message::Terminate,
        b'd' => return Ok(Message::CopyData(body.to_vec())),
        b'c' => Message::CopyDone,
        b'f' => Message::CopyFail(reader.text()?),
        other => return Err(Malformed::Type(other)),
    };
    reader.end()?;
    Ok(message)
}

fn decode_bind(reader: &mut Reader<'_>) -> Result<Bind, Malformed> {
    let (portal, statement) = (reader.text()?, reader.text()?);
    let formats = reader.formats()?;
    let count = reader.u16()?;
    let mut values = Vec::new();
    for _ in 0..count {
        values.push(match reader.u32()? {
            u32::MAX => None,
            len => Some(reader.bytes(usize::try_from(len).map_err(|_| Malformed::Body)?)?.to_vec()),
        });
    }
    Ok(Bind { portal, statement, formats, values, result_formats: reader.formats()? })
}

/// A message read from its front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, rest) = self.0.split_at_checked(len).ok_or(Malformed::Body)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        let bytes = self.bytes(2)?.try_into().map_err(|_| Malformed::Body)?;
        Ok(u16::from_be_bytes(bytes))
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        let bytes = self.bytes(4)?.try_into().map_err(|_| Malformed::Body)?;
        Ok(u32::from_be_bytes(bytes))
    }

    /// A text that ends with a zero byte.
    fn text(&mut self) -> Result<String, Malformed> {
        let len = self.0.iter().position(|byte| *byte == 0).ok_or(Malformed::Body)?;
        let text = self.bytes(len)?;
        self.bytes(1)?;
        String::from_utf8(text.to_vec()).map_err(|_| Malformed::Encoding)
    }

    fn kind(&mut self) -> Result<Kind, Malformed> {
        match self.bytes(1)? {
            b"S" => Ok(Kind::Statement),
            b"P" => Ok(Kind::Portal),
            _ => Err(Malformed::Body),
        }
    }

    fn formats(&mut self) -> Result<Vec<i16>, Malformed> {
        let count = self.u16()?;
        (0..count).map(|_| self.u16().map(u16::cast_signed)).collect()
    }

    fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed::Body) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn framed(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = alloc::vec![tag];
        bytes.extend_from_slice(&u32::try_from(body.len() + 4).expect("short").to_be_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn messages_come_whole_or_not_at_all() {
        let bytes = framed(b'Q', b"SELECT 1\0");
        assert_eq!(decode(&bytes), Ok(Some((Message::Query("SELECT 1".into()), bytes.len()))));
        for len in 0..bytes.len() {
            assert_eq!(decode(&bytes[..len]), Ok(None));
        }
        assert_eq!(decode(&framed(b'Q', b"SELECT 1")), Err(Malformed::Body));
        assert_eq!(decode(&framed(b'Q', b"SELECT '\xe9'\0")), Err(Malformed::Encoding));
        assert_eq!(decode(b"GET / HTTP/1.1"), Err(Malformed::Type(b'G')));
        assert_eq!(decode(&[b'Q', 0xff, 0, 0, 0]), Err(Malformed::Length));
        assert_eq!(decode_startup(b"GET / HTTP/1.1"), Err(Malformed::Length));
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_startup(&bytes);
            if let Ok(Some((_, len))) = decode(&bytes) {
                prop_assert!(len <= bytes.len());
            }
        }

        #[test]
        fn any_body_is_an_answer(
            tag in proptest::sample::select(&b"QPBDECSHXdcf"[..]),
            body in proptest::collection::vec(prop_oneof![Just(0u8), Just(1u8), any::<u8>()], 0..60),
        ) {
            let bytes = framed(tag, &body);
            match decode(&bytes) {
                Ok(Some((_, len))) => prop_assert_eq!(len, bytes.len()),
                Ok(None) => prop_assert!(false, "the message is whole"),
                Err(_) => {}
            }
        }
    }
}
