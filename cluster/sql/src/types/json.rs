//! `jsonb`: a JSON value taken apart. Objects have each key once, the shortest first.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

use cluster_numeric::Numeric;

use super::json_text::quote;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number, exact.
    Number(Numeric),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// Keys and values: by the length of the keys, then by their bytes; none twice.
    Object(Vec<(String, Json)>),
}

/// The order of keys.
pub(super) fn order_keys(left: &str, right: &str) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.as_bytes().cmp(right.as_bytes()))
}

impl Json {
    /// An object of `pairs`, in any order; of equal keys, the last one counts.
    pub fn object(mut pairs: Vec<(String, Json)>) -> Json {
        // The sort keeps the order of equal keys.
        pairs.sort_by(|(left, _), (right, _)| order_keys(left, right));
        let mut unique: Vec<(String, Json)> = Vec::with_capacity(pairs.len());
        for pair in pairs {
            match unique.last_mut() {
                Some(last) if last.0 == pair.0 => *last = pair,
                _ => unique.push(pair),
            }
        }
        Json::Object(unique)
    }

    /// What `jsonb_typeof` calls it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "boolean",
            Json::Number(_) => "number",
            Json::String(_) => "string",
            Json::Array(_) => "array",
            Json::Object(_) => "object",
        }
    }

    /// The value of a key, if it is an object that has it.
    pub fn field(&self, key: &str) -> Option<&Json> {
        let Json::Object(pairs) = self else { return None };
        let at = pairs.binary_search_by(|(known, _)| order_keys(known, key)).ok()?;
        pairs.get(at).map(|(_, value)| value)
    }

    /// The element at an index, from the end if it is negative; if it is an array that has it.
    pub fn element(&self, index: i64) -> Option<&Json> {
        let Json::Array(items) = self else { return None };
        items.get(index_of(index, items.len())?)
    }

    /// What the path leads to.
    pub fn at_path<'a>(&'a self, path: impl IntoIterator<Item = &'a str>) -> Option<&'a Json> {
        path.into_iter().try_fold(self, |json, step| match json {
            Json::Object(_) => json.field(step),
            Json::Array(_) => json.element(step.trim().parse().ok()?),
            _ => None,
        })
    }

    /// About how many bytes of memory it takes.
    pub fn len_memory(&self) -> usize {
        let heap = match self {
            Json::Number(value) => value.heap_len(),
            Json::String(text) => text.capacity(),
            Json::Array(items) => items.iter().map(Json::len_memory).sum(),
            Json::Object(pairs) => {
                pairs.iter().map(|(key, value)| 24 + key.capacity() + value.len_memory()).sum()
            }
            _ => 0,
        };
        size_of::<Json>() + heap
    }

    fn rank(&self) -> u8 {
        match self {
            Json::Null => 0,
            Json::String(_) => 1,
            Json::Number(_) => 2,
            Json::Bool(_) => 3,
            Json::Array(_) => 4,
            Json::Object(_) => 5,
        }
    }

    /// Postgres's order: null, strings, numbers, booleans, arrays, objects; of two arrays or objects, the shorter one is
    /// less.
    pub fn order(&self, other: &Json) -> Ordering {
        match (self, other) {
            (Json::String(a), Json::String(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Json::Number(a), Json::Number(b)) => a.cmp(b),
            (Json::Bool(a), Json::Bool(b)) => a.cmp(b),
            (Json::Array(a), Json::Array(b)) => {
                let items = || a.iter().zip(b).map(|(a, b)| a.order(b)).find(|order| order.is_ne());
                a.len().cmp(&b.len()).then_with(|| items().unwrap_or(Ordering::Equal))
            }
            (Json::Object(a), Json::Object(b)) => {
                let pair = |((k, v), (l, w)): (&(String, Json), &(String, Json))| {
                    k.as_bytes().cmp(l.as_bytes()).then_with(|| v.order(w))
                };
                let pairs = || a.iter().zip(b).map(pair).find(|order| order.is_ne());
                a.len().cmp(&b.len()).then_with(|| pairs().unwrap_or(Ordering::Equal))
            }
            // An empty array is below everything, as in Postgres.
            (Json::Array(a), _) if a.is_empty() => Ordering::Less,
            (_, Json::Array(b)) if b.is_empty() => Ordering::Greater,
            _ => self.rank().cmp(&other.rank()),
        }
    }

    /// Whether `other` is in it: its keys with values that are in ours, its elements among ours.
    pub fn contains(&self, other: &Json) -> bool {
        match (self, other) {
            (Json::Object(_), Json::Object(pairs)) => {
                pairs.iter().all(|(key, value)| self.field(key).is_some_and(|ours| ours.holds(value)))
            }
            (Json::Array(ours), Json::Array(theirs)) => {
                theirs.iter().all(|item| ours.iter().any(|our| our.holds(item)))
            }
            (Json::Array(ours), scalar) if !matches!(scalar, Json::Object(_)) => ours.contains(scalar),
            (ours, theirs) => ours.holds(theirs),
        }
    }

    /// As `contains`, below the top: a scalar is not in an array.
    fn holds(&self, other: &Json) -> bool {
        match (self, other) {
            (Json::Object(_), Json::Object(_)) | (Json::Array(_), Json::Array(_)) => self.contains(other),
            (ours, theirs) => ours == theirs,
        }
    }

    /// Whether it has a key, or a string as an element, or is it.
    pub fn has_key(&self, key: &str) -> bool {
        match self {
            Json::Object(_) => self.field(key).is_some(),
            Json::Array(items) => items.iter().any(|item| matches!(item, Json::String(text) if text == key)),
            Json::String(text) => text == key,
            _ => false,
        }
    }

    /// As `jsonb_pretty` prints it.
    pub fn pretty(&self) -> String {
        let mut out = String::new();
        self.write_pretty(0, &mut out);
        out
    }

    fn write_pretty(&self, level: usize, out: &mut String) {
        let indent = |level: usize, out: &mut String| {
            out.push('\n');
            out.extend(core::iter::repeat_n("    ", level));
        };
        match self {
            Json::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    indent(level + 1, out);
                    item.write_pretty(level + 1, out);
                }
                indent(level, out);
                out.push(']');
            }
            Json::Object(pairs) => {
                out.push('{');
                for (index, (key, value)) in pairs.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    indent(level + 1, out);
                    quote(key, out);
                    out.push_str(": ");
                    value.write_pretty(level + 1, out);
                }
                indent(level, out);
                out.push('}');
            }
            scalar => {
                let _ = fmt::Write::write_fmt(out, format_args!("{scalar}"));
            }
        }
    }
}

/// The place that an index means, from the end if it is negative.
pub(crate) fn index_of(index: i64, len: usize) -> Option<usize> {
    let from_end = i64::try_from(len).ok()?.checked_add(index)?;
    usize::try_from(if index < 0 { from_end } else { index }).ok()
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Json::Null => f.write_str("null"),
            Json::Bool(value) => write!(f, "{value}"),
            Json::Number(value) => write!(f, "{value}"),
            Json::String(text) => {
                let mut quoted = String::with_capacity(text.len() + 2);
                quote(text, &mut quoted);
                f.write_str(&quoted)
            }
            Json::Array(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Json::Object(pairs) => {
                f.write_str("{")?;
                for (index, (key, value)) in pairs.iter().enumerate() {
                    let mut quoted = String::with_capacity(key.len() + 2);
                    quote(key, &mut quoted);
                    write!(f, "{}{quoted}: {value}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str("}")
            }
        }
    }
}
