//! The binary format of the Postgres protocol.
//!
//! ```text
//! groups, u16 | weight, i16 | sign, u16 | scale, u16 | groups of four decimal digits, u16 each
//! sign:       0000 +   4000 -   c000 NaN   d000 Infinity   f000 -Infinity      all big-endian
//! value:      sum of group[i] * 10000^(weight - i), shown with `scale` digits after the decimal point
//! ```
//! Groups that are zero are left out at both ends. What `scale` hides is cut off when reading.

use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::Numeric;
use crate::decimal::Decimal;
use crate::error::{Error, Result};
use crate::integer::Integer;
use crate::limits::{GROUP_DIGITS, SCALE_MAX};
use crate::value::Kind;

const POSITIVE: u16 = 0;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xc000;
const INFINITY: u16 = 0xd000;
const NEGATIVE_INFINITY: u16 = 0xf000;

/// What PostgreSQL happens to send as the scale of an infinity.
const INFINITY_SCALE: u16 = 0x20;

/// The groups of four decimal digits that `decimal` is made of, without zeros at the ends, and the exponent of
/// 10,000 of the first.
pub(crate) fn groups(decimal: &Decimal) -> (i64, Vec<u16>) {
    if decimal.is_zero() {
        return (0, Vec::new());
    }
    let digits = decimal.coefficient.to_digits();
    let exponent = digits.len() as i64 - 1 - i64::from(decimal.scale);
    let weight = exponent.div_euclid(GROUP_DIGITS);
    let zeros = (weight + 1) * GROUP_DIGITS - 1 - exponent;
    let mut padded: Vec<u8> = core::iter::repeat_n(b'0', zeros as usize).collect();
    padded.extend_from_slice(digits.as_bytes());
    let group = |digits: &[u8]| {
        let missing = GROUP_DIGITS as u32 - digits.len() as u32;
        digits.iter().fold(0, |group, digit| group * 10 + u16::from(digit - b'0')) * 10u16.pow(missing)
    };
    let mut groups: Vec<u16> = padded.chunks(GROUP_DIGITS as usize).map(group).collect();
    groups.truncate(groups.iter().rposition(|group| *group != 0).map_or(0, |last| last + 1));
    (weight, groups)
}

/// The decimal that is made of `groups`, each below 10,000; the first has the exponent `weight` of 10,000.
pub(crate) fn from_groups(weight: i64, groups: &[u16]) -> Decimal {
    let mut digits = Vec::with_capacity(groups.len() * GROUP_DIGITS as usize);
    for group in groups {
        digits.extend([1000, 100, 10, 1].map(|power| b'0' + (group / power % 10) as u8));
    }
    let coefficient = Integer::from_digits(&digits);
    let scale = (groups.len() as i64 - 1 - weight) * GROUP_DIGITS;
    let missing = u32::try_from(-scale).unwrap_or(0);
    Decimal { coefficient: coefficient.mul_pow10(missing), scale: u32::try_from(scale).unwrap_or(0) }
}

impl Numeric {
    /// Appends the value as the protocol has it.
    pub fn to_wire(&self, out: &mut Vec<u8>) {
        let mut head = |len: u16, weight: i16, sign: u16, scale: u16| {
            out.extend_from_slice(&len.to_be_bytes());
            out.extend_from_slice(&weight.to_be_bytes());
            out.extend_from_slice(&sign.to_be_bytes());
            out.extend_from_slice(&scale.to_be_bytes());
        };
        match self.kind() {
            Kind::NotANumber => head(0, 0, NAN, 0),
            Kind::Infinite(Ordering::Less) => head(0, 0, NEGATIVE_INFINITY, INFINITY_SCALE),
            Kind::Infinite(_) => head(0, 0, INFINITY, INFINITY_SCALE),
            Kind::Finite(decimal) => {
                let (weight, groups) = groups(&decimal);
                let sign = if decimal.sign().is_lt() { NEGATIVE } else { POSITIVE };
                // The limits of a value are those of the format.
                head(groups.len() as u16, weight as i16, sign, decimal.scale as u16);
                groups.iter().for_each(|group| out.extend_from_slice(&group.to_be_bytes()));
            }
        }
    }

    /// The value that the protocol's `bytes` stand for.
    ///
    /// # Errors
    /// If they are not one, or too many digits.
    pub fn from_wire(bytes: &[u8]) -> Result<Numeric> {
        let mut words = bytes.chunks(2).map(|word| match word {
            [high, low] => Ok(u16::from_be_bytes([*high, *low])),
            _ => Err(Error::WireShort),
        });
        let mut word = || words.next().unwrap_or(Err(Error::WireShort));
        let len = word()?;
        let weight = word()?.cast_signed();
        let sign = word()?;
        if ![POSITIVE, NEGATIVE, NAN, INFINITY, NEGATIVE_INFINITY].contains(&sign) {
            return Err(Error::WireSign);
        }
        let scale = word()?;
        if u32::from(scale) > SCALE_MAX {
            return Err(Error::WireScale);
        }
        let group =
            |_| word().and_then(|group| if group < 10_000 { Ok(group) } else { Err(Error::WireDigit) });
        let groups = (0..len).map(group).collect::<Result<Vec<u16>>>()?;
        if words.next().is_some() {
            return Err(Error::WireLong);
        }
        match sign {
            NAN => Ok(Numeric::NAN),
            INFINITY => Ok(Numeric::INFINITY),
            NEGATIVE_INFINITY => Ok(Numeric::NEGATIVE_INFINITY),
            _ => {
                let decimal = from_groups(weight.into(), &groups).trunc(scale.into());
                Numeric::checked(if sign == NEGATIVE { decimal.neg() } else { decimal })
            }
        }
    }
}
