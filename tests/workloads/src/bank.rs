//! Money moves between accounts; the sum never changes, in no snapshot.

use crate::expected::WatchedConnection;
use crate::transaction::{Fate, single, transaction};
use crate::workload::{Step, Table, Task, Verdict, Workload, query_anywhere, rows};
use crate::world::{Connection, Failure, Row, World, below};

const ACCOUNTS: u64 = 8;
const START_BALANCE: i64 = 100;

const AUDIT: &str = "SELECT sum(balance), count(*) FROM accounts";

/// The workload.
#[derive(Debug, Default)]
pub struct Bank {
    verdict: Verdict,
}

impl Bank {
    fn audit(&self, found: &[Row]) -> Result<(), String> {
        let expected = [Some((ACCOUNTS as i64 * START_BALANCE).to_string()), Some(ACCOUNTS.to_string())];
        if found == [expected.to_vec()] { Ok(()) } else { Err(format!("an audit found {found:?}")) }
    }

    async fn transfer<W: World>(&self, world: &W, connection: &mut WatchedConnection<W>) -> Step {
        let (from, to) = (below(world, ACCOUNTS), below(world, ACCOUNTS));
        let amount = below(world, 10) as i64;
        transaction(connection, async |connection| {
            let has = self.balance(connection, from).await?;
            let gets = self.balance(connection, to).await?;
            if from != to && has >= amount {
                set_balance(connection, from, has - amount).await?;
                set_balance(connection, to, gets + amount).await?;
            }
            Ok(())
        })
        .await
    }

    async fn balance<C: Connection>(&self, connection: &mut C, id: u64) -> Result<i64, Failure> {
        let sql = format!("SELECT balance FROM accounts WHERE id = {id}");
        let answer = connection.query(&sql).await?;
        Ok(answer.number(0, 0).unwrap_or_else(|| {
            self.verdict.wrong(format!("account {id} is gone: {:?}", answer.rows));
            0
        }))
    }
}

async fn set_balance<C: Connection>(connection: &mut C, id: u64, balance: i64) -> Result<(), Failure> {
    let sql = format!("UPDATE accounts SET balance = {balance} WHERE id = {id}");
    connection.query(&sql).await.map(drop)
}

impl<W: World> Workload<W> for Bank {
    fn name(&self) -> &'static str {
        "bank"
    }

    fn tables(&self) -> &'static [Table] {
        &[Table { name: "accounts", order: "id" }]
    }

    fn setup<'a>(&'a self, world: &'a W) -> Task<'a, ()> {
        Box::pin(async move {
            let create = "CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL)";
            query_anywhere(world, create).await;
            let values: Vec<String> = (0..ACCOUNTS).map(|id| format!("({id}, {START_BALANCE})")).collect();
            query_anywhere(world, &format!("INSERT INTO accounts VALUES {}", values.join(","))).await;
        })
    }

    fn step<'a>(&'a self, world: &'a W, connection: &'a mut WatchedConnection<W>, _: u64) -> Task<'a, Step> {
        Box::pin(async move {
            if below(world, 4) > 0 {
                return self.transfer(world, connection).await;
            }
            match single(connection, AUDIT).await {
                Fate::Committed(answer) => {
                    if let Err(wrong) = self.audit(&answer.rows) {
                        self.verdict.wrong(wrong);
                    }
                    Fate::Committed(())
                }
                // An audit changes nothing.
                Fate::Unknown(failure) | Fate::Refused(failure) => Fate::Refused(failure),
            }
        })
    }

    fn check<'a>(&'a self, _: &'a W, connection: &'a mut W::Connection) -> Task<'a, Result<(), String>> {
        Box::pin(async move { self.audit(&rows(connection, AUDIT).await?) })
    }

    fn verdict(&self) -> Result<(), String> {
        self.verdict.get()
    }
}
