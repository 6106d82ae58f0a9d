//! Values that SQL has and Rust says otherwise.

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::Result;

/// A value of type `bytea`, as a parameter, in a row, or in JSON, where it is a text: `"\x00ff"`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    pub(crate) fn text(&self) -> String {
        self.0.iter().fold("\\x".to_string(), |text, byte| text + &format!("{byte:02x}"))
    }

    fn parse(text: &str) -> Option<Bytes> {
        let digits = text.strip_prefix("\\x")?.as_bytes();
        let digit = |digit: u8| char::from(digit).to_digit(16);
        let byte = |pair: &[u8]| u8::try_from(digit(*pair.first()?)? * 16 + digit(*pair.get(1)?)?).ok();
        digits.chunks(2).map(byte).collect::<Option<_>>().map(Bytes)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Bytes, D::Error> {
        let text = String::deserialize(deserializer)?;
        Bytes::parse(&text).ok_or_else(|| D::Error::custom(format_args!("not bytes as hex: {text:?}")))
    }
}

/// A parameter of type `json` or `jsonb`. In rows, such a value is read into whatever it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Json(pub Value);

impl Json {
    /// Of anything that is written as JSON.
    pub fn of(value: &impl Serialize) -> Result<Json> {
        Ok(Json(serde_json::to_value(value)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_hexadecimal_digits() {
        let bytes = Bytes(vec![0, 15, 255]);
        let text = serde_json::to_string(&bytes).expect("JSON");
        assert_eq!(text, r#""\\x000fff""#);
        assert_eq!(serde_json::from_str::<Bytes>(&text).expect("bytes"), bytes);
        for wrong in ["", "00", "\\x0", "\\x0g"] {
            assert_eq!(Bytes::parse(wrong), None);
        }
    }
}
