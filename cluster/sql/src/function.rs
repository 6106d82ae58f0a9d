//! Functions of values. Aggregates and what has a grammar of its own are elsewhere.

use alloc::format;
use alloc::string::String;

use crate::arithmetic;
use crate::ast::BinaryOperator;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::eval::{SessionFacts, check_text_len};
use crate::timestamp;
use crate::types::DataType::{self, Bool, Float8, Int4, Int8, Text, Timestamp};
use crate::types::Datum;

/// What a function does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Abs,
    Ceil,
    Concat,
    CurrentDatabase,
    CurrentSchema,
    CurrentUser,
    DatePart,
    DateTrunc,
    Floor,
    Left,
    Length,
    Lower,
    LTrim,
    Mod,
    Now,
    OctetLength,
    BackendPid,
    Repeat,
    Replace,
    Reverse,
    Right,
    Round,
    RTrim,
    Sign,
    StartsWith,
    StatementTimestamp,
    StrPos,
    Substr,
    Trim,
    Trunc,
    Upper,
    Version,
}

impl Function {
    /// Whether its value depends on whose session it is called in, or when.
    pub(crate) fn is_of_session(self) -> bool {
        matches!(
            self,
            Function::Now
                | Function::StatementTimestamp
                | Function::CurrentUser
                | Function::CurrentDatabase
                | Function::CurrentSchema
                | Function::BackendPid
                | Function::Version
        )
    }

    /// Whether two calls may give different values.
    pub(crate) fn is_volatile(self) -> bool {
        false
    }
}

/// What arguments a function takes, and what it returns.
pub(crate) struct Signature {
    pub(crate) name: &'static str,
    pub(crate) arguments: &'static [DataType],
    pub(crate) result: DataType,
    pub(crate) function: Function,
}

macro_rules! signatures {
    ($($name:literal ($($argument:ident),*) $result:ident $function:ident;)*) => {
        /// Every function, by name; of several with one name, the first that fits is taken.
        pub(crate) static SIGNATURES: &[Signature] = &[$(Signature {
            name: $name,
            arguments: &[$($argument),*],
            result: $result,
            function: Function::$function,
        }),*];
    };
}

signatures! {
    "abs" (Int4) Int4 Abs;
    "abs" (Int8) Int8 Abs;
    "abs" (Float8) Float8 Abs;
    "btrim" (Text) Text Trim;
    "btrim" (Text, Text) Text Trim;
    "ceil" (Float8) Float8 Ceil;
    "ceiling" (Float8) Float8 Ceil;
    "char_length" (Text) Int4 Length;
    "character_length" (Text) Int4 Length;
    "clock_timestamp" () Timestamp StatementTimestamp;
    "current_catalog" () Text CurrentDatabase;
    "current_database" () Text CurrentDatabase;
    "current_role" () Text CurrentUser;
    "current_schema" () Text CurrentSchema;
    "current_timestamp" () Timestamp Now;
    "current_user" () Text CurrentUser;
    "date_part" (Text, Timestamp) Float8 DatePart;
    "date_trunc" (Text, Timestamp) Timestamp DateTrunc;
    "extract" (Text, Timestamp) Float8 DatePart;
    "floor" (Float8) Float8 Floor;
    "left" (Text, Int4) Text Left;
    "length" (Text) Int4 Length;
    "localtimestamp" () Timestamp Now;
    "lower" (Text) Text Lower;
    "ltrim" (Text) Text LTrim;
    "ltrim" (Text, Text) Text LTrim;
    "mod" (Int4, Int4) Int4 Mod;
    "mod" (Int8, Int8) Int8 Mod;
    "now" () Timestamp Now;
    "octet_length" (Text) Int4 OctetLength;
    "pg_backend_pid" () Int4 BackendPid;
    "position" (Text, Text) Int4 StrPos;
    "repeat" (Text, Int4) Text Repeat;
    "replace" (Text, Text, Text) Text Replace;
    "reverse" (Text) Text Reverse;
    "right" (Text, Int4) Text Right;
    "round" (Float8) Float8 Round;
    "round" (Float8, Int4) Float8 Round;
    "rtrim" (Text) Text RTrim;
    "rtrim" (Text, Text) Text RTrim;
    "session_user" () Text CurrentUser;
    "sign" (Float8) Float8 Sign;
    "starts_with" (Text, Text) Bool StartsWith;
    "statement_timestamp" () Timestamp StatementTimestamp;
    "strpos" (Text, Text) Int4 StrPos;
    "substr" (Text, Int4) Text Substr;
    "substr" (Text, Int4, Int4) Text Substr;
    "substring" (Text, Int4) Text Substr;
    "substring" (Text, Int4, Int4) Text Substr;
    "transaction_timestamp" () Timestamp Now;
    "trunc" (Float8) Float8 Trunc;
    "upper" (Text) Text Upper;
    "user" () Text CurrentUser;
    "version" () Text Version;
}

/// What `version()` and the parameter `server_version` say.
pub const SERVER_VERSION: &str = "15.0 (Relix 0.1.0)";

/// Calls `function`. NULL for a NULL argument, but for `concat`.
pub(crate) fn call(function: Function, arguments: &[Datum], session: &SessionFacts) -> SqlResult<Datum> {
    if function == Function::Concat {
        return concat(arguments);
    }
    if arguments.iter().any(Datum::is_null) {
        return Ok(Datum::Null);
    }
    match (function, arguments) {
        (Function::Now, _) => Ok(Datum::Timestamp(session.transaction_micros)),
        (Function::StatementTimestamp, _) => Ok(Datum::Timestamp(session.statement_micros)),
        (Function::CurrentUser, _) => Ok(Datum::Text((*session.user).into())),
        (Function::CurrentDatabase, _) => Ok(Datum::Text((*session.database).into())),
        (Function::CurrentSchema, _) => Ok(Datum::Text("public".into())),
        (Function::BackendPid, _) => Ok(Datum::Int4(session.backend.cast_signed())),
        (Function::Version, _) => {
            Ok(Datum::Text(format!("PostgreSQL {SERVER_VERSION}, cluster {}", session.cluster)))
        }
        (Function::DatePart, [Datum::Text(field), Datum::Timestamp(micros)]) => date_part(field, *micros),
        (Function::DateTrunc, [Datum::Text(field), Datum::Timestamp(micros)]) => date_trunc(field, *micros),
        (_, [Datum::Text(text), rest @ ..]) => text_function(function, text, rest),
        _ => number_function(function, arguments),
    }
}

fn concat(arguments: &[Datum]) -> SqlResult<Datum> {
    let mut text = String::new();
    for argument in arguments {
        crate::wire::write_text(argument, &mut text);
        check_text_len(text.len())?;
    }
    Ok(Datum::Text(text))
}

fn number_function(function: Function, arguments: &[Datum]) -> SqlResult<Datum> {
    match (function, arguments) {
        (Function::Abs, [Datum::Float8(value)]) => Ok(Datum::Float8(value.abs())),
        (Function::Abs, [value]) if value.as_i64().is_some_and(|value| value < 0) => {
            arithmetic::negate(value)
        }
        (Function::Abs, [value]) => Ok(value.clone()),
        (Function::Mod, [left, right]) => {
            let data_type = left.data_type().unwrap_or(Int8);
            arithmetic::arithmetic(BinaryOperator::Modulo, data_type, left, right)
        }
        (Function::Round, [Datum::Float8(value), Datum::Int4(digits)]) => {
            Ok(Datum::Float8(round(*value, *digits)))
        }
        (_, [Datum::Float8(value)]) => Ok(Datum::Float8(match function {
            Function::Ceil => -arithmetic::floor(-value),
            Function::Floor => arithmetic::floor(*value),
            Function::Round => arithmetic::round_half_even(*value),
            Function::Trunc => arithmetic::truncate(*value),
            _ if *value > 0.0 => 1.0,
            _ if *value < 0.0 => -1.0,
            _ => *value,
        })),
        _ => Ok(Datum::Null),
    }
}

/// `value` with so many digits behind the point, by way of its decimal form.
fn round(value: f64, digits: i32) -> f64 {
    match usize::try_from(digits) {
        Ok(digits) => format!("{value:.*}", digits.min(320)).parse().unwrap_or(value),
        Err(_) => {
            let mut unit = 1f64;
            for _ in 0..digits.unsigned_abs().min(310) {
                unit *= 10.0;
            }
            if unit.is_finite() { arithmetic::round_half_even(value / unit) * unit } else { 0.0 }
        }
    }
}

fn text_function(function: Function, text: &str, rest: &[Datum]) -> SqlResult<Datum> {
    let owned = |text: &str| Ok(Datum::Text(text.into()));
    let len_of = |len: usize| Ok(Datum::Int4(i32::try_from(len).unwrap_or(i32::MAX)));
    match (function, rest) {
        (Function::Length, _) => len_of(text.chars().count()),
        (Function::OctetLength, _) => len_of(text.len()),
        (Function::Lower, _) => Ok(Datum::Text(map_chars(text, char::to_lowercase))),
        (Function::Upper, _) => Ok(Datum::Text(map_chars(text, char::to_uppercase))),
        (Function::Reverse, _) => Ok(Datum::Text(text.chars().rev().collect())),
        (Function::Trim | Function::LTrim | Function::RTrim, rest) => {
            let set = if let [Datum::Text(set)] = rest { set.as_str() } else { " " };
            let trimmed = |c: char| set.contains(c);
            owned(match function {
                Function::LTrim => text.trim_start_matches(trimmed),
                Function::RTrim => text.trim_end_matches(trimmed),
                _ => text.trim_matches(trimmed),
            })
        }
        (Function::Left, [Datum::Int4(count)]) => owned(&text[..split_at(text, i64::from(*count))]),
        (Function::Right, [Datum::Int4(count)]) => owned(&text[split_at(text, -i64::from(*count))..])
            .map(|right| if *count == 0 { Datum::Text(String::new()) } else { right }),
        (Function::Repeat, [Datum::Int4(count)]) => {
            let count = usize::try_from(*count).unwrap_or(0);
            check_text_len(text.len().saturating_mul(count))?;
            Ok(Datum::Text(text.repeat(count)))
        }
        (Function::Replace, [Datum::Text(from), Datum::Text(to)]) => {
            let count = if from.is_empty() { 0 } else { text.matches(from.as_str()).count() };
            check_text_len(text.len().saturating_add(count.saturating_mul(to.len())))?;
            Ok(Datum::Text(if count == 0 { text.into() } else { text.replace(from.as_str(), to) }))
        }
        (Function::StartsWith, [Datum::Text(prefix)]) => Ok(Datum::Bool(text.starts_with(prefix.as_str()))),
        (Function::StrPos, [Datum::Text(part)]) => match text.find(part.as_str()) {
            None => len_of(0),
            Some(at) => len_of(text[..at].chars().count() + 1),
        },
        (Function::Substr, rest) => substr(text, rest),
        _ => Ok(Datum::Null),
    }
}

/// Each character by itself, as C libraries do it: what would become several stays as it is.
fn map_chars<I: Iterator<Item = char> + Clone>(text: &str, map: fn(char) -> I) -> String {
    let one = |original: char| {
        let mut mapped = map(original);
        mapped.next().filter(|_| mapped.next().is_none()).unwrap_or(original)
    };
    text.chars().map(one).collect()
}

/// The byte behind the first `count` characters; a negative count is counted from the end.
fn split_at(text: &str, count: i64) -> usize {
    let index = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    match count {
        0.. => text.char_indices().nth(index(count.unsigned_abs())).map_or(text.len(), |(at, _)| at),
        _ => text.char_indices().rev().nth(index(count.unsigned_abs() - 1)).map_or(0, |(at, _)| at),
    }
}

fn substr(text: &str, rest: &[Datum]) -> SqlResult<Datum> {
    let number = |at: usize| rest.get(at).and_then(Datum::as_i64);
    let start = number(0).unwrap_or(1);
    let end = match number(1) {
        Some(len) if len < 0 => {
            return Err(SqlError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
        }
        Some(len) => start + len,
        None => i64::MAX,
    };
    let skip = usize::try_from(start.max(1) - 1).unwrap_or(usize::MAX);
    let take = usize::try_from(end.saturating_sub(start.max(1))).unwrap_or(0);
    Ok(Datum::Text(text.chars().skip(skip).take(take).collect()))
}

const MICROS_PER_DAY: i64 = 86_400_000_000;

fn date_part(field: &str, micros: i64) -> SqlResult<Datum> {
    let civil = timestamp::civil(micros);
    let of_day = civil.micros_of_day;
    let whole = |value: i64| Ok(Datum::Float8(value as f64));
    match field.to_ascii_lowercase().as_str() {
        "epoch" => Ok(Datum::Float8(micros as f64 / 1e6)),
        "year" => whole(if civil.year > 0 { civil.year } else { civil.year - 1 }),
        "quarter" => whole((civil.month + 2) / 3),
        "month" => whole(civil.month),
        "day" => whole(civil.day),
        "hour" => whole(of_day / 3_600_000_000),
        "minute" => whole(of_day / 60_000_000 % 60),
        "second" => Ok(Datum::Float8((of_day % 60_000_000) as f64 / 1e6)),
        "milliseconds" => Ok(Datum::Float8((of_day % 60_000_000) as f64 / 1e3)),
        "microseconds" => whole(of_day % 60_000_000),
        "dow" => whole((civil.days + 4).rem_euclid(7)),
        "isodow" => whole((civil.days + 3).rem_euclid(7) + 1),
        "doy" => whole(civil.days - timestamp::days_from_civil(civil.year, 1, 1) + 1),
        _ => Err(unknown_unit(field)),
    }
}

fn date_trunc(field: &str, micros: i64) -> SqlResult<Datum> {
    if matches!(micros, timestamp::INFINITY | timestamp::MINUS_INFINITY) {
        return Ok(Datum::Timestamp(micros));
    }
    let civil = timestamp::civil(micros);
    let date = |month, day| timestamp::days_from_civil(civil.year, month, day) * MICROS_PER_DAY;
    let down_to = |unit: i64| micros - micros.rem_euclid(unit);
    Ok(Datum::Timestamp(match field.to_ascii_lowercase().as_str() {
        "microseconds" => micros,
        "milliseconds" => down_to(1_000),
        "second" => down_to(1_000_000),
        "minute" => down_to(60_000_000),
        "hour" => down_to(3_600_000_000),
        "day" => down_to(MICROS_PER_DAY),
        "week" => (civil.days - (civil.days + 3).rem_euclid(7)) * MICROS_PER_DAY,
        "month" => date(civil.month, 1),
        "quarter" => date((civil.month - 1) / 3 * 3 + 1, 1),
        "year" => date(1, 1),
        _ => return Err(unknown_unit(field)),
    }))
}

fn unknown_unit(field: &str) -> SqlError {
    let message = format!("timestamp units \"{field}\" not recognized");
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}
