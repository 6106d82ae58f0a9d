//! Integers of one to ten bytes, seven bits each, the lowest first (LEB128).

use alloc::vec::Vec;

/// Appends `value`.
pub(crate) fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// The integer at `at`, and where the next byte is; none if there is no integer of 64 bits. Most have one byte.
#[inline(always)]
pub(crate) fn take(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    match *bytes.get(at)? {
        first @ ..0x80 => Some((first.into(), at + 1)),
        first => take_longer(bytes, at, first),
    }
}

fn take_longer(bytes: &[u8], at: usize, first: u8) -> Option<(u64, usize)> {
    let mut value = u64::from(first & 0x7f);
    for index in 1..10 {
        let byte = *bytes.get(at + index)?;
        let bits = u64::from(byte & 0x7f);
        if index == 9 && bits > 1 {
            return None;
        }
        value |= bits << (7 * index);
        if byte < 0x80 {
            return Some((value, at + index + 1));
        }
    }
    None
}

/// As [`take`], for lengths.
#[inline(always)]
pub(crate) fn take_len(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let (value, next) = take(bytes, at)?;
    Some((usize::try_from(value).ok()?, next))
}

/// A difference as an integer that is small if the difference is (zigzag).
pub(crate) fn zigzag(difference: i64) -> u64 {
    ((difference << 1) ^ (difference >> 63)) as u64
}

/// The difference that [`zigzag`] was given.
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_survive_the_round_trip() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), i64::MAX as u64, u64::MAX] {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            assert_eq!(take(&bytes, 0), Some((value, bytes.len())));
            assert_eq!(take(&bytes[..bytes.len() - 1], 0), None, "cut short");
            assert_eq!(zigzag(unzigzag(value)), value);
        }
        assert_eq!(take(&[0xff; 10], 0), None, "more than 64 bits");
        assert_eq!([0, -1, 1, -2].map(zigzag), [0, 1, 2, 3]);
    }
}
