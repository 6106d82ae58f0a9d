//! Integers of any length: the coefficients of decimals. The only module that knows the library behind them.
//!
//! What fits in 128 bits is kept there and never allocates. The representation is canonical: a value is `Big`
//! only if it does not fit, so that equality is that of the fields.
//!
//! Products are subquadratic; quotients, roots and texts take time quadratic in the length, which at the
//! longest value of [`limits`](crate::limits), some 7,700 words of 64 bits, is tens of milliseconds.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use core::cmp::Ordering;

use num_bigint::{BigInt, BigUint, Sign};

/// Powers of ten up to this one fit in an `i128`.
const SMALL_POWER_MAX: u32 = 38;

/// log10(2)
const DIGITS_PER_BIT: f64 = core::f64::consts::LOG10_2;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Integer {
    Small(i128),
    /// Anything else.
    Big(BigInt),
}

use Integer::{Big, Small};

impl From<BigInt> for Integer {
    fn from(value: BigInt) -> Integer {
        // Converting is not free, counting bits is.
        if value.bits() <= 128
            && let Ok(small) = i128::try_from(&value)
        {
            return Small(small);
        }
        Big(value)
    }
}

impl From<BigUint> for Integer {
    fn from(value: BigUint) -> Integer {
        BigInt::from(value).into()
    }
}

impl From<i64> for Integer {
    fn from(value: i64) -> Integer {
        Small(value.into())
    }
}

impl Integer {
    pub(crate) const ZERO: Integer = Small(0);
    pub(crate) const ONE: Integer = Small(1);

    /// 10^`exponent`.
    pub(crate) fn pow10(exponent: u32) -> Integer {
        if exponent <= SMALL_POWER_MAX {
            return Small(10i128.pow(exponent));
        }
        // A power of five, shifted, is a third shorter to compute.
        (BigUint::from(5u8).pow(exponent) << exponent).into()
    }

    /// The integer whose decimal digits are `digits`, which are ASCII.
    pub(crate) fn from_digits(digits: &[u8]) -> Integer {
        if digits.len() <= SMALL_POWER_MAX as usize {
            return Small(digits.iter().fold(0, |value, digit| value * 10 + i128::from(digit - b'0')));
        }
        BigInt::parse_bytes(digits, 10).map_or(Integer::ZERO, Integer::from)
    }

    /// The decimal digits of its absolute value.
    pub(crate) fn to_digits(&self) -> String {
        match self {
            Small(value) => value.unsigned_abs().to_string(),
            Big(value) => value.magnitude().to_str_radix(10),
        }
    }

    /// Its two's complement, least byte first, in as few bytes as hold it.
    pub(crate) fn to_bytes(&self) -> alloc::vec::Vec<u8> {
        self.big().to_signed_bytes_le()
    }

    /// The integer with this two's complement.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Integer {
        BigInt::from_signed_bytes_le(bytes).into()
    }

    fn big(&self) -> Cow<'_, BigInt> {
        match self {
            Small(value) => Cow::Owned((*value).into()),
            Big(value) => Cow::Borrowed(value),
        }
    }

    pub(crate) fn sign(&self) -> Ordering {
        match self {
            Small(value) => value.cmp(&0),
            Big(value) if value.sign() == Sign::Minus => Ordering::Less,
            Big(_) => Ordering::Greater,
        }
    }

    pub(crate) fn is_zero(&self) -> bool {
        *self == Integer::ZERO
    }

    pub(crate) fn is_odd(&self) -> bool {
        match self {
            Small(value) => value & 1 == 1,
            Big(value) => value.bit(0),
        }
    }

    /// Bits of its absolute value.
    pub(crate) fn bits(&self) -> u64 {
        match self {
            Small(value) => u64::from(128 - value.unsigned_abs().leading_zeros()),
            Big(value) => value.bits(),
        }
    }

    /// Decimal digits of its absolute value; 0 has one.
    pub(crate) fn digits(&self) -> u32 {
        match self {
            Small(value) => value.unsigned_abs().checked_ilog10().map_or(1, |log| log + 1),
            Big(value) => {
                let bits = value.bits();
                let least = ((bits - 1) as f64 * DIGITS_PER_BIT) as u32 + 1;
                let most = (bits as f64 * DIGITS_PER_BIT) as u32 + 1;
                let at_most = least == most || self.compare_magnitude(&Integer::pow10(least)).is_lt();
                if at_most { least } else { most }
            }
        }
    }

    pub(crate) fn neg(&self) -> Integer {
        match self {
            Small(value) if *value != i128::MIN => Small(-value),
            other => (-&*other.big()).into(),
        }
    }

    pub(crate) fn abs(&self) -> Integer {
        if self.sign().is_lt() { self.neg() } else { self.clone() }
    }

    pub(crate) fn add(&self, other: &Integer) -> Integer {
        if let (Small(a), Small(b)) = (self, other)
            && let Some(sum) = a.checked_add(*b)
        {
            return Small(sum);
        }
        (&*self.big() + &*other.big()).into()
    }

    pub(crate) fn sub(&self, other: &Integer) -> Integer {
        if let (Small(a), Small(b)) = (self, other)
            && let Some(difference) = a.checked_sub(*b)
        {
            return Small(difference);
        }
        (&*self.big() - &*other.big()).into()
    }

    pub(crate) fn mul(&self, other: &Integer) -> Integer {
        if let (Small(a), Small(b)) = (self, other)
            && let Some(product) = a.checked_mul(*b)
        {
            return Small(product);
        }
        (&*self.big() * &*other.big()).into()
    }

    pub(crate) fn mul_pow10(&self, exponent: u32) -> Integer {
        if exponent == 0 || self.is_zero() { self.clone() } else { self.mul(&Integer::pow10(exponent)) }
    }

    /// Quotient, towards zero, and remainder. `divisor` is not zero.
    pub(crate) fn div_rem(&self, divisor: &Integer) -> (Integer, Integer) {
        if let (Small(a), Small(b)) = (self, divisor)
            && let (Some(quotient), Some(remainder)) = (a.checked_div(*b), a.checked_rem(*b))
        {
            return (Small(quotient), Small(remainder));
        }
        let (dividend, divisor) = (self.big(), divisor.big());
        let quotient = &*dividend / &*divisor;
        let remainder = &*dividend - &quotient * &*divisor;
        (quotient.into(), remainder.into())
    }

    /// The quotient, halves away from zero.
    pub(crate) fn div_round(&self, divisor: &Integer) -> Integer {
        let (quotient, remainder) = self.div_rem(divisor);
        if remainder.add(&remainder).compare_magnitude(divisor).is_lt() {
            return quotient;
        }
        let away = if self.sign() == divisor.sign() { 1 } else { -1 };
        quotient.add(&Small(away))
    }

    pub(crate) fn shl(&self, bits: u64) -> Integer {
        match self {
            Small(value) if self.bits() + bits < 127 => Small(value << bits),
            other => (&*other.big() << bits).into(),
        }
    }

    /// Towards minus infinity.
    pub(crate) fn shr(&self, bits: u64) -> Integer {
        match self {
            Small(value) => Small(value >> bits.min(127)),
            Big(value) => (value >> bits).into(),
        }
    }

    pub(crate) fn compare(&self, other: &Integer) -> Ordering {
        match (self, other) {
            (Small(a), Small(b)) => a.cmp(b),
            // Whatever is big is beyond all that is small.
            (Small(_), Big(_)) => other.sign().reverse(),
            (Big(_), Small(_)) => self.sign(),
            (Big(a), Big(b)) => a.cmp(b),
        }
    }

    pub(crate) fn compare_magnitude(&self, other: &Integer) -> Ordering {
        match (self, other) {
            (Small(a), Small(b)) => a.unsigned_abs().cmp(&b.unsigned_abs()),
            (a, b) => a.big().magnitude().cmp(b.big().magnitude()),
        }
    }

    /// The square root, rounded down, of what is not negative: Newton's method from above, from a first guess
    /// of half the length, which is found in the same way.
    pub(crate) fn sqrt(&self) -> Integer {
        let big = match self {
            Small(value) => return Small(value.isqrt()),
            Big(value) => value,
        };
        let half = big.bits() / 4;
        let mut root = self.shr(2 * half).sqrt().add(&Integer::ONE).shl(half);
        loop {
            let next = root.add(&self.div_rem(&root).0).shr(1);
            if next.compare(&root).is_ge() {
                return root;
            }
            root = next;
        }
    }

    /// How often ten divides it, up to `most`, and what is left then. It is not zero.
    pub(crate) fn strip_zeros(&self, most: u32) -> (Integer, u32) {
        if let Small(mut value) = *self {
            let mut zeros = 0;
            while zeros < most && value % 10 == 0 {
                value /= 10;
                zeros += 1;
            }
            return (Small(value), zeros);
        }
        let twos = self.big().trailing_zeros().unwrap_or(0);
        let most = most.min(u32::try_from(twos).unwrap_or(u32::MAX));
        let (mut rest, mut zeros) = (self.clone(), 0);
        for step in (0..=most.checked_ilog2().unwrap_or(0)).rev().map(|power| 1 << power) {
            if zeros + step <= most
                && let (quotient, Integer::ZERO) = rest.div_rem(&Integer::pow10(step))
            {
                rest = quotient;
                zeros += step;
            }
        }
        (rest, zeros)
    }

    /// The greatest common divisor, never negative.
    ///
    /// Euclid's algorithm; many of its steps at once where the numbers are long, from their first words alone
    /// (Lehmer; Knuth, volume 2, 4.5.2, algorithm L).
    pub(crate) fn gcd(&self, other: &Integer) -> Integer {
        let (mut a, mut b) = (self.abs(), other.abs());
        if a.compare(&b).is_lt() {
            core::mem::swap(&mut a, &mut b);
        }
        while !b.is_zero() {
            let Big(_) = b else {
                let remainder = a.div_rem(&b).1;
                (a, b) = (b, remainder);
                continue;
            };
            let [[p, q], [r, s]] = leading_steps(&a, &b);
            (a, b) = if q == 0 {
                let remainder = a.div_rem(&b).1;
                (b, remainder)
            } else {
                let row = |x: i128, y: i128| a.mul(&Small(x)).add(&b.mul(&Small(y)));
                (row(p, q), row(r, s))
            };
        }
        a
    }
}

/// The steps of Euclid's algorithm that the first 62 bits of `a` >= `b` are sure of, as one matrix.
fn leading_steps(a: &Integer, b: &Integer) -> [[i128; 2]; 2] {
    let shift = a.bits() - 62;
    let (Small(mut x), Small(mut y)) = (a.shr(shift), b.shr(shift)) else {
        return [[1, 0], [0, 1]];
    };
    let ([mut p, mut q], [mut r, mut s]) = ([1, 0], [0, 1]);
    while y + r != 0 && y + s != 0 {
        let quotient = (x + p) / (y + r);
        if quotient != (x + q) / (y + s) {
            break;
        }
        (p, r) = (r, p - quotient * r);
        (q, s) = (s, q - quotient * s);
        (x, y) = (y, x - quotient * y);
    }
    [[p, q], [r, s]]
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use proptest::prelude::*;

    use super::*;

    /// Both representations, and what is between them.
    fn integer() -> impl Strategy<Value = Integer> {
        let near_the_end = (-3i64..3, any::<bool>()).prop_map(|(step, negative)| {
            let end = Small(if negative { i128::MIN } else { i128::MAX });
            end.add(&step.into())
        });
        let long = ("-?[1-9][0-9]{0,200}", 0u32..50).prop_map(|(digits, zeros)| {
            let value = Integer::from_digits(digits.trim_start_matches('-').as_bytes()).mul_pow10(zeros);
            if digits.starts_with('-') { value.neg() } else { value }
        });
        prop_oneof![any::<i128>().prop_map(Small), any::<i64>().prop_map(Integer::from), near_the_end, long]
    }

    fn canonical(value: &Integer) -> bool {
        match value {
            Small(_) => true,
            Big(big) => i128::try_from(big).is_err(),
        }
    }

    /// The value that the library computes.
    fn check(value: &Integer, expected: BigInt) {
        assert!(canonical(value));
        assert_eq!(*value.big(), expected);
    }

    proptest! {
        #[test]
        fn short_and_long_ones_compute_alike(a in integer(), b in integer(), bits in 0u64..300) {
            let (x, y) = (a.big().into_owned(), b.big().into_owned());
            check(&a.add(&b), &x + &y);
            check(&a.sub(&b), &x - &y);
            check(&a.mul(&b), &x * &y);
            check(&a.neg(), -&x);
            check(&a.shl(bits), &x << bits);
            check(&a.shr(bits), &x >> bits);
            if !b.is_zero() {
                let (quotient, remainder) = a.div_rem(&b);
                check(&quotient, &x / &y);
                check(&remainder, &x % &y);
            }
            prop_assert_eq!(a.compare(&b), x.cmp(&y));
            prop_assert_eq!(a.compare_magnitude(&b), x.magnitude().cmp(y.magnitude()));
            prop_assert_eq!(a.sign(), x.cmp(&BigInt::ZERO));
            prop_assert_eq!(a.bits(), x.bits());
            prop_assert_eq!(a.is_odd(), x.bit(0));
            prop_assert_eq!(Integer::from_bytes(&a.to_bytes()), a);
        }

        #[test]
        fn digits_are_those_of_the_text(a in integer()) {
            let text = a.to_digits();
            prop_assert_eq!(format!("{}", a.abs().big()), text.clone());
            prop_assert_eq!(a.digits() as usize, text.len());
            prop_assert_eq!(Integer::from_digits(text.as_bytes()), a.abs());
        }

        #[test]
        fn zeros_are_stripped(a in integer(), zeros in 0u32..100, most in 0u32..150) {
            prop_assume!(!a.is_zero());
            let (core, own) = a.strip_zeros(u32::MAX);
            prop_assert_eq!(core.mul_pow10(own), a);
            prop_assert!(!core.div_rem(&Integer::pow10(1)).1.is_zero());
            let stripped = most.min(zeros);
            prop_assert_eq!(core.mul_pow10(zeros).strip_zeros(most), (core.mul_pow10(zeros - stripped), stripped));
        }

        #[test]
        fn roots_are_rounded_down(a in integer()) {
            let (square, root) = (a.abs(), a.abs().sqrt());
            let next = root.add(&Integer::ONE);
            prop_assert!(root.mul(&root).compare(&square).is_le());
            prop_assert!(next.mul(&next).compare(&square).is_gt());
        }

        #[test]
        fn divisors_are_euclids(a in integer(), b in integer(), c in integer()) {
            let (mut x, mut y) = (a.mul(&c).abs(), b.mul(&c).abs());
            let divisor = x.gcd(&y);
            while !y.is_zero() {
                (x, y) = (y.clone(), x.div_rem(&y).1);
            }
            prop_assert_eq!(divisor, x);
        }
    }

    #[test]
    fn digits_at_powers_of_ten() {
        for exponent in 0..300 {
            let power = Integer::pow10(exponent);
            assert_eq!(power.digits(), exponent + 1);
            assert_eq!(power.sub(&Integer::ONE).digits(), exponent.max(1));
        }
    }

    #[test]
    fn halves_round_away_from_zero() {
        let rounded = |a: i64, b: i64| Integer::from(a).div_round(&b.into());
        assert_eq!(
            [rounded(5, 2), rounded(-5, 2), rounded(5, -2), rounded(-5, -2)],
            [3, -3, -3, 3].map(Integer::from)
        );
        assert_eq!(
            [rounded(4, 3), rounded(-4, 3), rounded(0, 3), rounded(1, 3)],
            [1, -1, 0, 0].map(Integer::from)
        );
    }
}
