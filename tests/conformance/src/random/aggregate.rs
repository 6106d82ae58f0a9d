//! Aggregates and window functions.

use crate::random::expression::{Generator, Scope};
use crate::random::features::Feature;
use crate::random::tree::{Role, Tree};
use crate::random::types::Type;

/// An aggregate of one argument and the type that it gives.
type Call = (&'static str, Type);

impl Generator<'_> {
    /// An aggregate of a type; none if there is none.
    pub fn aggregate(&mut self, kind: Type, scope: &Scope) -> Option<Tree> {
        let rows = scope.rows.clone()?;
        // Columns of queries around would make it an aggregate of those queries.
        let inside = Scope::of(rows, vec![]);
        let filter = match self.uses(Feature::Filter) {
            true => Tree::clause(" FILTER (WHERE {})", vec![self.value(Type::Bool, 2, &inside)]),
            false => Tree::nothing(),
        };
        let text = kind == Type::Text && self.chance.percent(60);
        let elements = match kind {
            Type::Int4s => Some(Type::Int4),
            Type::Texts => Some(Type::Text),
            _ => None,
        };
        if let Some(of) = elements.filter(|_| self.uses(Feature::OrderedAggregates)) {
            let value = self.value(of, 1, &inside);
            let call = Tree::fixed(&format!("array_agg({value} ORDER BY {value})"));
            return Some(Tree::value(kind, "{}{}", vec![call, filter]));
        }
        if text && self.uses(Feature::OrderedAggregates) {
            let value = self.value(kind, 1, &inside);
            let direction = self.chance.word(&["", " DESC", " NULLS FIRST"]);
            // Both are the same, also in a smaller statement: they are text.
            let call = Tree::fixed(&format!("string_agg({value}, ',' ORDER BY {value}{direction})"));
            return Some(Tree::value(kind, "{}{}", vec![call, filter]));
        }
        let call = self.call(kind, &inside)?;
        Some(Tree::value(kind, "{}{}", vec![call, filter]))
    }

    /// The call alone, with DISTINCT perhaps.
    fn call(&mut self, kind: Type, inside: &Scope) -> Option<Tree> {
        if kind == Type::Int8 && self.chance.percent(30) {
            return Some(Tree::value(kind, "count(*)", vec![]));
        }
        let calls = calls(kind);
        let (name, of) = if calls.is_empty() { None } else { Some(*self.chance.of(&calls)) }?;
        let of = if name == "count" { self.type_in(inside) } else { of };
        if !of.is_allowed(self.features) {
            return None;
        }
        let distinct = if self.uses(Feature::DistinctArguments) { "DISTINCT " } else { "" };
        // Sums of floating point depend on the order of rows, unless all of them are exact.
        let exact = of == Type::Float8 && matches!(name, "sum" | "avg");
        let argument = if exact { self.leaf(of, inside) } else { self.value(of, 2, inside) };
        Some(Tree::value(kind, &format!("{name}({distinct}{{}})"), vec![argument]))
    }

    /// A window function of a type; none if there is none.
    pub fn window_function(&mut self, kind: Type, scope: &Scope) -> Option<Tree> {
        let scope = scope.without_windows();
        let mut peers_matter = true;
        let mut frames = false;
        let call = match self.chance.below(4) {
            0 | 1 => match kind {
                Type::Int8 => {
                    let name = self.chance.word(&["row_number()", "rank()", "dense_rank()"]);
                    peers_matter = name == "row_number()";
                    Tree::fixed(name)
                }
                Type::Int4 => Tree::fixed("ntile(3)"),
                Type::Float8 => {
                    peers_matter = false;
                    Tree::fixed(self.chance.word(&["percent_rank()", "cume_dist()"]))
                }
                _ => return None,
            },
            2 => {
                let choices = [
                    "lag({})",
                    "lead({})",
                    "lag({}, 2)",
                    "first_value({})",
                    "last_value({})",
                    "nth_value({}, 2)",
                ];
                let text = self.chance.word(&choices);
                frames = text.contains("_value");
                let fits = |atom: &&Tree| atom.role == Role::Value(kind);
                let atoms: Vec<&Tree> = scope.atoms.iter().filter(fits).collect();
                let value = if atoms.is_empty() { None } else { Some((*self.chance.of(&atoms)).clone()) };
                Tree::new(Role::Fixed, text, vec![value?])
            }
            _ => {
                let inside = Scope::of(scope.atoms.clone(), vec![]);
                (frames, peers_matter) = (true, false);
                let call = self.call(kind, &inside).filter(|call| !call.to_string().contains("(DISTINCT"))?;
                Tree::new(Role::Fixed, "{}", vec![call])
            }
        };
        let over = self.window(peers_matter, frames, &scope);
        Some(Tree::value(kind, "{} OVER ({})", vec![call, over]))
    }

    /// PARTITION BY, ORDER BY and a frame. If it matters which of equal rows comes first, all columns are sorted by:
    /// rows that are then still equal are the same.
    fn window(&mut self, is_total: bool, frames: bool, scope: &Scope) -> Tree {
        let mut parts = Vec::new();
        if !scope.atoms.is_empty() && self.chance.percent(50) {
            let atom = self.chance.of(&scope.atoms).clone();
            parts.push(Tree::clause("PARTITION BY {} ", vec![atom]));
        }
        let frame = (frames && self.uses(Feature::Frames)).then(|| {
            self.chance.word(&[
                "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
                "ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
                "ROWS 2 PRECEDING",
                "ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
                "RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
                "RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
                "ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING",
            ])
        });
        let is_total = is_total || frame.is_some_and(|frame| frame.starts_with("ROWS"));
        let keys = match is_total {
            true => self.chance.some(&scope.atoms, scope.atoms.len()),
            false => self.chance.some(&scope.atoms, 0).into_iter().take(2).collect(),
        };
        let keys = keys.iter().map(|key| {
            let direction = self.chance.word(&["", " DESC", " NULLS FIRST", " DESC NULLS LAST"]);
            format!("{key}{direction}")
        });
        let keys: Vec<String> = keys.collect();
        if !keys.is_empty() {
            parts.push(Tree::fixed(&format!("ORDER BY {} ", keys.join(", "))));
        }
        if let Some(frame) = frame {
            parts.push(Tree::clause(frame, vec![]));
        }
        let holes = "{}".repeat(parts.len());
        Tree::new(Role::Fixed, &holes, parts)
    }
}

/// Aggregates that give a type, and what of.
fn calls(kind: Type) -> Vec<Call> {
    let extremes = [("min", kind), ("max", kind)];
    match kind {
        Type::Bool => vec![("bool_and", kind), ("bool_or", kind), ("every", kind)],
        Type::Int8 => [&extremes[..], &[("count", kind), ("sum", Type::Int4), ("sum", Type::Int2)]].concat(),
        Type::Numeric => {
            let of = [Type::Int4, Type::Int8, Type::Numeric].map(|of| ("avg", of));
            [&extremes[..], &of, &[("sum", kind), ("sum", Type::Int8)]].concat()
        }
        Type::Float8 => [&extremes[..], &[("sum", kind), ("avg", kind)]].concat(),
        Type::Interval => [&extremes[..], &[("sum", kind)]].concat(),
        // There is no least one of them.
        Type::Bytea | Type::Uuid | Type::Jsonb => vec![],
        _ => extremes.to_vec(),
    }
}
