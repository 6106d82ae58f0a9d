//! Natural logarithm and exponential to any number of digits.
//!
//! Both compute with binary fixed point: an integer `x` stands for `x / 2^bits`, and `bits` is chosen so that the
//! error is far below half a unit of the last digit asked for. The result is that of PostgreSQL, whose own
//! error is below 10^-7 units, unless the true value is as close to a tie.
//!
//! Methods: Brent and Zimmermann, Modern Computer Arithmetic, 4.2 and 4.4: argument reduction, then a power
//! series; the time is about M(n) sqrt(n) for n bits.

use crate::decimal::Decimal;
use crate::integer::Integer;

/// Bits beyond those of the result: errors of the last bit are as many as there are terms.
const GUARD_BITS: u64 = 80;

/// log2(10), rounded up.
const BITS_PER_DIGIT: f64 = 3.33;

/// ln(2) = 18 artanh(1/26) - 2 artanh(1/4801) + 8 artanh(1/8749)
const LN2_TERMS: [(i64, i64); 3] = [(18, 26), (-2, 4801), (8, 8749)];

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

/// The natural logarithm of `x` > 0, rounded to `scale`.
///
/// x = m 2^k with m near 1; ln(m) = 2^(r+1) artanh((m' - 1) / (m' + 1)) where m' is m after r square roots.
pub(crate) fn ln(x: &Decimal, scale: u32) -> Decimal {
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

/// e^`x`, rounded to `scale`. |x| is at most some thousands.
///
/// x = r + n ln(2); e^x = 2^n (e^(r / 2^h))^(2^h), the inner power by Taylor's series.
pub(crate) fn exp(x: &Decimal, scale: u32) -> Decimal {
    let whole = (x.to_f64_lossy() * core::f64::consts::LOG10_E) as i64;
    let bits = bits_of_digits(i64::from(scale) + whole.max(0) + 8);
    let halvings = u64::from((bits as u32).isqrt());
    let bits = bits + halvings;
    let fixed = x.coefficient.shl(bits).div_rem(&Integer::pow10(x.scale)).0;
    let ln2 = ln2(bits);
    let (mut doublings, mut rest) = fixed.div_rem(&ln2);
    if rest.sign().is_lt() {
        doublings = doublings.sub(&Integer::ONE);
        rest = rest.add(&ln2);
    }
    let rest = rest.shr(halvings);
    let (mut term, mut sum) = (one(bits), one(bits));
    for divisor in 1.. {
        term = mul(&term, &rest, bits).div_rem(&Integer::from(divisor)).0;
        if term.is_zero() {
            break;
        }
        sum = sum.add(&term);
    }
    for _ in 0..halvings {
        sum = mul(&sum, &sum, bits);
    }
    match doublings {
        Integer::Small(n @ 0..) => to_decimal(&sum.shl(n as u64), bits, scale),
        Integer::Small(n) => to_decimal(&sum, bits + n.unsigned_abs() as u64, scale),
        Integer::Big(_) => Decimal::zero(scale),
    }
}
