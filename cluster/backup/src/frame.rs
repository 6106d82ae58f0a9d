//! Frames, and the sums that chain them.

use alloc::vec::Vec;

use crate::PAYLOAD_LEN_MAX;

const HEADER_LEN: usize = 12;
const SUM_LEN: usize = 32;

const CODING_NONE: u8 = 0;
const CODING_LZ4: u8 = 1;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Head = 1,
    Tables = 2,
    Rows = 3,
    End = 4,
}

/// The hash of everything so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sum([u8; SUM_LEN]);

impl Sum {
    /// Of the bytes before the first frame.
    pub(crate) fn of(preamble: &[u8]) -> Sum {
        Sum(*blake3::hash(preamble).as_bytes())
    }

    fn then(&self, bytes: &[u8]) -> Sum {
        Sum(*blake3::keyed_hash(&self.0, bytes).as_bytes())
    }
}

/// Appends a frame, whose payload is compressed if that saves an eighth at least.
pub(crate) fn write(kind: Kind, payload: &[u8], sum: &mut Sum, out: &mut Vec<u8>) {
    assert!(payload.len() <= PAYLOAD_LEN_MAX, "frames are bounded");
    let compressed = lz4_flex::block::compress(payload);
    let (coding, stored): (_, &[u8]) = match compressed.len() <= payload.len() - payload.len() / 8 {
        true if !payload.is_empty() => (CODING_LZ4, &compressed),
        _ => (CODING_NONE, payload),
    };
    let start = out.len();
    out.extend_from_slice(&[kind as u8, coding, 0, 0]);
    out.extend_from_slice(&(stored.len() as u32).to_le_bytes());
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(stored);
    *sum = sum.then(&out[start..]);
    out.extend_from_slice(&sum.0);
}

/// Why the front of some bytes is no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Something has changed them.
    Damaged,
    /// It is as it was written, and makes no sense.
    Malformed,
}

/// A frame that is what was written.
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) payload: Vec<u8>,
    /// Its length, with its header and sum.
    pub(crate) len: usize,
    pub(crate) sum: Sum,
}

/// The frame at the front of `bytes`, behind what amounts to `before`; none if there is more to come.
pub(crate) fn read(bytes: &[u8], before: &Sum) -> Result<Option<Frame>, Wrong> {
    let Some((header, behind)) = bytes.split_at_checked(HEADER_LEN) else { return Ok(None) };
    let (stored_len, payload_len) = (u32_at(header, 4), u32_at(header, 8));
    // No longer frame is waited for, whatever it says.
    if stored_len > PAYLOAD_LEN_MAX {
        return Err(Wrong::Damaged);
    }
    let Some((stored, behind)) = behind.split_at_checked(stored_len) else { return Ok(None) };
    let Some(said) = behind.get(..SUM_LEN) else { return Ok(None) };
    let sum = before.then(&bytes[..HEADER_LEN + stored_len]);
    if said != sum.0 {
        return Err(Wrong::Damaged);
    }
    let kind = match header[0] {
        1 => Kind::Head,
        2 => Kind::Tables,
        3 => Kind::Rows,
        4 => Kind::End,
        _ => return Err(Wrong::Malformed),
    };
    let payload = match header[1] {
        _ if header[2..4] != [0, 0] || payload_len > PAYLOAD_LEN_MAX => return Err(Wrong::Malformed),
        CODING_NONE if payload_len == stored_len => stored.to_vec(),
        CODING_LZ4 => decompress(stored, payload_len).ok_or(Wrong::Malformed)?,
        _ => return Err(Wrong::Malformed),
    };
    Ok(Some(Frame { kind, payload, len: HEADER_LEN + stored_len + SUM_LEN, sum }))
}

fn decompress(stored: &[u8], len: usize) -> Option<Vec<u8>> {
    lz4_flex::block::decompress(stored, len).ok().filter(|payload| payload.len() == len)
}

/// The length at `at`.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> usize {
    let bytes = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
    u32::from_le_bytes(bytes) as usize
}
