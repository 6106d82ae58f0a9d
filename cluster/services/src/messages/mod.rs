//! Messages: `sys.mailboxes`, `sys.messages`, `sys.subscriptions`. What is done about them is functions of SQL, in their
//! schema; here is what nobody asks for: whether a mailbox is full.

use alloc::string::String;
use alloc::vec::Vec;

use cluster_sql::catalog::service_id;
use cluster_sql::database::Database;
use cluster_sql::types::{Array, Datum, Scalar};
use cluster_sql::{ServiceSchema, Session, SqlResult};

use crate::reading;

/// Its tables.
pub const SCHEMA: ServiceSchema =
    ServiceSchema { number: 4, name: "messages", sql: include_str!("schema.sql") };

/// `sys.mailboxes`
pub const MAILBOXES: u32 = service_id(SCHEMA.number, 0);
/// `sys.messages`
pub const MESSAGES: u32 = service_id(SCHEMA.number, 1);

/// Writes down which of these mailboxes are full by now, and which are not any more; of those that were, in any case.
///
/// Messages are counted without anybody waiting for it: whoever sends one reads what is written here. A count within each
/// transaction that sends would make all of them wait for each other.
pub async fn gauge<D: Database>(session: &mut Session<D>, mailboxes: Vec<String>) -> SqlResult<()> {
    let names = mailboxes.into_iter().map(Datum::Text).collect();
    let names = Datum::Array(alloc::boxed::Box::new(Array::new(Scalar::Text, names)));
    let known = reading(session, async |session| {
        let sql = "SELECT name, capacity, is_full FROM sys.mailboxes WHERE name = ANY ($1) \
                   UNION SELECT name, capacity, is_full FROM sys.mailboxes WHERE is_full";
        let rows = session.run(sql, [names].into()).await?.rows;
        let mut known = Vec::with_capacity(rows.len());
        for row in rows {
            let [name @ Datum::Text(_), Datum::Int4(capacity), Datum::Bool(is_full)] = &row[..] else {
                continue;
            };
            // No more are counted than tell.
            let sql = "SELECT count(*) FROM (SELECT FROM sys.messages WHERE mailbox = $1 LIMIT $2) m";
            let limit = Datum::Int8(i64::from(*capacity));
            let count = session.run(sql, [name.clone(), limit].into()).await?;
            let count = count.value().and_then(|count| match count {
                Datum::Int8(count) => Some(*count),
                _ => None,
            });
            let fills = count.unwrap_or(0) >= i64::from(*capacity);
            known.push((name.clone(), fills, fills != *is_full));
        }
        Ok(known)
    })
    .await?;
    for (name, fills, _) in known.into_iter().filter(|(.., has_changed)| *has_changed) {
        let sql = "UPDATE sys.mailboxes SET is_full = $2 WHERE name = $1";
        session.run(sql, [name, Datum::Bool(fills)].into()).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
