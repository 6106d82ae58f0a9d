//! Which keys a table may have: a split block Bloom filter.
//!
//! One cache line's half holds all bits of a key: eight words of 32 bits, one bit in each. Source: Putze, Sanders,
//! Singler, "Cache-, hash- and space-efficient Bloom filters" (2007); salts as in the Parquet format. With ten
//! bits a key, about one absent key in a hundred seems to be there.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use twox_hash::XxHash3_64;

use crate::FrameError;

const BLOCK_LEN: usize = 32;
const BITS_PER_KEY: usize = 10;
const SALTS: [u32; 8] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// The hash of a key (XXH3, 64 bits).
pub(crate) fn hash_of(key: &[u8]) -> u64 {
    XxHash3_64::oneshot(key)
}

/// A key, and its hash: many filters may be asked for one key.
#[derive(Clone, Copy, Debug)]
pub struct HashedKey<'a> {
    pub(crate) bytes: &'a [u8],
    hash: u64,
}

impl<'a> HashedKey<'a> {
    /// A key to be looked for.
    pub fn new(bytes: &'a [u8]) -> HashedKey<'a> {
        HashedKey { bytes, hash: hash_of(bytes) }
    }
}

/// A filter, as it was read.
#[derive(Clone, Debug)]
pub struct Filter {
    bytes: Arc<[u8]>,
}

impl Filter {
    /// The bytes of the filter of the keys with these hashes.
    pub(crate) fn build(hashes: &[u64]) -> Vec<u8> {
        let mut bytes = vec![0; Filter::len_for(hashes.len())];
        let blocks = bytes.len() / BLOCK_LEN;
        for hash in hashes {
            let start = block_of(*hash, blocks) * BLOCK_LEN;
            for (word, bit) in bits_of(*hash).enumerate() {
                bytes[start + word * 4 + bit / 8] |= 1 << (bit % 8);
            }
        }
        bytes
    }

    /// How long the filter of so many keys is.
    pub(crate) fn len_for(keys: usize) -> usize {
        (keys * BITS_PER_KEY).div_ceil(BLOCK_LEN * 8).max(1) * BLOCK_LEN
    }

    /// The filter in `bytes`.
    pub fn parse(bytes: Arc<[u8]>) -> Result<Filter, FrameError> {
        match bytes.len() {
            0 => Err(FrameError::Malformed),
            len if len % BLOCK_LEN != 0 => Err(FrameError::Malformed),
            _ => Ok(Filter { bytes }),
        }
    }

    /// Whether the table may have `key`.
    pub fn may_have(&self, key: HashedKey<'_>) -> bool {
        let hash = key.hash;
        let start = block_of(hash, self.bytes.len() / BLOCK_LEN) * BLOCK_LEN;
        let block = &self.bytes[start..start + BLOCK_LEN];
        bits_of(hash).enumerate().all(|(word, bit)| block[word * 4 + bit / 8] >> (bit % 8) & 1 == 1)
    }
}

/// The block of a hash: its high half, scaled.
fn block_of(hash: u64, blocks: usize) -> usize {
    (((hash >> 32) * blocks as u64) >> 32) as usize
}

/// The bit of a hash in each word: its low half, salted.
fn bits_of(hash: u64) -> impl Iterator<Item = usize> {
    SALTS.iter().map(move |salt| ((hash as u32).wrapping_mul(*salt) >> 27) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_and_few_others_are() {
        let key = |number: u32| number.to_be_bytes();
        let hashes: Vec<u64> = (0..10_000).map(|number| hash_of(&key(number))).collect();
        let filter = Filter::parse(Filter::build(&hashes).into()).unwrap();
        assert!((0..10_000).all(|number| filter.may_have(HashedKey::new(&key(number)))));
        let wrong = (10_000..110_000).filter(|number| filter.may_have(HashedKey::new(&key(*number)))).count();
        assert!((500..2000).contains(&wrong), "{wrong} of 100,000 absent keys seem to be there");
    }

    #[test]
    fn bytes_that_are_no_filter_are_refused() {
        assert!(Filter::parse([].into()).is_err());
        assert!(Filter::parse([0; 33].into()).is_err());
    }
}
