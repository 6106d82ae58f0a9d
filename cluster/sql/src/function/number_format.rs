//! `to_char` and `to_number` of numbers.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use cluster_numeric::Numeric;

use super::{signatures, text, text_datum, unexpected};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::types::Datum;
use crate::wire::{Style, text_of};

/// A part of a template.
#[derive(Clone, Debug, PartialEq)]
enum Part {
    /// `9`, or `0` if true.
    Digit(bool),
    /// `.`, `D`
    Point,
    /// `,`, `G`
    Group,
    /// `S`
    Sign,
    /// `MI`
    Minus,
    /// `PL`
    Plus,
    /// `SG`
    EitherSign,
    /// `L`
    Currency,
    /// `TH`, `th`
    Ordinal(bool),
    Literal(char),
}

#[derive(Default)]
struct Template {
    parts: Vec<Part>,
    /// Digits before the point, and behind it.
    before: usize,
    after: usize,
    /// Digits behind `V`: the number is multiplied by so many tens.
    shift: usize,
    has_point: bool,
    fill: bool,
    brackets: bool,
    /// `RN`; in small letters if true.
    roman: Option<bool>,
    scientific: bool,
}

impl Template {
    fn of(text: &str) -> Template {
        let mut template = Template { fill: true, ..Template::default() };
        let mut rest = text;
        let mut shifts = false;
        while let Some(c) = rest.chars().next() {
            let starts =
                |word: &str| rest.get(..word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word));
            let (part, len) = match c {
                '"' => {
                    let inner = rest.get(1..).and_then(|rest| rest.split_once('"'));
                    let (inner, after) = inner.unwrap_or((rest.get(1..).unwrap_or(""), ""));
                    template.parts.extend(inner.chars().map(Part::Literal));
                    rest = after;
                    continue;
                }
                '9' | '0' => {
                    match (template.has_point, shifts) {
                        (_, true) => {
                            (template.shift, template.before) = (template.shift + 1, template.before + 1)
                        }
                        (true, _) => template.after += 1,
                        _ => template.before += 1,
                    }
                    (Some(Part::Digit(c == '0')), 1)
                }
                '.' | 'D' | 'd' if !template.has_point => {
                    template.has_point = true;
                    (Some(Part::Point), 1)
                }
                ',' | 'G' | 'g' => (Some(Part::Group), 1),
                'L' | 'l' => (Some(Part::Currency), 1),
                'V' | 'v' => {
                    shifts = true;
                    (None, 1)
                }
                _ if starts("EEEE") => {
                    template.scientific = true;
                    (None, 4)
                }
                _ if starts("FM") => {
                    template.fill = false;
                    (None, 2)
                }
                _ if starts("MI") => (Some(Part::Minus), 2),
                _ if starts("PL") => (Some(Part::Plus), 2),
                _ if starts("PR") => {
                    template.brackets = true;
                    (None, 2)
                }
                _ if starts("RN") => {
                    template.roman = Some(c == 'r');
                    (None, 2)
                }
                _ if starts("SG") => (Some(Part::EitherSign), 2),
                _ if starts("TH") => (Some(Part::Ordinal(c == 'T')), 2),
                'S' | 's' => (Some(Part::Sign), 1),
                c => (Some(Part::Literal(c)), c.len_utf8()),
            };
            template.parts.extend(part);
            rest = rest.get(len..).unwrap_or("");
        }
        template
    }

    fn has_sign(&self) -> bool {
        let is_sign = |part: &Part| matches!(part, Part::Sign | Part::Minus | Part::Plus | Part::EitherSign);
        self.brackets || self.parts.iter().any(is_sign)
    }
}

/// What is written so far, and what is yet to come.
struct Writer<'a> {
    template: &'a Template,
    whole: &'a str,
    fraction: &'a str,
    /// Digits of the fraction that are written even if blanks are not.
    relevant: usize,
    negative: bool,
    overflows: bool,
    out: String,
    /// Places of digits passed before the point, and behind it.
    passed: usize,
    passed_after: usize,
    has_begun: bool,
    zeros_begun: bool,
}

impl Writer<'_> {
    /// The sign that stands before the first digit.
    fn begin(&mut self) {
        if core::mem::replace(&mut self.has_begun, true) {
            return;
        }
        let leading = self.template.parts.iter().find(|part| matches!(part, Part::Sign | Part::Digit(_)));
        match () {
            _ if self.template.brackets => self.blank_or(self.negative, '<'),
            _ if leading == Some(&Part::Sign) => self.out.push(if self.negative { '-' } else { '+' }),
            _ if !self.template.has_sign() => self.blank_or(self.negative, '-'),
            _ => {}
        }
    }

    fn blank_or(&mut self, shown: bool, c: char) {
        if shown {
            self.out.push(c);
        } else if self.template.fill {
            self.out.push(' ');
        }
    }

    fn digit(&mut self, zero: bool) {
        let behind_point = self.passed >= self.template.before;
        if behind_point {
            let at = self.passed_after;
            self.passed_after += 1;
            self.begin();
            let digit = self.fraction.chars().nth(at).unwrap_or('0');
            if self.template.fill || at < self.relevant {
                self.out.push(if self.overflows { '#' } else { digit });
            }
            return;
        }
        let from_right = self.template.before - 1 - self.passed;
        self.passed += 1;
        self.zeros_begun |= zero;
        if self.overflows {
            self.begin();
            return self.out.push('#');
        }
        match self.whole.len().checked_sub(from_right + 1) {
            Some(at) => {
                self.begin();
                self.out.push(self.whole.chars().nth(at).unwrap_or('0'));
            }
            None if self.zeros_begun => {
                self.begin();
                self.out.push('0');
            }
            None if self.template.fill => self.out.push(' '),
            None => {}
        }
    }

    fn part(&mut self, part: &Part) {
        match part {
            Part::Digit(zero) => self.digit(*zero),
            Part::Point => {
                self.begin();
                self.out.push('.');
            }
            Part::Group => {
                if self.has_begun {
                    self.out.push(',');
                } else if self.template.fill {
                    self.out.push(' ');
                }
            }
            Part::Sign => {
                if self.has_begun {
                    self.out.push(if self.negative { '-' } else { '+' });
                }
            }
            Part::Minus => self.blank_or(self.negative, '-'),
            Part::Plus => self.blank_or(!self.negative, '+'),
            Part::EitherSign => self.out.push(if self.negative { '-' } else { '+' }),
            Part::Currency => self.out.push(' '),
            Part::Ordinal(large) => {
                let suffix = match (self.whole.as_bytes(), self.negative) {
                    (_, true) => "",
                    ([.., b'1', _], _) => "th",
                    ([.., b'1'], _) => "st",
                    ([.., b'2'], _) => "nd",
                    ([.., b'3'], _) => "rd",
                    _ => "th",
                };
                self.out.push_str(&if *large { suffix.to_uppercase() } else { suffix.into() });
            }
            Part::Literal(c) => self.out.push(*c),
        }
    }
}

fn roman(number: u32) -> String {
    const LETTERS: [(u32, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let (mut rest, mut out) = (number, String::new());
    for (value, letters) in LETTERS {
        while rest >= value {
            out.push_str(letters);
            rest -= value;
        }
    }
    out
}

fn write_roman(value: &Numeric, small: bool, fill: bool) -> SqlResult<String> {
    let number = value.round(0)?.to_i32().ok().and_then(|number| u32::try_from(number).ok());
    let letters = match number {
        Some(number @ 1..4000) => roman(number),
        _ => "#".repeat(15),
    };
    let letters = if small { letters.to_lowercase() } else { letters };
    Ok(if fill { format!("{letters:>15}") } else { letters })
}

/// A number in the form of a template.
fn write(value: &Numeric, template: &Template) -> SqlResult<String> {
    if let Some(small) = template.roman {
        return write_roman(value, small, template.fill);
    }
    if template.scientific {
        let shown = format!("{:.*e}", template.after, value.to_f64()?);
        let (mantissa, exponent) = shown.split_once('e').unwrap_or((&shown, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let sign = if mantissa.starts_with('-') || !template.fill { "" } else { " " };
        let exponent_sign = if exponent < 0 { '-' } else { '+' };
        return Ok(format!("{sign}{mantissa}e{exponent_sign}{:02}", exponent.unsigned_abs()));
    }
    let mut value = value.clone();
    for _ in 0..template.shift {
        value = value.mul(&Numeric::from(10))?;
    }
    let shown = value.round(i32::try_from(template.after).unwrap_or(0))?.to_string();
    let negative = shown.starts_with('-');
    let digits = shown.trim_start_matches('-');
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    // A zero before the point is left out where the point is written.
    let whole = if whole == "0" && template.has_point { "" } else { whole };
    let is_zeroed = |(at, part): (usize, &Part)| matches!(part, Part::Digit(true)).then_some(at + 1);
    let behind = template.parts.iter().skip_while(|part| **part != Part::Point);
    let zeroed =
        behind.filter(|part| matches!(part, Part::Digit(_))).enumerate().filter_map(is_zeroed).last();
    let relevant = fraction.trim_end_matches('0').len().max(zeroed.unwrap_or(0));
    let mut writer = Writer {
        template,
        whole,
        fraction,
        relevant,
        negative,
        overflows: whole.len() > template.before || !value.is_finite(),
        out: String::new(),
        passed: 0,
        passed_after: 0,
        has_begun: false,
        zeros_begun: false,
    };
    template.parts.iter().for_each(|part| writer.part(part));
    if template.brackets {
        writer.blank_or(negative, '>');
    }
    Ok(writer.out)
}

fn to_char(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [value, template] = arguments else { return Err(unexpected()) };
    let number = match value {
        Datum::Numeric(value) => value.clone(),
        Datum::Float8(value) => Numeric::from(*value),
        Datum::Float4(value) => Numeric::from(*value),
        value => text_of(value, &Style::default()).parse()?,
    };
    text_datum(write(&number, &Template::of(text(template)))?)
}

/// The digits, the point and the sign of a text, whatever else there is in it.
fn to_number(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [value, template] = arguments else { return Err(unexpected()) };
    let template = Template::of(text(template));
    let (mut digits, mut negative, mut has_point) = (String::new(), false, false);
    for c in text(value).chars() {
        match c {
            '0'..='9' => digits.push(c),
            '.' if template.has_point && !has_point => {
                has_point = true;
                digits.push(c);
            }
            '.' => break,
            '-' | '<' => negative = true,
            _ => {}
        }
    }
    if !digits.contains(|c: char| c.is_ascii_digit()) {
        let message = format!("invalid input syntax for type numeric: \"{}\"", text(value));
        return Err(SqlError::new(SqlState::INVALID_TEXT, message));
    }
    let number: Numeric = digits.parse()?;
    Ok(Datum::numeric(if negative { number.neg() } else { number }))
}

signatures! { FUNCTIONS:
    "to_char" (Int4, Text) Text, Strict, |a, _| to_char(a);
    "to_char" (Int8, Text) Text, Strict, |a, _| to_char(a);
    "to_char" (Numeric, Text) Text, Strict, |a, _| to_char(a);
    "to_char" (Float4, Text) Text, Strict, |a, _| to_char(a);
    "to_char" (Float8, Text) Text, Strict, |a, _| to_char(a);
    "to_number" (Text, Text) Numeric, Strict, |a, _| to_number(a);
}
