//! What a text is apart from the values in it: texts that a program writes again and again, with other values each time,
//! have one shape. So the parser and the planner can be asked once for all of them.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use crate::types::DataType;

/// Most values of a text.
const VALUES_MAX: usize = 64;

/// A value that stands in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Int4(i32),
    Int8(i64),
    /// What it is depends on where it stands.
    Unknown(String),
}

/// A text and its values.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// The text, with `$1`, `$2` and so on in place of the values.
    pub(crate) text: String,
    pub(crate) values: Vec<Value>,
}

impl Shape {
    /// The shape of `sql`, of which it must be the only statement. None if it has no values, or has something that is not as
    /// plain as it looks: comments, escapes, quoted names, parameters, or numbers that may stand for columns.
    pub(crate) fn of(sql: &str) -> Option<Shape> {
        let verb = sql.trim_start().get(..6)?;
        let verbs = ["select", "insert", "update", "delete"];
        if !verbs.iter().any(|known| verb.eq_ignore_ascii_case(known)) {
            return None;
        }
        let mut shape = Shape { text: String::with_capacity(sql.len() + 16), values: Vec::new() };
        let mut rest = sql;
        while let Some(first) = rest.chars().next() {
            rest = shape.take(first, rest)?;
        }
        (!shape.values.is_empty() && shape.values.len() <= VALUES_MAX).then_some(shape)
    }

    /// The types of the values, as far as they have one.
    pub(crate) fn types(&self) -> Vec<Option<DataType>> {
        let types = self.values.iter().map(|value| match value {
            Value::Int4(_) => Some(DataType::Int4),
            Value::Int8(_) => Some(DataType::Int8),
            Value::Unknown(_) => None,
        });
        types.collect()
    }

    /// Takes what `rest`, which begins with `first`, begins with; what remains.
    fn take<'a>(&mut self, first: char, rest: &'a str) -> Option<&'a str> {
        match first {
            '\'' => self.take_quoted(rest),
            '"' | '$' | '\\' => None,
            '-' if rest.starts_with("--") => None,
            '/' if rest.starts_with("/*") => None,
            ';' => rest[1..].trim().is_empty().then_some(""),
            '0'..='9' | '.' => self.take_number(rest),
            _ if is_of_word(first) => {
                let (word, rest) = rest.split_at(rest.find(|c| !is_of_word(c)).unwrap_or(rest.len()));
                // In ORDER BY and GROUP BY, a number is a column of the result.
                let is_plain = !word.eq_ignore_ascii_case("by");
                self.text.push_str(word);
                is_plain.then_some(rest)
            }
            other => {
                self.text.push(other);
                Some(&rest[other.len_utf8()..])
            }
        }
    }

    fn take_number<'a>(&mut self, rest: &'a str) -> Option<&'a str> {
        let of_number = |c: char| is_of_word(c) || c == '.';
        let (number, rest) = rest.split_at(rest.find(|c| !of_number(c)).unwrap_or(rest.len()));
        // Numbers that are no integers, and the dot before a column, stay where they are.
        let value = number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse::<i64>().ok());
        match value.flatten() {
            Some(value) => self.push(i32::try_from(value).map_or(Value::Int8(value), Value::Int4)),
            None => self.text.push_str(number),
        }
        Some(rest)
    }

    fn take_quoted<'a>(&mut self, rest: &'a str) -> Option<&'a str> {
        // E'', X'' and their like are not what they look like.
        if self.text.ends_with(|c| is_of_word(c) || c == '&') {
            return None;
        }
        let (mut value, mut rest) = (String::new(), rest.strip_prefix('\'')?);
        loop {
            let (part, after) = rest.split_once('\'')?;
            if part.contains('\\') {
                return None;
            }
            value.push_str(part);
            match after.strip_prefix('\'') {
                Some(after) => {
                    value.push('\'');
                    rest = after;
                }
                None => {
                    self.push(Value::Unknown(value));
                    return Some(after);
                }
            }
        }
    }

    fn push(&mut self, value: Value) {
        self.values.push(value);
        // What follows is no part of the number.
        let _ = write!(self.text, "${}", self.values.len());
    }
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii()
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use super::*;

    fn shown(sql: &str) -> String {
        match Shape::of(sql) {
            Some(shape) => format!("{} {:?}", shape.text, shape.values),
            None => "none".into(),
        }
    }

    #[test]
    fn values_are_taken_out() {
        let cases = [
            ("SELECT a FROM t WHERE id = 5", "SELECT a FROM t WHERE id = $1 [Int4(5)]"),
            (
                "select a1, 2, t2.b from t2 where x=-7;",
                "select a1, $1, t2.b from t2 where x=-$2 [Int4(2), Int4(7)]",
            ),
            (
                "UPDATE t SET v = 'it''s', w = '' WHERE id IN (1,3000000000) ; ",
                "UPDATE t SET v = $1, w = $2 WHERE id IN ($3,$4)  [Unknown(\"it's\"), Unknown(\"\"), Int4(1), Int8(3000000000)]",
            ),
            (
                "DELETE FROM t WHERE a = 1.5 AND b = 1e3 AND c = .5 AND d = 2",
                "DELETE FROM t WHERE a = 1.5 AND b = 1e3 AND c = .5 AND d = $1 [Int4(2)]",
            ),
            ("INSERT INTO t VALUES ('ü', 12)", "INSERT INTO t VALUES ($1, $2) [Unknown(\"ü\"), Int4(12)]"),
        ];
        for (sql, expected) in cases {
            // The semicolon and what stands behind it are nothing of the statement.
            assert_eq!(
                shown(sql).replace(" [", "[").replace("  [", "["),
                expected.replace(" [", "["),
                "{sql}"
            );
        }
    }

    #[test]
    fn what_may_be_something_else_has_no_shape() {
        let others = [
            "SELECT 1 -- 2",
            "SELECT /* 2 */ 1",
            "SELECT E'a', 1",
            "SELECT U&'a', 1",
            "SELECT 'a\\n', 1",
            "SELECT \"a\", 1",
            "SELECT $1, 1",
            "SELECT $$a$$, 1",
            "SELECT a FROM t ORDER BY 1",
            "SELECT a FROM t GROUP  bY 1",
            "SELECT 1; SELECT 2",
            "SELECT 'a",
            "SELECT a FROM t",
            "BEGIN",
            "",
            "SELEC",
            "TABLE t",
            "ünicode 1",
        ];
        for sql in others {
            assert_eq!(shown(sql), "none", "{sql}");
        }
        let many = (0..=VALUES_MAX).map(|number| number.to_string()).collect::<Vec<_>>().join(", ");
        assert_eq!(shown(&format!("SELECT {many}")), "none");
    }
}
