//! `json` and `jsonb`: looking into values.

use super::{array, signatures, text, unexpected};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::types::{Datum, Json, Step, json_part, parse_json};

fn found(json: Option<&Json>) -> SqlResult<Datum> {
    Ok(json.map_or(Datum::Null, |json| Datum::json(json.clone())))
}

/// The text of what was found: of a string its characters, of `null` NULL.
fn found_text(json: Option<&Json>) -> SqlResult<Datum> {
    Ok(match json {
        None | Some(Json::Null) => Datum::Null,
        Some(Json::String(text)) => Datum::Text(text.clone()),
        Some(other) => Datum::Text(alloc::format!("{other}")),
    })
}

/// What a key or an index leads to.
fn member<'a>(json: &'a Json, step: &Datum) -> Option<&'a Json> {
    match step.as_i64() {
        Some(index) => match json {
            Json::Array(_) | Json::Object(_) => json.element(index),
            // Postgres keeps a scalar as an array of one, and it shows.
            scalar => matches!(index, 0 | -1).then_some(scalar),
        },
        None => json.field(text(step)),
    }
}

fn get(arguments: &[&Datum], as_text: bool) -> SqlResult<Datum> {
    match arguments {
        [Datum::Jsonb(json), step] if as_text => found_text(member(json, step)),
        [Datum::Jsonb(json), step] => found(member(json, step)),
        [Datum::Text(json), step] => {
            let step = step.as_i64().map_or_else(|| Step::Key(text(step)), Step::Index);
            written(json_part(json, step)?, as_text)
        }
        _ => Err(unexpected()),
    }
}

/// A part of a `json` as it is written, or its text.
fn written(part: Option<&str>, as_text: bool) -> SqlResult<Datum> {
    match part {
        None => Ok(Datum::Null),
        Some(part) if !as_text => Ok(Datum::Text(part.into())),
        Some("null") => Ok(Datum::Null),
        Some(part) if part.starts_with('"') => found_text(Some(&parse_json(part)?)),
        Some(part) => Ok(Datum::Text(part.into())),
    }
}

fn walk<'a>(
    json: &'a Datum,
    has_null: bool,
    mut path: impl Iterator<Item = &'a str>,
    as_text: bool,
) -> SqlResult<Datum> {
    match json {
        _ if has_null => Ok(Datum::Null),
        Datum::Jsonb(json) if as_text => found_text(json.at_path(path)),
        Datum::Jsonb(json) => found(json.at_path(path)),
        Datum::Text(json) => {
            let part = path.try_fold(Some(json.as_str()), |part, step| {
                let Some(part) = part else { return Ok(None) };
                let step = match part.trim_start().starts_with('[') {
                    true => step.trim().parse().map(Step::Index).ok(),
                    false => Some(Step::Key(step)),
                };
                step.map_or(Ok(None), |step| json_part(part, step))
            });
            written(part?, as_text)
        }
        _ => Ok(Datum::Null),
    }
}

fn get_path<'a>(arguments: &'a [&'a Datum], as_text: bool) -> SqlResult<Datum> {
    let [json, path] = arguments else { return Err(unexpected()) };
    let has_null = matches!(path, Datum::Array(path) if path.items.iter().any(Datum::is_null));
    walk(json, has_null, array::texts(path), as_text)
}

fn extract_path<'a>(arguments: &'a [&'a Datum], as_text: bool) -> SqlResult<Datum> {
    let [json, path @ ..] = arguments else { return Err(unexpected()) };
    let has_null = path.iter().any(|step| step.is_null());
    walk(json, has_null, path.iter().map(|step| text(step)), as_text)
}

fn both(arguments: &[&Datum], test: fn(&Json, &Json) -> bool) -> SqlResult<Datum> {
    let [Datum::Jsonb(left), Datum::Jsonb(right)] = arguments else { return Err(unexpected()) };
    Ok(Datum::Bool(test(left, right)))
}

fn has_keys(arguments: &[&Datum], all: bool) -> SqlResult<Datum> {
    let [Datum::Jsonb(json), keys] = arguments else { return Err(unexpected()) };
    let mut keys = array::texts(keys);
    Ok(Datum::Bool(match all {
        true => keys.all(|key| json.has_key(key)),
        false => keys.any(|key| json.has_key(key)),
    }))
}

fn has_key(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [Datum::Jsonb(json), key] = arguments else { return Err(unexpected()) };
    Ok(Datum::Bool(json.has_key(text(key))))
}

/// Calls `use_value` with the value of a `json` or `jsonb`.
fn one(arguments: &[&Datum], use_value: fn(&Json) -> SqlResult<Datum>) -> SqlResult<Datum> {
    match arguments {
        [Datum::Jsonb(json)] => use_value(json),
        [Datum::Text(text)] => use_value(&parse_json(text)?),
        _ => Err(unexpected()),
    }
}

fn kind(json: &Json) -> SqlResult<Datum> {
    Ok(Datum::Text(json.type_name().into()))
}

fn len(json: &Json) -> SqlResult<Datum> {
    let wrong = |message: &str| Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    match json {
        Json::Array(items) => Ok(Datum::Int4(i32::try_from(items.len()).unwrap_or(i32::MAX))),
        Json::Object(_) => wrong("cannot get array length of a non-array"),
        _ => wrong("cannot get array length of a scalar"),
    }
}

/// An object from an array of keys and values in turn, or from one of keys and one of values.
fn of_texts(arguments: &[&Datum]) -> SqlResult<Datum> {
    let pair = |key: &Datum, value: &Datum| match key.as_text() {
        Some(key) => Ok((key.into(), value.as_text().map_or(Json::Null, |text| Json::String(text.into())))),
        None => Err(SqlError::new(SqlState("22004"), "null value not allowed for object key")),
    };
    let pairs: SqlResult<_> = match arguments {
        [Datum::Array(all)] if all.items.len().is_multiple_of(2) => {
            let pairs = all.items.chunks_exact(2);
            pairs
                .filter_map(|both| both.first().zip(both.get(1)))
                .map(|(key, value)| pair(key, value))
                .collect()
        }
        [Datum::Array(_)] => Err(SqlError::new(SqlState("2202E"), "array must have even number of elements")),
        [Datum::Array(keys), Datum::Array(values)] if keys.items.len() == values.items.len() => {
            keys.items.iter().zip(&values.items).map(|(key, value)| pair(key, value)).collect()
        }
        [Datum::Array(_), Datum::Array(_)] => {
            Err(SqlError::new(SqlState("2202E"), "mismatched array dimensions"))
        }
        _ => Err(unexpected()),
    };
    Ok(Datum::json(Json::object(pairs?)))
}

signatures! { OPERATORS:
    "->" (Jsonb, Text) Jsonb, Strict, |a, _| get(a, false);
    "->" (Jsonb, Int4) Jsonb, Strict, |a, _| get(a, false);
    "->" (Json, Text) Json, Strict, |a, _| get(a, false);
    "->" (Json, Int4) Json, Strict, |a, _| get(a, false);
    "->>" (Jsonb, Text) Text, Strict, |a, _| get(a, true);
    "->>" (Jsonb, Int4) Text, Strict, |a, _| get(a, true);
    "->>" (Json, Text) Text, Strict, |a, _| get(a, true);
    "->>" (Json, Int4) Text, Strict, |a, _| get(a, true);
    "#>" (Jsonb, [Text]) Jsonb, Strict, |a, _| get_path(a, false);
    "#>" (Json, [Text]) Json, Strict, |a, _| get_path(a, false);
    "#>>" (Jsonb, [Text]) Text, Strict, |a, _| get_path(a, true);
    "#>>" (Json, [Text]) Text, Strict, |a, _| get_path(a, true);
    "@>" (Jsonb, Jsonb) Bool, Strict, |a, _| both(a, Json::contains);
    "<@" (Jsonb, Jsonb) Bool, Strict, |a, _| both(a, |left, right| right.contains(left));
    "?" (Jsonb, Text) Bool, Strict, |a, _| has_key(a);
    "?|" (Jsonb, [Text]) Bool, Strict, |a, _| has_keys(a, false);
    "?&" (Jsonb, [Text]) Bool, Strict, |a, _| has_keys(a, true);
}

signatures! { FUNCTIONS:
    "jsonb_typeof" (Jsonb) Text, Strict, |a, _| one(a, kind);
    "json_typeof" (Json) Text, Strict, |a, _| one(a, kind);
    "jsonb_array_length" (Jsonb) Int4, Strict, |a, _| one(a, len);
    "json_array_length" (Json) Int4, Strict, |a, _| one(a, len);
    "jsonb_pretty" (Jsonb) Text, Strict, |a, _| one(a, |json| super::text_datum(json.pretty()));
    "jsonb_extract_path" (Jsonb, Text) Jsonb, Variadic, |a, _| extract_path(a, false);
    "jsonb_extract_path_text" (Jsonb, Text) Text, Variadic, |a, _| extract_path(a, true);
    "json_extract_path" (Json, Text) Json, Variadic, |a, _| extract_path(a, false);
    "json_extract_path_text" (Json, Text) Text, Variadic, |a, _| extract_path(a, true);
    "jsonb_object" ([Text]) Jsonb, Strict, |a, _| of_texts(a);
    "jsonb_object" ([Text], [Text]) Jsonb, Strict, |a, _| of_texts(a);
}
