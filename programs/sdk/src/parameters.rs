//! Parameters of statements, on their way to the node as a JSON array.

use std::time::SystemTime;

use serde_json::Value;

use crate::{Bytes, Json, moment};

/// A parameter of a statement. Which type it has, the statement says: a number may be given as a text, and what has no type of its
/// own in Rust (`numeric`, `date`, `interval`, `uuid`) is one.
pub trait Parameter {
    /// As the node takes it.
    fn value(&self) -> Value;
}

/// The parameters of a statement, `$1` first: a tuple of up to twelve [`Parameter`]s, `()` for none; or a slice of parameters
/// that all have one type, or are `&dyn Parameter`.
pub trait Parameters {
    /// Each as the node takes it.
    fn values(&self) -> Vec<Value>;

    /// All of them as a JSON array; nothing if there are none.
    #[doc(hidden)]
    fn json(&self) -> String {
        let values = self.values();
        if values.is_empty() { String::new() } else { Value::Array(values).to_string() }
    }
}

macro_rules! tuples {
    ($(($($name:ident $index:tt),*))*) => {
        $(impl<$($name: Parameter),*> Parameters for ($($name,)*) {
            fn values(&self) -> Vec<Value> {
                vec![$(self.$index.value()),*]
            }
        })*
    };
}

tuples! {
    ()
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11)
}

impl<T: Parameter> Parameters for &[T] {
    fn values(&self) -> Vec<Value> {
        self.iter().map(Parameter::value).collect()
    }
}

macro_rules! as_they_are {
    ($($type:ty),*) => {
        $(impl Parameter for $type {
            fn value(&self) -> Value {
                Value::from(self.clone())
            }
        })*
    };
}

as_they_are!(bool, i16, i32, i64, u16, u32, u64, String);

impl Parameter for str {
    fn value(&self) -> Value {
        Value::from(self)
    }
}

/// What is no number, or infinite, is a text in JSON.
impl Parameter for f64 {
    fn value(&self) -> Value {
        match self {
            value if value.is_finite() => Value::from(*value),
            value if value.is_nan() => "NaN".into(),
            value if *value > 0.0 => "Infinity".into(),
            _ => "-Infinity".into(),
        }
    }
}

/// By way of its digits, so that 0.1 stays 0.1.
impl Parameter for f32 {
    fn value(&self) -> Value {
        let digits = self.to_string().parse().ok();
        digits.filter(|value: &f64| value.is_finite()).map_or_else(|| f64::from(*self).value(), Value::from)
    }
}

impl Parameter for Bytes {
    fn value(&self) -> Value {
        self.text().into()
    }
}

impl Parameter for Json {
    fn value(&self) -> Value {
        self.0.clone()
    }
}

impl Parameter for SystemTime {
    fn value(&self) -> Value {
        moment::text(*self).into()
    }
}

impl<T: Parameter> Parameter for Option<T> {
    fn value(&self) -> Value {
        self.as_ref().map_or(Value::Null, Parameter::value)
    }
}

impl<T: Parameter + ?Sized> Parameter for &T {
    fn value(&self) -> Value {
        (**self).value()
    }
}

/// A one-dimensional array.
impl<T: Parameter> Parameter for [T] {
    fn value(&self) -> Value {
        let items: Vec<String> = self.iter().map(|item| array_item(&item.value())).collect();
        format!("{{{}}}", items.join(",")).into()
    }
}

impl<T: Parameter> Parameter for Vec<T> {
    fn value(&self) -> Value {
        self.as_slice().value()
    }
}

impl<T: Parameter, const N: usize> Parameter for [T; N] {
    fn value(&self) -> Value {
        self.as_slice().value()
    }
}

/// A value as it is written among the braces of an array.
fn array_item(value: &Value) -> String {
    match value {
        Value::Null => "NULL".into(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => quoted(text),
        document => quoted(&document.to_string()),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn parameters_are_a_json_array() {
        assert_eq!(().json(), "");
        assert_eq!((7, "a\"b", None::<i64>, true).json(), r#"[7,"a\"b",null,true]"#);
        assert_eq!((i64::MIN, u64::MAX).json(), "[-9223372036854775808,18446744073709551615]");
        assert_eq!((0.5, f64::NAN, f64::NEG_INFINITY, 0.1_f32).json(), r#"[0.5,"NaN","-Infinity",0.1]"#);
        assert_eq!((Bytes(vec![0, 255]),).json(), r#"["\\x00ff"]"#);
        assert_eq!((Json::of(&vec!["a"]).expect("JSON"),).json(), r#"[["a"]]"#);
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400);
        assert_eq!((Some(time),).json(), r#"["1970-01-02 00:00:00.000000+00"]"#);
        let mixed: [&dyn Parameter; 2] = [&1, &"a"];
        assert_eq!((&mixed[..]).json(), r#"[1,"a"]"#);
    }

    #[test]
    fn arrays_are_texts_as_sql_has_them() {
        assert_eq!((vec![1, 2],).json(), r#"["{1,2}"]"#);
        assert_eq!((["a", "b\"\\", ""],).json(), r#"["{\"a\",\"b\\\"\\\\\",\"\"}"]"#);
        assert_eq!(([Some(true), None],).json(), r#"["{true,NULL}"]"#);
        assert_eq!((Vec::<i64>::new(),).json(), r#"["{}"]"#);
    }
}
