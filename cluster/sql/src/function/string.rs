//! Texts: their characters, parts and forms.

use alloc::string::String;
use alloc::vec::Vec;

use super::{int, signatures, text, text_datum, unexpected};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::eval::check_text_len;
use crate::like::like;
use crate::types::Datum;

fn count(len: usize) -> SqlResult<Datum> {
    Ok(Datum::Int4(i32::try_from(len).unwrap_or(i32::MAX)))
}

fn owned(text: &str) -> SqlResult<Datum> {
    Ok(Datum::Text(text.into()))
}

/// Each character by itself, as C libraries do it: what would become several stays as it is.
fn map_char<I: Iterator<Item = char>>(original: char, mut mapped: I) -> char {
    mapped.next().filter(|_| mapped.next().is_none()).unwrap_or(original)
}

fn lower(c: char) -> char {
    map_char(c, c.to_lowercase())
}

fn upper(c: char) -> char {
    map_char(c, c.to_uppercase())
}

fn map(arguments: &[&Datum], one: fn(char) -> char) -> SqlResult<Datum> {
    let [value] = arguments else { return Err(unexpected()) };
    Ok(Datum::Text(text(value).chars().map(one).collect()))
}

/// Letters and digits after one another are a word: its first letter large, the others small.
fn initcap(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [value] = arguments else { return Err(unexpected()) };
    let mut within = false;
    let one = |c: char| {
        let mapped = if within { lower(c) } else { upper(c) };
        within = c.is_alphanumeric();
        mapped
    };
    Ok(Datum::Text(text(value).chars().map(one).collect()))
}

#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
    Both,
}

fn trim(arguments: &[&Datum], side: Side) -> SqlResult<Datum> {
    let (value, set) = match arguments {
        [value] => (text(value), " "),
        [value, set] => (text(value), text(set)),
        _ => return Err(unexpected()),
    };
    let trimmed = |c: char| set.contains(c);
    owned(match side {
        Side::Left => value.trim_start_matches(trimmed),
        Side::Right => value.trim_end_matches(trimmed),
        Side::Both => value.trim_matches(trimmed),
    })
}

/// The byte behind the first `count` characters; a negative count is counted from the end.
fn split_at(text: &str, count: i64) -> usize {
    let index = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    match count {
        0.. => text.char_indices().nth(index(count.unsigned_abs())).map_or(text.len(), |(at, _)| at),
        _ => text.char_indices().rev().nth(index(count.unsigned_abs() - 1)).map_or(0, |(at, _)| at),
    }
}

fn left(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [value, count] = arguments else { return Err(unexpected()) };
    let (value, count) = (text(value), int(count));
    owned(value.get(..split_at(value, count)).unwrap_or(""))
}

fn right(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [value, count] = arguments else { return Err(unexpected()) };
    let (value, count) = (text(value), int(count));
    owned(if count == 0 { "" } else { value.get(split_at(value, -count)..).unwrap_or("") })
}

/// The characters, from 1, that a start and a length mean: skipped and taken.
pub(super) fn span(start: i64, len: Option<i64>) -> SqlResult<(usize, usize)> {
    let end = match len {
        Some(len) if len < 0 => {
            return Err(SqlError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
        }
        Some(len) => start.saturating_add(len),
        None => i64::MAX,
    };
    let skip = usize::try_from(start.max(1) - 1).unwrap_or(usize::MAX);
    Ok((skip, usize::try_from(end.saturating_sub(start.max(1))).unwrap_or(0)))
}

fn substr(arguments: &[&Datum]) -> SqlResult<Datum> {
    let (value, start, len) = match arguments {
        [value, start] => (value, int(start), None),
        [value, start, len] => (value, int(start), Some(int(len))),
        _ => return Err(unexpected()),
    };
    let (skip, take) = span(start, len)?;
    Ok(Datum::Text(text(value).chars().skip(skip).take(take).collect()))
}

fn overlay(arguments: &[&Datum]) -> SqlResult<Datum> {
    let (value, new, start, len) = match arguments {
        [value, new, start] => (text(value), text(new), int(start), None),
        [value, new, start, len] => (text(value), text(new), int(start), Some(int(len))),
        _ => return Err(unexpected()),
    };
    if start <= 0 {
        return Err(SqlError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
    }
    let len = len.unwrap_or_else(|| i64::try_from(new.chars().count()).unwrap_or(0));
    let before = usize::try_from(start - 1).unwrap_or(usize::MAX);
    let after = usize::try_from(start.saturating_add(len).saturating_sub(1)).unwrap_or(0);
    let mut out: String = value.chars().take(before).collect();
    out.push_str(new);
    out.extend(value.chars().skip(after));
    text_datum(out)
}

fn position(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [value, part] = arguments else { return Err(unexpected()) };
    let value = text(value);
    let found = value.find(text(part)).and_then(|at| value.get(..at));
    count(found.map_or(0, |before| before.chars().count() + 1))
}

fn replace(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [value, from, to] = arguments else { return Err(unexpected()) };
    let (value, from, to) = (text(value), text(from), text(to));
    let matches = if from.is_empty() { 0 } else { value.matches(from).count() };
    check_text_len(value.len().saturating_add(matches.saturating_mul(to.len())))?;
    Ok(Datum::Text(if matches == 0 { value.into() } else { value.replace(from, to) }))
}

fn translate(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [value, from, to] = arguments else { return Err(unexpected()) };
    let (from, to): (Vec<char>, Vec<char>) = (text(from).chars().collect(), text(to).chars().collect());
    let one = |c: char| match from.iter().position(|known| *known == c) {
        Some(at) => to.get(at).copied(),
        None => Some(c),
    };
    text_datum(text(value).chars().filter_map(one).collect())
}

fn pad(arguments: &[&Datum], left: bool) -> SqlResult<Datum> {
    let (value, len, fill) = match arguments {
        [value, len] => (text(value), int(len), " "),
        [value, len, fill] => (text(value), int(len), text(fill)),
        _ => return Err(unexpected()),
    };
    let len = usize::try_from(len).unwrap_or(0);
    let chars = value.chars().count();
    if len <= chars || fill.is_empty() {
        return Ok(Datum::Text(value.chars().take(len).collect()));
    }
    let widest = fill.chars().map(char::len_utf8).max().unwrap_or(1);
    check_text_len(value.len().saturating_add((len - chars).saturating_mul(widest)))?;
    let filled: String = fill.chars().cycle().take(len - chars).collect();
    Ok(Datum::Text(if left { filled + value } else { String::from(value) + &filled }))
}

fn repeat(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [value, times] = arguments else { return Err(unexpected()) };
    let times = usize::try_from(int(times)).unwrap_or(0);
    check_text_len(text(value).len().saturating_mul(times))?;
    Ok(Datum::Text(text(value).repeat(times)))
}

fn split_part(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [value, by, at] = arguments else { return Err(unexpected()) };
    let (value, by, at) = (text(value), text(by), int(at));
    if at == 0 {
        let message = "field position must not be zero";
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    if by.is_empty() {
        return owned(if matches!(at, 1 | -1) { value } else { "" });
    }
    let nth = usize::try_from(at.unsigned_abs() - 1).unwrap_or(usize::MAX);
    let found = if at > 0 { value.split(by).nth(nth) } else { value.rsplit(by).nth(nth) };
    owned(found.unwrap_or(""))
}

fn ascii(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [value] = arguments else { return Err(unexpected()) };
    Ok(Datum::Int4(text(value).chars().next().map_or(0, |c| u32::from(c).cast_signed())))
}

fn chr(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [Datum::Int4(code)] = arguments else { return Err(unexpected()) };
    let error = |message: &str| Err(SqlError::new(SqlState::LIMIT_EXCEEDED, message));
    if *code < 0 {
        let message = "character number must be positive";
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    match (*code, char::from_u32(code.cast_unsigned())) {
        (0, _) => error("null character not permitted"),
        (_, Some(c)) => Ok(Datum::Text(String::from(c))),
        (_, None) => error("requested character not valid for encoding: "),
    }
}

fn concat(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [left, right] = arguments else { return Err(unexpected()) };
    let (left, right) = (text(left), text(right));
    check_text_len(left.len() + right.len())?;
    let mut out = String::with_capacity(left.len() + right.len());
    out.push_str(left);
    out.push_str(right);
    Ok(Datum::Text(out))
}

/// `||` where one side is not text: its text is meant.
fn concat_any(arguments: &[&Datum], session: &crate::eval::SessionFacts) -> SqlResult<Datum> {
    let [left, right] = arguments else { return Err(unexpected()) };
    let part = |datum: &Datum| match datum {
        Datum::Bool(value) => String::from(if *value { "true" } else { "false" }),
        datum => crate::wire::text_of(datum, &session.style),
    };
    text_datum(part(left) + &part(right))
}

fn chars(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [value] = arguments else { return Err(unexpected()) };
    count(text(value).chars().count())
}

/// The bytes, with the blanks of a `char(n)`.
fn bytes(arguments: &[&Datum]) -> SqlResult<Datum> {
    match arguments {
        [Datum::Bpchar(value) | Datum::Text(value)] => count(value.len()),
        _ => Err(unexpected()),
    }
}

fn bits(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [value] = arguments else { return Err(unexpected()) };
    count(text(value).len().saturating_mul(8))
}

fn reverse(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [value] = arguments else { return Err(unexpected()) };
    Ok(Datum::Text(text(value).chars().rev().collect()))
}

fn starts_with(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [value, prefix] = arguments else { return Err(unexpected()) };
    Ok(Datum::Bool(text(value).starts_with(text(prefix))))
}

/// As `is_like`, byte by byte.
fn is_like_bytes(arguments: &[&Datum], negated: bool) -> SqlResult<Datum> {
    let [Datum::Bytea(value), Datum::Bytea(pattern)] = arguments else { return Err(unexpected()) };
    let chars = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect::<String>();
    Ok(Datum::Bool(like(&chars(value), &chars(pattern), Some('\\'))? != negated))
}

fn is_like(arguments: &[&Datum], fold_case: bool, negated: bool) -> SqlResult<Datum> {
    let [Datum::Text(value) | Datum::Bpchar(value), pattern] = arguments else { return Err(unexpected()) };
    let matched = match fold_case {
        true => like(&value.to_lowercase(), &text(pattern).to_lowercase(), Some('\\'))?,
        false => like(value, text(pattern), Some('\\'))?,
    };
    Ok(Datum::Bool(matched != negated))
}

signatures! { OPERATORS:
    "~~" (Text, Text) Bool, Strict, |a, _| is_like(a, false, false);
    "~~" (Bytea, Bytea) Bool, Strict, |a, _| is_like_bytes(a, false);
    "!~~" (Bytea, Bytea) Bool, Strict, |a, _| is_like_bytes(a, true);
    "~~*" (Text, Text) Bool, Strict, |a, _| is_like(a, true, false);
    "!~~" (Text, Text) Bool, Strict, |a, _| is_like(a, false, true);
    "!~~*" (Text, Text) Bool, Strict, |a, _| is_like(a, true, true);
    "||" (Text, Text) Text, Strict, |a, _| concat(a);
    "||" (Text, AnyNonArray) Text, Strict, concat_any;
    "||" (AnyNonArray, Text) Text, Strict, concat_any;
    "^@" (Text, Text) Bool, Strict, |a, _| starts_with(a);
}

signatures! { FUNCTIONS:
    "length" (Text) Int4, Strict, |a, _| chars(a);
    "length" (Bpchar) Int4, Strict, |a, _| chars(a);
    "char_length" (Text) Int4, Strict, |a, _| chars(a);
    "char_length" (Bpchar) Int4, Strict, |a, _| chars(a);
    "character_length" (Text) Int4, Strict, |a, _| chars(a);
    "character_length" (Bpchar) Int4, Strict, |a, _| chars(a);
    "octet_length" (Text) Int4, Strict, |a, _| bytes(a);
    "octet_length" (Bpchar) Int4, Strict, |a, _| bytes(a);
    "bit_length" (Text) Int4, Strict, |a, _| bits(a);
    "lower" (Text) Text, Strict, |a, _| map(a, lower);
    "upper" (Text) Text, Strict, |a, _| map(a, upper);
    "initcap" (Text) Text, Strict, |a, _| initcap(a);
    "reverse" (Text) Text, Strict, |a, _| reverse(a);
    "btrim" (Text) Text, Strict, |a, _| trim(a, Side::Both);
    "btrim" (Text, Text) Text, Strict, |a, _| trim(a, Side::Both);
    "ltrim" (Text) Text, Strict, |a, _| trim(a, Side::Left);
    "ltrim" (Text, Text) Text, Strict, |a, _| trim(a, Side::Left);
    "rtrim" (Text) Text, Strict, |a, _| trim(a, Side::Right);
    "rtrim" (Text, Text) Text, Strict, |a, _| trim(a, Side::Right);
    "left" (Text, Int4) Text, Strict, |a, _| left(a);
    "right" (Text, Int4) Text, Strict, |a, _| right(a);
    "substr" (Text, Int4) Text, Strict, |a, _| substr(a);
    "substr" (Text, Int4, Int4) Text, Strict, |a, _| substr(a);
    "substring" (Text, Int4) Text, Strict, |a, _| substr(a);
    "substring" (Text, Int4, Int4) Text, Strict, |a, _| substr(a);
    "overlay" (Text, Text, Int4) Text, Strict, |a, _| overlay(a);
    "overlay" (Text, Text, Int4, Int4) Text, Strict, |a, _| overlay(a);
    "position" (Text, Text) Int4, Strict, |a, _| position(a);
    "strpos" (Text, Text) Int4, Strict, |a, _| position(a);
    "replace" (Text, Text, Text) Text, Strict, |a, _| replace(a);
    "translate" (Text, Text, Text) Text, Strict, |a, _| translate(a);
    "lpad" (Text, Int4) Text, Strict, |a, _| pad(a, true);
    "lpad" (Text, Int4, Text) Text, Strict, |a, _| pad(a, true);
    "rpad" (Text, Int4) Text, Strict, |a, _| pad(a, false);
    "rpad" (Text, Int4, Text) Text, Strict, |a, _| pad(a, false);
    "repeat" (Text, Int4) Text, Strict, |a, _| repeat(a);
    "split_part" (Text, Text, Int4) Text, Strict, |a, _| split_part(a);
    "ascii" (Text) Int4, Strict, |a, _| ascii(a);
    "chr" (Int4) Text, Strict, |a, _| chr(a);
    "starts_with" (Text, Text) Bool, Strict, |a, _| starts_with(a);
}
