//! `value[index]` and `array[low:high]`. Their names cannot be written.

use super::array::datum;
use super::{int, signatures, text, unexpected};
use crate::error::SqlResult;
use crate::types::Datum;

fn element(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [Datum::Array(array), index] = arguments else { return Err(unexpected()) };
    let at = usize::try_from(int(index) - 1).ok();
    Ok(at.and_then(|at| array.items.get(at)).cloned().unwrap_or(Datum::Null))
}

/// A bound that is left out is a bound of the array; one that is NULL makes all NULL.
fn slice(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [array, low, high] = arguments else { return Err(unexpected()) };
    let Datum::Array(array) = array else { return Ok(Datum::Null) };
    let low = usize::try_from(int(low).saturating_sub(1)).unwrap_or(0);
    let high = usize::try_from(int(high)).unwrap_or(0).min(array.items.len());
    datum(array.element, array.items.get(low..high).unwrap_or(&[]).to_vec())
}

fn of_json(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [Datum::Jsonb(json), index] = arguments else { return Err(unexpected()) };
    let found = match index {
        Datum::Int4(index) => json.element(i64::from(*index)),
        index => json.at_path([text(index)]),
    };
    Ok(found.map_or(Datum::Null, |found| Datum::json(found.clone())))
}

/// A name is an array of bytes, counted from 0.
fn of_name(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [name, index] = arguments else { return Err(unexpected()) };
    let at = usize::try_from(int(index)).ok();
    let found = at.and_then(|at| text(name).chars().nth(at));
    Ok(found.map_or(Datum::Null, |found| Datum::Text(found.into())))
}

signatures! { FUNCTIONS:
    "value[index]" (Name, Int4) Text, Strict, |a, _| of_name(a);
    "value[index]" (AnyArray, Int4) AnyElement, Strict, |a, _| element(a);
    "value[index]" (Jsonb, Int4) Jsonb, Strict, |a, _| of_json(a);
    "value[index]" (Jsonb, Text) Jsonb, Strict, |a, _| of_json(a);
    "value[low:high]" (AnyArray, Int4, Int4) AnyArray, Strict, |a, _| slice(a);
}
