//! Numbers are inserted, each once, into a table that would take them twice: none is lost, doubled or made up.

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::expected::Watched;
use crate::transaction::{Fate, single};
use crate::workload::{Step, Table, Task, Workload, numbers, query_anywhere, rows};
use crate::world::{Row, World};

/// The workload.
#[derive(Debug, Default)]
pub struct Inserts(Mutex<Sent>);

#[derive(Debug, Default)]
struct Sent {
    next: i64,
    acknowledged: BTreeSet<i64>,
    unknown: BTreeSet<i64>,
}

impl Inserts {
    /// What is wrong with `rows`, which should be the table.
    pub fn check_rows(&self, rows: &[Row]) -> Result<(), String> {
        let sent = self.0.lock().expect("no client panics with it");
        let mut seen = BTreeSet::new();
        for row in rows {
            let number = numbers(row).and_then(|row| row.first().copied()).ok_or("a row holds no number")?;
            if !seen.insert(number) {
                return Err(format!("{number} was inserted twice"));
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

    fn step<'a>(&'a self, _: &'a W, connection: &'a mut Watched<W::Connection>, _: u64) -> Task<'a, Step> {
        Box::pin(async move {
            let number = {
                let mut sent = self.0.lock().expect("no client panics with it");
                sent.next += 1;
                sent.next
            };
            let fate = single(connection, &format!("INSERT INTO numbers VALUES ({number})")).await;
            let mut sent = self.0.lock().expect("no client panics with it");
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
        })
    }

    fn check<'a>(&'a self, _: &'a W, connection: &'a mut W::Connection) -> Task<'a, Result<(), String>> {
        Box::pin(async move { self.check_rows(&rows(connection, "SELECT n FROM numbers").await?) })
    }
}
