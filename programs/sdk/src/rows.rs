//! Rows that a statement has given, from the JSON that a node answers with.

use serde::Deserialize;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde_json::Value;

use crate::{Error, Result};

/// The rows of a statement.
///
/// A row is read into anything that serde knows: a tuple, which has a field for each column; a struct, whose fields are named as
/// columns are (other columns are left out); or, if there is one column only, what that holds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Rows {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
    count: u64,
}

impl Rows {
    pub(crate) fn parse(response: &[u8]) -> Result<Rows> {
        Ok(serde_json::from_slice(response)?)
    }

    /// How many rows the statement has changed, or has given.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many rows there are here.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Each row, as it is.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|values| Row { columns: &self.columns, values })
    }

    /// All rows.
    pub fn read<T: DeserializeOwned>(&self) -> Result<Vec<T>> {
        self.iter().map(Row::read).collect()
    }

    /// The first row, if there is one.
    pub fn first<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        self.iter().next().map(Row::read).transpose()
    }

    /// The row of a statement that gives exactly one.
    pub fn only<T: DeserializeOwned>(&self) -> Result<T> {
        let mut rows = self.iter();
        match (rows.next(), rows.next()) {
            (Some(row), None) => row.read(),
            _ => Err(Error::Type(format!("the statement has given {} rows, not one", self.len()))),
        }
    }
}

/// A row.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    columns: &'a [String],
    values: &'a [Value],
}

impl<'a> Row<'a> {
    /// All of it: see [`Rows`].
    pub fn read<T: DeserializeOwned>(self) -> Result<T> {
        Ok(T::deserialize(self)?)
    }

    /// What is in a column; the first one of that name.
    pub fn get<T: DeserializeOwned>(self, column: &str) -> Result<T> {
        let index = self.columns.iter().position(|name| name == column);
        let value = index.and_then(|index| self.values.get(index));
        let value = value.ok_or_else(|| Error::Type(format!("there is no column \"{column}\"")))?;
        T::deserialize(value).map_err(|error| Error::Type(format!("column \"{column}\": {error}")))
    }

    /// The value of a row that has no others.
    fn value(self) -> Result<&'a Value, serde_json::Error> {
        match self.values {
            [value] => Ok(value),
            values => {
                let count = values.len();
                Err(serde_json::Error::custom(format_args!(
                    "a row of {count} columns is a tuple or a struct"
                )))
            }
        }
    }
}

impl<'de> Deserializer<'de> for Row<'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.value()?.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        if matches!(self.values, [Value::Null]) { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Self::Error> {
        if self.values.len() != len {
            let count = self.values.len();
            return Err(serde_json::Error::custom(format_args!("a row has {count} columns, not {len}")));
        }
        visitor.visit_seq(SeqDeserializer::new(self.values.iter()))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        let names = self.columns.iter().map(String::as_str);
        visitor.visit_map(MapDeserializer::new(names.zip(self.values)))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.value()?.deserialize_enum(name, variants, visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::Bytes;

    fn rows(json: &str) -> Rows {
        Rows::parse(json.as_bytes()).expect("an answer")
    }

    fn two() -> Rows {
        rows(r#"{"columns":["id","name"],"rows":[[1,"one"],[2,null]],"count":2}"#)
    }

    #[test]
    fn rows_are_tuples_structs_and_maps() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Named {
            name: Option<String>,
            id: i64,
        }
        let tuples: Vec<(i64, Option<String>)> = two().read().expect("tuples");
        assert_eq!(tuples, [(1, Some("one".into())), (2, None)]);
        let first: Option<Named> = two().first().expect("a struct");
        assert_eq!(first, Some(Named { name: Some("one".into()), id: 1 }));
        let maps: Vec<HashMap<String, Value>> = two().read().expect("maps");
        assert_eq!(maps[1]["id"], 2);
        let ids: Vec<i32> = two().iter().map(|row| row.get("id").expect("a number")).collect();
        assert_eq!(ids, [1, 2]);
        assert_eq!((two().count(), two().len()), (2, 2));
    }

    #[test]
    fn a_single_column_is_its_value() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Id(u32);
        #[derive(Debug, PartialEq, Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum State {
            Ready,
        }
        let one = |value: &str| rows(&format!(r#"{{"columns":["a"],"rows":[[{value}]],"count":1}}"#));
        assert_eq!(one("7").only::<f64>().expect("a number"), 7.0);
        assert_eq!(one("7").only::<Id>().expect("a number"), Id(7));
        assert_eq!(one("null").only::<Option<i64>>().expect("null"), None);
        assert_eq!(one("[1,2]").only::<Vec<i64>>().expect("an array"), [1, 2]);
        assert_eq!(one("\"ready\"").only::<State>().expect("a state"), State::Ready);
        assert_eq!(one(r#""\\x00ff""#).only::<Bytes>().expect("bytes"), Bytes(vec![0, 255]));
        assert_eq!(one(r#"{"b":1}"#).only::<(HashMap<String, i64>,)>().expect("a document").0["b"], 1);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let said = |error: Result<()>| error.expect_err("it does not fit").to_string();
        let types = said(two().read::<(i64, i64)>().map(drop));
        assert_eq!(types, "invalid type: string \"one\", expected i64");
        assert_eq!(said(two().read::<i64>().map(drop)), "a row of 2 columns is a tuple or a struct");
        assert_eq!(said(two().read::<(i64,)>().map(drop)), "a row has 2 columns, not 1");
        assert_eq!(said(two().only::<(i64, String)>().map(drop)), "the statement has given 2 rows, not one");
        let row = two();
        let row = row.iter().next().expect("a row");
        assert_eq!(said(row.get::<i64>("b").map(drop)), "there is no column \"b\"");
        let name = said(row.get::<i64>("name").map(drop));
        assert_eq!(name, "column \"name\": invalid type: string \"one\", expected i64");
    }
}
