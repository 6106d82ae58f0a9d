//! Golden cases: what a real PostgreSQL 15 answers.
//!
//! `make-golden.sh` asks the server and writes the answers; this test needs none. With `GOLDEN=FILE` it checks the
//! cases of another file, say, random ones.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use cluster_numeric::{Accumulator, Error, Numeric, Spread, Typmod};

/// No operation takes longer, not even in a debug build.
const TIME_MAX: Duration = Duration::from_secs(5);

type Answer = Result<String, Error>;

/// Words, or anything between two quotes.
fn arguments(mut text: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    loop {
        text = text.trim_start_matches(' ');
        let (argument, rest) = match text.strip_prefix('\'') {
            Some(quoted) => quoted.split_once('\'').expect("a closing quote"),
            None => text.split_once(' ').unwrap_or((text, "")),
        };
        if text.is_empty() {
            return arguments;
        }
        arguments.push(argument.to_string());
        text = rest;
    }
}

fn aggregate(operation: &str, values: &[String]) -> Answer {
    let mut accumulator = Accumulator::of_squares();
    for value in values {
        accumulator.add(&value.parse()?);
    }
    let result = match operation {
        "sum" => accumulator.sum(),
        "avg" => accumulator.avg(),
        "var_pop" => accumulator.variance(Spread::Population),
        "var_samp" => accumulator.variance(Spread::Sample),
        "stddev_pop" => accumulator.stddev(Spread::Population),
        "stddev_samp" => accumulator.stddev(Spread::Sample),
        _ => panic!("no operation '{operation}'"),
    };
    Ok(result?.map_or("NULL".into(), |value| value.to_string()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |index| u8::from_str_radix(&text[index..index + 2], 16).expect("hexadecimal digits");
    (0..text.len()).step_by(2).map(byte).collect()
}

fn answer(operation: &str, arguments: &[String]) -> Answer {
    let value = |index: usize| arguments[index].parse::<Numeric>();
    let integer = |index: usize| arguments[index].parse::<i32>().expect("an integer");
    let shown = |value: Result<Numeric, Error>| Ok(value?.to_string());
    let count = |value: Option<u32>| Ok(value.map_or("NULL".into(), |value| value.to_string()));
    match operation {
        "text" => shown(value(0)),
        "send" => {
            let mut bytes = Vec::new();
            value(0)?.to_wire(&mut bytes);
            Ok(hex(&bytes))
        }
        "receive" => shown(Numeric::from_wire(&unhex(&arguments[0]))),
        "typmod" => shown(value(0)?.with_typmod(Typmod::new(integer(1), integer(2))?)),
        "add" => shown(value(0)?.add(&value(1)?)),
        "sub" => shown(value(0)?.sub(&value(1)?)),
        "mul" => shown(value(0)?.mul(&value(1)?)),
        "div" => shown(value(0)?.div(&value(1)?)),
        "div_trunc" => shown(value(0)?.div_trunc(&value(1)?)),
        "rem" => shown(value(0)?.rem(&value(1)?)),
        "power" => shown(value(0)?.power(&value(1)?)),
        "log" => shown(value(1)?.log(&value(0)?)),
        "log10" => shown(value(0)?.log10()),
        "ln" => shown(value(0)?.ln()),
        "exp" => shown(value(0)?.exp()),
        "sqrt" => shown(value(0)?.sqrt()),
        "cmp" => Ok((value(0)?.cmp(&value(1)?) as i32).to_string()),
        "neg" => Ok(value(0)?.neg().to_string()),
        "abs" => Ok(value(0)?.abs().to_string()),
        "sign" => Ok(value(0)?.sign().to_string()),
        "ceil" => shown(value(0)?.ceil()),
        "floor" => shown(value(0)?.floor()),
        "round" => shown(value(0)?.round(integer(1))),
        "trunc" => shown(value(0)?.trunc(integer(1))),
        "scale" => count(value(0)?.scale()),
        "min_scale" => count(value(0)?.min_scale()),
        "trim_scale" => Ok(value(0)?.trim_scale().to_string()),
        "gcd" => shown(value(0)?.gcd(&value(1)?)),
        "lcm" => shown(value(0)?.lcm(&value(1)?)),
        "factorial" => shown(Numeric::factorial(arguments[0].parse().expect("an integer"))),
        "width_bucket" => Ok(value(0)?.width_bucket(&value(1)?, &value(2)?, integer(3))?.to_string()),
        "int2" => Ok(value(0)?.to_i16()?.to_string()),
        "int4" => Ok(value(0)?.to_i32()?.to_string()),
        "int8" => Ok(value(0)?.to_i64()?.to_string()),
        "float4" => Ok(format!("{:e}", value(0)?.to_f32()?)),
        "float8" => Ok(format!("{:e}", value(0)?.to_f64()?)),
        "from_float4" => Ok(Numeric::from(arguments[0].parse::<f32>().expect("a float")).to_string()),
        "from_float8" => Ok(Numeric::from(arguments[0].parse::<f64>().expect("a float")).to_string()),
        other => aggregate(other.trim_start_matches("int8_"), arguments),
    }
}

fn text(answer: Answer) -> String {
    let error = match answer {
        Ok(answer) => return answer,
        Err(error) => error,
    };
    let detail = error.detail().map(|detail| format!(" / {detail}")).unwrap_or_default();
    format!("error {} {error}{detail}", error.sqlstate())
}

/// A long answer by its ends, its length and the sum of its digits.
fn shortened(answer: String) -> String {
    if answer.len() <= 250 {
        return answer;
    }
    let (start, end) = (&answer[..40], &answer[answer.len() - 40..]);
    let sum: u32 = answer.chars().filter_map(|letter| letter.to_digit(10)).sum();
    format!("{start}...{end}, {} characters, digits sum to {sum}", answer.len())
}

/// Whether both are the same; floats may be printed in another way.
fn same(operation: &str, ours: &str, theirs: &str) -> bool {
    let float = |text: &str| text.parse::<f64>().ok().map(f64::to_bits);
    let float4 = |text: &str| text.parse::<f32>().ok().map(f32::to_bits);
    match operation {
        "float8" if float(ours).is_some() => float(ours) == float(theirs),
        "float4" if float4(ours).is_some() => float4(ours) == float4(theirs),
        _ => ours == theirs,
    }
}

#[test]
fn answers_are_those_of_postgres() {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden.txt");
    let path = std::env::var_os("GOLDEN").map_or(own, PathBuf::from);
    let golden = std::fs::read_to_string(&path).expect("the golden file");
    let cases = golden.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let (mut count, mut differences) = (0, Vec::new());
    for line in cases {
        let (case, theirs) = line.split_once(" = ").expect("an answer");
        let (operation, rest) = case.split_once(' ').unwrap_or((case, ""));
        let start = Instant::now();
        let ours = shortened(text(answer(operation, &arguments(rest))));
        count += 1;
        let slow = start.elapsed() > TIME_MAX;
        if slow || !same(operation, &ours, theirs) {
            differences.push(format!("{line}\n  ours: {ours}{}", if slow { "  SLOW" } else { "" }));
        }
    }
    let shown = differences.iter().take(50).cloned().collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "{} of {count} differ:\n{shown}", differences.len());
    assert!(count > 300, "the whole file is looked at");
}
