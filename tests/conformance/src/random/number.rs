//! Numbers.

use crate::random::expression::{Generator, Scope};
use crate::random::features::Feature;
use crate::random::tree::Tree;
use crate::random::types::Type;

impl Generator<'_> {
    /// An operator or function that gives a number.
    pub fn number(&mut self, kind: Type, depth: usize, scope: &Scope) -> Option<Tree> {
        match self.chance.below(8) {
            0..4 => self.arithmetic(kind, depth, scope),
            4..7 if self.uses(Feature::Functions) => self.function_of_numbers(kind, depth, scope),
            7 if self.uses(Feature::Mixed) => self.mixed(kind, depth, scope),
            _ => None,
        }
    }

    fn arithmetic(&mut self, kind: Type, depth: usize, scope: &Scope) -> Option<Tree> {
        let left = self.value(kind, depth, scope);
        Some(match self.chance.below(8) {
            0 | 1 => Tree::value(kind, "({} + {})", vec![left, self.value(kind, depth, scope)]),
            2 | 3 => Tree::value(kind, "({} - {})", vec![left, self.value(kind, depth, scope)]),
            // Products stay small.
            4 => Tree::value(kind, "({} * {})", vec![left, self.leaf(kind, scope)]),
            5 => Tree::value(kind, "(- {})", vec![left]),
            which => {
                let operator = match (which, kind) {
                    (6, kind) if kind != Type::Float8 => "%",
                    _ => "/",
                };
                let right = self.value(kind, depth.min(1), scope);
                let text = match self.may_fail {
                    true => format!("({{}} {operator} {{}})"),
                    false => format!("({{}} {operator} NULLIF({{}}, 0))"),
                };
                Tree::value(kind, &text, vec![left, right])
            }
        })
    }

    fn function_of_numbers(&mut self, kind: Type, depth: usize, scope: &Scope) -> Option<Tree> {
        let is_rare = self.uses(Feature::RareFunctions);
        let round: &[&str] = match (kind, is_rare) {
            (Type::Numeric, true) => &["round({}, 1)", "trunc({}, 1)", "round({}, -1)"],
            (Type::Float8, true) => &["sqrt(abs({}))", "trunc({})"],
            (Type::Numeric | Type::Float8, false) => &["floor({})", "ceil({})", "round({})"],
            _ => &["abs({})"],
        };
        let round = self.chance.word(round);
        match (self.chance.below(5), kind) {
            (0, _) => Some(Tree::value(kind, "abs({})", vec![self.value(kind, depth, scope)])),
            (1, Type::Numeric | Type::Float8) if is_rare => {
                Some(Tree::value(kind, "sign({})", vec![self.value(kind, depth, scope)]))
            }
            (1, Type::Int4) => {
                let texts: &[&str] = match is_rare {
                    true => &["ascii({})", "octet_length({})", "strpos({}, 'b')", "position('a' IN {})"],
                    false => &["length({})"],
                };
                let text = self.chance.word(texts);
                Some(Tree::value(kind, text, vec![self.value(Type::Text, depth, scope)]))
            }
            (2, Type::Int4) if Type::Date.is_allowed(self.features) => {
                let dates = vec![self.value(Type::Date, depth, scope), self.value(Type::Date, depth, scope)];
                Some(Tree::value(kind, "({} - {})", dates))
            }
            (3, Type::Numeric) => self.field_of_time(depth, scope),
            (4, _) if kind != Type::Float8 && is_rare => {
                let values = vec![self.value(kind, depth, scope), self.leaf(kind, scope)];
                Some(Tree::value(kind, "mod({}, NULLIF({}, 0))", values))
            }
            _ => Some(Tree::value(kind, round, vec![self.value(kind, depth, scope)])),
        }
    }

    fn field_of_time(&mut self, depth: usize, scope: &Scope) -> Option<Tree> {
        let from = *self.chance.of(&[Type::Date, Type::Timestamp, Type::Interval]);
        let fields: &[&str] = match from {
            Type::Date => &["year", "month", "day", "dow", "doy", "isodow", "quarter", "week"],
            Type::Timestamp => &["year", "month", "day", "hour", "minute", "second", "epoch", "week"],
            _ => &["year", "month", "day", "hour", "minute", "second", "epoch"],
        };
        let field = self.chance.word(fields);
        let text = match self.chance.percent(80) {
            true => format!("EXTRACT({field} FROM {{}})"),
            false => format!("CAST(date_part('{field}', {{}}) AS numeric)"),
        };
        let value = from.is_allowed(self.features).then(|| self.value(from, depth, scope))?;
        Some(Tree::value(Type::Numeric, &text, vec![value]))
    }

    /// Arithmetic with a narrower type, which becomes the wider one.
    fn mixed(&mut self, kind: Type, depth: usize, scope: &Scope) -> Option<Tree> {
        let narrower = self.narrower(kind)?;
        let mut values = vec![self.value(kind, depth, scope), self.value(narrower, depth, scope)];
        if self.chance.percent(50) {
            values.reverse();
        }
        let text = self.chance.word(&["({} + {})", "({} - {})"]);
        Some(Tree::value(kind, text, values))
    }

    /// A number type that is converted to this one beside it.
    pub fn narrower(&mut self, kind: Type) -> Option<Type> {
        let types = [Type::Int2, Type::Int4, Type::Int8, Type::Numeric, Type::Float4];
        let types = types
            .into_iter()
            .filter(|other| kind != Type::Float4 && *other < kind && other.is_allowed(self.features));
        let types: Vec<Type> = types.collect();
        if types.is_empty() { None } else { Some(*self.chance.of(&types)) }
    }
}
