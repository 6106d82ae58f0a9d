//! Statements that change tables, and statements that are wrong.

use crate::random::case::Table;
use crate::random::expression::{Generator, Relation, Scope};
use crate::random::features::Feature;
use crate::random::tree::{Role, Tree};
use crate::random::types::Type;

impl Generator<'_> {
    /// INSERT, UPDATE or DELETE.
    pub fn change(&mut self, table: &Table) -> Tree {
        if table.kinds().is_empty() {
            return Tree::fixed(&format!("INSERT INTO {} DEFAULT VALUES", table.name));
        }
        match self.chance.below(3) {
            0 if !table.values().is_empty() => self.update(table),
            1 => {
                let scope = self.changed(table, "u");
                let (other, seen) = self.other_rows("USING", &scope);
                let parts = vec![other, self.filter(&seen), self.returning(&scope)];
                let text = format!("DELETE FROM {} AS u{{}}{{}}{{}}", table.name);
                Tree::new(Role::Fixed, &text, parts)
            }
            _ => self.insert(table),
        }
    }

    /// The columns of a table that is changed under some name.
    fn changed(&self, table: &Table, name: &str) -> Scope {
        let columns = table.kinds().iter();
        let columns = columns.map(|(column, kind)| Tree::atom(*kind, &format!("{name}.{column}")));
        Scope::of(columns.collect(), vec![])
    }

    fn filter(&mut self, scope: &Scope) -> Tree {
        match self.chance.percent(90) {
            true => Tree::clause(" WHERE {}", vec![self.value(Type::Bool, 2, scope)]),
            false => Tree::nothing(),
        }
    }

    fn returning(&mut self, scope: &Scope) -> Tree {
        if !self.uses(Feature::Returning) {
            return Tree::nothing();
        }
        if self.chance.percent(30) {
            // Not all columns of other rows, of which any may have matched.
            let name = scope.atoms[0].to_string();
            let (name, _) = name.split_once('.').expect("a qualified name");
            return Tree::clause(&format!(" RETURNING {name}.*"), vec![]);
        }
        let count = self.chance.between(1, 3);
        let kinds: Vec<Type> = (0..count).map(|_| self.type_in(scope)).collect();
        let values = kinds.iter().map(|kind| self.value(*kind, 2, scope)).collect();
        Tree::clause(" RETURNING {}", vec![Tree::list(", ", values)])
    }

    /// Keys stay: whether two rows have the same one for a moment depends on the order of rows.
    fn update(&mut self, table: &Table) -> Tree {
        let scope = self.changed(table, "u");
        let assignments = self.chance.some(table.values(), 1).into_iter().map(|(name, kind)| {
            let value = match self.chance.percent(10) {
                true => Tree::fixed("DEFAULT"),
                false => self.value(kind, 2, &scope),
            };
            Tree::new(Role::Fixed, &format!("{name} = {{}}"), vec![value])
        });
        let assignments = Tree::list(", ", assignments.collect());
        let (other, seen) = self.other_rows("FROM", &scope);
        let parts = vec![assignments, other, self.filter(&seen), self.returning(&scope)];
        Tree::new(Role::Fixed, &format!("UPDATE {} AS u SET {{}}{{}}{{}}{{}}", table.name), parts)
    }

    /// Other rows that decide whether a row is changed, but not to what: any of those that match might.
    fn other_rows(&mut self, word: &str, scope: &Scope) -> (Tree, Scope) {
        if !self.uses(Feature::ChangesFrom) {
            return (Tree::nothing(), scope.clone());
        }
        let from = self.from(0, &[]);
        let seen = Scope::of([&scope.atoms[..], &from.columns].concat(), vec![]);
        (Tree::clause(&format!(" {word} {{}}"), vec![from.tree]), seen)
    }

    fn insert(&mut self, table: &Table) -> Tree {
        let columns = match self.chance.percent(70) {
            true => table.kinds().to_vec(),
            false => self.chance.some(table.kinds(), 1),
        };
        let kinds: Vec<Type> = columns.iter().map(|column| column.1).collect();
        let names: Vec<&str> = columns.iter().map(|column| column.0.as_str()).collect();
        let names = names.join(", ");
        let (alias, name) = match self.uses(Feature::InsertAlias) {
            true => (" AS u", "u"),
            false => ("", table.name.as_str()),
        };
        let (rows, conflict) = match self.uses(Feature::InsertSelect) {
            true => {
                let (query, _) = self.query(Some(&kinds), 1, &[]);
                let columns: Vec<String> = (0..kinds.len()).map(|at| format!("x{at}")).collect();
                let order: Vec<String> = (1..=kinds.len()).map(|at| at.to_string()).collect();
                let text = format!(
                    "SELECT * FROM ({{}}) AS q({}) ORDER BY {} LIMIT 3",
                    columns.join(", "),
                    order.join(", ")
                );
                (Tree::new(Role::Fixed, &text, vec![query]), Tree::nothing())
            }
            // Which of two new rows with the same key stays depends on their order, which VALUES has.
            false => (self.rows_of_values(&kinds), self.conflict(table, name)),
        };
        let scope = self.changed(table, name);
        let text = format!("INSERT INTO {}{alias} ({names}) {{}}{{}}{{}}", table.name);
        Tree::new(Role::Fixed, &text, vec![rows, conflict, self.returning(&scope)])
    }

    fn conflict(&mut self, table: &Table, alias: &str) -> Tree {
        if table.key_len == 0 || !self.uses(Feature::OnConflict) {
            return Tree::nothing();
        }
        let key: Vec<&str> = table.kinds()[..table.key_len].iter().map(|kind| kind.0.as_str()).collect();
        let key = key.join(", ");
        if table.values().is_empty() || self.chance.percent(40) {
            let target = if self.chance.percent(50) { format!(" ({key})") } else { String::new() };
            return Tree::clause(&format!(" ON CONFLICT{target} DO NOTHING"), vec![]);
        }
        let columns = table.kinds().iter().flat_map(|(name, kind)| {
            [alias, "excluded"].map(|side| Tree::atom(*kind, &format!("{side}.{name}")))
        });
        let scope = Scope::of(columns.collect(), vec![]);
        let (name, kind) = self.chance.of(table.values()).clone();
        let mut parts = vec![self.value(kind, 1, &scope)];
        parts.push(match self.chance.percent(30) {
            true => Tree::clause(" WHERE {}", vec![self.value(Type::Bool, 1, &scope)]),
            false => Tree::nothing(),
        });
        Tree::clause(&format!(" ON CONFLICT ({key}) DO UPDATE SET {name} = {{}}{{}}"), parts)
    }

    /// A statement that must fail, with one mistake.
    pub fn mistake(&mut self) -> Tree {
        let Relation { name: table, columns } = self.chance.of(&self.relations).clone();
        let first = columns.first().map_or("nothing", |column| column.0.as_str());
        let mut texts = vec![
            format!("SELEC * FROM {table}"),
            format!("SELECT * FORM {table}"),
            format!("SELECT missing FROM {table}"),
            format!("SELECT * FROM {table} WHERE missing = 1"),
            format!("SELECT missing.x FROM {table}"),
            "SELECT * FROM missing".into(),
            format!("SELECT true + 1 FROM {table}"),
            format!("SELECT 1 FROM {table} WHERE 1"),
            format!("SELECT missing(1) FROM {table}"),
            format!("SELECT lower(1, 2) FROM {table}"),
            format!("SELECT {first} FROM {table} WHERE {first} = ()"),
            "SELECT 'x'::integer".into(),
            "SELECT CAST('maybe' AS boolean)".into(),
            "SELECT 99999999999::integer".into(),
            "SELECT CASE WHEN true THEN 1 ELSE true END".into(),
            "SELECT COALESCE(1, 'x'::text)".into(),
            "SELECT 1 = true".into(),
            "SELECT 1 ORDER BY 2".into(),
            "SELECT 1 LIMIT -1".into(),
            format!("INSERT INTO {table} (missing) VALUES (1)"),
            format!("INSERT INTO {table} VALUES (1, 2, 3, 4, 5, 6, 7)"),
            format!("UPDATE {table} SET missing = 1"),
            format!("DELETE FROM {table} WHERE missing"),
        ];
        let mut more = |feature: Feature, new: &[String]| {
            if self.features.weight(feature) > 0 {
                texts.extend_from_slice(new);
            }
        };
        more(
            Feature::Groups,
            &[
                format!("SELECT {first}, count(*) FROM {table}"),
                format!("SELECT 1 FROM {table} WHERE count(*) > 1"),
                format!("SELECT sum(count(*)) FROM {table}"),
                format!("SELECT 1 FROM {table} GROUP BY count(*)"),
                format!("SELECT sum(true) FROM {table}"),
                format!("SELECT 1 FROM {table} GROUP BY 7"),
            ],
        );
        more(
            Feature::Joins,
            &[
                format!("SELECT {first} FROM {table} a, {table} b"),
                format!("SELECT 1 FROM {table} a, {table} a"),
                format!("SELECT 1 FROM {table} a JOIN {table} b ON 1"),
                format!("SELECT 1 FROM {table} a JOIN {table} b USING (missing)"),
            ],
        );
        more(
            Feature::Sets,
            &[
                "SELECT 1 UNION SELECT 1, 2".into(),
                "SELECT 1 UNION SELECT true".into(),
                "SELECT 1 UNION SELECT 2 ORDER BY 1 + 1".into(),
            ],
        );
        more(
            Feature::Subqueries,
            &[
                "SELECT (SELECT 1, 2)".into(),
                "SELECT 1 IN (SELECT 1, 2)".into(),
                "SELECT 1 = ANY (SELECT true)".into(),
            ],
        );
        more(Feature::Distinct, &[format!("SELECT DISTINCT 1 FROM {table} ORDER BY {first}")]);
        more(
            Feature::Windows,
            &[
                format!("SELECT 1 FROM {table} WHERE row_number() OVER () = 1"),
                format!("SELECT row_number() FROM {table}"),
                format!("SELECT sum(row_number() OVER ()) FROM {table}"),
            ],
        );
        more(
            Feature::With,
            &[
                "WITH w AS (SELECT 1), w AS (SELECT 2) SELECT 1".into(),
                "WITH w(a, b) AS (SELECT 1) SELECT * FROM w".into(),
            ],
        );
        let text: &String = self.chance.of(&texts);
        Tree::fixed(text)
    }
}
