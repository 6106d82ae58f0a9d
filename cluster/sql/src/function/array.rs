//! Arrays.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{int, signatures, text, unexpected};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::eval::{TEXT_LEN_MAX, check_text_len, compare, is_same};
use crate::types::{Array, Datum, Scalar};

fn items(datum: &Datum) -> &[Datum] {
    if let Datum::Array(array) = datum { &array.items } else { &[] }
}

fn element(arguments: &[&Datum]) -> Scalar {
    let array = |datum: &&&Datum| matches!(datum, Datum::Array(_));
    match arguments.iter().find(array) {
        Some(Datum::Array(array)) => array.element,
        _ => {
            let known = arguments.iter().find_map(|datum| datum.data_type());
            known.and_then(|data_type| data_type.scalar()).unwrap_or(Scalar::Text)
        }
    }
}

/// An array, unless it takes too much memory.
pub(super) fn datum(element: Scalar, items: Vec<Datum>) -> SqlResult<Datum> {
    check_text_len(items.len().saturating_mul(size_of::<Datum>()))?;
    let array = Array::new(element, items);
    check_text_len(array.len_memory().min(TEXT_LEN_MAX + 1))?;
    Ok(Datum::Array(Box::new(array)))
}

fn count(len: usize) -> Datum {
    Datum::Int4(i32::try_from(len).unwrap_or(i32::MAX))
}

/// What the functions of a dimension say; NULL of an empty array, or of another dimension than the first.
fn of_dimension(arguments: &[&Datum], value: fn(usize) -> Datum) -> SqlResult<Datum> {
    let [array, dimension] = arguments else { return Err(unexpected()) };
    let len = items(array).len();
    Ok(if int(dimension) == 1 && len > 0 { value(len) } else { Datum::Null })
}

fn dimensions(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [array] = arguments else { return Err(unexpected()) };
    Ok(if items(array).is_empty() { Datum::Null } else { Datum::Int4(1) })
}

fn dims(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [array] = arguments else { return Err(unexpected()) };
    let len = items(array).len();
    Ok(if len == 0 { Datum::Null } else { Datum::Text(alloc::format!("[1:{len}]")) })
}

fn joined(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [left, right] = arguments else { return Err(unexpected()) };
    match (left, right) {
        (Datum::Null, Datum::Null) => Ok(Datum::Null),
        (left, right) => datum(element(arguments), [items(left), items(right)].concat()),
    }
}

fn append(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [array, item] = arguments else { return Err(unexpected()) };
    let mut all = items(array).to_vec();
    all.push((*item).clone());
    datum(element(arguments), all)
}

fn prepend(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [item, array] = arguments else { return Err(unexpected()) };
    let mut all = Vec::with_capacity(items(array).len() + 1);
    all.push((*item).clone());
    all.extend_from_slice(items(array));
    datum(element(arguments), all)
}

fn remove(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [array, item] = arguments else { return Err(unexpected()) };
    if array.is_null() {
        return Ok(Datum::Null);
    }
    let kept = items(array).iter().filter(|known| !is_same(known, item)).cloned().collect();
    datum(element(arguments), kept)
}

fn replace(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [array, from, to] = arguments else { return Err(unexpected()) };
    if array.is_null() {
        return Ok(Datum::Null);
    }
    let one = |item: &Datum| if is_same(item, from) { (*to).clone() } else { item.clone() };
    datum(element(arguments), items(array).iter().map(one).collect())
}

fn positions<'a>(array: &'a Datum, item: &'a Datum) -> impl Iterator<Item = usize> {
    items(array).iter().enumerate().filter(|(_, known)| is_same(known, item)).map(|(at, _)| at + 1)
}

fn position(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [array, item, rest @ ..] = arguments else { return Err(unexpected()) };
    let start = match rest {
        [Datum::Null] => {
            return Err(SqlError::new(SqlState("22004"), "initial position must not be null"));
        }
        [start] => usize::try_from(int(start)).unwrap_or(0),
        _ => 0,
    };
    Ok(positions(array, item).find(|at| *at >= start).map_or(Datum::Null, count))
}

fn all_positions(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [array, item] = arguments else { return Err(unexpected()) };
    if array.is_null() {
        return Ok(Datum::Null);
    }
    datum(Scalar::Int4, positions(array, item).map(count).collect())
}

/// Whether `item` is among `all`; NULL is not.
fn has(all: &Datum, item: &Datum) -> bool {
    let is_equal = |known: &&Datum| compare(crate::ast::BinaryOperator::Eq, known, item) == Some(true);
    items(all).iter().find(is_equal).is_some()
}

fn contains(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [left, right] = arguments else { return Err(unexpected()) };
    Ok(Datum::Bool(items(right).iter().all(|item| has(left, item))))
}

fn contained(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [left, right] = arguments else { return Err(unexpected()) };
    contains(&[right, left])
}

fn overlaps(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [left, right] = arguments else { return Err(unexpected()) };
    Ok(Datum::Bool(items(right).iter().any(|item| has(left, item))))
}

fn fill(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [value, lengths] = arguments else { return Err(unexpected()) };
    let len = match items(lengths) {
        [] => 0,
        [Datum::Null] => {
            return Err(SqlError::new(SqlState("22004"), "dimension values cannot be null"));
        }
        [len] => usize::try_from(int(len)).unwrap_or(0),
        _ => return Err(SqlError::not_supported("an array of several dimensions")),
    };
    check_text_len(len.saturating_mul(value.len_memory()))?;
    datum(element(&[value]), core::iter::repeat_n((*value).clone(), len).collect())
}

fn trim(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [array, count] = arguments else { return Err(unexpected()) };
    let all = items(array);
    let kept = usize::try_from(int(count)).ok().and_then(|count| all.len().checked_sub(count));
    match kept.and_then(|kept| all.get(..kept)) {
        Some(kept) => datum(element(arguments), kept.to_vec()),
        None => {
            let message = alloc::format!("number of elements to trim must be between 0 and {}", all.len());
            Err(SqlError::new(SqlState("2202E"), message))
        }
    }
}

signatures! { OPERATORS:
    "||" (AnyArray, AnyArray) AnyArray, Nullable, |a, _| joined(a);
    "||" (AnyArray, AnyElement) AnyArray, Nullable, |a, _| append(a);
    "||" (AnyElement, AnyArray) AnyArray, Nullable, |a, _| prepend(a);
    "@>" (AnyArray, AnyArray) Bool, Strict, |a, _| contains(a);
    "<@" (AnyArray, AnyArray) Bool, Strict, |a, _| contained(a);
    "&&" (AnyArray, AnyArray) Bool, Strict, |a, _| overlaps(a);
}

signatures! { FUNCTIONS:
    "array_length" (AnyArray, Int4) Int4, Strict, |a, _| of_dimension(a, count);
    "array_upper" (AnyArray, Int4) Int4, Strict, |a, _| of_dimension(a, count);
    "array_lower" (AnyArray, Int4) Int4, Strict, |a, _| of_dimension(a, |_| Datum::Int4(1));
    "array_ndims" (AnyArray) Int4, Strict, |a, _| dimensions(a);
    "array_dims" (AnyArray) Text, Strict, |a, _| dims(a);
    "cardinality" (AnyArray) Int4, Strict, |a, _| Ok(count(a.first().map_or(0, |array| items(array).len())));
    "array_append" (AnyArray, AnyElement) AnyArray, Nullable, |a, _| append(a);
    "array_prepend" (AnyElement, AnyArray) AnyArray, Nullable, |a, _| prepend(a);
    "array_cat" (AnyArray, AnyArray) AnyArray, Nullable, |a, _| joined(a);
    "array_remove" (AnyArray, AnyElement) AnyArray, Nullable, |a, _| remove(a);
    "array_replace" (AnyArray, AnyElement, AnyElement) AnyArray, Nullable, |a, _| replace(a);
    "array_position" (AnyArray, AnyElement) Int4, Nullable, |a, _| position(a);
    "array_position" (AnyArray, AnyElement, Int4) Int4, Nullable, |a, _| position(a);
    "array_positions" (AnyArray, AnyElement) [Int4], Nullable, |a, _| all_positions(a);
    "array_fill" (AnyElement, [Int4]) AnyArray, Nullable, |a, _| fill(a);
    "trim_array" (AnyArray, Int4) AnyArray, Strict, |a, _| trim(a);
}

/// The texts of an array of them; NULLs are left out.
pub(super) fn texts(datum: &Datum) -> impl Iterator<Item = &str> {
    items(datum).iter().filter(|item| !item.is_null()).map(text)
}
