//! `format`: a template with places for values.

use alloc::format;
use alloc::string::String;

use super::text::{quote_ident, quote_literal};
use super::{signatures, text, unexpected};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::eval::{SessionFacts, check_text_len};
use crate::types::Datum;
use crate::wire::text_of;

fn wrong(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn incomplete() -> SqlError {
    wrong("unterminated format() type specifier").hint("For a single \"%\" use \"%%\".")
}

/// The values of a template, in turn or by number.
struct Values<'a> {
    all: &'a [&'a Datum],
    next: usize,
}

impl<'a> Values<'a> {
    /// The value of a number from 1, or the next one.
    fn take(&mut self, number: Option<usize>) -> SqlResult<&'a Datum> {
        let at = number.unwrap_or(self.next + 1);
        if at == 0 {
            return Err(wrong("format specifies argument 0, but arguments are numbered from 1"));
        }
        self.next = at;
        self.all.get(at - 1).copied().ok_or_else(|| wrong("too few arguments for format()"))
    }
}

/// Digits at the beginning, as a number.
fn number(rest: &mut &str) -> SqlResult<Option<usize>> {
    let len = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, after) = rest.split_at(len);
    *rest = after;
    match digits {
        "" => Ok(None),
        digits => digits
            .parse::<i32>()
            .ok()
            .and_then(|number| usize::try_from(number).ok())
            .map(Some)
            .ok_or_else(|| SqlError::new(SqlState::OUT_OF_RANGE, "number is out of range")),
    }
}

fn take(rest: &mut &str, expected: char) -> bool {
    let after = rest.strip_prefix(expected);
    *rest = after.unwrap_or(rest);
    after.is_some()
}

/// `%[n$][-][width]type`, behind the percent sign.
fn place(
    rest: &mut &str,
    values: &mut Values<'_>,
    session: &SessionFacts,
    out: &mut String,
) -> SqlResult<()> {
    let mut which = None;
    let mut width = number(rest)?;
    if width.is_some() && take(rest, '$') {
        which = width.take();
        if which == Some(0) {
            return Err(wrong("format specifies argument 0, but arguments are numbered from 1"));
        }
    }
    let mut to_left = false;
    if width.is_none() {
        while take(rest, '-') {
            to_left = true;
        }
        if take(rest, '*') {
            let number = number(rest)?;
            if number.is_some() && !take(rest, '$') {
                return Err(wrong("width argument position must be ended by \"$\""));
            }
            let given = values.take(number)?.as_i64().unwrap_or(0);
            to_left |= given < 0;
            width = usize::try_from(given.unsigned_abs()).ok();
        } else {
            width = number(rest)?;
        }
    }
    let Some(kind) = rest.chars().next() else { return Err(incomplete()) };
    *rest = rest.get(kind.len_utf8()..).unwrap_or("");
    if !matches!(kind, 's' | 'I' | 'L') {
        let message = format!("unrecognized format() type specifier \"{kind}\"");
        return Err(wrong(message).hint("For a single \"%\" use \"%%\"."));
    }
    let value = values.take(which)?;
    let shown = match (kind, value) {
        ('s', Datum::Null) => String::new(),
        ('L', Datum::Null) => "NULL".into(),
        ('I', Datum::Null) => {
            let message = "null values cannot be formatted as an SQL identifier";
            return Err(SqlError::new(SqlState("22004"), message));
        }
        ('s', value) => text_of(value, &session.style),
        ('L', value) => quote_literal(&text_of(value, &session.style)),
        (_, value) => quote_ident(&text_of(value, &session.style)),
    };
    let missing = width.unwrap_or(0).saturating_sub(shown.chars().count());
    check_text_len(out.len().saturating_add(missing).saturating_add(shown.len()))?;
    let blanks = core::iter::repeat_n(' ', missing);
    if to_left {
        out.push_str(&shown);
        out.extend(blanks);
    } else {
        out.extend(blanks);
        out.push_str(&shown);
    }
    Ok(())
}

fn formatted(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    let [template, all @ ..] = arguments else { return Err(unexpected()) };
    if template.is_null() {
        return Ok(Datum::Null);
    }
    let mut values = Values { all, next: 0 };
    let mut rest = text(template);
    let mut out = String::new();
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        rest = after;
        match take(&mut rest, '%') {
            true => out.push('%'),
            false => place(&mut rest, &mut values, session, &mut out)?,
        }
    }
    out.push_str(rest);
    super::text_datum(out)
}

signatures! { FUNCTIONS:
    "format" (Text) Text, Nullable, formatted;
    "format" (Text, Any) Text, Variadic, formatted;
}
