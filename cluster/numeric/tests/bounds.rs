//! The most expensive operands there are: every operation ends soon, with a value or with an error.

use std::time::{Duration, Instant};

use cluster_numeric::{Accumulator, Error, Numeric, Result, Spread};

/// None takes a third of a second; the rest is for slow machines that do other things, too.
const TIME_MAX: Duration = Duration::from_secs(5);

fn number(text: &str) -> Numeric {
    text.parse().expect("a number")
}

/// Digits without a pattern.
fn digits(count: usize) -> String {
    let mut state = 1u32;
    let mut digit = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'0' + (state >> 24) as u8 % 9 + 1)
    };
    (0..count).map(|_| digit()).collect()
}

/// As many digits as a value can have.
fn longest() -> Numeric {
    number(&format!("{}.{}", digits(131_072), digits(16_383)))
}

fn timed<T>(name: &str, operation: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = operation();
    let elapsed = start.elapsed();
    println!("{name}: {elapsed:?}");
    assert!(elapsed < TIME_MAX, "{name} took {elapsed:?}");
    result
}

#[test]
fn arithmetic_ends() {
    let (a, one) = (longest(), Numeric::ONE);
    let b = number(&format!("7.{}", digits(16_383)));
    let last = number("1e-16383");
    timed("add", || a.add(&last)).expect("a sum");
    timed("mul", || a.mul(&last)).expect("a product");
    assert_eq!(timed("mul, too long", || a.mul(&a)), Err(Error::Overflow));
    timed("div", || a.div(&b)).expect("a quotient");
    assert_eq!(timed("div, too long", || a.div(&last)), Err(Error::Overflow));
    timed("div_trunc", || a.div_trunc(&b)).expect("a quotient");
    timed("rem", || a.rem(&b)).expect("a remainder");
    timed("gcd", || a.gcd(&a.sub(&b).expect("a difference"))).expect("a divisor");
    timed("gcd of integers", || a.trunc(0)?.gcd(&number(&digits(131_000)))).expect("a divisor");
    assert_eq!(timed("lcm", || a.lcm(&b)), Err(Error::Overflow));
    timed("round", || a.round(-1)).expect("a number");
    timed("trim_scale", || number(&format!("{}.{:0<16383}", digits(131_072), 5)).trim_scale());
    timed("cmp", || a.cmp(&a.sub(&last).expect("a difference")));
    timed("width_bucket", || one.width_bucket(&last, &a, i32::MAX)).expect("a bucket");
    timed("factorial", || Numeric::factorial(32_177)).expect("a factorial");
    assert_eq!(timed("factorial, too long", || Numeric::factorial(i64::MAX)), Err(Error::Overflow));
    assert_eq!(
        timed("10^131071 squared", || {
            let power = number("10").power(&number("131071"))?;
            power.mul(&power)
        }),
        Err(Error::Overflow)
    );
}

#[test]
fn functions_end() {
    let a = longest();
    let fraction = number(&format!("0.{}", digits(16_383)));
    let near_one = number("1").add(&number("1e-16383")).expect("a sum");
    let ends = |name: &str, operation: &dyn Fn() -> Result<Numeric>| {
        let _ = timed(name, operation);
    };
    ends("sqrt", &|| a.sqrt());
    ends("ln", &|| a.ln());
    ends("ln of a fraction", &|| fraction.ln());
    ends("ln near 1", &|| near_one.ln());
    ends("log near 1", &|| number("2").log(&near_one));
    ends("log near 1 of near 1", &|| number("1.05").log(&near_one));
    ends("log to itself", &|| a.log(&a));
    ends("exp", &|| a.exp());
    ends("exp of a fraction", &|| fraction.exp());
    ends("exp of the greatest", &|| number("5999.9").add(&fraction)?.exp());
    ends("exp of the least", &|| number("-5999.9").add(&fraction)?.exp());
    ends("fraction to fraction", &|| fraction.power(&fraction));
    ends("greatest to fraction", &|| a.power(&fraction));
    ends("near 1 to greatest", &|| near_one.power(&a));
    ends("near 1 to fraction", &|| near_one.power(&number("1e16380").add(&fraction)?));
    ends("fraction to integer", &|| fraction.power(&number("-1000")));
    ends("2 to the greatest", &|| number("2").power(&number("435411")));
    ends("near 1 to integer", &|| number("1.00014").power(&number("2147483647")));
    ends("near 1 to integer, 131,000 digits", &|| number("1.0001405").power(&number("2147000000")));
    ends("near 1 to minus integer", &|| near_one.power(&number("-2147483648")));
    ends("fraction to the least", &|| fraction.power(&number("-120000")));
    ends("3 to 2147483648", &|| number("3").power(&number("2147483648")));
}

#[test]
fn texts_and_bytes_end() {
    let a = longest();
    let text = timed("print", || a.to_string());
    assert_eq!(timed("parse", || number(&text)), a);
    let zeros = "0".repeat(10_000_000);
    assert_eq!(timed("many zeros", || number(&format!("{zeros}1"))), Numeric::ONE);
    assert_eq!(timed("many digits", || format!("1{zeros}").parse::<Numeric>()), Err(Error::Overflow));
    for text in ["1e1073741822", "1e-1073741822", "1e99999999999999999999", "-1e131072"] {
        assert_eq!(timed(text, || text.parse::<Numeric>()), Err(Error::Overflow));
    }
    let mut bytes = Vec::new();
    timed("to_wire", || a.to_wire(&mut bytes));
    assert_eq!(timed("from_wire", || Numeric::from_wire(&bytes)), Ok(a.clone()));
    let mut longest_wire = vec![0xff, 0xff, 0x7f, 0xff, 0, 0, 0x3f, 0xff];
    longest_wire.extend([0x27, 0x0f].repeat(65_535));
    timed("the longest wire", || Numeric::from_wire(&longest_wire)).expect("a value");
    let mut key = Vec::new();
    timed("write_key", || a.write_key(&mut key));
    assert_eq!(timed("read_key", || Numeric::read_key(&key)), Some((a.clone(), [].as_slice())));
    timed("to_f64", || a.to_f64()).expect_err("too large");
}

#[test]
fn aggregates_end() {
    let a = longest();
    let mut accumulator = Accumulator::of_squares();
    timed("aggregate", || {
        accumulator.add(&a);
        accumulator.add(&a.neg());
        accumulator.add(&Numeric::ONE);
    });
    assert_eq!(timed("sum", || accumulator.sum()), Ok(Some(Numeric::ONE)));
    timed("avg", || accumulator.avg()).expect("an average");
    assert_eq!(timed("variance", || accumulator.variance(Spread::Sample)), Err(Error::Overflow));
    timed("stddev", || accumulator.stddev(Spread::Sample)).expect("a deviation");
}
