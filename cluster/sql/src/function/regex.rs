//! Regular expressions.
//!
//! Where an alternation has several matches at one place, Postgres takes the longest and this the first: `a|ab`.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use regex::{Captures, Regex, RegexBuilder};

use super::regex_syntax::{Flags, invalid, similar, translate};
use super::{int, signatures, text, text_datum, unexpected};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::eval::{SessionFacts, check_text_len};
use crate::types::{Array, Datum, Scalar};

/// Most bytes of a compiled expression, and of the memory it runs with.
const COMPILED_LEN_MAX: usize = 1 << 20;

/// Compiled expressions that a session remembers: compiling one takes far longer than most matches.
const REMEMBERED_MAX: usize = 16;

/// The expressions a session used last.
#[derive(Default)]
pub(crate) struct Regexes(VecDeque<(String, Flags, Arc<Regex>)>);

fn compile(pattern: &str, flags: Flags) -> SqlResult<Regex> {
    let (translated, flags) = translate(pattern, flags)?;
    let built = RegexBuilder::new(&translated)
        .case_insensitive(flags.ignore_case)
        .dot_matches_new_line(!flags.dot_stops)
        .multi_line(flags.lines)
        .size_limit(COMPILED_LEN_MAX)
        .dfa_size_limit(COMPILED_LEN_MAX)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => invalid("regular expression is too complex"),
        _ if translated.matches('(').count() != translated.matches(')').count() => {
            invalid("parentheses () not balanced")
        }
        _ => invalid("invalid syntax"),
    })
}

/// The expression, compiled or remembered.
fn regex(pattern: &str, flags: Flags, session: &SessionFacts) -> SqlResult<Arc<Regex>> {
    let flags = Flags { global: false, ..flags };
    let mut known = session.regexes.lock();
    if let Some((.., regex)) = known.0.iter().find(|(text, with, _)| text == pattern && *with == flags) {
        return Ok(regex.clone());
    }
    let regex = Arc::new(compile(pattern, flags)?);
    known.0.truncate(REMEMBERED_MAX - 1);
    known.0.push_front((pattern.into(), flags, regex.clone()));
    Ok(regex)
}

fn is_match(arguments: &[&Datum], ignore_case: bool, session: &SessionFacts) -> SqlResult<Datum> {
    let [value, pattern] = arguments else { return Err(unexpected()) };
    let flags = Flags { ignore_case, ..Flags::default() };
    Ok(Datum::Bool(regex(text(pattern), flags, session)?.is_match(text(value))))
}

fn is_no_match(arguments: &[&Datum], ignore_case: bool, session: &SessionFacts) -> SqlResult<Datum> {
    match is_match(arguments, ignore_case, session)? {
        Datum::Bool(value) => Ok(Datum::Bool(!value)),
        other => Ok(other),
    }
}

fn is_similar(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    let (value, pattern, escape) = match arguments {
        [value, pattern] => (value, pattern, Some('\\')),
        [value, pattern, escape] => (value, pattern, text(escape).chars().next()),
        _ => return Err(unexpected()),
    };
    let pattern = similar(text(pattern), escape);
    Ok(Datum::Bool(regex(&pattern, Flags::default(), session)?.is_match(text(value))))
}

/// The matches from the byte `start`, one behind the other; behind one without length, a character is skipped.
fn matches<'a>(regex: &'a Regex, value: &'a str, start: usize) -> impl Iterator<Item = Captures<'a>> {
    let mut next = Some(start);
    core::iter::from_fn(move || {
        let captures = regex.captures_at(value, next?)?;
        let whole = captures.get(0)?;
        let step = value.get(whole.end()..).and_then(|rest| rest.chars().next()).map(char::len_utf8);
        next = if whole.is_empty() { step.map(|step| whole.end() + step) } else { Some(whole.end()) };
        Some(captures)
    })
}

fn groups(captures: &Captures<'_>) -> Vec<Datum> {
    let text = |group: Option<regex::Match<'_>>| {
        group.map_or(Datum::Null, |group| Datum::Text(group.as_str().into()))
    };
    let skipped = usize::from(captures.len() > 1);
    captures.iter().skip(skipped).map(text).collect()
}

fn texts(items: Vec<Datum>) -> Datum {
    Datum::Array(Box::new(Array::new(Scalar::Text, items)))
}

fn substring(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    let [value, pattern] = arguments else { return Err(unexpected()) };
    let regex = regex(text(pattern), Flags::default(), session)?;
    let found = regex.captures(text(value));
    Ok(found.and_then(|captures| groups(&captures).into_iter().next()).unwrap_or(Datum::Null))
}

fn flags(argument: Option<&&Datum>) -> SqlResult<Flags> {
    Flags::of(argument.map_or("", |flags| text(flags)))
}

fn refuse_global(flags: Flags, function: &str) -> SqlResult<Flags> {
    if flags.global {
        let message = alloc::format!("{function} does not support the \"global\" option");
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    Ok(flags)
}

fn regexp_match(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    let [value, pattern, rest @ ..] = arguments else { return Err(unexpected()) };
    let flags = refuse_global(flags(rest.first())?, "regexp_match()")
        .map_err(|error| error.hint("Use the regexp_matches function instead."))?;
    let regex = regex(text(pattern), flags, session)?;
    Ok(regex.captures(text(value)).map_or(Datum::Null, |captures| texts(groups(&captures))))
}

/// Appends the replacement of a match: `\1` is a group, `\&` all of it.
fn push_replacement(template: &str, captures: &Captures<'_>, out: &mut String) {
    let mut chars = template.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let group = |at: usize| captures.get(at).map_or("", |group| group.as_str());
        match chars.next() {
            Some('&') => out.push_str(group(0)),
            Some(digit @ '1'..='9') => {
                out.push_str(group(digit.to_digit(10).map_or(0, |digit| digit as usize)));
            }
            Some('\\') | None => out.push('\\'),
            Some(other) => out.extend(['\\', other]),
        }
    }
}

fn regexp_replace(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    let [value, pattern, template, rest @ ..] = arguments else { return Err(unexpected()) };
    let (start, nth, flags) = match rest {
        [Datum::Int4(start)] => (start_of(i64::from(*start))?, Some(1), Flags::default()),
        [Datum::Int4(start), nth, rest @ ..] => {
            let nth = usize::try_from(int(nth)).map_err(|_| wrong_value("n", int(nth)))?;
            (start_of(i64::from(*start))?, Some(nth), flags(rest.first())?)
        }
        rest => (0, None, flags(rest.first())?),
    };
    // Without a number, the flag says whether the first or all; zero is all.
    let nth = nth.unwrap_or(if flags.global { 0 } else { 1 });
    let value = text(value);
    let regex = regex(text(pattern), flags, session)?;
    let mut out = String::new();
    let mut done = 0;
    for (index, captures) in matches(&regex, value, byte_of(value, start)).enumerate() {
        if nth != 0 && index + 1 != nth {
            continue;
        }
        let Some(whole) = captures.get(0) else { break };
        out.push_str(value.get(done..whole.start()).unwrap_or(""));
        push_replacement(text(template), &captures, &mut out);
        check_text_len(out.len())?;
        done = whole.end();
        if nth != 0 {
            break;
        }
    }
    out.push_str(value.get(done..).unwrap_or(""));
    text_datum(out)
}

fn wrong_value(name: &str, value: i64) -> SqlError {
    let message = alloc::format!("invalid value for parameter \"{name}\": {value}");
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// Characters to skip for a start from 1.
fn start_of(start: i64) -> SqlResult<usize> {
    match usize::try_from(start) {
        Ok(start @ 1..) => Ok(start - 1),
        _ => Err(wrong_value("start", start)),
    }
}

fn byte_of(value: &str, chars: usize) -> usize {
    value.char_indices().nth(chars).map_or(value.len(), |(at, _)| at)
}

/// Splits at the matches, but for those without length at an end or directly behind another.
fn split(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    let [value, pattern, rest @ ..] = arguments else { return Err(unexpected()) };
    let value = text(value);
    let flags = refuse_global(flags(rest.first())?, "regexp_split_to_array()")?;
    let regex = regex(text(pattern), flags, session)?;
    let (mut items, mut done) = (Vec::new(), 0);
    for captures in matches(&regex, value, 0) {
        let Some(whole) = captures.get(0) else { break };
        if whole.is_empty() && (whole.start() == done || whole.start() == value.len()) {
            continue;
        }
        items.push(Datum::Text(value.get(done..whole.start()).unwrap_or("").into()));
        done = whole.end();
    }
    items.push(Datum::Text(value.get(done..).unwrap_or("").into()));
    Ok(texts(items))
}

fn regexp_like(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    let [value, pattern, rest @ ..] = arguments else { return Err(unexpected()) };
    let flags = refuse_global(flags(rest.first())?, "regexp_like()")?;
    Ok(Datum::Bool(regex(text(pattern), flags, session)?.is_match(text(value))))
}

fn regexp_count(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    let [value, pattern, rest @ ..] = arguments else { return Err(unexpected()) };
    let value = text(value);
    let start = rest.first().map_or(Ok(0), |start| start_of(int(start)))?;
    let flags = refuse_global(flags(rest.get(1))?, "regexp_count()")?;
    let regex = regex(text(pattern), flags, session)?;
    let count = matches(&regex, value, byte_of(value, start)).count();
    Ok(Datum::Int4(i32::try_from(count).unwrap_or(i32::MAX)))
}

fn regexp_substr(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    let [value, pattern, rest @ ..] = arguments else { return Err(unexpected()) };
    let value = text(value);
    let number = |at: usize, default: i64| rest.get(at).map_or(default, |number| int(number));
    let start = start_of(number(0, 1))?;
    let nth = usize::try_from(number(1, 1) - 1).map_err(|_| wrong_value("n", number(1, 1)))?;
    let flags = refuse_global(flags(rest.get(2))?, "regexp_substr()")?;
    let group = usize::try_from(number(3, 0)).map_err(|_| wrong_value("subexpr", number(3, 0)))?;
    let regex = regex(text(pattern), flags, session)?;
    let found = matches(&regex, value, byte_of(value, start)).nth(nth);
    let found = found.and_then(|captures| captures.get(group).map(|group| group.as_str().into()));
    Ok(found.map_or(Datum::Null, Datum::Text))
}

signatures! { OPERATORS:
    "~" (Text, Text) Bool, Strict, |a, s| is_match(a, false, s);
    "~*" (Text, Text) Bool, Strict, |a, s| is_match(a, true, s);
    "!~" (Text, Text) Bool, Strict, |a, s| is_no_match(a, false, s);
    "!~*" (Text, Text) Bool, Strict, |a, s| is_no_match(a, true, s);
    "SIMILAR TO" (Text, Text) Bool, Strict, is_similar;
    "SIMILAR TO" (Text, Text, Text) Bool, Strict, is_similar;
}

signatures! { FUNCTIONS:
    "substring" (Text, Text) Text, Strict, substring;
    "regexp_match" (Text, Text) [Text], Strict, regexp_match;
    "regexp_match" (Text, Text, Text) [Text], Strict, regexp_match;
    "regexp_replace" (Text, Text, Text) Text, Strict, regexp_replace;
    "regexp_replace" (Text, Text, Text, Text) Text, Strict, regexp_replace;
    "regexp_replace" (Text, Text, Text, Int4) Text, Strict, regexp_replace;
    "regexp_replace" (Text, Text, Text, Int4, Int4) Text, Strict, regexp_replace;
    "regexp_replace" (Text, Text, Text, Int4, Int4, Text) Text, Strict, regexp_replace;
    "regexp_split_to_array" (Text, Text) [Text], Strict, split;
    "regexp_split_to_array" (Text, Text, Text) [Text], Strict, split;
    "regexp_like" (Text, Text) Bool, Strict, regexp_like;
    "regexp_like" (Text, Text, Text) Bool, Strict, regexp_like;
    "regexp_count" (Text, Text) Int4, Strict, regexp_count;
    "regexp_count" (Text, Text, Int4) Int4, Strict, regexp_count;
    "regexp_count" (Text, Text, Int4, Text) Int4, Strict, regexp_count;
    "regexp_substr" (Text, Text) Text, Strict, regexp_substr;
    "regexp_substr" (Text, Text, Int4) Text, Strict, regexp_substr;
    "regexp_substr" (Text, Text, Int4, Int4) Text, Strict, regexp_substr;
    "regexp_substr" (Text, Text, Int4, Int4, Text) Text, Strict, regexp_substr;
    "regexp_substr" (Text, Text, Int4, Int4, Text, Int4) Text, Strict, regexp_substr;
}
