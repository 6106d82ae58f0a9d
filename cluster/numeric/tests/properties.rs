//! What holds for all values: laws of arithmetic, round trips, the order of keys.

use std::cmp::Ordering;
use std::hash::{DefaultHasher, Hash, Hasher};

use cluster_numeric::{Accumulator, Error, Numeric, Spread, Typmod};
use proptest::collection::vec;
use proptest::prelude::*;

/// Finite values, many of them short or around the end of 128 bits, where representations change.
fn finite() -> impl Strategy<Value = Numeric> {
    let text = prop_oneof![
        4 => "-?[0-9]{1,4}(\\.[0-9]{0,4})?",
        2 => "-?(1701411834604692317316873037158841057[0-9]{2}|[0-9]{30,45})(\\.0{0,9}[0-9]{0,9})?",
        1 => "-?[09]{0,60}[0-9]{1,60}(\\.[09]{0,60}[0-9]{0,60})?",
        1 => "-?[0-9]{1,9}(\\.[0-9]{1,9})?e-?[0-9]{1,3}",
        1 => "-?0\\.0{0,20}[0-9]{0,4}0{0,20}",
    ];
    text.prop_map(|text| text.parse().expect("a number"))
}

fn any_value() -> impl Strategy<Value = Numeric> {
    let special = [Numeric::NAN, Numeric::INFINITY, Numeric::NEGATIVE_INFINITY];
    prop_oneof![9 => finite(), 1 => proptest::sample::select(special.to_vec())]
}

fn key(value: &Numeric) -> Vec<u8> {
    let mut key = Vec::new();
    value.write_key(&mut key);
    key
}

fn row(value: &Numeric) -> Vec<u8> {
    let mut row = Vec::new();
    value.write(&mut row);
    row
}

fn hash(value: &Numeric) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Whether both are the same in value and scale.
fn identical(a: &Numeric, b: &Numeric) -> bool {
    a == b && a.scale() == b.scale()
}

fn sum(a: &Numeric, b: &Numeric) -> Numeric {
    a.add(b).expect("a sum")
}

fn product(a: &Numeric, b: &Numeric) -> Numeric {
    a.mul(b).expect("a product")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn finite_values_are_a_ring(a in finite(), b in finite(), c in finite()) {
        prop_assert!(identical(&sum(&a, &b), &sum(&b, &a)));
        prop_assert!(identical(&sum(&sum(&a, &b), &c), &sum(&a, &sum(&b, &c))));
        prop_assert!(identical(&product(&a, &b), &product(&b, &a)));
        prop_assert!(identical(&product(&product(&a, &b), &c), &product(&a, &product(&b, &c))));
        prop_assert_eq!(product(&a, &sum(&b, &c)), sum(&product(&a, &b), &product(&a, &c)));
        prop_assert_eq!(sum(&a, &a.neg()), Numeric::ZERO);
        prop_assert_eq!(a.sub(&b), Ok(sum(&a, &b.neg())));
        prop_assert!(identical(&sum(&a, &Numeric::ZERO), &a));
        prop_assert!(identical(&product(&a, &Numeric::ONE), &a));
        prop_assert!(identical(&a.neg().neg(), &a));
        prop_assert_eq!(product(&a.abs(), &a.sign()), a);
    }

    #[test]
    fn order_agrees_with_subtraction(a in finite(), b in finite(), c in finite()) {
        let difference = a.sub(&b).expect("a difference");
        prop_assert_eq!(a.cmp(&b), difference.cmp(&Numeric::ZERO));
        prop_assert_eq!(a.cmp(&b), sum(&a, &c).cmp(&sum(&b, &c)));
    }

    #[test]
    fn quotient_and_remainder_make_the_dividend(a in finite(), b in finite()) {
        prop_assume!(!b.is_zero());
        let (quotient, remainder) = (a.div_trunc(&b).expect("a quotient"), a.rem(&b).expect("a remainder"));
        prop_assert_eq!(quotient.scale(), Some(0));
        prop_assert_eq!(sum(&product(&quotient, &b), &remainder), a.clone());
        prop_assert!(remainder.abs() < b.abs());
        prop_assert!(remainder.is_zero() || (remainder < Numeric::ZERO) == (a < Numeric::ZERO));
        // The rounded one is off by half a unit of its last digit at most.
        let rounded = a.div(&b).expect("a quotient");
        let error = product(&rounded, &b).sub(&a).expect("a difference").abs();
        let unit: Numeric = format!("1e-{}", rounded.scale().expect("a scale")).parse().expect("a number");
        prop_assert!(product(&error, &2.into()) <= product(&unit, &b.abs()));
    }

    #[test]
    fn rounding_is_to_the_nearest(value in finite(), scale in -50i32..50) {
        let unit: Numeric = format!("1e{}", -scale).parse().expect("a number");
        let half = product(&unit, &"0.5".parse().expect("a number"));
        let (rounded, cut) = (value.round(scale).expect("a number"), value.trunc(scale).expect("a number"));
        prop_assert_eq!(rounded.scale(), Some(scale.max(0).unsigned_abs()));
        prop_assert!(rounded.sub(&value).expect("a difference").abs() <= half);
        prop_assert!(value.sub(&cut).expect("a difference").abs() < unit);
        prop_assert!(cut.abs() <= value.abs());
        let (floor, ceil) = (value.floor().expect("a number"), value.ceil().expect("a number"));
        prop_assert!(floor <= value && value <= ceil && ceil.sub(&floor).expect("a number") <= Numeric::ONE);
    }

    #[test]
    fn parts_are_the_value(value in any_value(), coefficient in any::<i64>(), scale in 0u16..40) {
        let made = Numeric::of_parts(coefficient, scale).expect("few decimals");
        prop_assert_eq!(made.parts(), Some((coefficient, scale)));
        for value in [value, made] {
            let stored = row(&value);
            let read = Numeric::read_parts(&stored).map(|(parts, rest)| (parts, rest.len()));
            prop_assert_eq!(read, value.parts().map(|parts| (parts, 0)));
            if let Some((coefficient, scale)) = value.parts() {
                prop_assert!(identical(&Numeric::of_parts(coefficient, scale).expect("a value"), &value));
            }
        }
    }

    #[test]
    fn parts_add_up_as_their_values_do(parts in prop::collection::vec((any::<i64>(), 0u16..3), 0..20)) {
        let (mut by_parts, mut by_values) = (Accumulator::of_sums(), Accumulator::of_sums());
        for (coefficient, scale) in parts {
            by_parts.add_parts(coefficient, scale);
            by_values.add(&Numeric::of_parts(coefficient, scale).expect("few decimals"));
        }
        prop_assert_eq!(format!("{:?}", by_parts), format!("{:?}", by_values));
    }

    #[test]
    fn roots_are_those_of_squares(value in finite()) {
        // A root has no more digits than that.
        prop_assume!(value.scale() <= Some(1000));
        let square = product(&value, &value);
        let root = square.sqrt().expect("a root");
        prop_assert_eq!(root.round(value.scale().expect("a scale") as i32), Ok(value.abs()));
    }

    #[test]
    fn divisors_divide(a in finite(), b in finite()) {
        let divisor = a.gcd(&b).expect("a divisor");
        if divisor.is_zero() {
            prop_assert!(a.is_zero() && b.is_zero());
        } else {
            prop_assert_eq!(a.rem(&divisor), Ok(Numeric::ZERO));
            prop_assert_eq!(b.rem(&divisor), Ok(Numeric::ZERO));
            let multiple = a.lcm(&b).expect("a multiple");
            prop_assert_eq!(product(&multiple, &divisor), product(&a, &b).abs());
        }
    }

    #[test]
    fn texts_and_bytes_survive_the_round_trip(value in any_value()) {
        let text = value.to_string();
        prop_assert!(identical(&text.parse().expect("a number"), &value), "{}", text);
        let mut wire = Vec::new();
        value.to_wire(&mut wire);
        prop_assert!(identical(&Numeric::from_wire(&wire).expect("a value"), &value));
        prop_assert_eq!(Numeric::skip(&row(&value)).map(<[u8]>::len), Some(0));
        let (read, rest) = Numeric::read(&row(&value)).map(|(value, rest)| (value, rest.len())).expect("a value");
        prop_assert!(identical(&read, &value) && rest == 0);
        let (read, rest) = Numeric::read_key(&key(&value)).map(|(value, rest)| (value, rest.len())).expect("a value");
        prop_assert!(identical(&read, &value.trim_scale()) && rest == 0);
        let message = postcard::to_allocvec(&value).expect("a message");
        prop_assert!(identical(&postcard::from_bytes(&message).expect("a value"), &value));
    }

    #[test]
    fn keys_sort_as_values_do(a in any_value(), b in any_value(), zeros in 0u32..40) {
        prop_assert_eq!(key(&a).cmp(&key(&b)), a.cmp(&b));
        prop_assert!(a == b || !key(&a).starts_with(&key(&b)));
        // Equal values of different scales.
        let longer = a.scale().map_or(a.clone(), |scale| a.round((scale + zeros) as i32).expect("a number"));
        prop_assert_eq!(longer.cmp(&a), Ordering::Equal);
        prop_assert_eq!(key(&longer), key(&a));
        prop_assert_eq!(hash(&longer), hash(&a));
        prop_assert!(identical(&longer.trim_scale(), &a.trim_scale()));
        prop_assert_eq!(longer.min_scale(), a.trim_scale().scale());
    }

    #[test]
    fn near_values_sort_as_keys(value in finite(), step in "-?0\\.0{0,50}[0-9]{1,3}") {
        let near = sum(&value, &step.parse().expect("a number"));
        prop_assert_eq!(key(&value).cmp(&key(&near)), value.cmp(&near));
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in vec(any::<u8>(), 0..60), head in vec(0u8..8, 0..12)) {
        for bytes in [bytes.clone(), [head, bytes].concat()] {
            if let Ok(value) = Numeric::from_wire(&bytes) {
                let mut wire = Vec::new();
                value.to_wire(&mut wire);
                prop_assert!(identical(&Numeric::from_wire(&wire).expect("a value"), &value));
            }
            if let Some((value, _)) = Numeric::read(&bytes) {
                prop_assert!(identical(&Numeric::read(&row(&value)).expect("a value").0, &value));
            }
            if let Some((value, rest)) = Numeric::read_key(&bytes) {
                let key = key(&value);
                prop_assert_eq!(Numeric::read_key(&key), Some((value, [].as_slice())));
                prop_assert!(rest.len() < bytes.len());
            }
        }
    }

    #[test]
    fn any_text_is_a_value_or_a_syntax_error(text in "[ +\\-.0-9eEinfa]{0,12}") {
        match text.parse::<Numeric>() {
            Ok(value) => prop_assert!(identical(&value.to_string().parse().expect("a number"), &value)),
            Err(error) => prop_assert!(matches!(error, Error::Syntax(_) | Error::Overflow)),
        }
    }

    #[test]
    fn floats_come_back(value in any::<f64>(), single in any::<f32>(), number in finite()) {
        // 15 digits name a double that has no more of them.
        let short: f64 = format!("{value:.14e}").parse().expect("a float");
        if short.is_finite() {
            prop_assert_eq!(Numeric::from(short).to_f64(), Ok(short));
        }
        let short: f32 = format!("{single:.5e}").parse().expect("a float");
        if short.is_finite() {
            prop_assert_eq!(Numeric::from(short).to_f32(), Ok(short));
        }
        if let Ok(nearest) = number.to_f64() {
            prop_assert_eq!(nearest, number.to_string().parse::<f64>().expect("a float"));
        }
    }

    #[test]
    fn integers_come_back(value in any::<i64>(), short in any::<i16>()) {
        prop_assert_eq!(Numeric::from(value).to_i64(), Ok(value));
        prop_assert_eq!(Numeric::from(value as i32).to_i32(), Ok(value as i32));
        prop_assert_eq!(Numeric::from(short).to_i16(), Ok(short));
        prop_assert_eq!(Numeric::from(i128::from(value)).to_string(), value.to_string());
    }

    #[test]
    fn typmods_come_back(precision in 1..=1000, scale in -1000..=1000, other in any::<i32>()) {
        let typmod = Typmod::new(precision, scale).expect("a type");
        prop_assert_eq!(Typmod::from_i32(typmod.to_i32()), Some(typmod));
        if let Some(typmod) = Typmod::from_i32(other) {
            prop_assert!(Typmod::new(typmod.precision(), typmod.scale()).is_ok());
        }
    }

    #[test]
    fn parts_aggregate_like_the_whole(values in vec(any_value(), 0..8), more in vec(any_value(), 0..8)) {
        let of = |values: &[Numeric]| {
            let mut accumulator = Accumulator::of_squares();
            values.iter().for_each(|value| accumulator.add(value));
            accumulator
        };
        let results = |accumulator: &Accumulator| {
            let results = [
                accumulator.sum(),
                accumulator.avg(),
                accumulator.variance(Spread::Sample),
                accumulator.stddev(Spread::Population),
            ];
            results.map(|result| result.expect("a value").map(|value| value.to_string()))
        };
        let whole = results(&of(&[values.clone(), more.clone()].concat()));
        let mut merged = of(&values);
        merged.merge(&of(&more));
        prop_assert_eq!(results(&merged), whole.clone());
        // What was taken in and out again was never there, unless a scale depends on it.
        let all = of(&[more.clone(), values.clone(), more.clone()].concat());
        let mut moved = all.clone();
        if more.iter().all(|value| moved.remove(value)) {
            prop_assert_eq!(results(&moved), whole);
            prop_assert_eq!(moved.count() as usize, values.len() + more.len());
        }
    }
}
