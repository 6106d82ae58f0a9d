//! Messages: each is received once, in the order in which its sender has sent them.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::expected::WatchedConnection;
use crate::jobs::Jobs;
use crate::transaction::{Fate, single};
use crate::workload::{Step, Table, Task, Workload, column, query_anywhere, rows};
use crate::world::World;

/// The workload.
#[derive(Debug, Default)]
pub struct Mail {
    sent: Mutex<Sent>,
}

#[derive(Debug, Default)]
struct Sent {
    messages: Jobs,
    /// What each client calls itself, for as long as it knows what has become of its messages.
    senders: BTreeMap<u64, i64>,
}

impl Mail {
    fn sent(&self) -> std::sync::MutexGuard<'_, Sent> {
        self.sent.lock().expect("no client panics with it")
    }

    async fn send<W: World>(&self, connection: &mut WatchedConnection<W>, client: u64) -> Step {
        let (message, sender) = {
            let mut sent = self.sent();
            let message = sent.messages.number();
            (message, *sent.senders.entry(client).or_insert(message))
        };
        let send = format!("SELECT sys.send('mail', '[{sender}, {message}]')");
        let fate = single(connection, &send).await;
        let mut sent = self.sent();
        if let Fate::Unknown(_) = &fate {
            // It may be sent later than what the client sends next, by way of another node.
            sent.senders.remove(&client);
        }
        sent.messages.note(message, fate)
    }

    /// Whoever receives a message that another is behind has seen that other one received, at an earlier version.
    async fn receive<W: World>(connection: &mut WatchedConnection<W>) -> Step {
        let receive = "INSERT INTO received (sender, message, version) \
                       SELECT (body ->> 0)::bigint, (body ->> 1)::bigint, relix_version() FROM sys.receive('mail')";
        single(connection, receive).await.done()
    }
}

impl<W: World> Workload<W> for Mail {
    fn name(&self) -> &'static str {
        "mail"
    }

    fn tables(&self) -> &'static [Table] {
        &[Table { name: "received", order: "message" }, Table { name: "sys.messages", order: "id" }]
    }

    fn setup<'a>(&'a self, world: &'a W) -> Task<'a, ()> {
        Box::pin(async move {
            let received = "CREATE TABLE received (sender bigint, message bigint, version bigint)";
            query_anywhere(world, received).await;
            query_anywhere(world, "INSERT INTO sys.mailboxes (name, capacity) VALUES ('mail', 1000000)")
                .await;
        })
    }

    fn step<'a>(&'a self, _: &'a W, connection: &'a mut WatchedConnection<W>, client: u64) -> Task<'a, Step> {
        Box::pin(async move {
            match client % 2 {
                0 => self.send::<W>(connection, client).await,
                _ => Self::receive::<W>(connection).await,
            }
        })
    }

    fn check<'a>(&'a self, _: &'a W, connection: &'a mut W::Connection) -> Task<'a, Result<(), String>> {
        Box::pin(async move {
            let there = "SELECT message FROM received UNION ALL \
                         SELECT (body ->> 1)::bigint FROM sys.messages WHERE mailbox = 'mail'";
            let there = column(connection, there).await?;
            self.sent().messages.check_done(&there, "message")?;
            let overtaken = "SELECT sender, message FROM ( \
                             SELECT sender, message, version, lag(version) OVER (PARTITION BY sender ORDER BY message) AS before \
                             FROM received) r WHERE version <= before LIMIT 1";
            match rows(connection, overtaken).await?.first() {
                Some(row) => Err(format!("a message overtook the one before it of its sender: {row:?}")),
                None => Ok(()),
            }
        })
    }
}
