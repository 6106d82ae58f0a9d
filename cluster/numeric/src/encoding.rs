//! Values as bytes that are kept: in keys, which sort as the values do, and in rows, which keep the scale.
//!
//! ```text
//! key:  class, u8 | exponent + 4096, u16 | digits, two in a byte, each + 1 | 00
//!       class: 01 -Infinity   02 negative   03 zero   04 positive   05 Infinity   06 NaN
//!       Only negative and positive have the rest; of a negative one, all of it is inverted. The exponent is that
//!       of 10,000 of the first four digits, as the wire has it; pairs of zeros at the end are left out. Equal
//!       values have equal keys, and no key is the beginning of another.
//!
//! row:  head, varint | coefficient
//!       head: 0 NaN   1 Infinity   2 -Infinity   3 + 2 * scale   4 + 2 * scale, large
//!       coefficient: zigzag varint of at most 128 bits; a large one: number of bytes, varint, and then its two's
//!       complement, least byte first. 1.50 takes three bytes.
//! ```
//! Varints have seven bits in a byte, least first, and the eighth is set in all but the last.

use alloc::vec::Vec;
use core::cmp::Ordering;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Numeric;
use crate::decimal::Decimal;
use crate::integer::Integer;
use crate::limits::{INTEGER_DIGITS_MAX, SCALE_MAX};
use crate::value::Kind;
use crate::wire::{from_groups, groups};

const KEY_NEGATIVE_INFINITY: u8 = 1;
const KEY_NEGATIVE: u8 = 2;
const KEY_ZERO: u8 = 3;
const KEY_POSITIVE: u8 = 4;
const KEY_INFINITY: u8 = 5;
const KEY_NAN: u8 = 6;

/// What makes the exponent of every value positive.
const KEY_BIAS: i64 = 4096;

const ROW_NAN: u128 = 0;
const ROW_INFINITY: u128 = 1;
const ROW_NEGATIVE_INFINITY: u128 = 2;
const ROW_FINITE: u128 = 3;

/// No coefficient has more bytes: 3.33 bits a digit.
const ROW_BYTES_MAX: u128 = (INTEGER_DIGITS_MAX as u128 + SCALE_MAX as u128) * 333 / 800 + 1;

impl Numeric {
    /// Appends the value's key.
    pub fn write_key(&self, out: &mut Vec<u8>) {
        let class = match self.kind() {
            Kind::NotANumber => KEY_NAN,
            Kind::Infinite(Ordering::Less) => KEY_NEGATIVE_INFINITY,
            Kind::Infinite(_) => KEY_INFINITY,
            Kind::Finite(decimal) => return write_finite_key(&decimal, out),
        };
        out.push(class);
    }

    /// The value whose key `bytes` start with, and what follows; none if that is no key. It has the least scale,
    /// as a key does not tell 1.5 from 1.50.
    pub fn read_key(bytes: &[u8]) -> Option<(Numeric, &[u8])> {
        let (class, rest) = bytes.split_first()?;
        let value = match *class {
            KEY_NEGATIVE_INFINITY => Numeric::NEGATIVE_INFINITY,
            KEY_INFINITY => Numeric::INFINITY,
            KEY_ZERO => Numeric::ZERO,
            KEY_NAN => Numeric::NAN,
            KEY_POSITIVE | KEY_NEGATIVE => return read_finite_key(rest, *class == KEY_NEGATIVE),
            _ => return None,
        };
        Some((value, rest))
    }

    /// The [parts](Numeric::parts) of the value at the beginning of `bytes`, as [`Numeric::write`] has written it, and what
    /// follows; none if it has none, or there is no value.
    pub fn read_parts(bytes: &[u8]) -> Option<((i64, u16), &[u8])> {
        let (head, rest) = read_varint(bytes)?;
        let finite = head.checked_sub(ROW_FINITE).filter(|finite| finite & 1 == 0)?;
        let (number, rest) = read_varint(rest)?;
        let coefficient = u64::try_from(number).ok()?;
        let coefficient = (coefficient >> 1).cast_signed() ^ -(coefficient & 1).cast_signed();
        let scale = u16::try_from(finite >> 1).ok().filter(|scale| u32::from(*scale) <= SCALE_MAX)?;
        Some(((coefficient, scale), rest))
    }

    /// What follows the value at the beginning of `bytes`, as [`Numeric::write`] has written it.
    pub fn skip(bytes: &[u8]) -> Option<&[u8]> {
        let (head, rest) = read_varint(bytes)?;
        if head < ROW_FINITE {
            return Some(rest);
        }
        if (head - ROW_FINITE) & 1 == 0 {
            let last = rest.iter().position(|byte| *byte < 0x80)?;
            return rest.get(last + 1..);
        }
        let (len, rest) = read_varint(rest)?;
        rest.get(usize::try_from(len).ok()?..)
    }

    /// Appends the value as rows have it.
    pub fn write(&self, out: &mut Vec<u8>) {
        let decimal = match self.kind() {
            Kind::NotANumber => return write_varint(ROW_NAN, out),
            Kind::Infinite(Ordering::Less) => return write_varint(ROW_NEGATIVE_INFINITY, out),
            Kind::Infinite(_) => return write_varint(ROW_INFINITY, out),
            Kind::Finite(decimal) => decimal,
        };
        let head = ROW_FINITE + 2 * u128::from(decimal.scale);
        if let Integer::Small(value) = decimal.coefficient {
            write_varint(head, out);
            return write_varint(((value << 1) ^ (value >> 127)).cast_unsigned(), out);
        }
        let bytes = decimal.coefficient.to_bytes();
        write_varint(head + 1, out);
        write_varint(bytes.len() as u128, out);
        out.extend_from_slice(&bytes);
    }

    /// The value that a row's `bytes` start with, and what follows; none if that is no value.
    pub fn read(bytes: &[u8]) -> Option<(Numeric, &[u8])> {
        let (head, rest) = read_varint(bytes)?;
        let finite = match head {
            ROW_NAN => return Some((Numeric::NAN, rest)),
            ROW_INFINITY => return Some((Numeric::INFINITY, rest)),
            ROW_NEGATIVE_INFINITY => return Some((Numeric::NEGATIVE_INFINITY, rest)),
            finite => finite - ROW_FINITE,
        };
        let (number, rest) = read_varint(rest)?;
        let (coefficient, rest) = if finite & 1 == 0 {
            (Integer::Small((number >> 1).cast_signed() ^ -(number & 1).cast_signed()), rest)
        } else {
            let len = Some(number).filter(|len| *len <= ROW_BYTES_MAX)? as usize;
            let (bytes, rest) = rest.split_at_checked(len)?;
            (Integer::from_bytes(bytes), rest)
        };
        let scale = u32::try_from(finite >> 1).ok()?;
        Some((Numeric::checked(Decimal { coefficient, scale }).ok()?, rest))
    }
}

fn write_finite_key(decimal: &Decimal, out: &mut Vec<u8>) {
    let (weight, groups) = groups(decimal);
    if groups.is_empty() {
        return out.push(KEY_ZERO);
    }
    let negative = decimal.sign().is_lt();
    out.push(if negative { KEY_NEGATIVE } else { KEY_POSITIVE });
    let start = out.len();
    out.extend_from_slice(&((weight + KEY_BIAS) as u16).to_be_bytes());
    out.extend(groups.iter().flat_map(|group| [group / 100, group % 100]).map(|pair| pair as u8 + 1));
    // A last pair of zeros.
    out.pop_if(|pair| *pair == 1);
    out.push(0);
    if negative {
        out.iter_mut().skip(start).for_each(|byte| *byte = !*byte);
    }
}

fn read_finite_key(bytes: &[u8], negative: bool) -> Option<(Numeric, &[u8])> {
    let flip = if negative { u8::MAX } else { 0 };
    let (exponent, bytes) = bytes.split_first_chunk::<2>()?;
    let weight = i64::from(u16::from_be_bytes(exponent.map(|byte| byte ^ flip))) - KEY_BIAS;
    let len = bytes.iter().position(|byte| *byte == flip)?;
    let (pairs, rest) = bytes.split_at(len);
    let digit = |byte: &u8| Some(u16::from(byte ^ flip) - 1).filter(|pair| *pair < 100);
    let pairs = pairs.iter().map(digit).collect::<Option<Vec<u16>>>()?;
    let group = |pair: &[u16]| pair.first().unwrap_or(&0) * 100 + pair.get(1).unwrap_or(&0);
    let groups: Vec<u16> = pairs.chunks(2).map(group).collect();
    // What every key has, and what bounds the value below.
    if weight >= i64::from(INTEGER_DIGITS_MAX) / 4 || groups.first().is_none_or(|group| *group == 0) {
        return None;
    }
    let decimal = from_groups(weight, &groups).stripped();
    let decimal = if negative { decimal.neg() } else { decimal };
    Some((Numeric::checked(decimal).ok()?, rest.split_first()?.1))
}

fn write_varint(mut value: u128, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn read_varint(bytes: &[u8]) -> Option<(u128, &[u8])> {
    // Most are short, and 64 bits are quicker than 128.
    let mut short = 0;
    for (index, byte) in bytes.iter().enumerate().take(63 / 7) {
        short |= u64::from(byte & 0x7f) << (7 * index);
        if *byte < 0x80 {
            return Some((short.into(), bytes.split_at(index + 1).1));
        }
    }
    let mut value = u128::from(short);
    for (index, byte) in bytes.iter().enumerate().take(128usize.div_ceil(7)).skip(63 / 7) {
        value |= u128::from(byte & 0x7f) << (7 * index);
        if *byte < 0x80 {
            return Some((value, bytes.split_at(index + 1).1));
        }
    }
    None
}

impl Serialize for Numeric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        bytes.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Numeric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Numeric, D::Error> {
        let bytes = Vec::<u8>::deserialize(deserializer)?;
        match Numeric::read(&bytes) {
            Some((value, [])) => Ok(value),
            _ => Err(serde::de::Error::custom("not a numeric")),
        }
    }
}
