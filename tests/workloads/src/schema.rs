//! A table is dropped and made anew, with other columns, while others use it: within one transaction the
//! catalog and the rows always agree.

use std::ops::Range;

use crate::expected::WatchedConnection;
use crate::transaction::transaction;
use crate::workload::{Step, Table, Task, Verdict, Workload, query_anywhere, rows};
use crate::world::{Answer, Connection, Failure, World, below};

/// What says that the catalog is another than the transaction was told: undefined table, undefined column,
/// duplicate table.
const DISAGREEMENTS: [&str; 3] = ["42P01", "42703", "42P07"];

/// The workload. `generation` says which columns `shape` has: `id` and `g` with the generation's number.
#[derive(Debug, Default)]
pub struct Schema {
    verdict: Verdict,
}

impl Schema {
    async fn generation<C: Connection>(&self, connection: &mut C) -> Result<i64, Failure> {
        let answer = connection.query("SELECT number FROM generation WHERE id = 0").await?;
        Ok(answer.number(0, 0).unwrap_or_else(|| {
            self.verdict.wrong(format!("there is no generation: {:?}", answer.rows));
            0
        }))
    }

    /// A statement that can fail only because others are at work, not because of the schema.
    async fn sure<C: Connection>(&self, connection: &mut C, sql: &str) -> Result<Answer, Failure> {
        let answer = connection.query(sql).await;
        if let Err(failure) = &answer
            && DISAGREEMENTS.iter().any(|state| failure.is(state))
        {
            self.verdict.wrong(format!("catalog and rows of one snapshot disagree: {sql}: {failure}"));
        }
        answer
    }

    async fn reshape<C: Connection>(&self, connection: &mut C) -> Step {
        transaction(connection, async |connection: &mut C| {
            let next = self.generation(connection).await? + 1;
            self.sure(connection, "DROP TABLE shape").await?;
            self.sure(connection, &create(next)).await?;
            connection.query(&format!("UPDATE generation SET number = {next} WHERE id = 0")).await.map(drop)
        })
        .await
    }

    /// Writes some rows: now and then so many that they are dropped as a range of keys, and not one by one.
    async fn write<C: Connection>(&self, connection: &mut C, ids: Range<u64>) -> Step {
        transaction(connection, async |connection: &mut C| {
            let now = self.generation(connection).await?;
            let rows: Vec<String> = ids.clone().map(|id| format!("({id}, {now})")).collect();
            let rows = rows.join(", ");
            let sql = format!("INSERT INTO shape (id, g{now}) VALUES {rows} ON CONFLICT DO NOTHING");
            self.sure(connection, &sql).await.map(drop)
        })
        .await
    }

    async fn read<C: Connection>(&self, connection: &mut C) -> Step {
        transaction(connection, async |connection: &mut C| {
            let now = self.generation(connection).await?;
            let found = self.sure(connection, &format!("SELECT g{now} FROM shape")).await?;
            let strange = (0..found.rows.len()).find(|row| found.number(*row, 0) != Some(now));
            if let Some(row) = strange {
                self.verdict.wrong(format!("generation {now} holds a row {:?}", found.rows[row]));
            }
            Ok(())
        })
        .await
    }
}

fn create(generation: i64) -> String {
    format!("CREATE TABLE shape (id bigint PRIMARY KEY, g{generation} bigint NOT NULL)")
}

impl<W: World> Workload<W> for Schema {
    fn name(&self) -> &'static str {
        "schema"
    }

    fn tables(&self) -> &'static [Table] {
        &[Table { name: "generation", order: "id" }, Table { name: "shape", order: "id" }]
    }

    fn setup<'a>(&'a self, world: &'a W) -> Task<'a, ()> {
        Box::pin(async move {
            query_anywhere(world, "CREATE TABLE generation (id bigint PRIMARY KEY, number bigint)").await;
            query_anywhere(world, "INSERT INTO generation VALUES (0, 0)").await;
            query_anywhere(world, &create(0)).await;
        })
    }

    fn step<'a>(&'a self, world: &'a W, connection: &'a mut WatchedConnection<W>, _: u64) -> Task<'a, Step> {
        Box::pin(async move {
            match below(world, 8) {
                0 => self.reshape(connection).await,
                1 => self.write(connection, 0..100).await,
                2..5 => {
                    let id = below(world, 20);
                    self.write(connection, id..id + 1).await
                }
                _ => self.read(connection).await,
            }
        })
    }

    fn check<'a>(&'a self, _: &'a W, connection: &'a mut W::Connection) -> Task<'a, Result<(), String>> {
        Box::pin(async move {
            let generation = rows(connection, "SELECT number FROM generation WHERE id = 0").await?;
            let number = generation.first().and_then(|row| row.first()?.clone()).ok_or("no generation")?;
            let rows = rows(connection, &format!("SELECT g{number} FROM shape")).await?;
            match rows.iter().find(|row| row[0].as_ref() != Some(&number)) {
                Some(row) => Err(format!("generation {number} holds a row {row:?}")),
                None => Ok(()),
            }
        })
    }

    fn verdict(&self) -> Result<(), String> {
        self.verdict.get()
    }
}
