//! Smaller statements that still show a difference.

use crate::random::case::{Case, Statement};
use crate::random::tree::{Role, Tree};
use crate::random::types::Type;

/// A tree of up to this size is made smaller anywhere.
const SIZE_OF_ALL: usize = 300;

/// A larger one where a part of it is at least this share of it.
const PARTS_OF_LARGE: usize = 30;

impl Tree {
    /// All trees that are one step smaller. Of a large one only those in whose place a large part is smaller: all would take
    /// its size squared.
    pub fn smaller(&self) -> Vec<Tree> {
        let size = self.size();
        self.smaller_within(if size > SIZE_OF_ALL { size / PARTS_OF_LARGE } else { 0 })
    }

    /// Those in whose place a part of at least `least` is smaller.
    fn smaller_within(&self, least: usize) -> Vec<Tree> {
        let mut found = self.smaller_here();
        for (at, part) in self.parts.iter().enumerate().filter(|(_, part)| part.size() >= least) {
            found.extend(part.smaller_within(least).into_iter().map(|smaller| {
                let mut tree = self.clone();
                tree.parts[at] = smaller;
                tree
            }));
        }
        found
    }

    /// Without something that this node itself has, or something inside in its place.
    fn smaller_here(&self) -> Vec<Tree> {
        match self.role {
            Role::Value(kind) => {
                let mut found = self.inside(&|tree| tree.role == Role::Value(kind));
                let text = self.to_string();
                let constants = kind.simplest().into_iter().filter(|constant| constant.len() < text.len());
                // A constant is not replaced with another one: it would go on for ever.
                if !is_simplest(&text, kind) {
                    found.extend(constants.map(|constant| Tree::atom(kind, &constant)));
                }
                found
            }
            Role::Clause | Role::Order => vec![Tree::nothing()],
            Role::List(_, least) if self.parts.len() > least => {
                let without = |at: usize| {
                    let mut tree = self.clone();
                    tree.parts.remove(at);
                    tree
                };
                (0..self.parts.len()).map(without).collect()
            }
            Role::Query => self.inside(&|tree| tree.role == Role::Query),
            Role::Source => self.inside(&|tree| tree.role == Role::Source),
            Role::List(..) | Role::Fixed => vec![],
        }
    }

    /// The topmost trees inside of a sort.
    fn inside(&self, is_wanted: &dyn Fn(&Tree) -> bool) -> Vec<Tree> {
        let found = self.parts.iter().flat_map(|part| match is_wanted(part) {
            true => vec![part.clone()],
            false => part.inside(is_wanted),
        });
        found.collect()
    }
}

fn is_simplest(text: &str, kind: Type) -> bool {
    kind.simplest().iter().any(|constant| constant == text)
}

impl Case {
    /// All cases that are one step smaller, the largest steps first. The last statement is the one that differs.
    pub fn smaller(&self) -> Vec<Case> {
        let mut found = Vec::new();
        let last = self.statements.len() - 1;
        if last > 0 {
            let alone = self.statements[last..].to_vec();
            found.push(Case { statements: alone, ..self.clone() });
            let half = self.statements[last / 2 + 1..].to_vec();
            found.push(Case { statements: half, ..self.clone() });
        }
        found.extend((0..last).map(|at| without(self, |case| drop(case.statements.remove(at)))));
        let is_used = |name: &str| self.statements.iter().any(|one| one.tree.to_string().contains(name));
        for (at, table) in self.tables.iter().enumerate() {
            if !is_used(&table.name) {
                found.push(without(self, |case| drop(case.tables.remove(at))));
            }
            found.extend(
                (0..table.rows.len()).map(|row| without(self, |case| drop(case.tables[at].rows.remove(row)))),
            );
        }
        for (at, table) in self.tables.iter().enumerate() {
            let columns = table.key_len..table.kinds().len();
            found.extend(
                columns.rev().map(|column| without(self, |case| case.tables[at].remove_column(column))),
            );
        }
        let mut trees = self.statements[last].tree.smaller();
        trees.sort_by_key(Tree::size);
        found.extend(trees.into_iter().map(|tree| without(self, |case| case.statements[last].tree = tree)));
        found
    }

    /// How large it is.
    pub fn size(&self) -> usize {
        let text = |statement: &Statement| statement.tree.to_string().len();
        let rows: usize = self.tables.iter().map(|table| 1 + table.rows.len()).sum();
        let columns: usize = self.tables.iter().map(|table| table.kinds().len()).sum();
        rows + columns + self.statements.iter().map(text).sum::<usize>()
    }

    /// Up to a statement, without queries before it: those leave nothing behind.
    pub fn up_to(&self, statement: usize) -> Case {
        let before = self.statements[..statement].iter().filter(|statement| statement.changes).cloned();
        let statements = before.chain([self.statements[statement].clone()]).collect();
        Case { statements, ..self.clone() }
    }
}

fn without(case: &Case, change: impl FnOnce(&mut Case)) -> Case {
    let mut smaller = case.clone();
    change(&mut smaller);
    smaller
}
