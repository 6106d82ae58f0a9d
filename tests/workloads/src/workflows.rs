//! Workflows: orders that are paid, confirmed by a message and shipped, a step each, and each step once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::expected::WatchedConnection;
use crate::jobs::Jobs;
use crate::programs::{add_order_program, wait_until_done};
use crate::transaction::{Fate, single};
use crate::workload::{Step, Table, Task, Workload, column, number, query_anywhere};
use crate::world::{World, below};

/// Each order takes one message, whichever it is. In the end there are enough for all.
const SEND: &str = "SELECT sys.send('confirmed', 'true')";

/// How often what is sent in the end may be sent again, because a node had not said that it was.
const PERHAPS_AGAIN: i64 = 3;

/// The workload.
#[derive(Debug, Default)]
pub struct Workflows {
    orders: Mutex<Jobs>,
    /// Messages that were sent, as clients were told; and those that perhaps were.
    sent: AtomicI64,
    perhaps_sent: AtomicI64,
}

impl Workflows {
    fn orders(&self) -> std::sync::MutexGuard<'_, Jobs> {
        self.orders.lock().expect("no client panics with it")
    }
}

impl<W: World> Workload<W> for Workflows {
    fn name(&self) -> &'static str {
        "workflows"
    }

    fn tables(&self) -> &'static [Table] {
        &[
            Table { name: "payments", order: "number" },
            Table { name: "shipments", order: "number" },
            Table { name: "sys.steps", order: "task, name" },
        ]
    }

    fn setup<'a>(&'a self, world: &'a W) -> Task<'a, ()> {
        Box::pin(async move {
            query_anywhere(world, "CREATE TABLE payments (number integer)").await;
            query_anywhere(world, "CREATE TABLE shipments (number integer)").await;
            let mailbox = "INSERT INTO sys.mailboxes (name, capacity) VALUES ('confirmed', 1000000)";
            query_anywhere(world, mailbox).await;
            query_anywhere(world, &add_order_program()).await;
        })
    }

    fn step<'a>(&'a self, world: &'a W, connection: &'a mut WatchedConnection<W>, _: u64) -> Task<'a, Step> {
        Box::pin(async move {
            if below(world, 3) == 0 {
                let fate = single(connection, SEND).await;
                match &fate {
                    Fate::Committed(_) => drop(self.sent.fetch_add(1, Ordering::Relaxed)),
                    Fate::Refused(_) => {}
                    Fate::Unknown(_) => drop(self.perhaps_sent.fetch_add(1, Ordering::Relaxed)),
                }
                return fate.done();
            }
            let order = self.orders().number();
            let add = format!("INSERT INTO sys.tasks (program, arguments) VALUES ('order', '[{order}]')");
            let fate = single(connection, &add).await;
            self.orders().note(order, fate)
        })
    }

    fn check<'a>(&'a self, world: &'a W, connection: &'a mut W::Connection) -> Task<'a, Result<(), String>> {
        Box::pin(async move {
            let lacking = "SELECT greatest((SELECT count(*) FROM sys.tasks WHERE program = 'order' AND state <> 'done') \
                           - (SELECT count(*) FROM sys.messages WHERE mailbox = 'confirmed'), 0)";
            for _ in 0..number(connection, lacking).await? {
                query_anywhere(world, SEND).await;
                self.sent.fetch_add(1, Ordering::Relaxed);
                // It may be asked for again when it was done.
                self.perhaps_sent.fetch_add(PERHAPS_AGAIN, Ordering::Relaxed);
            }
            wait_until_done(world, connection, "order").await?;
            for (table, what) in [("payments", "payment"), ("shipments", "shipment")] {
                let found = column(connection, &format!("SELECT number FROM {table}")).await?;
                self.orders().check_done(&found, what)?;
            }
            // Each order has taken one message, and no message was lost or doubled.
            let there = "SELECT (SELECT count(*) FROM shipments) + (SELECT count(*) FROM sys.messages WHERE mailbox = 'confirmed')";
            let there = number(connection, there).await?;
            let sent = self.sent.load(Ordering::Relaxed);
            let most = sent + self.perhaps_sent.load(Ordering::Relaxed);
            if (sent..=most).contains(&there) {
                return Ok(());
            }
            Err(format!("{there} messages were taken or are there, of {sent} to {most} that were sent"))
        })
    }
}
