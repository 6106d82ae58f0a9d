//! JSON from values of other types.

use alloc::string::String;
use alloc::vec::Vec;

use super::{signatures, text_datum, unexpected};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::eval::{SessionFacts, check_text_len};
use crate::types::{Datum, Json, quote_json};
use crate::wire::{Style, text_of};

/// A time as ISO 8601 has it.
fn iso(datum: &Datum, style: &Style) -> String {
    let mut text = text_of(datum, style);
    if let Some(blank) = text.find(' ')
        && !text.ends_with("BC")
    {
        text.replace_range(blank..=blank, "T");
    }
    // The offset has minutes, unless it has them anyway.
    if let Datum::Timestamptz(value) = datum
        && value.is_finite()
        && text.rfind(['+', '-']).is_some_and(|at| text.len() - at == 3)
    {
        text.push_str(":00");
    }
    text
}

/// A value as JSON.
pub(crate) fn to_json(datum: &Datum, style: &Style) -> Json {
    let number =
        |text: String| text.parse().ok().filter(cluster_numeric::Numeric::is_finite).map(Json::Number);
    match datum {
        Datum::Null => Json::Null,
        Datum::Bool(value) => Json::Bool(*value),
        Datum::Jsonb(json) => (**json).clone(),
        Datum::Array(array) => Json::Array(array.items.iter().map(|item| to_json(item, style)).collect()),
        Datum::Int2(_)
        | Datum::Int4(_)
        | Datum::Int8(_)
        | Datum::Float4(_)
        | Datum::Float8(_)
        | Datum::Numeric(_) => {
            let text = text_of(datum, style);
            number(text.clone()).unwrap_or(Json::String(text))
        }
        Datum::Timestamp(_) | Datum::Timestamptz(_) => Json::String(iso(datum, style)),
        other => Json::String(text_of(other, style)),
    }
}

/// Appends a value as the text of a `json`.
pub(crate) fn write_json(datum: &Datum, style: &Style, out: &mut String) {
    match datum {
        Datum::Null => out.push_str("null"),
        Datum::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Datum::Array(array) => {
            out.push('[');
            for (index, item) in array.items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                write_json(item, style, out);
            }
            out.push(']');
        }
        Datum::Jsonb(json) => {
            let _ = core::fmt::Write::write_fmt(out, format_args!("{json}"));
        }
        datum => match to_json(datum, style) {
            Json::String(text) => quote_json(&text, out),
            _ => crate::wire::write_text(datum, style, out),
        },
    }
}

/// The text of a key.
fn key(datum: &Datum, at: usize, style: &Style) -> SqlResult<String> {
    let wrong = |message: &str| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message);
    match datum {
        Datum::Null => Err(wrong(&alloc::format!("argument {at}: key must not be null"))),
        Datum::Array(_) | Datum::Jsonb(_) => {
            Err(wrong("key value must be scalar, not array, composite, or json"))
        }
        Datum::Bool(value) => Ok(if *value { "true" } else { "false" }.into()),
        other => Ok(key_text(other, style)),
    }
}

/// A key's text: of a time, as values have it.
pub(crate) fn key_text(datum: &Datum, style: &Style) -> String {
    match datum {
        Datum::Timestamp(_) | Datum::Timestamptz(_) => iso(datum, style),
        other => text_of(other, style),
    }
}

fn refuse_odd(arguments: &[&Datum], function: &str) -> SqlResult<()> {
    if arguments.len().is_multiple_of(2) {
        return Ok(());
    }
    let hint = alloc::format!("The arguments of {function}() must consist of alternating keys and values.");
    let message = "argument list must have even number of elements";
    Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).hint(hint))
}

fn jsonb_object(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    refuse_odd(arguments, "jsonb_build_object")?;
    let mut pairs = Vec::with_capacity(arguments.len() / 2);
    for (index, pair) in arguments.chunks_exact(2).enumerate() {
        let [name, value] = pair else { continue };
        pairs.push((key(name, 2 * index + 1, &session.style)?, to_json(value, &session.style)));
    }
    Ok(Datum::json(Json::object(pairs)))
}

fn json_object(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    refuse_odd(arguments, "json_build_object")?;
    let mut out = String::from("{");
    for (index, pair) in arguments.chunks_exact(2).enumerate() {
        let [name, value] = pair else { continue };
        out.push_str(if index > 0 { ", " } else { "" });
        quote_json(&key(name, 2 * index + 1, &session.style)?, &mut out);
        out.push_str(" : ");
        write_json(value, &session.style, &mut out);
        check_text_len(out.len())?;
    }
    out.push('}');
    Ok(Datum::Text(out))
}

fn json_array(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    let mut out = String::from("[");
    for (index, value) in arguments.iter().enumerate() {
        out.push_str(if index > 0 { ", " } else { "" });
        write_json(value, &session.style, &mut out);
        check_text_len(out.len())?;
    }
    out.push(']');
    Ok(Datum::Text(out))
}

fn jsonb_array(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    let items = arguments.iter().map(|item| to_json(item, &session.style)).collect();
    Ok(Datum::json(Json::Array(items)))
}

fn to_jsonb(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    let [value] = arguments else { return Err(unexpected()) };
    Ok(Datum::json(to_json(value, &session.style)))
}

fn to_json_text(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    let [value] = arguments else { return Err(unexpected()) };
    let mut out = String::new();
    write_json(value, &session.style, &mut out);
    text_datum(out)
}

signatures! { FUNCTIONS:
    "jsonb_build_object" () Jsonb, Nullable, jsonb_object;
    "jsonb_build_object" (Any) Jsonb, Variadic, jsonb_object;
    "json_build_object" () Json, Nullable, json_object;
    "json_build_object" (Any) Json, Variadic, json_object;
    "jsonb_build_array" () Jsonb, Nullable, jsonb_array;
    "jsonb_build_array" (Any) Jsonb, Variadic, jsonb_array;
    "json_build_array" () Json, Nullable, json_array;
    "json_build_array" (Any) Json, Variadic, json_array;
    "to_jsonb" (AnyElement) Jsonb, Strict, to_jsonb;
    "to_json" (AnyElement) Json, Strict, to_json_text;
    "array_to_json" (AnyArray) Json, Strict, to_json_text;
}
