//! Natural logarithm and exponential to any number of digits.
//!
//! Methods: Brent and Zimmermann, Modern Computer Arithmetic, 4.2 to 4.4: argument reduction, then a power series.
//!
//! The logarithm, but near to 1, computes with binary fixed point: an integer `x` stands for `x / 2^bits`, and
//! `bits` is chosen so that the error is far below half a unit of the last digit asked for. The time is about
//! M(n) sqrt(n) for n bits.

use crate::decimal::Decimal;
use crate::integer::Integer;
use crate::limits::{GROUP_DIGITS, GUARD_DIGITS};

/// Bits beyond those of the result: errors of the last bit are as many as there are terms.
const GUARD_BITS: u64 = 80;

/// log2(10), rounded up.
const BITS_PER_DIGIT: f64 = 3.33;

/// ln(2) = 18 artanh(1/26) - 2 artanh(1/4801) + 8 artanh(1/8749)
const LN2_TERMS: [(i64, i64); 3] = [(18, 26), (-2, 4801), (8, 8749)];

/// Taylor's series of the exponential is for arguments up to this one.
const EXP_SERIES_MAX: f64 = 0.01;

/// Longer logarithms are not computed in decimals, where division is slow.
const DECIMAL_SCALE_MAX: u32 = 1100;

/// Digits that a factor has beyond those of the product.
const FACTOR_DIGITS: u32 = 20;

fn bits_of_digits(digits: i64) -> u64 {
    (digits.max(0) as f64 * BITS_PER_DIGIT) as u64 + GUARD_BITS
}

fn one(bits: u64) -> Integer {
    Integer::ONE.shl(bits)
}

fn mul(a: &Integer, b: &Integer, bits: u64) -> Integer {
    a.mul(b).shr(bits)
}

/// The decimal nearest to a fixed-point number.
fn to_decimal(value: &Integer, bits: u64, scale: u32) -> Decimal {
    let coefficient = value.mul_pow10(scale).div_round(&one(bits));
    Decimal { coefficient, scale }
}

/// ln(2)
fn ln2(bits: u64) -> Integer {
    LN2_TERMS.iter().fold(Integer::ZERO, |sum, (factor, inverse)| {
        let square = Integer::from(inverse * inverse);
        let mut power = one(bits).div_rem(&(*inverse).into()).0;
        let mut artanh = power.clone();
        for odd in (3..).step_by(2) {
            power = power.div_rem(&square).0;
            if power.is_zero() {
                break;
            }
            artanh = artanh.add(&power.div_rem(&Integer::from(odd)).0);
        }
        sum.add(&artanh.mul(&(*factor).into()))
    })
}

/// The natural logarithm of `x` > 0, about rounded to `scale`.
pub(crate) fn ln(x: &Decimal, scale: u32) -> Decimal {
    let tenths = |count: i64| Decimal { coefficient: count.into(), scale: 1 };
    let near_one = x.compare(&tenths(9)).is_gt() && x.compare(&tenths(11)).is_lt();
    if near_one && scale <= DECIMAL_SCALE_MAX { ln_near_one(x, scale) } else { ln_anywhere(x, scale) }
}

/// ln(`x`) for x between 0.9 and 1.1: 2 artanh((x - 1) / (x + 1)), in decimals and with as many of them as
/// PostgreSQL has: very near to 1 results come so close to ties that the guard digits decide.
fn ln_near_one(x: &Decimal, scale: u32) -> Decimal {
    let digits = scale + GUARD_DIGITS as u32;
    let unit = Integer::pow10(digits);
    let argument = x.sub(&1.into()).div(&x.add(&1.into()), digits).coefficient;
    let square = argument.mul(&argument).div_round(&unit);
    let (mut power, mut artanh) = (argument.clone(), argument);
    for odd in (3..).step_by(2) {
        power = power.mul(&square).div_round(&unit);
        let term = power.div_round(&Integer::from(odd));
        if term.is_zero() {
            break;
        }
        artanh = artanh.add(&term);
    }
    Decimal { coefficient: artanh.shl(1), scale: digits }.round(scale as i32)
}

/// The natural logarithm of `x` > 0, rounded to `scale`.
///
/// x = m 2^k with m near 1; ln(m) = 2^(r+1) artanh((m' - 1) / (m' + 1)) where m' is m after r square roots.
fn ln_anywhere(x: &Decimal, scale: u32) -> Decimal {
    let bits = bits_of_digits(i64::from(scale) + 6);
    let roots_max = u64::from((bits as u32).isqrt()) / 3;
    let bits = bits + roots_max;
    let (mut mantissa, exponent) = mantissa(x, bits);
    // Each root adds a bit to those in which the number is like 1.
    let alike = bits.saturating_sub(mantissa.sub(&one(bits)).bits());
    let roots = roots_max.saturating_sub(alike);
    for _ in 0..roots {
        mantissa = mantissa.shl(bits).sqrt();
    }
    let argument = mantissa.sub(&one(bits)).shl(bits).div_rem(&mantissa.add(&one(bits))).0;
    let square = mul(&argument, &argument, bits);
    let (mut power, mut artanh) = (argument.clone(), argument);
    for odd in (3..).step_by(2) {
        power = mul(&power, &square, bits);
        let term = power.div_rem(&Integer::from(odd)).0;
        if term.is_zero() {
            break;
        }
        artanh = artanh.add(&term);
    }
    let mut sum = artanh.shl(roots + 1);
    if exponent != 0 {
        sum = sum.add(&ln2(bits).mul(&Integer::from(exponent)));
    }
    to_decimal(&sum, bits, scale)
}

/// `x` as a fixed-point number near 1 and a power of two; what is near 1 has the power 0.
fn mantissa(x: &Decimal, bits: u64) -> (Integer, i64) {
    let divisor = Integer::pow10(x.scale);
    let mut exponent = x.coefficient.bits() as i64 - divisor.bits() as i64;
    let shift = bits as i64 - exponent;
    let up = |value: &Integer, shift: i64| value.shl(u64::try_from(shift).unwrap_or(0));
    // Between 1/2 and 2.
    let mut mantissa = up(&x.coefficient, shift).div_rem(&up(&divisor, -shift)).0;
    let three_quarters = one(bits - 2).mul(&3.into());
    if mantissa.compare(&three_quarters).is_lt() {
        mantissa = mantissa.shl(1);
        exponent -= 1;
    } else if mantissa.compare(&three_quarters.shl(1)).is_gt() {
        mantissa = mantissa.shr(1);
        exponent += 1;
    }
    (mantissa, exponent)
}

/// e^`x`, about rounded to `scale`. |x| is below 6,000.
///
/// Taylor's series of x / 2^h, which is below 1/100, then h squarings. In decimals and with as many of them as
/// PostgreSQL has: powers of numbers very near to 1 come so close to ties that the guard digits decide.
pub(crate) fn exp(x: &Decimal, scale: u32) -> Decimal {
    let mut estimate = x.to_f64_lossy();
    let exponent = (estimate * core::f64::consts::LOG10_E) as i64;
    let mut halvings = 0;
    while estimate.abs() > EXP_SERIES_MAX {
        halvings += 1;
        estimate /= 2.0;
    }
    let x = if halvings == 0 { x.clone() } else { x.div(&(1 << halvings).into(), x.scale + halvings) };
    let squaring_digits = (f64::from(halvings) * core::f64::consts::LOG10_2) as i64;
    let significant = (1 + exponent + i64::from(scale) + squaring_digits).max(0) + GUARD_DIGITS;
    let mut power = taylor(&x, (significant - 1) as u32);
    for _ in 0..halvings {
        let digits = significant - 2 * power.groups().weight * GROUP_DIGITS;
        power = power.mul(&power).round(digits.max(0) as i32);
    }
    power.round(scale as i32)
}

/// 1 + x + x^2/2! + x^3/3! + ..., each term rounded to `scale`.
fn taylor(x: &Decimal, scale: u32) -> Decimal {
    let sum = x.add(&1.into());
    let factor = x.trunc(x.scale.min(scale + FACTOR_DIGITS) as i32);
    let power = Integer::pow10(factor.scale);
    let mut term = factor.mul(&factor).round(scale as i32).coefficient.div_round(&2.into());
    let mut rest = Integer::ZERO;
    for divisor in 3.. {
        if term.is_zero() {
            break;
        }
        rest = rest.add(&term);
        term = term.mul(&factor.coefficient).div_round(&power).div_round(&Integer::from(divisor));
    }
    sum.add(&Decimal { coefficient: rest, scale })
}
