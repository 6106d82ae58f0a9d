//! Globally unique identifiers.

use core::fmt;

/// A GUID, as its 16 bytes on the disk: the first three groups are little-endian there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Guid(pub [u8; 16]);

impl Guid {
    /// None.
    pub const ZERO: Guid = Guid([0; 16]);

    /// The GUID whose groups are these, as they are written; the last two are one array.
    pub const fn new(first: u32, second: u16, third: u16, rest: [u8; 8]) -> Guid {
        let ([a, b, c, d], [e, f], [g, h]) = (first.to_le_bytes(), second.to_le_bytes(), third.to_le_bytes());
        let [i, j, k, l, m, n, o, p] = rest;
        Guid([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p])
    }

    /// A GUID of any 16 bytes: version 8, which says nothing of how it was made (RFC 9562).
    pub const fn of_bytes(mut bytes: [u8; 16]) -> Guid {
        bytes[7] = bytes[7] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Guid(bytes)
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
        for (index, at) in order.into_iter().enumerate() {
            let dash = if [4, 6, 8, 10].contains(&index) { "-" } else { "" };
            write!(f, "{dash}{:02X}", self.0[at])?;
        }
        Ok(())
    }
}
