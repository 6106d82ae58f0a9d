//! Expressions: every one has a type, and is made of what is in scope.

use crate::random::chance::Chance;
use crate::random::features::{Feature, Features};
use crate::random::tree::{Role, Tree};
use crate::random::types::Type;

/// Something with columns that FROM can name.
#[derive(Clone, Debug)]
pub struct Relation {
    /// Its name.
    pub name: String,
    /// Names and types. The same name has the same type everywhere.
    pub columns: Vec<(String, Type)>,
}

/// What an expression may refer to.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Columns of this query, or what it groups by.
    pub atoms: Vec<Tree>,
    /// Columns of the queries around it.
    pub outer: Vec<Tree>,
    /// In a grouped query: what arguments of aggregates are made of.
    pub rows: Option<Vec<Tree>>,
    /// Whether window functions may stand here.
    pub windows: bool,
}

impl Scope {
    /// Columns only.
    pub fn of(atoms: Vec<Tree>, outer: Vec<Tree>) -> Scope {
        Scope { atoms, outer, rows: None, windows: false }
    }

    /// The same, without window functions.
    pub fn without_windows(&self) -> Scope {
        Scope { windows: false, ..self.clone() }
    }

    /// What a subquery that stands here sees around itself: plain columns, as PostgreSQL recognises no
    /// others of those that are grouped by.
    pub fn seen_from_inside(&self) -> Vec<Tree> {
        // A column that a join has merged has no name but its own, which may mean another one inside.
        let plain = self.atoms.iter().filter(|atom| atom.parts.is_empty() && atom.to_string().contains('.'));
        plain.chain(&self.outer).cloned().collect()
    }
}

/// Makes SQL from choices.
pub struct Generator<'a> {
    /// Where they come from.
    pub chance: Chance,
    /// What it may use.
    pub features: &'a Features,
    /// Tables, and the WITH queries that are in scope.
    pub relations: Vec<Relation>,
    /// Whether expressions may fail on some row.
    pub may_fail: bool,
    /// How many names were given in this statement.
    pub names: usize,
    /// How many more subqueries this statement may have.
    pub subqueries_left: usize,
}

impl Generator<'_> {
    /// Whether a feature is to be used here.
    pub fn uses(&mut self, feature: Feature) -> bool {
        self.chance.percent(self.features.weight(feature))
    }

    /// A name that the statement has not used.
    pub fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    /// Any type.
    pub fn any_type(&mut self) -> Type {
        Type::any(&mut self.chance, self.features)
    }

    /// Mostly the type of something that is in scope.
    pub fn type_in(&mut self, scope: &Scope) -> Type {
        if scope.atoms.is_empty() || self.chance.percent(20) {
            return self.any_type();
        }
        let kind = self.chance.of(&scope.atoms).kind();
        if kind.is_allowed(self.features) { kind } else { self.any_type() }
    }

    /// An expression of a type, so many levels deep at most.
    pub fn value(&mut self, kind: Type, depth: usize, scope: &Scope) -> Tree {
        if depth > 0 {
            // What features forbid gives nothing: another choice is made.
            for _ in 0..6 {
                let made = match self.chance.below(10) {
                    0 => break,
                    1..4 => self.general(kind, depth - 1, scope),
                    _ => self.of_type(kind, depth - 1, scope),
                };
                if let Some(tree) = made {
                    return tree;
                }
            }
        }
        self.leaf(kind, scope)
    }

    fn of_type(&mut self, kind: Type, depth: usize, scope: &Scope) -> Option<Tree> {
        if self.chance.percent(20)
            && let Some(made) = self.operator(kind, depth, scope)
        {
            return Some(made);
        }
        match kind {
            Type::Bool => self.predicate(depth, scope),
            Type::Text => self.text(depth, scope),
            Type::Date | Type::Timestamp | Type::Interval => self.time(kind, depth, scope),
            Type::Int2 | Type::Int4 | Type::Int8 | Type::Numeric | Type::Float8 => {
                self.number(kind, depth, scope)
            }
            _ => self.operator(kind, depth, scope),
        }
    }

    /// A column, or a constant.
    pub fn leaf(&mut self, kind: Type, scope: &Scope) -> Tree {
        let fits = |atom: &&Tree| atom.role == Role::Value(kind);
        let inside: Vec<&Tree> = scope.atoms.iter().filter(fits).collect();
        let outside: Vec<&Tree> = scope.outer.iter().filter(fits).collect();
        if !outside.is_empty() && self.chance.percent(if inside.is_empty() { 70 } else { 30 }) {
            return (*self.chance.of(&outside)).clone();
        }
        if !inside.is_empty() && self.chance.percent(75) {
            return (*self.chance.of(&inside)).clone();
        }
        let constant = match self.may_fail && self.uses(Feature::Extremes) {
            true => kind.extreme(&mut self.chance),
            false => kind.constant(&mut self.chance),
        };
        Tree::atom(kind, &constant)
    }

    /// An expression that is no constant, nor looks like one: something to sort or group by.
    pub fn derived_value(&mut self, scope: &Scope) -> Option<Tree> {
        let kind = self.type_in(scope);
        let value = self.value(kind, 2, scope);
        // A constant whose sign is changed is a constant, too: PostgreSQL takes it for the number of a column.
        let is_constant = value.parts.is_empty() || value.to_string().starts_with("(- ");
        (!is_constant || scope.atoms.contains(&value)).then_some(value)
    }

    /// What exists for every type.
    fn general(&mut self, kind: Type, depth: usize, scope: &Scope) -> Option<Tree> {
        match self.chance.below(9) {
            0 | 1 if self.uses(Feature::Case) => Some(self.case(kind, depth, scope)),
            2 if self.uses(Feature::Coalesce) => {
                let count = self.chance.between(2, 3);
                let values = (0..count).map(|_| self.value(kind, depth, scope)).collect();
                let name = self.chance.word(&["COALESCE", "COALESCE", "GREATEST", "LEAST"]);
                Some(Tree::value(kind, &format!("{name}({{}})"), vec![Tree::list(", ", values)]))
            }
            3 if self.uses(Feature::Coalesce) => {
                let values = vec![self.value(kind, depth, scope), self.value(kind, depth, scope)];
                Some(Tree::value(kind, "NULLIF({}, {})", values))
            }
            4 if self.uses(Feature::Casts) => self.cast(kind, depth, scope),
            5 if self.uses(Feature::Subqueries) => self.scalar_subquery(kind, scope),
            6 | 7 if scope.rows.is_some() => self.aggregate(kind, scope),
            8 if scope.windows && self.uses(Feature::Windows) => self.window_function(kind, scope),
            _ => None,
        }
    }

    fn case(&mut self, kind: Type, depth: usize, scope: &Scope) -> Tree {
        let count = self.chance.between(1, 2);
        let compared = self.chance.percent(30).then(|| self.type_in(scope));
        let arms = (0..count).map(|_| {
            let when = self.value(compared.unwrap_or(Type::Bool), depth, scope);
            Tree::new(Role::Fixed, " WHEN {} THEN {}", vec![when, self.value(kind, depth, scope)])
        });
        let arms = Tree::list("", arms.collect());
        let operand = match compared {
            Some(kind) => Tree::new(Role::Fixed, " {}", vec![self.value(kind, depth, scope)]),
            None => Tree::nothing(),
        };
        let otherwise = match self.chance.percent(70) {
            true => Tree::clause(" ELSE {}", vec![self.value(kind, depth, scope)]),
            false => Tree::nothing(),
        };
        Tree::value(kind, "CASE{}{}{} END", vec![operand, arms, otherwise])
    }

    /// From a type whose every value that occurs has one of the other type.
    fn cast(&mut self, kind: Type, depth: usize, scope: &Scope) -> Option<Tree> {
        let from: &[Type] = match kind {
            // Numbers come out of floating point by rounding, which both do in the same way.
            Type::Int2 => &[Type::Int4, Type::Int8, Type::Numeric],
            Type::Int4 => &[Type::Int2, Type::Int8, Type::Numeric, Type::Float8, Type::Bool],
            Type::Int8 => &[Type::Int2, Type::Int4, Type::Numeric, Type::Float8],
            Type::Numeric => &[Type::Int2, Type::Int4, Type::Int8],
            Type::Float8 => &[Type::Int2, Type::Int4, Type::Int8, Type::Numeric],
            Type::Text => &[Type::Int4, Type::Int8, Type::Bool, Type::Date, Type::Timestamp, Type::Interval],
            Type::Bool => &[Type::Int4],
            Type::Date => &[Type::Timestamp],
            Type::Timestamp => &[Type::Date],
            _ => return None,
        };
        let from = match self.may_fail && self.chance.percent(50) {
            true => Type::Text,
            false => *self.chance.of(from),
        };
        let value = from.is_allowed(self.features).then(|| self.value(from, depth, scope))?;
        Some(match self.chance.percent(50) {
            true => Tree::value(kind, &format!("CAST({{}} AS {})", kind.name()), vec![value]),
            false => Tree::value(kind, &format!("({{}})::{}", kind.name()), vec![value]),
        })
    }
}
