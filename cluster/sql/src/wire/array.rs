//! Arrays as text: `{1,2,NULL,"a b"}`.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Style, parse_text, write_text};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::types::{Array, Datum, Scalar};

/// Appends `array`.
pub(super) fn write(array: &Array, style: &Style, out: &mut String) {
    out.push('{');
    let mut text = String::new();
    for (index, item) in array.items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        if item.is_null() {
            out.push_str("NULL");
            continue;
        }
        text.clear();
        write_text(item, style, &mut text);
        if !needs_quotes(&text) {
            out.push_str(&text);
            continue;
        }
        out.push('"');
        for c in text.chars() {
            if matches!(c, '"' | '\\') {
                out.push('\\');
            }
            out.push(c);
        }
        out.push('"');
    }
    out.push('}');
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r')
}

fn needs_quotes(text: &str) -> bool {
    text.is_empty()
        || text.eq_ignore_ascii_case("null")
        || text.contains(|c: char| matches!(c, '{' | '}' | '"' | '\\' | ',') || is_blank(c))
}

/// The array that `text` says.
pub(super) fn parse(element: Scalar, text: &str, style: &Style) -> SqlResult<Datum> {
    let malformed = |detail: &str| {
        let message = format!("malformed array literal: \"{text}\"");
        SqlError::new(SqlState::INVALID_TEXT, message).detail(detail)
    };
    let trimmed = text.trim_matches(is_blank);
    if trimmed.starts_with('[') && trimmed.contains("]=") {
        return Err(SqlError::not_supported("an array whose elements are not counted from 1"));
    }
    let inner = trimmed
        .strip_prefix('{')
        .ok_or_else(|| malformed("Array value must start with \"{\" or dimension information."))?;
    let mut reader = Reader { rest: inner };
    let mut items = Vec::new();
    reader.blanks();
    if !reader.take('}') {
        loop {
            items.push(match reader.item().map_err(&malformed)? {
                Some(text) => parse_text(element.data_type(), &text, style)?,
                None => Datum::Null,
            });
            if reader.take('}') {
                break;
            }
            if !reader.take(',') {
                return Err(malformed("Unexpected end of input."));
            }
        }
    }
    match reader.rest.is_empty() {
        true => Ok(Datum::Array(Box::new(Array::new(element, items)))),
        false => Err(malformed("Junk after closing right brace.")),
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches(is_blank);
    }

    fn take(&mut self, expected: char) -> bool {
        let rest = self.rest.strip_prefix(expected);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    /// An element's text up to what ends it; none is NULL.
    fn item(&mut self) -> Result<Option<String>, &'static str> {
        self.blanks();
        let mut item = String::new();
        if self.take('"') {
            loop {
                match self.next().ok_or("Unexpected end of input.")? {
                    '"' => break,
                    '\\' => item.push(self.next().ok_or("Unexpected end of input.")?),
                    c => item.push(c),
                }
            }
            self.blanks();
            return match self.rest.chars().next() {
                Some(',' | '}') => Ok(Some(item)),
                _ => Err("Unexpected array element."),
            };
        }
        // Blanks at the end do not count, unless they are escaped.
        let (mut end, mut was_escaped) = (0, false);
        loop {
            match self.rest.chars().next().ok_or("Unexpected end of input.")? {
                ',' | '}' => break,
                '{' => return Err("Arrays of several dimensions are not supported."),
                '"' => return Err("Unexpected array element."),
                '\\' => {
                    self.next();
                    item.push(self.next().ok_or("Unexpected end of input.")?);
                    (end, was_escaped) = (item.len(), true);
                }
                c => {
                    self.next();
                    item.push(c);
                    end = if is_blank(c) { end } else { item.len() };
                }
            }
        }
        item.truncate(end);
        match item.as_str() {
            "" if !was_escaped => Err("Unexpected \"}\" character."),
            text if !was_escaped && text.eq_ignore_ascii_case("null") => Ok(None),
            _ => Ok(Some(item)),
        }
    }
}
