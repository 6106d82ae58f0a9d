//! Rows point at each other in one ring; transactions take a piece out and put it back one place on. Whoever
//! mixes two of them up breaks the ring. (FoundationDB's Cycle.)

use crate::expected::WatchedConnection;
use crate::transaction::{Fate, single, transaction};
use crate::workload::{Step, Table, Task, Verdict, Workload, numbers, query_anywhere, rows};
use crate::world::{Connection, Failure, Row, World, below};

const NODES: u64 = 12;

const LOOK: &str = "SELECT id, next FROM ring ORDER BY id";

/// The workload.
#[derive(Debug, Default)]
pub struct Ring {
    verdict: Verdict,
}

impl Ring {
    /// Whether the rows are one ring through all nodes.
    fn judge(found: &[Row]) -> Result<(), String> {
        let broken = || format!("the ring is broken: {found:?}");
        let next: Vec<i64> = (0..)
            .zip(found)
            .map(|(id, row)| match numbers(row)?.as_slice() {
                [own, next] if *own == id => Some(*next),
                _ => None,
            })
            .collect::<Option<_>>()
            .ok_or_else(broken)?;
        let mut at = 0;
        for steps in 1..=next.len() {
            at = usize::try_from(next[at]).ok().filter(|at| *at < next.len()).ok_or_else(broken)?;
            if at == 0 && steps as u64 == NODES {
                return Ok(());
            }
        }
        Err(broken())
    }

    async fn next<C: Connection>(&self, connection: &mut C, id: i64) -> Result<i64, Failure> {
        let answer = connection.query(&format!("SELECT next FROM ring WHERE id = {id}")).await?;
        Ok(answer.number(0, 0).unwrap_or_else(|| {
            self.verdict.wrong(format!("row {id} of the ring is gone"));
            0
        }))
    }

    /// a, b, c, d become a, c, b, d.
    async fn swap<W: World>(&self, world: &W, connection: &mut WatchedConnection<W>) -> Step {
        let a = below(world, NODES) as i64;
        transaction(connection, async |connection| {
            let b = self.next(connection, a).await?;
            let c = self.next(connection, b).await?;
            let d = self.next(connection, c).await?;
            for (id, next) in [(a, c), (b, d), (c, b)] {
                connection.query(&format!("UPDATE ring SET next = {next} WHERE id = {id}")).await?;
            }
            Ok(())
        })
        .await
    }
}

impl<W: World> Workload<W> for Ring {
    fn name(&self) -> &'static str {
        "ring"
    }

    fn tables(&self) -> &'static [Table] {
        &[Table { name: "ring", order: "id" }]
    }

    fn setup<'a>(&'a self, world: &'a W) -> Task<'a, ()> {
        Box::pin(async move {
            query_anywhere(world, "CREATE TABLE ring (id bigint PRIMARY KEY, next bigint NOT NULL)").await;
            let values: Vec<String> = (0..NODES).map(|id| format!("({id}, {})", (id + 1) % NODES)).collect();
            query_anywhere(world, &format!("INSERT INTO ring VALUES {}", values.join(","))).await;
        })
    }

    fn step<'a>(&'a self, world: &'a W, connection: &'a mut WatchedConnection<W>, _: u64) -> Task<'a, Step> {
        Box::pin(async move {
            if below(world, 4) > 0 {
                return self.swap(world, connection).await;
            }
            match single(connection, LOOK).await {
                Fate::Committed(answer) => {
                    if let Err(wrong) = Ring::judge(&answer.rows) {
                        self.verdict.wrong(wrong);
                    }
                    Fate::Committed(())
                }
                Fate::Unknown(failure) | Fate::Refused(failure) => Fate::Refused(failure),
            }
        })
    }

    fn check<'a>(&'a self, _: &'a W, connection: &'a mut W::Connection) -> Task<'a, Result<(), String>> {
        Box::pin(async move { Ring::judge(&rows(connection, LOOK).await?) })
    }

    fn verdict(&self) -> Result<(), String> {
        self.verdict.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(next: &[u64]) -> Vec<Row> {
        (0..)
            .zip(next)
            .map(|(id, next): (u64, _)| vec![Some(id.to_string()), Some(next.to_string())])
            .collect()
    }

    #[test]
    fn one_ring_is_right_and_nothing_else() {
        let whole: Vec<u64> = (0..NODES).map(|id| (id + 1) % NODES).collect();
        assert_eq!(Ring::judge(&rows(&whole)), Ok(()));
        let mut two = whole.clone();
        two.swap(2, 7);
        assert!(Ring::judge(&rows(&two)).is_err());
        assert!(Ring::judge(&rows(&whole[1..])).is_err());
        assert!(Ring::judge(&[]).is_err());
        assert!(Ring::judge(&rows(&[99; NODES as usize])).is_err());
    }
}
