//! What the clients do, and what there is to be after each of their transactions.

use std::collections::BTreeMap;

use tests_workloads::noise;

/// Each works through transactions of its own, so that records hold what both are waiting for.
pub(super) const CLIENTS: usize = 2;

/// All tables there ever are, by client.
pub(super) const TABLES: [&[&str]; CLIENTS] = [&["small", "passing"], &["large"]];

/// What one statement of a transaction does.
#[derive(Clone, Copy)]
enum Change {
    Create,
    Drop,
    /// A row of this id gets a value of so many bytes, whether there was one or not.
    Put(u64, usize),
    Delete(u64),
}

/// All of a transaction's changes are to one table.
type Transaction = (&'static str, Vec<Change>);

/// The rows of the tables that there are.
pub(super) type Shown = BTreeMap<&'static str, BTreeMap<u64, String>>;

/// Rows that lie in line and out of line, records of one request and of several, tables that come and go.
fn transactions(client: usize) -> Vec<Transaction> {
    use Change::{Create, Delete, Drop, Put};
    let small = |number: u64| match number {
        0 => ("small", vec![Create]),
        4 => ("passing", vec![Create]),
        5..8 => ("passing", (0..20).map(|id| Put(id, 200)).collect()),
        12 => ("passing", vec![Delete(3)]),
        18 => ("passing", vec![Drop]),
        _ if number % 5 == 3 => ("small", vec![Delete(number), Put(number % 32, 100)]),
        _ => ("small", (0..8).map(|id| Put(number % 4 * 8 + id, 900)).collect()),
    };
    let large = |number: u64| match number {
        0 => ("large", vec![Create]),
        9 => ("large", vec![Put(5, 140_000), Put(6, 140_000)]),
        17 => ("large", vec![Delete(5), Delete(6)]),
        _ if number % 7 == 6 => ("large", vec![Delete(number % 5), Put((number + 1) % 5, 9_000)]),
        _ => ("large", vec![Put(number % 5, 70_000)]),
    };
    match client {
        0 => (0..30).map(small).collect(),
        _ => (0..34).map(large).collect(),
    }
}

/// What one client does.
pub(super) struct History {
    /// What there is to be after each of the transactions, from none on.
    states: Vec<Shown>,
    /// The SQL of each.
    pub(super) statements: Vec<String>,
}

impl History {
    pub(super) fn of(client: usize) -> History {
        let (mut states, mut statements) = (vec![Shown::new()], Vec::new());
        for (number, (table, changes)) in (1..).zip(transactions(client)) {
            let mut state = states[states.len() - 1].clone();
            let lines = changes.iter().map(|change| do_change(&mut state, number, table, *change));
            let lines: Vec<String> = lines.collect();
            statements.push(match &lines[..] {
                [line] => line.clone(),
                lines => format!("BEGIN; {}; COMMIT", lines.join("; ")),
            });
            states.push(state);
        }
        History { states, statements }
    }

    /// What a client was told must be there, with or without the transaction that it waits for.
    pub(super) fn compare(&self, shown: &Shown, told: usize) -> Result<(), String> {
        if self.states[told..].iter().take(2).any(|state| state == shown) {
            return Ok(());
        }
        let there = match self.states.iter().rposition(|state| state == shown) {
            Some(other) => format!("{other} are"),
            None => "the outcome of no number of them is".into(),
        };
        Err(format!("{told} transactions were acknowledged, and {there} there"))
    }
}

/// Does a change, and says it in SQL.
fn do_change(state: &mut Shown, number: u64, table: &'static str, change: Change) -> String {
    if let Change::Create = change {
        state.insert(table, BTreeMap::new());
        return format!("CREATE TABLE {table} (id bigint PRIMARY KEY, v text NOT NULL)");
    }
    let rows = state.entry(table).or_default();
    match change {
        Change::Put(id, len) => {
            // Half as long in a table as in the ring, which is to be filled sooner than the disk.
            let value = noise(len / 2, number << 8 | id).repeat(2);
            match rows.insert(id, value.clone()) {
                Some(_) => format!("UPDATE {table} SET v = '{value}' WHERE id = {id}"),
                None => format!("INSERT INTO {table} VALUES ({id}, '{value}')"),
            }
        }
        Change::Delete(id) => {
            rows.remove(&id);
            format!("DELETE FROM {table} WHERE id = {id}")
        }
        Change::Create | Change::Drop => {
            state.remove(table);
            format!("DROP TABLE {table}")
        }
    }
}
