//! What programs give statements and get from them, and functions their programs: JSON.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::error::{SqlError, SqlResult, SqlState};
use crate::exec::Row;
pub(crate) use crate::function::write_json as write;
use crate::plan::OutputColumn;
use crate::types::{Array, DataType, Datum, Json, parse_json, quote_json};
use crate::wire::{Style, parse_text};

/// The parameters of a statement, of the types that it has found out: a JSON array, or nothing.
pub(crate) fn parameters(text: &str, types: &[DataType], style: &Style) -> SqlResult<Vec<Datum>> {
    let values = match text.trim_ascii() {
        "" => Vec::new(),
        text => match parse_json(text)? {
            Json::Array(items) => items,
            _ => {
                let message = "parameters are to be an array";
                return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
            }
        },
    };
    if values.len() != types.len() {
        let message = format!("the statement takes {} parameters, not {}", types.len(), values.len());
        return Err(SqlError::new(SqlState::UNDEFINED_PARAMETER, message));
    }
    values.iter().zip(types).map(|(value, data_type)| datum(value, *data_type, style)).collect()
}

/// A value of that type: what is no JSON otherwise is a text as SQL has it, and an array is one of one dimension.
pub(crate) fn datum(value: &Json, data_type: DataType, style: &Style) -> SqlResult<Datum> {
    match (value, data_type) {
        (Json::Null, _) => Ok(Datum::Null),
        (Json::String(text), data_type) if !matches!(data_type, DataType::Json | DataType::Jsonb) => {
            parse_text(data_type, text, style)
        }
        (Json::Array(items), DataType::Array(element)) => {
            let items = items.iter().map(|item| datum(item, element.data_type(), style));
            Ok(Datum::Array(Box::new(Array::new(element, items.collect::<SqlResult<_>>()?))))
        }
        (other, _) => parse_text(data_type, &other.to_string(), style),
    }
}

/// What a statement gave:
///
/// ```text
/// {"columns":["id","name"],"rows":[[1,"one"],[2,null]],"count":2}
/// ```
pub(crate) fn answer(columns: &[OutputColumn], rows: &[Row], count: u64, style: &Style) -> String {
    let mut out = String::from("{\"columns\":[");
    for (at, column) in columns.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        quote_json(&column.name, &mut out);
    }
    out.push_str("],\"rows\":[");
    for (at, row) in rows.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        array(row, style, &mut out);
    }
    out.push_str(&format!("],\"count\":{count}}}"));
    out
}

/// Appends values as an array.
pub(crate) fn array(values: &[Datum], style: &Style, out: &mut String) {
    out.push('[');
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write(value, style, out);
    }
    out.push(']');
}

/// 54000: what a statement gave is longer than programs are given.
pub(crate) fn too_long(len_max: usize) -> SqlError {
    let message = format!("the rows take more than the {len_max} bytes that a program is given at once");
    SqlError::new(SqlState::LIMIT_EXCEEDED, message)
        .hint("Ask for fewer, with WHERE or LIMIT, and go on from the last.")
}
