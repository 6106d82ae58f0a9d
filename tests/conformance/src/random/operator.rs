//! Operators and functions of types that have few: one line each.

use crate::random::expression::{Generator, Scope};
use crate::random::tree::Tree;
use crate::random::types::Type::{
    self, Bool, Bytea, Date, Float4, Int4, Int4s, Int8, Interval, Jsonb, Text, Texts, Time, Timestamp,
    Timestamptz, Uuid,
};

/// What is given, how it is written, and what it is made of.
const OPERATORS: &[(Type, &str, &[Type])] = &[
    (Bool, "({} = ANY({}))", &[Int4, Int4s]),
    (Bool, "({} <> ALL({}))", &[Text, Texts]),
    (Bool, "({} @> {})", &[Int4s, Int4s]),
    (Bool, "({} <@ {})", &[Texts, Texts]),
    (Bool, "({} && {})", &[Int4s, Int4s]),
    (Bool, "({} @> {})", &[Jsonb, Jsonb]),
    (Bool, "({} = {})", &[Timestamp, Timestamptz]),
    (Bool, "({} < {})", &[Date, Timestamp]),
    (Bytea, "({} || {})", &[Bytea, Bytea]),
    (Bytea, "substring({} FROM 2)", &[Bytea]),
    (Float4, "({} + {})", &[Float4, Float4]),
    (Float4, "({} * {})", &[Float4, Float4]),
    (Float4, "(- {})", &[Float4]),
    (Float4, "abs({})", &[Float4]),
    (Float4, "CAST({} AS real)", &[Int4]),
    (Int4, "({})[1]", &[Int4s]),
    (Int4, "array_length({}, 1)", &[Int4s]),
    (Int4, "cardinality({})", &[Texts]),
    (Int4, "length({})", &[Bytea]),
    (Int4, "({})::integer", &[Float4]),
    (Int4s, "ARRAY[{}, {}]", &[Int4, Int4]),
    (Int4s, "({} || {})", &[Int4s, Int4s]),
    (Int4s, "array_append({}, {})", &[Int4s, Int4]),
    (Int4s, "({})[2:3]", &[Int4s]),
    (Int8, "CAST({} AS bigint)", &[Float4]),
    (Interval, "({} - {})", &[Time, Time]),
    (Interval, "({} - {})", &[Timestamptz, Timestamptz]),
    (Jsonb, "({} -> 'a')", &[Jsonb]),
    (Jsonb, "({} -> 0)", &[Jsonb]),
    (Jsonb, "to_jsonb({})", &[Int4]),
    (Jsonb, "jsonb_build_object('a', {}, 'b', {})", &[Text, Bool]),
    (Text, "({} ->> 'a')", &[Jsonb]),
    (Text, "jsonb_typeof({})", &[Jsonb]),
    (Text, "encode({}, 'hex')", &[Bytea]),
    (Text, "array_to_string({}, ',')", &[Texts]),
    (Text, "({})::text", &[Uuid]),
    (Text, "({})::text", &[Timestamptz]),
    (Text, "({})::text", &[Time]),
    (Text, "({})::text", &[Int4s]),
    (Text, "({})[1]", &[Texts]),
    (Texts, "ARRAY[{}]", &[Text]),
    (Texts, "({} || {})", &[Texts, Texts]),
    (Texts, "string_to_array({}, 'b')", &[Text]),
    (Time, "({} + {})", &[Time, Interval]),
    (Time, "({} - {})", &[Time, Interval]),
    (Time, "CAST({} AS time)", &[Timestamp]),
    (Timestamptz, "({} + {})", &[Timestamptz, Interval]),
    (Timestamptz, "({} - {})", &[Timestamptz, Interval]),
    (Timestamptz, "date_trunc('day', {})", &[Timestamptz]),
    (Timestamptz, "CAST({} AS timestamptz)", &[Timestamp]),
    (Timestamp, "CAST({} AS timestamp)", &[Timestamptz]),
    (Date, "CAST({} AS date)", &[Timestamptz]),
    (Uuid, "CAST({} AS uuid)", &[Uuid]),
];

impl Generator<'_> {
    /// One of those that give a type and that the features allow; none if there is none.
    pub fn operator(&mut self, kind: Type, depth: usize, scope: &Scope) -> Option<Tree> {
        let is_allowed = |of: &Type| of.is_allowed(self.features);
        let choices = OPERATORS.iter().filter(|(given, _, of)| *given == kind && of.iter().all(is_allowed));
        let choices: Vec<_> = choices.collect();
        if choices.is_empty() {
            return None;
        }
        let (_, text, of) = *self.chance.of(&choices);
        // Far from the ends of time, and products stay small: only what comes first is deep.
        let first = self.value(of[0], depth, scope);
        let rest = of[1..].iter().map(|kind| self.leaf(*kind, scope));
        let values = std::iter::once(first).chain(rest).collect();
        Some(Tree::value(kind, text, values))
    }
}
