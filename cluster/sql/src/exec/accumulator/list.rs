//! Aggregates that keep what they are given: texts, arrays, JSON.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::bind::AggregateFunction as F;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::eval::check_text_len;
use crate::function::{key_text, to_json, write_json};
use crate::types::{Array, DataType, Datum, Json, Scalar, quote_json};
use crate::wire::Style;

/// The inputs so far.
#[derive(Clone)]
pub(super) enum List {
    /// `string_agg`
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
    /// `array_agg`
    Items(Scalar, Vec<Datum>),
    /// `json_agg` and `json_object_agg`: the text without its end, which follows.
    JsonText(String, &'static str),
    Json(Vec<Json>),
    Pairs(Vec<(String, Json)>),
}

fn key(datum: &Datum, style: &Style) -> SqlResult<String> {
    match datum {
        Datum::Null => Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "field name must not be null")),
        Datum::Bool(value) => Ok(if *value { "true" } else { "false" }.into()),
        other => Ok(key_text(other, style)),
    }
}

impl List {
    pub(super) fn new(function: F, data_type: DataType) -> List {
        match (function, data_type) {
            (F::Joined, DataType::Bytea) => List::Bytes(None),
            (F::JsonArray, DataType::Jsonb) => List::Json(Vec::new()),
            (F::JsonArray, _) => List::JsonText(String::new(), "]"),
            (F::JsonObject, DataType::Jsonb) => List::Pairs(Vec::new()),
            (F::JsonObject, _) => List::JsonText(String::new(), " }"),
            (_, DataType::Array(element)) => List::Items(element, Vec::new()),
            _ => List::Text(None),
        }
    }

    /// Takes an input; how much memory that takes.
    pub(super) fn add(&mut self, value: &Datum, second: Option<&Datum>, style: &Style) -> SqlResult<usize> {
        match self {
            List::Text(text) => {
                let before = text.as_ref().map_or(0, String::len);
                match text {
                    None => *text = Some(value.as_text().unwrap_or_default().into()),
                    Some(text) => {
                        text.push_str(second.and_then(Datum::as_text).unwrap_or_default());
                        text.push_str(value.as_text().unwrap_or_default());
                    }
                }
                let len = text.as_ref().map_or(0, String::len);
                check_text_len(len)?;
                Ok(len - before)
            }
            List::Bytes(bytes) => {
                let before = bytes.as_ref().map_or(0, Vec::len);
                if let (Some(bytes), Some(Datum::Bytea(delimiter))) = (bytes.as_mut(), second) {
                    bytes.extend_from_slice(delimiter);
                }
                if let Datum::Bytea(value) = value {
                    bytes.get_or_insert_default().extend_from_slice(value);
                }
                let len = bytes.as_ref().map_or(0, Vec::len);
                check_text_len(len)?;
                Ok(len - before)
            }
            List::Items(_, items) => {
                items.push(value.clone());
                Ok(value.len_memory())
            }
            List::JsonText(text, end) => {
                let before = text.len();
                let is_object = *end != "]";
                text.push_str(match (before, is_object) {
                    (0, true) => "{ ",
                    (0, false) => "[",
                    _ => ", ",
                });
                if is_object {
                    quote_json(&key(value, style)?, text);
                    text.push_str(" : ");
                    write_json(second.unwrap_or(&Datum::Null), style, text);
                } else {
                    // As Postgres does it, arrays begin lines of their own.
                    if before > 0 && matches!(value, Datum::Array(_)) {
                        text.push_str("\n ");
                    }
                    write_json(value, style, text);
                }
                check_text_len(text.len())?;
                Ok(text.len() - before)
            }
            List::Json(items) => {
                let item = to_json(value, style);
                let len = item.len_memory();
                items.push(item);
                Ok(len)
            }
            List::Pairs(pairs) => {
                let item = to_json(second.unwrap_or(&Datum::Null), style);
                let len = item.len_memory();
                let key = key(value, style)?;
                let len = len + key.len() + 24;
                pairs.push((key, item));
                Ok(len)
            }
        }
    }

    /// The result; NULL of no inputs.
    pub(super) fn finish(self) -> SqlResult<Datum> {
        Ok(match self {
            List::Text(text) => text.map_or(Datum::Null, Datum::Text),
            List::Bytes(bytes) => bytes.map_or(Datum::Null, |bytes| Datum::Bytea(bytes.into())),
            List::Items(_, items) if items.is_empty() => Datum::Null,
            List::Items(element, items) => Datum::Array(Box::new(Array::new(element, items))),
            List::JsonText(text, _) if text.is_empty() => Datum::Null,
            List::JsonText(text, end) => Datum::Text(text + end),
            List::Json(items) if items.is_empty() => Datum::Null,
            List::Json(items) => Datum::json(Json::Array(items)),
            List::Pairs(pairs) if pairs.is_empty() => Datum::Null,
            List::Pairs(pairs) => Datum::json(Json::object(pairs)),
        })
    }
}
