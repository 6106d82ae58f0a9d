//! Texts, and times.

use crate::random::expression::{Generator, Scope};
use crate::random::features::Feature;
use crate::random::tree::Tree;
use crate::random::types::Type;

/// Functions of one text.
const OF_TEXT: &[&str] = &[
    "lower({})",
    "upper({})",
    "trim({})",
    "ltrim({})",
    "rtrim({}, 'b')",
    "substr({}, 2)",
    "substring({} FROM 1 FOR 2)",
    "substr({}, 0, 2)",
    "replace({}, 'a', 'xx')",
    "concat({}, 1, NULL, true)",
];

/// Others, which are met less often.
const OF_TEXT_TOO: &[&str] = &[
    "left({}, 1)",
    "right({}, -1)",
    "reverse({})",
    "repeat({}, 2)",
    "lpad({}, 3, '*')",
    "rpad({}, 2)",
    "initcap({})",
    "split_part({}, 'b', 1)",
    "translate({}, 'ab', 'b')",
];

impl Generator<'_> {
    /// An operator or function that gives a text.
    pub fn text(&mut self, depth: usize, scope: &Scope) -> Option<Tree> {
        match self.chance.below(4) {
            0 => {
                let sides = vec![self.value(Type::Text, depth, scope), self.value(Type::Text, depth, scope)];
                Some(Tree::value(Type::Text, "({} || {})", sides))
            }
            1 if self.uses(Feature::Mixed) => {
                let kind = *self.chance.of(&[Type::Int4, Type::Int8]);
                let sides = vec![self.value(Type::Text, depth, scope), self.value(kind, depth, scope)];
                Some(Tree::value(Type::Text, "({}::text || {})", sides))
            }
            2 | 3 if self.uses(Feature::Functions) => {
                let is_rare = self.uses(Feature::RareFunctions);
                let text = self.chance.word(if is_rare { OF_TEXT_TOO } else { OF_TEXT });
                Some(Tree::value(Type::Text, text, vec![self.value(Type::Text, depth, scope)]))
            }
            _ => None,
        }
    }

    /// An operator or function that gives a date, a timestamp or an interval.
    pub fn time(&mut self, kind: Type, depth: usize, scope: &Scope) -> Option<Tree> {
        use Type::{Date, Int4, Interval, Timestamp};
        let choices: &[(&str, &[Type])] = match kind {
            Date => &[("({} + {})", &[Date, Int4]), ("({} - {})", &[Date, Int4])],
            Timestamp => &[
                ("({} + {})", &[Timestamp, Interval]),
                ("({} - {})", &[Timestamp, Interval]),
                ("({} + {})", &[Date, Interval]),
                ("date_trunc('month', {})", &[Timestamp]),
                ("date_trunc('hour', {})", &[Timestamp]),
                ("date_trunc('week', {})", &[Timestamp]),
                ("date_trunc('quarter', {})", &[Timestamp]),
            ],
            _ => &[
                ("({} - {})", &[Timestamp, Timestamp]),
                ("({} + {})", &[Interval, Interval]),
                ("({} - {})", &[Interval, Interval]),
                ("({} * {})", &[Interval, Int4]),
                ("(- {})", &[Interval]),
            ],
        };
        let (text, kinds) = *self.chance.of(choices);
        let is_allowed = kinds.iter().all(|kind| kind.is_allowed(self.features))
            && (!text.contains("trunc") || self.uses(Feature::Functions));
        let values = is_allowed.then(|| {
            // Far from the ends of time: only constants and columns are added to times.
            let first = self.value(kinds[0], depth, scope);
            let rest = kinds[1..].iter().map(|kind| self.leaf(*kind, scope));
            std::iter::once(first).chain(rest).collect()
        })?;
        Some(Tree::value(kind, text, values))
    }
}
