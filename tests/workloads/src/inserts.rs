//! Numbers are inserted, each once, into a table that would take them twice, and some of them deleted: none is
//! lost, doubled or made up, and none that was deleted comes back, as it would if a request took place twice.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};

use crate::expected::WatchedConnection;
use crate::transaction::{Fate, single};
use crate::workload::{Step, Table, Task, Workload, numbers, query_anywhere, rows};
use crate::world::{Connection, Row, World, below};

/// One step in so many deletes.
const DELETED: u64 = 5;

/// The workload.
#[derive(Debug, Default)]
pub struct Inserts(Mutex<Sent>);

#[derive(Debug, Default)]
struct Sent {
    next: i64,
    /// They were inserted, and nobody has tried to delete them.
    acknowledged: BTreeSet<i64>,
    /// They may be there or not.
    unknown: BTreeSet<i64>,
    /// They were there, and are gone.
    deleted: BTreeSet<i64>,
}

impl Inserts {
    /// What is wrong with `rows`, which should be the table.
    pub fn check_rows(&self, rows: &[Row]) -> Result<(), String> {
        let sent = self.sent();
        let mut seen = BTreeSet::new();
        for row in rows {
            let number = numbers(row).and_then(|row| row.first().copied()).ok_or("a row holds no number")?;
            if !seen.insert(number) {
                return Err(format!("{number} was inserted twice"));
            }
            if sent.deleted.contains(&number) {
                return Err(format!("{number} was deleted and has come back"));
            }
            if !sent.acknowledged.contains(&number) && !sent.unknown.contains(&number) {
                return Err(format!("{number} is there, though its insert was refused"));
            }
        }
        match sent.acknowledged.difference(&seen).next() {
            Some(lost) => Err(format!("{lost} was acknowledged and is lost")),
            None => Ok(()),
        }
    }
}

impl Inserts {
    fn sent(&self) -> MutexGuard<'_, Sent> {
        self.0.lock().expect("no client panics with it")
    }

    async fn insert<C: Connection>(&self, connection: &mut C) -> Step {
        let number = {
            let mut sent = self.sent();
            sent.next += 1;
            sent.next
        };
        let fate = single(connection, &format!("INSERT INTO numbers VALUES ({number})")).await;
        let mut sent = self.sent();
        match fate {
            Fate::Committed(_) => {
                sent.acknowledged.insert(number);
                Fate::Committed(())
            }
            Fate::Unknown(failure) => {
                sent.unknown.insert(number);
                Fate::Unknown(failure)
            }
            Fate::Refused(failure) => Fate::Refused(failure),
        }
    }

    /// Deletes the newest number that is there: were its insert on its way a second time, it would still be.
    async fn delete<C: Connection>(&self, connection: &mut C) -> Step {
        let newest = self.sent().acknowledged.pop_last();
        let Some(number) = newest else { return self.insert(connection).await };
        let fate = single(connection, &format!("DELETE FROM numbers WHERE n = {number}")).await;
        let mut sent = self.sent();
        match fate {
            Fate::Committed(answer) => {
                // One that was not there, once, stays among those that must be.
                let list = if answer.affected == 1 { &mut sent.deleted } else { &mut sent.acknowledged };
                list.insert(number);
                Fate::Committed(())
            }
            Fate::Unknown(failure) => {
                sent.unknown.insert(number);
                Fate::Unknown(failure)
            }
            Fate::Refused(failure) => {
                sent.acknowledged.insert(number);
                Fate::Refused(failure)
            }
        }
    }
}

impl<W: World> Workload<W> for Inserts {
    fn name(&self) -> &'static str {
        "inserts"
    }

    fn tables(&self) -> &'static [Table] {
        &[Table { name: "numbers", order: "n" }]
    }

    fn setup<'a>(&'a self, world: &'a W) -> Task<'a, ()> {
        Box::pin(async move {
            query_anywhere(world, "CREATE TABLE numbers (n bigint NOT NULL)").await;
        })
    }

    fn step<'a>(&'a self, world: &'a W, connection: &'a mut WatchedConnection<W>, _: u64) -> Task<'a, Step> {
        Box::pin(async move {
            match below(world, DELETED) {
                0 => self.delete(connection).await,
                _ => self.insert(connection).await,
            }
        })
    }

    fn check<'a>(&'a self, _: &'a W, connection: &'a mut W::Connection) -> Task<'a, Result<(), String>> {
        Box::pin(async move { self.check_rows(&rows(connection, "SELECT n FROM numbers").await?) })
    }
}
