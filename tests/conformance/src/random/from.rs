//! What follows FROM.

use crate::random::expression::{Generator, Relation, Scope};
use crate::random::features::Feature;
use crate::random::tree::{Role, Tree};
use crate::random::types::{Type, named};

/// A source of rows, and how its columns are called.
pub struct From {
    /// Its text.
    pub tree: Tree,
    /// Qualified by the name of the source, but for those that a join has merged.
    pub columns: Vec<Tree>,
    /// What `*` stands for.
    pub star: Vec<Type>,
}

/// A column's name, qualified.
fn qualified(alias: &str, name: &str, kind: Type) -> Tree {
    Tree::atom(kind, &format!("{alias}.{name}"))
}

fn all_qualified(alias: &str, columns: &[(String, Type)]) -> Vec<Tree> {
    columns.iter().map(|(name, kind)| qualified(alias, name, *kind)).collect()
}

fn kinds_of(columns: &[(String, Type)]) -> Vec<Type> {
    columns.iter().map(|column| column.1).collect()
}

/// Names in a list.
pub fn names_of(columns: &[(String, Type)]) -> String {
    columns.iter().map(|column| column.0.as_str()).collect::<Vec<_>>().join(", ")
}

/// The name without its source.
fn unqualified(column: &Tree) -> String {
    let text = column.to_string();
    text.split_once('.').map_or(text.clone(), |(_, name)| name.to_string())
}

impl Generator<'_> {
    /// All that follows FROM; joins of two or three sources.
    pub fn from(&mut self, depth: usize, outer: &[Tree]) -> From {
        if !self.uses(Feature::Joins) {
            return self.source(depth, outer);
        }
        let left = self.source(depth, outer);
        let right = self.source(depth, outer);
        if self.uses(Feature::Using)
            && let Some(merged) = self.merging_join(&left, &right)
        {
            return merged;
        }
        let mut joined = self.join(left, right);
        if self.chance.percent(30) {
            let third = self.source(depth, outer);
            // Either may be the nested one.
            joined = match self.chance.percent(70) {
                true => self.join(joined, third),
                false => {
                    let nested = From { tree: Tree::new(Role::Source, "({})", vec![joined.tree]), ..joined };
                    self.join(third, nested)
                }
            };
        }
        if self.uses(Feature::Lateral) {
            joined = self.lateral(joined, depth, outer);
        }
        joined
    }

    fn join(&mut self, left: From, right: From) -> From {
        let columns = [&left.columns[..], &right.columns].concat();
        let star = [left.star, right.star].concat();
        let word = self.chance.word(&[
            "JOIN",
            "INNER JOIN",
            "LEFT JOIN",
            "LEFT JOIN",
            "RIGHT JOIN",
            "FULL JOIN",
            "CROSS JOIN",
            ",",
        ]);
        let sides = vec![left.tree, right.tree];
        let tree = match word {
            // A comma binds less than JOIN: as CROSS JOIN it means the same within a larger join.
            "CROSS JOIN" | "," => Tree::new(Role::Source, "{} CROSS JOIN {}", sides),
            _ => {
                let on = self.join_condition(&left.columns, &right.columns, word == "FULL JOIN");
                let text = format!("{{}} {word} {{}} ON {{}}");
                Tree::new(Role::Source, &text, [sides, vec![on]].concat())
            }
        };
        From { tree, columns, star }
    }

    /// PostgreSQL's FULL JOIN wants columns of both sides to be equal, or no condition at all.
    fn join_condition(&mut self, left: &[Tree], right: &[Tree], full: bool) -> Tree {
        let pairs = left.iter().flat_map(|one| right.iter().map(move |other| (one, other)));
        let pairs: Vec<_> = pairs.filter(|(one, other)| one.role == other.role).collect();
        let equal = (!pairs.is_empty() && self.chance.percent(if full { 100 } else { 70 })).then(|| {
            let (one, other) = *self.chance.of(&pairs);
            Tree::value(Type::Bool, "({} = {})", vec![one.clone(), other.clone()])
        });
        let constant = |text: &str| Tree::value(Type::Bool, text, vec![]);
        match equal {
            Some(equal) if full || self.chance.percent(60) => equal,
            None if full => constant("true"),
            equal => {
                let scope = Scope::of([left, right].concat(), vec![]);
                let condition = self.value(Type::Bool, 2, &scope);
                let equal = equal.unwrap_or_else(|| constant("true"));
                Tree::value(Type::Bool, "({} AND {})", vec![equal, condition])
            }
        }
    }

    /// A join by columns of the same name, which become one.
    fn merging_join(&mut self, left: &From, right: &From) -> Option<From> {
        let names: Vec<String> = right.columns.iter().map(unqualified).collect();
        let shared = left.columns.iter().filter(|column| names.contains(&unqualified(column)));
        let shared: Vec<Tree> = shared.cloned().collect();
        if shared.is_empty() {
            return None;
        }
        let word = self.chance.word(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
        let sides = vec![left.tree.clone(), right.tree.clone()];
        let (tree, merged) = match self.chance.percent(30) {
            true => (Tree::new(Role::Source, &format!("{{}} NATURAL {word} {{}}"), sides), shared),
            false => {
                let merged = self.chance.some(&shared, 1);
                let names: Vec<String> = merged.iter().map(unqualified).collect();
                let text = format!("{{}} {word} {{}} USING ({})", names.join(", "));
                (Tree::new(Role::Source, &text, sides), merged)
            }
        };
        // They come first; those of the left side follow, and those of the right one.
        let names: Vec<String> = merged.iter().map(unqualified).collect();
        let others = left.columns.iter().chain(&right.columns);
        let others = others.filter(|column| !names.contains(&unqualified(column)));
        let star = merged.iter().chain(others).map(Tree::kind).collect();
        let merged = merged.iter().map(|column| Tree::atom(column.kind(), &unqualified(column)));
        let columns = merged.chain(left.columns.iter().chain(&right.columns).cloned()).collect();
        Some(From { tree, columns, star })
    }

    /// Joins a subquery that sees what is before it.
    fn lateral(&mut self, left: From, depth: usize, outer: &[Tree]) -> From {
        if self.subqueries_left == 0 || depth == 0 {
            return left;
        }
        self.subqueries_left -= 1;
        let seen = [&left.columns[..], outer].concat();
        let (query, kinds) = self.query(None, depth - 1, &seen);
        let alias = self.name("l");
        let columns = named(&kinds);
        let (word, on) =
            *self.chance.of(&[("CROSS JOIN", ""), ("LEFT JOIN", " ON true"), ("JOIN", " ON true")]);
        let text = format!("{{}} {word} LATERAL ({{}}) AS {alias}({}){on}", names_of(&columns));
        let tree = Tree::new(Role::Source, &text, vec![left.tree, query]);
        let new = columns.iter().map(|(name, kind)| qualified(&alias, name, *kind));
        let star = left.star.iter().chain(&kinds).copied().collect();
        From { tree, columns: left.columns.iter().cloned().chain(new).collect(), star }
    }

    /// One source.
    fn source(&mut self, depth: usize, outer: &[Tree]) -> From {
        if depth > 0 && self.subqueries_left > 0 && self.uses(Feature::Derived) {
            return self.derived(depth, outer);
        }
        if self.uses(Feature::Values) {
            return self.values();
        }
        if self.uses(Feature::Series) {
            return self.series();
        }
        let Relation { name, columns } = self.chance.of(&self.relations).clone();
        let alias = self.name("a");
        let word = self.chance.word(&["AS ", ""]);
        let tree = Tree::new(Role::Source, &format!("{name} {word}{alias}"), vec![]);
        From { tree, star: kinds_of(&columns), columns: all_qualified(&alias, &columns) }
    }

    fn derived(&mut self, depth: usize, _outer: &[Tree]) -> From {
        self.subqueries_left -= 1;
        // It does not see what is beside it.
        let (query, kinds) = self.query(None, depth - 1, &[]);
        self.under_a_name(query, &kinds)
    }

    fn under_a_name(&mut self, rows: Tree, kinds: &[Type]) -> From {
        let alias = self.name("d");
        let columns = named(kinds);
        let text = format!("({{}}) AS {alias}({})", names_of(&columns));
        let tree = Tree::new(Role::Source, &text, vec![rows]);
        From { tree, star: kinds_of(&columns), columns: all_qualified(&alias, &columns) }
    }

    fn values(&mut self) -> From {
        let count = self.chance.between(1, 3);
        let kinds: Vec<Type> = (0..count).map(|_| self.any_type()).collect();
        let rows = self.rows_of_values(&kinds);
        self.under_a_name(rows, &kinds)
    }

    /// VALUES of given types.
    pub fn rows_of_values(&mut self, kinds: &[Type]) -> Tree {
        let count = self.chance.between(1, 4);
        let scope = Scope::default();
        let rows = (0..count).map(|_| {
            let row = kinds.iter().map(|kind| self.leaf(*kind, &scope)).collect();
            Tree::new(Role::Fixed, "({})", vec![Tree::list(", ", row)])
        });
        let rows = rows.collect();
        Tree::new(Role::Query, "VALUES {}", vec![Tree::list(", ", rows)])
    }

    fn series(&mut self) -> From {
        let alias = self.name("s");
        let steps = [
            "generate_series(1, 3)",
            "generate_series(-1, 4, 2)",
            "generate_series(3, 1)",
            "generate_series(2, 0, -1)",
        ];
        let text = format!("{} AS {alias}(i0)", self.chance.word(&steps));
        let tree = Tree::new(Role::Source, &text, vec![]);
        From { tree, columns: vec![qualified(&alias, "i0", Type::Int4)], star: vec![Type::Int4] }
    }
}
