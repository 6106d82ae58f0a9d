//! The hash that chains the ledger.

use alloc::vec::Vec;
use core::fmt;

use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

/// A BLAKE3 hash. The digest of a ledger entry is keyed by that of the entry before it, and so covers the whole
/// history: two ledgers that agree on one digest agree on everything up to it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// What the first entry of a ledger follows.
    pub const ZERO: Digest = Digest([0; 32]);

    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(*blake3::hash(bytes).as_bytes())
    }

    /// The digest of `value` behind the history of this digest: BLAKE3, keyed by this digest, of the bytes
    /// that [`crate::encode`] gives, which are hashed as they arise.
    pub fn chain<T: Serialize>(&self, value: &T) -> Digest {
        let mut hashing =
            Hashing { key: &self.0, hasher: None, long: Vec::new(), buffer: [0; BUFFER_LEN], len: 0 };
        // Fails for the same values as `encode`, and none of ours is one.
        let done = postcard::serialize_with_flavor(value, &mut hashing);
        done.expect("every type encoded here has a postcard form");
        Digest(*hashing.finish().as_bytes())
    }
}

/// Most entries are not longer.
const BUFFER_LEN: usize = 512;

/// Of longer ones, so many bytes are hashed at a time: several chunks of 1 KiB go side by side.
const LONG_LEN: usize = 64 << 10;

/// Where encoded bytes go to be hashed.
struct Hashing<'a> {
    key: &'a [u8; 32],
    /// What went before the other bytes, if anything did.
    hasher: Option<blake3::Hasher>,
    /// What went before the bytes in the buffer.
    long: Vec<u8>,
    buffer: [u8; BUFFER_LEN],
    len: usize,
}

impl Hashing<'_> {
    fn flush(&mut self) {
        self.long.extend_from_slice(&self.buffer[..self.len]);
        self.len = 0;
        if self.long.len() >= LONG_LEN {
            self.hash(&[]);
        }
    }

    /// Hashes what went before, and `bytes`, which come behind it.
    fn hash(&mut self, bytes: &[u8]) {
        let hasher = self.hasher.get_or_insert_with(|| blake3::Hasher::new_keyed(self.key));
        hasher.update(&self.long).update(bytes);
        self.long.clear();
    }

    fn finish(mut self) -> blake3::Hash {
        if self.hasher.is_none() && self.long.is_empty() {
            return blake3::keyed_hash(self.key, &self.buffer[..self.len]);
        }
        self.flush();
        match self.hasher {
            None => blake3::keyed_hash(self.key, &self.long),
            Some(mut hasher) => hasher.update(&self.long).finalize(),
        }
    }
}

impl Flavor for &mut Hashing<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        if self.len == BUFFER_LEN {
            self.flush();
        }
        self.buffer[self.len] = byte;
        self.len += 1;
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        let Some(free) = self.buffer.get_mut(self.len..self.len + bytes.len()) else {
            self.flush();
            match bytes.len() < LONG_LEN {
                true => self.long.extend_from_slice(bytes),
                false => self.hash(bytes),
            }
            return Ok(());
        };
        // Numbers: a call to copy so few bytes costs more than the copying.
        if bytes.len() <= 10 {
            for (slot, byte) in free.iter_mut().zip(bytes) {
                *slot = *byte;
            }
        } else {
            free.copy_from_slice(bytes);
        }
        self.len += bytes.len();
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

impl fmt::Display for Digest {
    /// The first eight bytes, which is enough to tell two histories apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a state of the tables amounts to: the sum, modulo 2^128, of a hash of each row (Bellare and
/// Micciancio, "A New Paradigm for Collision-Free Hashing", EUROCRYPT 1997). Rows can be added and taken
/// away in any order, so it costs one hash for each change.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StateHash(pub u128);

impl StateHash {
    /// The hash of one row, or of anything else that is in the state once: its parts, each with its length.
    pub fn of(parts: &[&[u8]]) -> StateHash {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut half = [0; 16];
        half.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        StateHash(u128::from_le_bytes(half))
    }

    /// The state with `row` added.
    #[must_use]
    pub fn with(self, row: StateHash) -> StateHash {
        StateHash(self.0.wrapping_add(row.0))
    }

    /// The state with `row`, which must be in it, taken away.
    #[must_use]
    pub fn without(self, row: StateHash) -> StateHash {
        StateHash(self.0.wrapping_sub(row.0))
    }
}

impl fmt::Display for StateHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for StateHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hashed_as_it_arises_is_what_would_be_encoded() {
        for len in
            [0, 1, 200, BUFFER_LEN - 1, BUFFER_LEN, BUFFER_LEN + 1, 3 * BUFFER_LEN, 5000, LONG_LEN, 70_000]
        {
            // Byte by byte, all at once, and one after the other.
            let numbers: alloc::vec::Vec<u8> = (0..len).map(|n| n as u8).collect();
            let value = (7u64, &numbers, "text".repeat(len), &numbers);
            let key = Digest::of(&numbers);
            let expected = blake3::keyed_hash(&key.0, &crate::encode(&value));
            assert_eq!(key.chain(&value), Digest(*expected.as_bytes()), "{len}");
        }
    }

    #[test]
    fn a_state_does_not_depend_on_the_order_of_its_changes() {
        let row = |key: &[u8], value: &[u8]| StateHash::of(&[key, value]);
        let (a, b) = (row(b"a", b"1"), row(b"b", b"2"));
        assert_eq!(StateHash::default().with(a).with(b), StateHash::default().with(b).with(a));
        assert_eq!(StateHash::default().with(a).with(b).without(a), StateHash::default().with(b));
        assert_ne!(row(b"ab", b""), row(b"a", b"b"), "lengths count");
    }
}
