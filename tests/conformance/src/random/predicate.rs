//! Conditions, in three-valued logic.

use crate::random::expression::{Generator, Scope};
use crate::random::features::Feature;
use crate::random::tree::Tree;
use crate::random::types::Type;

impl Generator<'_> {
    /// Something that is true, false or unknown.
    pub fn predicate(&mut self, depth: usize, scope: &Scope) -> Option<Tree> {
        match self.chance.below(16) {
            0..4 => Some(self.comparison(depth, scope)),
            4 | 5 => {
                let sides = vec![self.value(Type::Bool, depth, scope), self.value(Type::Bool, depth, scope)];
                let text = self.chance.word(&["({} AND {})", "({} OR {})"]);
                Some(Tree::value(Type::Bool, text, sides))
            }
            6 => Some(Tree::value(Type::Bool, "(NOT {})", vec![self.value(Type::Bool, depth, scope)])),
            7 => {
                let kind = self.type_in(scope);
                let text = self.chance.word(&["({} IS NULL)", "({} IS NOT NULL)"]);
                Some(Tree::value(Type::Bool, text, vec![self.value(kind, depth, scope)]))
            }
            8 | 9 if self.uses(Feature::Is) => Some(self.is(depth, scope)),
            10 if self.uses(Feature::InList) => Some(self.in_list(depth, scope)),
            11 if self.uses(Feature::Between) => {
                let kind = self.type_in(scope);
                let values = (0..3).map(|_| self.value(kind, depth, scope)).collect();
                let text = self.chance.word(&["BETWEEN", "BETWEEN", "NOT BETWEEN"]);
                let symmetric = if self.uses(Feature::Symmetric) { " SYMMETRIC" } else { "" };
                Some(Tree::value(Type::Bool, &format!("({{}} {text}{symmetric} {{}} AND {{}})"), values))
            }
            12 if self.uses(Feature::Like) => {
                let word = self.chance.word(&["LIKE", "NOT LIKE", "ILIKE"]);
                let pattern = self.chance.word(&["'%a%'", "'_b'", "'a%'", "'%'", "''", "'x\\_y'", "NULL"]);
                let text = format!("({{}} {word} {pattern})");
                Some(Tree::value(Type::Bool, &text, vec![self.value(Type::Text, depth, scope)]))
            }
            13 | 14 if self.uses(Feature::Subqueries) => self.subquery_predicate(depth, scope),
            15 if self.uses(Feature::Rows) => Some(self.comparison_of_rows(scope)),
            _ => None,
        }
    }

    fn comparison_operator(&mut self) -> &'static str {
        self.chance.word(&["=", "=", "=", "<>", "<", "<=", ">", ">=", "!="])
    }

    fn comparison(&mut self, depth: usize, scope: &Scope) -> Tree {
        let kind = self.type_in(scope);
        let other = match self.uses(Feature::Mixed) {
            true => self.narrower(kind).unwrap_or(kind),
            false => kind,
        };
        let other = if kind.is_number() { other } else { kind };
        let mut sides = vec![self.value(kind, depth, scope), self.value(other, depth, scope)];
        if self.chance.percent(50) {
            sides.reverse();
        }
        let text = format!("({{}} {} {{}})", self.comparison_operator());
        Tree::value(Type::Bool, &text, sides)
    }

    fn is(&mut self, depth: usize, scope: &Scope) -> Tree {
        if self.chance.percent(50) {
            let kind = self.type_in(scope);
            let sides = vec![self.value(kind, depth, scope), self.value(kind, depth, scope)];
            let text = self.chance.word(&["({} IS DISTINCT FROM {})", "({} IS NOT DISTINCT FROM {})"]);
            return Tree::value(Type::Bool, text, sides);
        }
        let what = self.chance.word(&["TRUE", "FALSE", "UNKNOWN", "NOT TRUE", "NOT FALSE", "NOT UNKNOWN"]);
        let value = self.value(Type::Bool, depth, scope);
        Tree::value(Type::Bool, &format!("({{}} IS {what})"), vec![value])
    }

    fn in_list(&mut self, depth: usize, scope: &Scope) -> Tree {
        let kind = self.type_in(scope);
        let count = self.chance.between(1, 4);
        let left = self.value(kind, depth, scope);
        // A subquery cannot be the first: the parser in Relix takes it for all of the list.
        let mut list = vec![self.leaf(kind, scope)];
        list.extend((1..count).map(|_| self.value(kind, depth.min(1), scope)));
        let text = self.chance.word(&["({} IN ({}))", "({} NOT IN ({}))"]);
        Tree::value(Type::Bool, text, vec![left, Tree::list(", ", list)])
    }

    fn comparison_of_rows(&mut self, scope: &Scope) -> Tree {
        let count = self.chance.between(2, 3);
        let kinds: Vec<Type> = (0..count).map(|_| self.type_in(scope)).collect();
        let mut row = || Tree::list(", ", kinds.iter().map(|kind| self.value(*kind, 1, scope)).collect());
        let sides = vec![row(), row()];
        let operator = self.comparison_operator();
        Tree::value(Type::Bool, &format!("(({{}}) {operator} ({{}}))"), sides)
    }

    fn subquery_predicate(&mut self, depth: usize, scope: &Scope) -> Option<Tree> {
        let kind = self.type_in(scope);
        match self.chance.below(4) {
            0 => {
                let query = self.subquery(None, scope)?;
                let text = self.chance.word(&["EXISTS ({})", "(NOT EXISTS ({}))"]);
                Some(Tree::value(Type::Bool, text, vec![query]))
            }
            1 => {
                let query = self.subquery(Some(&[kind]), scope)?;
                let text = self.chance.word(&["({} IN ({}))", "({} NOT IN ({}))"]);
                Some(Tree::value(Type::Bool, text, vec![self.value(kind, depth, scope), query]))
            }
            2 => {
                let query = self.subquery(Some(&[kind]), scope)?;
                // The parser in Relix knows no VALUES here.
                if query.to_string().starts_with("VALUES") {
                    return None;
                }
                let word = self.chance.word(&["ANY", "ALL", "SOME"]);
                let text = format!("({{}} {} {word} ({{}}))", self.comparison_operator());
                Some(Tree::value(Type::Bool, &text, vec![self.value(kind, depth, scope), query]))
            }
            _ if self.uses(Feature::Rows) => {
                let kinds = [kind, self.type_in(scope)];
                let query = self.subquery(Some(&kinds), scope)?;
                let row = kinds.map(|kind| self.value(kind, 1, scope)).to_vec();
                let text = self.chance.word(&["(({}) IN ({}))", "(({}) NOT IN ({}))"]);
                Some(Tree::value(Type::Bool, text, vec![Tree::list(", ", row), query]))
            }
            _ => None,
        }
    }
}
