//! A workflow: books the payment of an order, waits for a message that confirms it, ships it, and writes an invoice. Each is a
//! step, so each is done once, however often the task is begun again, and on whichever node.
//!
//!   CREATE TABLE payments (number bigint PRIMARY KEY, amount numeric NOT NULL, paid_at timestamptz NOT NULL);
//!   CREATE TABLE shipments (number bigint PRIMARY KEY, name text NOT NULL);
//!   INSERT INTO sys.tasks (program, arguments) VALUES ('order', '{"number": 7, "name": "Ann", "amount": "12.50"}');
//!   SELECT sys.send('order 7', '{"by": "the bank"}');

#![forbid(unsafe_code)]

use relix_program::{Error, Result, entry, execute, files, receive, step, time, wait_for};
use serde::{Deserialize, Serialize};

entry!(order);

#[derive(Deserialize)]
struct Order {
    number: i64,
    name: String,
    /// A text, as decimal numbers are exact and those of JSON are not.
    amount: String,
}

#[derive(Deserialize, Serialize)]
struct Confirmation {
    by: String,
}

/// The path of the invoice.
fn order(order: Order) -> Result<String> {
    let Order { number, name, amount } = order;
    let mailbox = format!("order {number}");
    step("pay", || {
        execute("INSERT INTO sys.mailboxes (name) VALUES ($1)", (&mailbox,))?;
        execute("INSERT INTO payments VALUES ($1, $2, $3)", (number, &amount, time()))
    });

    // A run that finds no message ends here, and the next one begins at the top: what is paid stays paid.
    let confirmation = step("confirm", || match receive::<Confirmation>(&mailbox)? {
        Some(message) => Ok::<_, Error>(message.body),
        None => wait_for(&mailbox),
    });

    step("ship", || {
        execute("DELETE FROM sys.mailboxes WHERE name = $1", (&mailbox,))?;
        execute("INSERT INTO shipments VALUES ($1, $2)", (number, &name))
    });

    let path = format!("/invoices/{number}.txt");
    let by = confirmation.by;
    step("invoice", || {
        files::mkdir("/invoices")?;
        files::write(&path, format!("Order {number} for {name}: {amount}, confirmed by {by}\n"))
    });
    Ok(path)
}
