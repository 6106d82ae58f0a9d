//! A request, as bytes.

/// Bytes of a request.
pub const REQUEST_LEN: usize = 64;

const MAGIC: [u8; 8] = *b"RLXWIRE1";

/// What the asker wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Bytes of the answer.
    pub answer_len: u64,
    /// Tells requests apart, and answers with them.
    pub number: u64,
}

impl Request {
    /// As it is sent.
    pub fn encode(&self) -> [u8; REQUEST_LEN] {
        let mut bytes = [0; REQUEST_LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&self.answer_len.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        bytes
    }

    /// What `bytes` ask for; none if they are no request.
    pub fn parse(bytes: &[u8; REQUEST_LEN]) -> Option<Request> {
        let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        if bytes[..8] != MAGIC {
            return None;
        }
        Some(Request { answer_len: number(8)?, number: number(16)? })
    }
}
