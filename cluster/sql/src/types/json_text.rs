//! JSON as text: the parser of `jsonb` and the checker of `json`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use super::Json;
use crate::error::{SqlError, SqlResult, SqlState};

/// How deep arrays and objects may nest: what bounds the stack of everything that walks a value.
const DEPTH_MAX: usize = 100;

/// The value that `text` says.
pub(crate) fn parse(text: &str) -> SqlResult<Json> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let value = parser.value()?;
    parser.blanks();
    match parser.peek() {
        None => Ok(value),
        Some(_) => Err(parser.unexpected("Expected end of input, but found")),
    }
}

/// One step into a value.
#[derive(Clone, Copy)]
pub(crate) enum Step<'a> {
    Key(&'a str),
    Index(i64),
}

/// The part of `text`, which is valid, that a step leads to, as it is written.
pub(crate) fn part<'a>(text: &'a str, step: Step<'_>) -> SqlResult<Option<&'a str>> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let mut parts = Vec::new();
    parser.blanks();
    let is_object = parser.take(b'{');
    if !(is_object || parser.take(b'[')) || is_object != matches!(step, Step::Key(_)) {
        return Ok(None);
    }
    loop {
        parser.blanks();
        if matches!(parser.peek(), None | Some(b'}' | b']')) {
            break;
        }
        let mut key = None;
        if is_object {
            key = Some(parser.string()?);
            parser.blanks();
            parser.take(b':');
            parser.blanks();
        }
        let start = parser.at;
        parser.value()?;
        parts.push((key, text.get(start..parser.at).unwrap_or("")));
        parser.blanks();
        parser.take(b',');
    }
    Ok(match step {
        Step::Key(wanted) => {
            parts.iter().rfind(|(key, _)| key.as_deref() == Some(wanted)).map(|(_, part)| *part)
        }
        Step::Index(index) => {
            super::json::index_of(index, parts.len()).and_then(|at| parts.get(at)).map(|(_, part)| *part)
        }
    })
}

/// Appends `text` as a JSON string.
pub(crate) fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn invalid(detail: String) -> SqlError {
    SqlError::new(SqlState::INVALID_TEXT, "invalid input syntax for type json").detail(detail)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, expected: u8) -> bool {
        let found = self.peek() == Some(expected);
        self.at += usize::from(found);
        found
    }

    /// What stands here, as messages show it: a word, or one character.
    fn token(&self) -> &str {
        let rest = self.rest();
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || !c.is_ascii();
        let word = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        let one = rest.chars().next().map_or(0, char::len_utf8);
        rest.get(..word.max(one)).unwrap_or(rest)
    }

    fn unexpected(&self, expected: &str) -> SqlError {
        match self.peek() {
            None => invalid("The input string ended unexpectedly.".into()),
            Some(b'"' | b'0'..=b'9' | b'-' | b'{' | b'}' | b'[' | b']' | b',' | b':') => {
                invalid(format!("{expected} \"{}\".", self.token()))
            }
            Some(_) => match self.token() {
                word @ ("true" | "false" | "null") => invalid(format!("{expected} \"{word}\".")),
                token => invalid(format!("Token \"{token}\" is invalid.")),
            },
        }
    }

    fn value(&mut self) -> SqlResult<Json> {
        self.blanks();
        match self.peek() {
            Some(b'{' | b'[') => {
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    let message = format!("JSON of more than {DEPTH_MAX} levels exceeds the limit");
                    return Err(SqlError::new(SqlState::TOO_COMPLEX, message));
                }
                let value = if self.take(b'{') { self.object() } else { self.array() };
                self.depth -= 1;
                value
            }
            Some(b'"') => self.string().map(Json::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                let word = match self.token() {
                    "true" => Json::Bool(true),
                    "false" => Json::Bool(false),
                    "null" => Json::Null,
                    _ => return Err(self.unexpected("Expected JSON value, but found")),
                };
                self.at += self.token().len();
                Ok(word)
            }
        }
    }

    fn array(&mut self) -> SqlResult<Json> {
        self.at += 1;
        let mut items = Vec::new();
        self.blanks();
        if self.take(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value()?);
            self.blanks();
            if self.take(b']') {
                return Ok(Json::Array(items));
            }
            if !self.take(b',') {
                return Err(self.unexpected("Expected \",\" or \"]\", but found"));
            }
        }
    }

    fn object(&mut self) -> SqlResult<Json> {
        let mut pairs = Vec::new();
        self.blanks();
        if self.take(b'}') {
            return Ok(Json::Object(pairs));
        }
        loop {
            self.blanks();
            if self.peek() != Some(b'"') {
                let expected = if pairs.is_empty() { "string or \"}\"" } else { "string" };
                return Err(self.unexpected(&format!("Expected {expected}, but found")));
            }
            let key = self.string()?;
            self.blanks();
            if !self.take(b':') {
                return Err(self.unexpected("Expected \":\", but found"));
            }
            pairs.push((key, self.value()?));
            self.blanks();
            if self.take(b'}') {
                return Ok(Json::object(pairs));
            }
            if !self.take(b',') {
                return Err(self.unexpected("Expected \",\" or \"}\", but found"));
            }
        }
    }

    fn number(&mut self) -> SqlResult<Json> {
        let token = self.rest();
        let end = token.find(|c: char| !(c.is_alphanumeric() || "+-._".contains(c))).unwrap_or(token.len());
        let token = token.get(..end).unwrap_or(token);
        if !is_number(token) {
            return Err(invalid(format!("Token \"{token}\" is invalid.")));
        }
        let number = token.parse()?;
        self.at += token.len();
        Ok(Json::Number(number))
    }

    fn string(&mut self) -> SqlResult<String> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = self.rest();
            let plain = rest.find(|c: char| c == '"' || c == '\\' || c < ' ').unwrap_or(rest.len());
            out.push_str(rest.get(..plain).unwrap_or(""));
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                Some(byte) => {
                    return Err(invalid(format!("Character with value 0x{byte:02x} must be escaped.")));
                }
                None => return Err(invalid(format!("Token \"{}\" is invalid.", self.text_of_string(&out)))),
            }
        }
    }

    fn text_of_string(&self, out: &str) -> String {
        format!("\"{out}")
    }

    fn escape(&mut self) -> SqlResult<char> {
        self.at += 1;
        let Some(c) = self.rest().chars().next() else {
            return Err(invalid("The input string ended unexpectedly.".into()));
        };
        self.at += c.len_utf8();
        Ok(match c {
            '"' | '\\' | '/' => c,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => return self.unicode(),
            c => return Err(invalid(format!("Escape sequence \"\\{c}\" is invalid."))),
        })
    }

    /// Four hexadecimal digits.
    fn code(&mut self) -> SqlResult<u32> {
        let digits =
            self.rest().get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let code =
            code.ok_or_else(|| invalid("\"\\u\" must be followed by four hexadecimal digits.".into()))?;
        self.at += 4;
        Ok(code)
    }

    fn unicode(&mut self) -> SqlResult<char> {
        const LOW: &str = "Unicode low surrogate must follow a high surrogate.";
        let mut code = self.code()?;
        if (0xd800..0xdc00).contains(&code) {
            if !(self.take(b'\\') && self.take(b'u')) {
                return Err(invalid(LOW.into()));
            }
            let low = self.code()?;
            if !(0xdc00..0xe000).contains(&low) {
                return Err(invalid(LOW.into()));
            }
            code = 0x10000 + ((code & 0x3ff) << 10 | (low & 0x3ff));
        }
        match char::from_u32(code) {
            Some('\0') => {
                let error = SqlError::new(SqlState("22P05"), "unsupported Unicode escape sequence");
                Err(error.detail("\\u0000 cannot be converted to text."))
            }
            Some(c) => Ok(c),
            None => Err(invalid(LOW.into())),
        }
    }
}

/// Whether `token` is a number as JSON writes them.
fn is_number(token: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = token.strip_prefix('-').unwrap_or(token);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest.starts_with('0')) {
        return false;
    }
    let mut rest = rest.get(whole..).unwrap_or("");
    if let Some(fraction) = rest.strip_prefix('.') {
        let len = digits(fraction);
        if len == 0 {
            return false;
        }
        rest = fraction.get(len..).unwrap_or("");
    }
    match rest.strip_prefix(['e', 'E']) {
        None => rest.is_empty(),
        Some(exponent) => {
            let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            !exponent.is_empty() && digits(exponent) == exponent.len()
        }
    }
}
