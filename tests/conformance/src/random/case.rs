//! A case: a few tables with rows, and statements about them, all from one seed.

use crate::random::chance::Chance;
use crate::random::expression::{Generator, Relation};
use crate::random::features::{Feature, Features};
use crate::random::tree::{Role, Tree};
use crate::random::types::Type;

/// A table, and what is in it before the first statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name, of which there is one among all cases.
    pub name: String,
    /// Its columns, as text of CREATE TABLE.
    columns: Vec<String>,
    kinds: Vec<(String, Type)>,
    /// How many columns, the first ones, are its key.
    pub key_len: usize,
    /// Constants.
    pub rows: Vec<Vec<String>>,
}

/// A statement and what is known of its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its text.
    pub tree: Tree,
    /// Whether it writes.
    pub changes: bool,
    /// Whether an expression in it may fail on some row, which another order of evaluation avoids.
    pub may_fail: bool,
    /// Whether it is sent by the extended protocol, and answered in binary.
    pub extended: bool,
}

/// Tables and statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// What it was made from.
    pub seed: u64,
    /// Those that the statements are about.
    pub tables: Vec<Table>,
    /// One after the other.
    pub statements: Vec<Statement>,
}

impl Statement {
    /// Whether its rows come in an order that is known.
    pub fn is_ordered(&self) -> bool {
        // DISTINCT ON has an order that is no clause of its own.
        let is_order = |part: &Tree| part.role == Role::Order || part.to_string().starts_with(" ORDER BY");
        self.tree.parts.iter().any(is_order)
    }
}

impl Table {
    /// Makes it, with its rows.
    pub fn setup(&self) -> Vec<String> {
        let mut columns = self.columns.clone();
        if self.key_len > 0 {
            let key: Vec<&str> = self.kinds[..self.key_len].iter().map(|kind| kind.0.as_str()).collect();
            columns.push(format!("PRIMARY KEY ({})", key.join(", ")));
        }
        let create = format!("CREATE TABLE {} ({})", self.name, columns.join(", "));
        if self.columns.is_empty() {
            let insert = format!("INSERT INTO {} DEFAULT VALUES", self.name);
            return [vec![create], vec![insert; self.rows.len()]].concat();
        }
        let rows: Vec<String> = self.rows.iter().map(|row| format!("({})", row.join(", "))).collect();
        let insert = format!("INSERT INTO {} VALUES {}", self.name, rows.join(", "));
        if rows.is_empty() { vec![create] } else { vec![create, insert] }
    }

    /// Removes it.
    pub fn drop(&self) -> String {
        format!("DROP TABLE IF EXISTS {}", self.name)
    }

    /// Without a column that is no key.
    pub fn remove_column(&mut self, at: usize) {
        self.columns.remove(at);
        self.kinds.remove(at);
        self.rows.iter_mut().for_each(|row| drop(row.remove(at)));
    }

    /// Its columns that are no key.
    pub fn values(&self) -> &[(String, Type)] {
        &self.kinds[self.key_len..]
    }

    /// Names and types of all columns.
    pub fn kinds(&self) -> &[(String, Type)] {
        &self.kinds
    }
}

impl Generator<'_> {
    fn table(&mut self, name: String) -> Table {
        if self.uses(Feature::Columnless) {
            let rows = vec![vec![]; self.chance.below(4)];
            return Table { name, columns: vec![], kinds: vec![], key_len: 0, rows };
        }
        let key_len = match self.uses(Feature::Keyless) {
            true => 0,
            false => self.chance.between(1, 4) / 4 + 1,
        };
        let count = self.chance.between(1, 6).max(key_len);
        let mut kinds: Vec<(String, Type)> = Vec::new();
        let mut columns = Vec::new();
        let mut nullable = Vec::new();
        for at in 0..count {
            // A key has as many values as the table can have rows.
            let kind = match self.any_type() {
                Type::Bool | Type::Jsonb | Type::Int4s | Type::Texts | Type::Uuid if at < key_len => {
                    Type::Int4
                }
                kind => kind,
            };
            let same = kinds.iter().filter(|(_, other)| *other == kind).count();
            let column = format!("{}{same}", kind.letter());
            let (extra, may_be_null) = match self.chance.below(10) {
                _ if at < key_len => ("", false),
                0 => (" NOT NULL", false),
                1 => (" NULL", true),
                _ => ("", true),
            };
            let default = match at >= key_len && self.chance.percent(15) {
                true => format!(" DEFAULT {}", kind.datum(&mut self.chance, false)),
                false => String::new(),
            };
            let declared = match kind {
                Type::Text if self.uses(Feature::Varchar) => self.chance.word(&["varchar", "varchar(20)"]),
                Type::Text if self.uses(Feature::Char) => "char(8)",
                kind => kind.name(),
            };
            columns.push(format!("{column} {declared}{default}{extra}"));
            kinds.push((column, kind));
            nullable.push(may_be_null);
        }
        let mut rows: Vec<Vec<String>> = Vec::new();
        let wanted = if self.chance.percent(10) { 0 } else { self.chance.between(1, 9) };
        for _ in 0..wanted {
            let row = kinds.iter().zip(&nullable);
            let row: Vec<String> =
                row.map(|((_, kind), nullable)| kind.datum(&mut self.chance, *nullable)).collect();
            let is_new = key_len == 0 || rows.iter().all(|other| other[..key_len] != row[..key_len]);
            if is_new {
                rows.push(row);
            }
        }
        Table { name, columns, kinds, key_len, rows }
    }
}

/// The case of a seed.
pub fn case(seed: u64, features: &Features, statements: usize) -> Case {
    let mut generator = Generator {
        chance: Chance::new(seed),
        features,
        relations: Vec::new(),
        may_fail: false,
        names: 0,
        subqueries_left: 0,
    };
    let count = generator.chance.between(1, 4);
    let mut tables: Vec<Table> = Vec::new();
    for at in 0..count {
        tables.push(generator.table(format!("t{seed}_{at}")));
    }
    let relation = |table: &Table| Relation { name: table.name.clone(), columns: table.kinds.clone() };
    generator.relations = tables.iter().map(relation).collect();
    let mut made = Vec::new();
    while made.len() < statements {
        if generator.uses(Feature::Transactions) {
            transaction(&mut generator, &tables, &mut made);
        } else {
            one(&mut generator, &tables, &mut made);
        }
    }
    Case { seed, tables, statements: made }
}

/// A statement; if it changes a table, also what is in that then.
fn one(generator: &mut Generator<'_>, tables: &[Table], made: &mut Vec<Statement>) {
    generator.names = 0;
    generator.subqueries_left = 3;
    generator.may_fail = generator.uses(Feature::Failures);
    let may_fail = generator.may_fail;
    let extended = generator.chance.percent(50);
    // A recursion multiplies what it has multiplied: all rows of it, or those that are asked for.
    let query = |tree: Tree| {
        let may_fail = may_fail || tree.to_string().contains("WITH RECURSIVE");
        Statement { tree, changes: false, may_fail, extended }
    };
    if generator.uses(Feature::Mistakes) {
        return made.push(query(generator.mistake()));
    }
    if generator.uses(Feature::Changes) {
        // What may fail in it would leave tables that differ.
        generator.may_fail = false;
        return change(generator, tables, made);
    }
    let (tree, _) = generator.query(None, 2, &[]);
    made.push(query(tree));
}

fn change(generator: &mut Generator<'_>, tables: &[Table], made: &mut Vec<Statement>) {
    let table = generator.chance.of(tables).clone();
    let tree = generator.change(&table);
    made.push(Statement { tree, changes: true, may_fail: false, extended: false });
    let tree = Tree::fixed(&format!("SELECT * FROM {}", table.name));
    made.push(Statement { tree, changes: false, may_fail: false, extended: generator.chance.percent(50) });
}

/// Changes between BEGIN and COMMIT or ROLLBACK, some of them after a savepoint. What fails makes the rest fail.
fn transaction(generator: &mut Generator<'_>, tables: &[Table], made: &mut Vec<Statement>) {
    let command = |text: &str| {
        let tree = Tree::fixed(text);
        Statement { tree, changes: true, may_fail: false, extended: false }
    };
    made.push(command("BEGIN"));
    let mut savepoint = false;
    for _ in 0..generator.chance.between(1, 5) {
        match generator.chance.below(6) {
            0 => {
                savepoint = true;
                made.push(command("SAVEPOINT s"));
            }
            1 if savepoint => made.push(command("ROLLBACK TO SAVEPOINT s")),
            2 if savepoint => {
                savepoint = false;
                made.push(command("RELEASE SAVEPOINT s"));
            }
            _ => {
                generator.names = 0;
                generator.subqueries_left = 3;
                generator.may_fail = false;
                change(generator, tables, made);
            }
        }
    }
    made.push(command(generator.chance.word(&["COMMIT", "COMMIT", "ROLLBACK"])));
    let table = generator.chance.of(tables);
    let tree = Tree::fixed(&format!("SELECT * FROM {}", table.name));
    made.push(Statement { tree, changes: false, may_fail: false, extended: false });
}
