//! `jsonb`: values made from others by changing a part.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{array, int, signatures, text, unexpected};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::eval::check_text_len;
use crate::types::{Datum, Json, index_of, parse_json};

fn wrong(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// A value, unless it takes too much memory.
fn datum(json: Json) -> SqlResult<Datum> {
    check_text_len(json.len_memory())?;
    Ok(Datum::json(json))
}

fn concat(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [Datum::Jsonb(left), Datum::Jsonb(right)] = arguments else { return Err(unexpected()) };
    datum(match ((**left).clone(), (**right).clone()) {
        (Json::Object(mut left), Json::Object(right)) => {
            left.extend(right);
            Json::object(left)
        }
        (Json::Array(mut left), Json::Array(right)) => {
            left.extend(right);
            Json::Array(left)
        }
        (Json::Array(mut left), right) => {
            left.push(right);
            Json::Array(left)
        }
        (left, Json::Array(right)) => Json::Array(core::iter::once(left).chain(right).collect()),
        (left, right) => Json::Array([left, right].into()),
    })
}

fn without(json: &Json, is_gone: impl Fn(&str) -> bool) -> SqlResult<Json> {
    let is_string = |item: &Json| matches!(item, Json::String(text) if is_gone(text));
    match json {
        Json::Object(pairs) => {
            Ok(Json::Object(pairs.iter().filter(|(key, _)| !is_gone(key)).cloned().collect()))
        }
        Json::Array(items) => {
            Ok(Json::Array(items.iter().filter(|item| !is_string(item)).cloned().collect()))
        }
        _ => Err(wrong("cannot delete from scalar")),
    }
}

fn delete(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [Datum::Jsonb(json), what] = arguments else { return Err(unexpected()) };
    let changed = match (what, &**json) {
        (Datum::Array(_), json) => without(json, |key| array::texts(what).any(|gone| gone == key))?,
        (Datum::Text(gone), json) => without(json, |key| key == gone)?,
        (_, Json::Array(items)) => {
            let mut items = items.clone();
            if let Some(at) = index_of(int(what), items.len()).filter(|at| *at < items.len()) {
                items.remove(at);
            }
            Json::Array(items)
        }
        (_, Json::Object(_)) => return Err(wrong("cannot delete from object using integer index")),
        _ => return Err(wrong("cannot delete from scalar")),
    };
    datum(changed)
}

/// What is to be done at the end of a path.
#[derive(Clone, Copy)]
enum Change<'a> {
    Delete,
    /// Replaces what is there; if nothing is, makes it, if the flag says so.
    Set(&'a Json, bool),
    /// Puts it before what is there, or behind it.
    Insert(&'a Json, bool),
}

fn index(step: &str, at: usize) -> SqlResult<i64> {
    step.trim().parse().map_err(|_| {
        let message = format!("path element at position {at} is not an integer: \"{step}\"");
        SqlError::new(SqlState::INVALID_TEXT, message)
    })
}

/// Changes what `path` leads to; `at` is its position in the whole path, from 1.
fn change(json: &mut Json, path: &[&str], at: usize, what: Change<'_>) -> SqlResult<()> {
    let Some((step, rest)) = path.split_first() else { return Ok(()) };
    match json {
        Json::Object(pairs) => {
            let known = pairs.iter().position(|(key, _)| key == step);
            match (known, rest.is_empty(), what) {
                (Some(known), false, _) => {
                    return pairs
                        .get_mut(known)
                        .map_or(Ok(()), |(_, value)| change(value, rest, at + 1, what));
                }
                (Some(known), true, Change::Delete) => drop(pairs.remove(known)),
                (Some(known), true, Change::Set(new, _)) => {
                    if let Some((_, value)) = pairs.get_mut(known) {
                        *value = new.clone();
                    }
                }
                (Some(_), true, Change::Insert(..)) => {
                    return Err(wrong("cannot replace existing key")
                        .hint("Try using the function jsonb_set to replace key value."));
                }
                (None, true, Change::Set(new, true) | Change::Insert(new, _)) => {
                    let mut all = core::mem::take(pairs);
                    all.push((String::from(*step), new.clone()));
                    *json = Json::object(all);
                }
                (None, ..) => {}
            }
        }
        Json::Array(items) => {
            let index = index(step, at)?;
            let known = index_of(index, items.len()).filter(|known| *known < items.len());
            // What is before the beginning, or behind the end, goes there.
            let end = if index < 0 { 0 } else { items.len() };
            match (known, rest.is_empty(), what) {
                (Some(known), false, _) => {
                    return items.get_mut(known).map_or(Ok(()), |item| change(item, rest, at + 1, what));
                }
                (Some(known), true, Change::Delete) => drop(items.remove(known)),
                (Some(known), true, Change::Set(new, _)) => {
                    if let Some(item) = items.get_mut(known) {
                        *item = new.clone();
                    }
                }
                (Some(known), true, Change::Insert(new, after)) => {
                    items.insert(known + usize::from(after), new.clone());
                }
                (None, true, Change::Set(new, true) | Change::Insert(new, _)) => {
                    items.insert(end, new.clone())
                }
                (None, ..) => {}
            }
        }
        _ => {}
    }
    Ok(())
}

fn change_at(json: &Datum, path: &Datum, what: Change<'_>, scalar: &str) -> SqlResult<Datum> {
    let Datum::Jsonb(json) = json else { return Err(unexpected()) };
    if let Datum::Array(path) = path
        && let Some(at) = path.items.iter().position(Datum::is_null)
    {
        let message = format!("path element at position {} is null", at + 1);
        return Err(SqlError::new(SqlState("22004"), message));
    }
    if !matches!(**json, Json::Object(_) | Json::Array(_)) {
        return Err(wrong(scalar));
    }
    let path: Vec<&str> = array::texts(path).collect();
    let mut changed = (**json).clone();
    change(&mut changed, &path, 1, what)?;
    datum(changed)
}

fn is_true(argument: Option<&&Datum>, default: bool) -> bool {
    argument.map_or(default, |value| matches!(value, Datum::Bool(true)))
}

fn set(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [json, path, Datum::Jsonb(new), rest @ ..] = arguments else { return Err(unexpected()) };
    let what = Change::Set(new, is_true(rest.first(), true));
    change_at(json, path, what, "cannot set path in scalar")
}

fn insert(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [json, path, Datum::Jsonb(new), rest @ ..] = arguments else { return Err(unexpected()) };
    let what = Change::Insert(new, is_true(rest.first(), false));
    change_at(json, path, what, "cannot set path in scalar")
}

fn delete_path(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [json, path] = arguments else { return Err(unexpected()) };
    change_at(json, path, Change::Delete, "cannot delete path in scalar")
}

fn stripped(json: &Json) -> Json {
    match json {
        Json::Array(items) => Json::Array(items.iter().map(stripped).collect()),
        Json::Object(pairs) => {
            let kept = pairs.iter().filter(|(_, value)| *value != Json::Null);
            Json::Object(kept.map(|(key, value)| (key.clone(), stripped(value))).collect())
        }
        scalar => scalar.clone(),
    }
}

fn strip_nulls(arguments: &[&Datum]) -> SqlResult<Datum> {
    match arguments {
        [Datum::Jsonb(json)] => datum(stripped(json)),
        [json] => datum(stripped(&parse_json(text(json))?)),
        _ => Err(unexpected()),
    }
}

signatures! { OPERATORS:
    "||" (Jsonb, Jsonb) Jsonb, Strict, |a, _| concat(a);
    "-" (Jsonb, Text) Jsonb, Strict, |a, _| delete(a);
    "-" (Jsonb, Int4) Jsonb, Strict, |a, _| delete(a);
    "-" (Jsonb, [Text]) Jsonb, Strict, |a, _| delete(a);
    "#-" (Jsonb, [Text]) Jsonb, Strict, |a, _| delete_path(a);
}

signatures! { FUNCTIONS:
    "jsonb_set" (Jsonb, [Text], Jsonb) Jsonb, Strict, |a, _| set(a);
    "jsonb_set" (Jsonb, [Text], Jsonb, Bool) Jsonb, Strict, |a, _| set(a);
    "jsonb_insert" (Jsonb, [Text], Jsonb) Jsonb, Strict, |a, _| insert(a);
    "jsonb_insert" (Jsonb, [Text], Jsonb, Bool) Jsonb, Strict, |a, _| insert(a);
    "jsonb_strip_nulls" (Jsonb) Jsonb, Strict, |a, _| strip_nulls(a);
    "jsonb_delete" (Jsonb, Text) Jsonb, Strict, |a, _| delete(a);
    "jsonb_delete_path" (Jsonb, [Text]) Jsonb, Strict, |a, _| delete_path(a);
    "jsonb_concat" (Jsonb, Jsonb) Jsonb, Strict, |a, _| concat(a);
}
