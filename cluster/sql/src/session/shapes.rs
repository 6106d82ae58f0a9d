//! Statements of which a client sends one after the other that differ in values only: they are parsed and planned once.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use hashbrown::HashMap;
use spin::Mutex;

use super::{CACHE_TEXT_LEN_MAX, Parsed, Prepared, Session};
use crate::database::Database;
use crate::parse::{self, Shape, Value};
use crate::types::{DataType, Datum};
use crate::wire;

/// Shapes that a session remembers.
const SHAPES_MAX: usize = 64;

/// The shapes of a session's texts.
#[derive(Default)]
pub(super) struct Shapes {
    known: HashMap<Key, Known>,
    order: VecDeque<Key>,
}

/// The text without its values, and their types.
type Key = (String, Vec<Option<DataType>>);

/// What is known of a shape.
enum Known {
    /// Its first text came and went.
    Once,
    /// Its statements depend on their values in more than what they read and write.
    Special,
    /// All its statements, with their values as parameters.
    General(Arc<Prepared>),
}

impl Shapes {
    fn put(&mut self, key: Key, known: Known) {
        if self.known.insert(key.clone(), known).is_some() {
            return;
        }
        if self.order.len() >= SHAPES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.order.push_back(key);
    }
}

impl<D: Database> Session<D> {
    /// What `sql` is, and its values, if statements of its shape have come before and do the same whatever the values are.
    /// If not, or if anything is wrong with it, it is to be parsed as any other.
    pub async fn recognize(&mut self, sql: &str) -> Option<(Arc<Prepared>, Vec<Datum>)> {
        if sql.len() > CACHE_TEXT_LEN_MAX {
            return None;
        }
        let shape = Shape::of(sql)?;
        let types = shape.types();
        let (key, values) = ((shape.text, types), shape.values);
        let prepared = match self.shapes.known.get(&key) {
            None => {
                self.shapes.put(key, Known::Once);
                return None;
            }
            Some(Known::Special) => return None,
            Some(Known::General(prepared)) => Some(prepared.clone()),
            Some(Known::Once) => None,
        };
        let prepared = match prepared {
            Some(prepared) if self.is_current(&prepared.planned).await.ok()? => prepared,
            _ => self.generalize(key).await?,
        };
        let style = &self.facts.style;
        let params = values.into_iter().zip(prepared.params());
        let params: Option<Vec<Datum>> =
            params.map(|(value, data_type)| datum(value, *data_type, style)).collect();
        Some((prepared, params?))
    }

    /// Parses and plans what has this shape, with parameters for values.
    async fn generalize(&mut self, key: Key) -> Option<Arc<Prepared>> {
        let (text, types) = &key;
        let statement = parse::parse(text).ok().and_then(|mut all| all.pop().filter(|_| all.is_empty()));
        let Some(statement) = statement else {
            self.shapes.put(key, Known::Special);
            return None;
        };
        // What fails now, as in a block that has failed, may be all right another time.
        let planned = self.plan(&statement, types).await.ok()?;
        if planned.params.len() != types.len() || !planned.is_general() {
            self.shapes.put(key, Known::Special);
            return None;
        }
        let parsed = Arc::new(Parsed { statement, planned: Mutex::new(None) });
        let prepared = Prepared { parsed, given: types.as_slice().into(), planned: Arc::new(planned) };
        let prepared = Arc::new(prepared);
        self.shapes.put(key, Known::General(prepared.clone()));
        Some(prepared)
    }
}

/// `value` as the parameter of this type that it stands for; none if that may depend on more than the two.
fn datum(value: Value, data_type: DataType, style: &wire::Style) -> Option<Datum> {
    match (value, data_type) {
        (Value::Int4(value), DataType::Int4) => Some(Datum::Int4(value)),
        (Value::Int8(value), DataType::Int8) => Some(Datum::Int8(value)),
        (Value::Unknown(text), DataType::Text) => Some(Datum::Text(text)),
        // Some words are times, 'now' and 'tomorrow', which depend on when the statement is run.
        (Value::Unknown(text), DataType::Bool | DataType::Varchar | DataType::Bpchar | DataType::Uuid) => {
            wire::parse_text(data_type, &text, style).ok()
        }
        (Value::Unknown(text), _) if !text.contains(char::is_alphabetic) => {
            wire::parse_text(data_type, &text, style).ok()
        }
        _ => None,
    }
}
