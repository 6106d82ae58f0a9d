//! Moves money from one account to another: all of it or, if there is not enough, nothing.
//!
//!   CREATE TABLE accounts (name text PRIMARY KEY, balance bigint NOT NULL);
//!   INSERT INTO accounts VALUES ('ann', 100), ('bob', 0);
//!   INSERT INTO sys.tasks (program, arguments) VALUES ('transfer', '{"from": "ann", "to": "bob", "amount": 30}');
//!   SELECT state, result, error FROM sys.tasks;                              -- done, {"from":70,"to":30}

#![forbid(unsafe_code)]

use relix_program::{Level, Result, entry, log, query};
use serde::{Deserialize, Serialize};

entry!(transfer);

#[derive(Deserialize)]
struct Order {
    from: String,
    to: String,
    amount: i64,
}

/// What is left in both.
#[derive(Serialize)]
struct Balances {
    from: i64,
    to: i64,
}

fn transfer(order: Order) -> Result<Balances> {
    let Order { from, to, amount } = order;
    if amount <= 0 {
        return Err(format!("{amount} cannot be moved").into());
    }
    let there = balance(&from)?;
    if there < amount {
        return Err(format!("{from} has {there}, which is less than {amount}").into());
    }
    balance(&to)?;
    let balances = Balances { from: change(&from, -amount)?, to: change(&to, amount)? };
    log(Level::Info, format_args!("{from} has given {amount} to {to}"));
    Ok(balances)
}

fn balance(name: &str) -> Result<i64> {
    let balance = query("SELECT balance FROM accounts WHERE name = $1", (name,))?.first()?;
    balance.ok_or_else(|| format!("there is no account {name}").into())
}

fn change(name: &str, by: i64) -> Result<i64> {
    query("UPDATE accounts SET balance = balance + $2 WHERE name = $1 RETURNING balance", (name, by))?.only()
}
