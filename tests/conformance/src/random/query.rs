//! Queries.

use crate::random::expression::{Generator, Relation, Scope};
use crate::random::features::Feature;
use crate::random::from::names_of;
use crate::random::tree::{Role, Tree};
use crate::random::types::{Type, named};

/// How a column is sorted.
const DIRECTIONS: &[&str] = &["", " ASC", " DESC", " NULLS FIRST", " DESC NULLS LAST"];

/// How many columns `*` may stand for: all of them are sorted by.
const STAR_MAX: usize = 16;

/// A query but for its order.
struct Body {
    tree: Tree,
    kinds: Vec<Type>,
    /// What its rows may be sorted by, beside what it gives.
    key: Option<Tree>,
    /// Which of its rows it gives depends on the order.
    must_sort: bool,
}

impl Generator<'_> {
    /// A query with columns of given types, or any; also their types. It sees the columns of queries around it.
    pub fn query(&mut self, kinds: Option<&[Type]>, depth: usize, outer: &[Tree]) -> (Tree, Vec<Type>) {
        let known = self.relations.len();
        let with = match depth > 0 && self.uses(Feature::With) {
            true => self.with(depth),
            false => Tree::nothing(),
        };
        let Body { tree, kinds, key, must_sort } = self.body(kinds, depth, outer, true);
        let order = self.order(kinds.len(), key, must_sort);
        self.relations.truncate(known);
        (Tree::new(Role::Query, "{}{}{}", vec![with, tree, order]), kinds)
    }

    /// A SELECT, VALUES, or two queries joined into one; and what else its rows may be sorted by.
    fn body(&mut self, kinds: Option<&[Type]>, depth: usize, outer: &[Tree], sorts: bool) -> Body {
        let unsorted = |tree, kinds| Body { tree, kinds, key: None, must_sort: false };
        if depth > 0 && self.uses(Feature::Sets) {
            let Body { tree: left, kinds, .. } = self.body(kinds, depth - 1, outer, false);
            let right = self.body(Some(&kinds), depth - 1, outer, false).tree;
            let word = self.chance.word(&[
                "UNION",
                "UNION ALL",
                "INTERSECT",
                "INTERSECT ALL",
                "EXCEPT",
                "EXCEPT ALL",
            ]);
            let text = match self.chance.percent(50) {
                true => format!("{{}} {word} ({{}})"),
                false => format!("{{}} {word} {{}}"),
            };
            return unsorted(Tree::new(Role::Query, &text, vec![left, right]), kinds);
        }
        if self.chance.percent(20) && self.uses(Feature::Values) {
            let kinds = kinds.map_or_else(|| vec![self.any_type(), self.any_type()], <[Type]>::to_vec);
            return unsorted(self.rows_of_values(&kinds), kinds);
        }
        self.select(kinds, depth, outer, sorts)
    }

    fn select(&mut self, kinds: Option<&[Type]>, depth: usize, outer: &[Tree], sorts: bool) -> Body {
        let (from, columns, star) = match self.chance.percent(94) {
            true => {
                let from = self.from(depth, outer);
                (Tree::new(Role::Clause, " FROM {}", vec![from.tree]), from.columns, from.star)
            }
            false => (Tree::nothing(), vec![], vec![]),
        };
        let rows = Scope::of(columns, outer.to_vec());
        let filter = match self.chance.percent(50) {
            true => Tree::clause(" WHERE {}", vec![self.value(Type::Bool, 3, &rows)]),
            false => Tree::nothing(),
        };
        let takes_all = kinds.is_none() && !star.is_empty() && star.len() <= STAR_MAX;
        if takes_all && self.uses(Feature::Star) {
            let (distinct, key, must_sort) = self.distinct(&rows, sorts);
            let tree = Tree::new(Role::Query, "SELECT {}*{}{}", vec![distinct, from, filter]);
            return Body { tree, kinds: star, key, must_sort };
        }
        let (mut scope, group, has_sets) = match self.uses(Feature::Groups) {
            true => self.groups(rows),
            false => (rows, Tree::nothing(), false),
        };
        let having = match scope.rows.is_some() && self.chance.percent(30) {
            true => Tree::clause(" HAVING {}", vec![self.value(Type::Bool, 2, &scope)]),
            false => Tree::nothing(),
        };
        // Two groups of different sets may have the same keys, and are in no order then.
        scope.windows = !has_sets;
        let count = self.chance.between(1, 4);
        let kinds = match kinds {
            Some(kinds) => kinds.to_vec(),
            None => (0..count).map(|_| self.type_in(&scope)).collect(),
        };
        let items: Vec<Tree> = kinds.iter().map(|kind| self.value(*kind, 3, &scope)).collect();
        let (distinct, key, must_sort) = self.distinct(&scope, sorts);
        let items = items.into_iter().map(|item| match self.chance.percent(15) {
            true => Tree::new(Role::Fixed, &format!("{{}} AS {}", self.name("c")), vec![item]),
            false => item,
        });
        let items = Tree::list(", ", items.collect());
        let parts = vec![distinct, items, from, filter, group, having];
        Body { tree: Tree::new(Role::Query, "SELECT {}{}{}{}{}{}", parts), kinds, key, must_sort }
    }

    /// GROUP BY; what may be selected then, and whether there are several sets of keys.
    fn groups(&mut self, rows: Scope) -> (Scope, Tree, bool) {
        let count = self.chance.below(4);
        let mut keys = Vec::new();
        for _ in 0..count {
            match self.chance.percent(75) && !rows.atoms.is_empty() {
                true => keys.push(self.chance.of(&rows.atoms).clone()),
                false => keys.extend(self.derived_value(&rows)),
            }
        }
        // What does not depend on the query's own rows is outside of it, and no key.
        keys.retain(|key| !rows.outer.contains(key));
        // Columns only: PostgreSQL 15 forgets that a key which it can compute in advance is NULL in some sets, and the
        // parser in Relix takes a key that begins with a parenthesis for several keys.
        let is_plain = keys.iter().all(|key| key.parts.is_empty());
        let has_sets = is_plain && !keys.is_empty() && self.uses(Feature::GroupingSets);
        let clause = match keys.is_empty() {
            true => Tree::nothing(),
            // As text: a smaller key would no longer be what is selected.
            false => {
                let text = match has_sets {
                    true => self.chance.word(&[" GROUP BY ROLLUP ({})", " GROUP BY CUBE ({})"]),
                    false => " GROUP BY {}",
                };
                let keys = keys.iter().map(|key| Tree::fixed(&key.to_string())).collect();
                Tree::clause(text, vec![Tree::list(", ", keys)])
            }
        };
        let scope = Scope { atoms: keys, outer: rows.outer, rows: Some(rows.atoms), windows: false };
        (scope, clause, has_sets)
    }

    /// DISTINCT; what else to sort by, and whether that is a must.
    fn distinct(&mut self, scope: &Scope, sorts: bool) -> (Tree, Option<Tree>, bool) {
        if self.uses(Feature::Distinct) {
            return (Tree::clause("DISTINCT ", vec![]), None, false);
        }
        let key = match self.chance.percent(30) {
            true => self.derived_value(&scope.without_windows()),
            false => None,
        };
        match &key {
            Some(key) if sorts && self.uses(Feature::DistinctOn) => {
                let key = Tree::fixed(&key.to_string());
                (Tree::fixed(&format!("DISTINCT ON ({key}) ")), Some(key), true)
            }
            _ => (Tree::nothing(), key, false),
        }
    }

    /// A total order: by all columns that the query gives, behind a key of another kind. With it, LIMIT and OFFSET.
    fn order(&mut self, columns: usize, key: Option<Tree>, must_sort: bool) -> Tree {
        if !must_sort && !self.uses(Feature::Order) {
            return Tree::nothing();
        }
        let ordinals: Vec<usize> = (1..=columns).collect();
        let ordinals = self.chance.some(&ordinals, columns);
        let ordinals = ordinals.iter().map(|at| format!("{at}{}", self.chance.word(DIRECTIONS)));
        let ordinals: Vec<String> = ordinals.collect();
        let key = match key {
            Some(key) => {
                let role = if must_sort { Role::Fixed } else { Role::Clause };
                Tree::new(role, &format!("{{}}{}, ", self.chance.word(DIRECTIONS)), vec![key])
            }
            None => Tree::nothing(),
        };
        let limit = match self.uses(Feature::Limit) {
            true => {
                let texts = [
                    " LIMIT 1",
                    " LIMIT 3",
                    " LIMIT 2 OFFSET 1",
                    " OFFSET 2",
                    " LIMIT 0",
                    " LIMIT ALL",
                    " FETCH FIRST 2 ROWS ONLY",
                ];
                Tree::clause(self.chance.word(&texts), vec![])
            }
            false => Tree::nothing(),
        };
        let text = format!(" ORDER BY {{}}{}{{}}", ordinals.join(", "));
        let role = if must_sort { Role::Fixed } else { Role::Order };
        Tree::new(role, &text, vec![key, limit])
    }

    /// WITH: its queries are relations from here on.
    fn with(&mut self, depth: usize) -> Tree {
        let recursive = self.uses(Feature::Recursive);
        let count = self.chance.between(1, 2);
        let mut queries = Vec::new();
        for _ in 0..count {
            let name = self.name("w");
            let (query, kinds) = match recursive && self.chance.percent(80) {
                true => self.recursive(&name),
                false => self.query(None, depth - 1, &[]),
            };
            let columns = named(&kinds);
            let hint = match recursive {
                true => "",
                false => self.chance.word(&["", "", "MATERIALIZED ", "NOT MATERIALIZED "]),
            };
            let text = format!("{name}({}) AS {hint}({{}})", names_of(&columns));
            queries.push(Tree::new(Role::Fixed, &text, vec![query]));
            self.relations.push(Relation { name, columns });
        }
        let word = if recursive { "WITH RECURSIVE" } else { "WITH" };
        Tree::clause(&format!("{word} {{}} "), vec![Tree::list(", ", queries)])
    }

    /// A query that refers to itself, a few times.
    fn recursive(&mut self, name: &str) -> (Tree, Vec<Type>) {
        let kind = self.any_type();
        let nothing = Scope::default();
        let first =
            Tree::value(kind, &format!("CAST({{}} AS {})", kind.name()), vec![self.value(kind, 1, &nothing)]);
        let columns = named(&[Type::Int4, kind]);
        let columns = columns.into_iter().map(|(column, kind)| Tree::atom(kind, &format!("{name}.{column}")));
        let next = self.value(kind, 2, &Scope::of(columns.collect(), vec![]));
        let next = Tree::value(kind, &format!("CAST({{}} AS {})", kind.name()), vec![next]);
        let (word, most) = (self.chance.word(&["UNION", "UNION ALL"]), self.chance.between(1, 4));
        let text =
            format!("SELECT 1, {{}} {word} SELECT {name}.i0 + 1, {{}} FROM {name} WHERE {name}.i0 < {most}");
        (Tree::new(Role::Fixed, &text, vec![first, next]), vec![Type::Int4, kind])
    }

    /// A subquery in an expression; none if there were enough.
    pub fn subquery(&mut self, kinds: Option<&[Type]>, scope: &Scope) -> Option<Tree> {
        if self.subqueries_left == 0 {
            return None;
        }
        self.subqueries_left -= 1;
        let seen = if self.uses(Feature::Correlated) { scope.seen_from_inside() } else { vec![] };
        Some(self.query(kinds, 1, &seen).0)
    }

    /// A subquery of one row at most, as a value.
    pub fn scalar_subquery(&mut self, kind: Type, scope: &Scope) -> Option<Tree> {
        if self.subqueries_left == 0 {
            return None;
        }
        self.subqueries_left -= 1;
        let outer = if self.uses(Feature::Correlated) { scope.seen_from_inside() } else { vec![] };
        let from = self.from(0, &outer);
        let rows = Scope::of(from.columns.clone(), outer.clone());
        let filter = match self.chance.percent(60) {
            true => Tree::clause(" WHERE {}", vec![self.value(Type::Bool, 2, &rows)]),
            false => Tree::nothing(),
        };
        if self.chance.percent(60) {
            let grouped = Scope { atoms: vec![], outer, rows: Some(from.columns), windows: false };
            if let Some(value) = self.aggregate(kind, &grouped) {
                return Some(Tree::value(kind, "(SELECT {} FROM {}{})", vec![value, from.tree, filter]));
            }
        }
        let value = self.value(kind, 1, &rows);
        let limit = match self.may_fail {
            true => "",
            false => " ORDER BY 1 LIMIT 1",
        };
        let text = format!("(SELECT {{}} FROM {{}}{{}}{limit})");
        Some(Tree::value(kind, &text, vec![value, from.tree, filter]))
    }
}
