//! Texts of dates and intervals are first cut into tokens, by what characters they are made of. The rules are those of
//! Postgres's `ParseDateTime`: which texts are valid follows from them, down to the odd ones.

use alloc::string::String;
use alloc::vec::Vec;

use super::Fault;
use super::words::is_datetime_word;

/// What a token looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Digits, perhaps with one point.
    Number,
    /// Digits, letters and separators: `1999-01-08`, `Jan-8-1999`, `Europe/Berlin`.
    Date,
    /// Digits and colons.
    Time,
    /// A sign and digits.
    Zone,
    /// Letters.
    Word,
    /// A sign and letters.
    Special,
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub shape: Shape,
    /// In lower case.
    pub text: String,
}

/// More tokens are no date.
const TOKENS_MAX: usize = 25;

/// The bytes that a date's tokens may have, each with one to end it.
pub(super) const DATE_LEN_MAX: usize = 128;

/// As `DATE_LEN_MAX`, of an interval.
pub(super) const INTERVAL_LEN_MAX: usize = 256;

struct Scanner<'a> {
    rest: &'a [u8],
    text: String,
}

impl Scanner<'_> {
    fn peek(&self) -> u8 {
        self.rest.first().copied().unwrap_or(0)
    }

    fn skip(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }

    fn take(&mut self) {
        self.text.push(self.peek().to_ascii_lowercase() as char);
        self.skip();
    }

    fn take_while(&mut self, accepted: impl Fn(u8) -> bool) {
        while !self.rest.is_empty() && accepted(self.peek()) {
            self.take();
        }
    }

    fn skip_spaces(&mut self) {
        while is_space(self.peek()) {
            self.skip();
        }
    }

    /// A token that begins with a digit.
    fn digits(&mut self) -> Shape {
        self.take_while(|c| c.is_ascii_digit());
        match self.peek() {
            b':' => {
                self.take_while(|c| c.is_ascii_digit() || b":.".contains(&c));
                Shape::Time
            }
            separator @ (b'-' | b'/' | b'.') => {
                self.take();
                if !self.peek().is_ascii_digit() {
                    // A month's name may follow, and more.
                    self.take_while(|c| c.is_ascii_alphanumeric() || c == separator);
                    return Shape::Date;
                }
                self.take_while(|c| c.is_ascii_digit());
                if self.peek() == separator {
                    self.take_while(|c| c.is_ascii_digit() || c == separator);
                    return Shape::Date;
                }
                // One point alone may be a fraction.
                if separator == b'.' { Shape::Number } else { Shape::Date }
            }
            _ => Shape::Number,
        }
    }

    /// A token that begins with a letter.
    fn letters(&mut self) -> Shape {
        self.take_while(|c| c.is_ascii_alphabetic());
        let next = self.peek();
        // A digit may belong to a POSIX zone like EST5EDT, unless what is before is a word of its own.
        let goes_on = b"-/.".contains(&next)
            || ((next == b'+' || next.is_ascii_digit()) && !is_datetime_word(&self.text));
        if self.rest.is_empty() || !goes_on {
            return Shape::Word;
        }
        self.take_while(|c| c.is_ascii_alphanumeric() || b"+-/_.:".contains(&c));
        Shape::Date
    }

    /// A token that begins with a sign.
    fn signed(&mut self) -> Result<Shape, Fault> {
        self.take();
        self.skip_spaces();
        if self.peek().is_ascii_digit() {
            self.take_while(|c| c.is_ascii_digit() || b":.-".contains(&c));
            Ok(Shape::Zone)
        } else if self.peek().is_ascii_alphabetic() {
            self.take_while(|c| c.is_ascii_alphabetic());
            Ok(Shape::Special)
        } else {
            Err(Fault::Syntax)
        }
    }
}

fn is_space(c: u8) -> bool {
    c.is_ascii_whitespace() || c == 0x0b
}

/// Cuts `text`, whose tokens may have `len_max` bytes.
pub(super) fn tokens(text: &str, len_max: usize) -> Result<Vec<Token>, Fault> {
    let mut scanner = Scanner { rest: text.as_bytes(), text: String::new() };
    let mut tokens = Vec::new();
    let mut len = 0;
    while !scanner.rest.is_empty() {
        let shape = match scanner.peek() {
            c if is_space(c) => {
                scanner.skip();
                continue;
            }
            c if c.is_ascii_digit() => scanner.digits(),
            b'.' => {
                scanner.take();
                scanner.take_while(|c| c.is_ascii_digit());
                Shape::Number
            }
            c if c.is_ascii_alphabetic() => scanner.letters(),
            b'+' | b'-' => scanner.signed()?,
            c if c.is_ascii_punctuation() => {
                scanner.skip();
                continue;
            }
            _ => return Err(Fault::Syntax),
        };
        if tokens.len() == TOKENS_MAX {
            return Err(Fault::Syntax);
        }
        let text = core::mem::take(&mut scanner.text);
        len += text.len() + 1;
        if len > len_max {
            return Err(Fault::Syntax);
        }
        tokens.push(Token { shape, text });
    }
    Ok(tokens)
}
