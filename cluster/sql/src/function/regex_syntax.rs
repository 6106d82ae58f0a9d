//! From Postgres's regular expressions (its "advanced" ones), and from `SIMILAR TO`, to those of the crate that runs them.
//!
//! What no automaton can do is refused: references back to what was matched, and looking ahead or behind.

use alloc::format;
use alloc::string::String;
use core::iter::Peekable;
use core::str::Chars;

use crate::error::{SqlError, SqlResult, SqlState};

/// What the flags of a function, or of the expression itself, ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) ignore_case: bool,
    /// `.` does not match a newline.
    pub(super) dot_stops: bool,
    /// `^` and `$` match at newlines, too.
    pub(super) lines: bool,
    /// Blanks and comments mean nothing.
    pub(super) expanded: bool,
    /// All characters stand for themselves.
    pub(super) literal: bool,
    /// Not of the expression: all matches are meant.
    pub(super) global: bool,
}

impl Flags {
    pub(super) fn of(text: &str) -> SqlResult<Flags> {
        let mut flags = Flags::default();
        for c in text.chars() {
            match c {
                'g' => flags.global = true,
                c => flags.set(c).map_err(|()| {
                    let message = format!("invalid regular expression option: \"{c}\"");
                    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
                })?,
            }
        }
        Ok(flags)
    }

    fn set(&mut self, flag: char) -> Result<(), ()> {
        match flag {
            'i' => self.ignore_case = true,
            'c' => self.ignore_case = false,
            'n' | 'm' => (self.dot_stops, self.lines) = (true, true),
            'p' => (self.dot_stops, self.lines) = (true, false),
            'w' => (self.dot_stops, self.lines) = (false, true),
            's' => (self.dot_stops, self.lines) = (false, false),
            'x' => self.expanded = true,
            't' => self.expanded = false,
            'q' => self.literal = true,
            'b' | 'e' => {}
            _ => return Err(()),
        }
        Ok(())
    }
}

/// 2201B
pub(super) fn invalid(what: &str) -> SqlError {
    SqlError::new(SqlState("2201B"), format!("invalid regular expression: {what}"))
}

fn unsupported(what: &str) -> SqlError {
    SqlError::not_supported(&format!("{what} in a regular expression"))
}

/// The expression as the crate writes it, and its flags.
pub(super) fn translate(pattern: &str, mut flags: Flags) -> SqlResult<(String, Flags)> {
    let mut pattern = pattern;
    if let Some(rest) = pattern.strip_prefix("***=") {
        pattern = rest;
        flags.literal = true;
    } else if let Some(rest) = pattern.strip_prefix("***:") {
        pattern = rest;
    } else if pattern.starts_with("***") {
        return Err(invalid("invalid regexp (reg version 0.8)"));
    }
    if flags.literal {
        let mut out = String::new();
        pattern.chars().for_each(|c| push_literal(c, &mut out));
        return Ok((out, flags));
    }
    if let Some((options, rest)) = pattern.strip_prefix("(?").and_then(|rest| rest.split_once(')'))
        && !options.is_empty()
        && options.bytes().all(|byte| byte.is_ascii_lowercase())
    {
        let wrong = |()| invalid("invalid embedded option");
        options.chars().try_for_each(|option| flags.set(option)).map_err(wrong)?;
        pattern = rest;
    }
    let mut translation = Translation { rest: pattern.chars().peekable(), out: String::new(), flags };
    while let Some(c) = translation.rest.next() {
        translation.one(c)?;
    }
    Ok((translation.out, flags))
}

fn push_literal(c: char, out: &mut String) {
    if c.is_ascii_punctuation() || c.is_ascii_whitespace() {
        out.push('\\');
    }
    out.push(c);
}

struct Translation<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
    flags: Flags,
}

impl Translation<'_> {
    fn one(&mut self, c: char) -> SqlResult<()> {
        match c {
            '\\' => return self.escape(),
            '[' => return self.bracket(),
            '(' => return self.group(),
            '*' | '+' | '?' => return self.quantifier(c),
            '{' => match self.rest.peek() {
                Some('0'..='9') => return self.bound(),
                _ => self.out.push_str("\\{"),
            },
            '}' => self.out.push_str("\\}"),
            ']' => self.out.push_str("\\]"),
            '#' if self.flags.expanded => while self.rest.next().is_some_and(|c| c != '\n') {},
            c if self.flags.expanded && c.is_whitespace() => {}
            '.' | '^' | '$' | '|' | ')' => self.out.push(c),
            c => push_literal(c, &mut self.out),
        }
        Ok(())
    }

    fn group(&mut self) -> SqlResult<()> {
        self.out.push('(');
        if self.rest.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        match self.rest.next() {
            Some(':') => self.out.push_str("?:"),
            Some('=' | '!') => return Err(unsupported("looking ahead")),
            Some('<') => return Err(unsupported("looking behind")),
            Some('#') => {
                self.out.pop();
                while self.rest.next().is_some_and(|c| c != ')') {}
            }
            _ => return Err(invalid("quantifier operand invalid")),
        }
        Ok(())
    }

    fn quantifier(&mut self, c: char) -> SqlResult<()> {
        if self.out.is_empty() || self.out.ends_with('|') && !self.out.ends_with("\\|") {
            return Err(invalid("quantifier operand invalid"));
        }
        self.out.push(c);
        self.after_quantifier()
    }

    fn bound(&mut self) -> SqlResult<()> {
        self.out.push('{');
        for c in self.rest.by_ref() {
            match c {
                '0'..='9' | ',' => self.out.push(c),
                '}' => {
                    self.out.push('}');
                    return self.after_quantifier();
                }
                _ => return Err(invalid("invalid repetition count(s)")),
            }
        }
        Err(invalid("braces {} not balanced"))
    }

    /// A quantifier may be followed by the mark of one that takes little, and by nothing more.
    fn after_quantifier(&mut self) -> SqlResult<()> {
        if self.rest.next_if_eq(&'?').is_some() {
            self.out.push('?');
        }
        match self.rest.peek() {
            Some('*' | '+' | '?') => Err(invalid("quantifier operand invalid")),
            _ => Ok(()),
        }
    }

    fn escape(&mut self) -> SqlResult<()> {
        let Some(c) = self.rest.next() else { return Err(invalid("invalid escape \\ sequence")) };
        match c {
            'm' => self.out.push_str("\\b{start}"),
            'M' => self.out.push_str("\\b{end}"),
            'y' => self.out.push_str("\\b"),
            'Y' => self.out.push_str("\\B"),
            'A' => self.out.push_str("\\A"),
            'Z' => self.out.push_str("\\z"),
            '1'..='9' => return Err(unsupported("a reference back")),
            c => return self.character(c),
        }
        Ok(())
    }

    /// An escape that may stand in brackets, too.
    fn character(&mut self, c: char) -> SqlResult<()> {
        match c {
            'd' | 'D' | 'w' | 'W' | 's' | 'S' | 'a' | 'f' | 'n' | 'r' | 't' | 'v' => {
                self.out.push('\\');
                self.out.push(c);
            }
            'b' => self.out.push_str("\\x08"),
            'e' => self.out.push_str("\\x1b"),
            'B' => self.out.push_str("\\\\"),
            '0' => self.out.push_str("\\x00"),
            'x' => {
                let mut code = 0u32;
                while let Some(digit) = self.rest.peek().and_then(|c| c.to_digit(16)) {
                    self.rest.next();
                    code = code.wrapping_mul(16).wrapping_add(digit) & 0xff_ffff;
                }
                self.out.push_str(&format!("\\x{{{code:x}}}"));
            }
            'u' | 'U' => {
                let digits: String = self.rest.by_ref().take(if c == 'u' { 4 } else { 8 }).collect();
                if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return Err(invalid("invalid escape \\ sequence"));
                }
                self.out.push_str(&format!("\\x{{{digits}}}"));
            }
            c if c.is_alphanumeric() => return Err(invalid("invalid escape \\ sequence")),
            c => push_literal(c, &mut self.out),
        }
        Ok(())
    }

    fn bracket(&mut self) -> SqlResult<()> {
        let rest: String = self.rest.clone().take(6).collect();
        if let Some(end) = rest.strip_prefix("[:").filter(|rest| matches!(*rest, "<:]]" | ">:]]")) {
            self.out.push_str(if end.starts_with('<') { "\\b{start}" } else { "\\b{end}" });
            self.rest.nth(5);
            return Ok(());
        }
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut is_first = true;
        while let Some(c) = self.rest.next() {
            match c {
                ']' if !is_first => {
                    self.out.push(']');
                    return Ok(());
                }
                '[' => match self.rest.peek() {
                    Some(':') => self.class()?,
                    Some('.' | '=') => return Err(unsupported("a collating element")),
                    _ => self.out.push_str("\\["),
                },
                '\\' => match self.rest.next() {
                    Some(c) => self.character(c)?,
                    None => return Err(invalid("invalid escape \\ sequence")),
                },
                // A range, unless it stands at an end.
                '-' if !is_first && self.rest.peek() != Some(&']') => self.out.push('-'),
                c => push_literal(c, &mut self.out),
            }
            is_first = false;
        }
        Err(invalid("brackets [] not balanced"))
    }

    /// `[:alpha:]`, behind its bracket.
    fn class(&mut self) -> SqlResult<()> {
        self.rest.next();
        let mut name = String::new();
        while let Some(c) = self.rest.next_if(|c| *c != ':') {
            name.push(c);
        }
        self.rest.next();
        self.out.push_str(match name.as_str() {
            "alpha" => "\\p{Alphabetic}",
            "digit" => "\\d",
            "alnum" => "\\p{Alphabetic}\\d",
            "upper" => "\\p{Uppercase}",
            "lower" => "\\p{Lowercase}",
            "space" => "\\s",
            "blank" => "\\x20\\t",
            "punct" => "!-/:-@\\[-`{-~",
            "cntrl" => "\\x00-\\x1f\\x7f",
            "xdigit" => "0-9A-Fa-f",
            "print" => "\\x20-\\x7e\\x{a0}-\\x{10ffff}",
            "graph" => "!-\\x7e\\x{a1}-\\x{10ffff}",
            "word" => "\\w",
            "ascii" => "\\x00-\\x7f",
            _ => return Err(invalid("invalid character class")),
        });
        match self.rest.next() {
            Some(']') => Ok(()),
            _ => Err(invalid("brackets [] not balanced")),
        }
    }
}

/// The expression, in Postgres's own syntax, that a pattern of `SIMILAR TO` means.
pub(super) fn similar(pattern: &str, escape: Option<char>) -> String {
    let mut out = String::from("^(?:");
    let mut chars = pattern.chars();
    let mut in_brackets = false;
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == escape => {
                if let Some(next) = chars.next() {
                    push_literal(next, &mut out);
                }
            }
            ']' if in_brackets => {
                in_brackets = false;
                out.push(c);
            }
            c if in_brackets => out.push(c),
            '[' => {
                in_brackets = true;
                out.push(c);
            }
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            '(' => out.push_str("(?:"),
            '.' | '^' | '$' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out.push_str(")$");
    out
}
