//! What clients do, and what must hold whatever befalls the cluster meanwhile.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use crate::{Client, Cluster, Host, QueryError};

/// How long a client waits for a connection or an answer before it turns to another node.
const PATIENCE: Duration = Duration::from_secs(15);

/// Runs one statement on any node that answers, turning to the next when one does not. For set-up and
/// checks: the statement may be run more than once.
pub async fn query_anywhere(host: Host, nodes: u8, sql: String) -> Vec<Vec<Option<String>>> {
    loop {
        for node in 1..=nodes {
            let attempt = async {
                let mut client = Client::connect(&host, node).await?;
                client.query(&sql).await
            };
            match within(&host, PATIENCE, attempt).await {
                Some(Ok(result)) => return result.rows,
                // Done by an earlier attempt.
                Some(Err(QueryError::Server(state, _))) if state == "42P07" => return Vec::new(),
                _ => host.sleep(Duration::from_millis(100)).await,
            }
        }
    }
}

/// The outcome of `future`, or none if it takes longer than `limit`.
pub async fn within<T>(host: &Host, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let end = host.now() + limit;
    let mut future = Box::pin(future);
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        std::task::Poll::Ready(value) => std::task::Poll::Ready(Some(value)),
        std::task::Poll::Pending if host.now() >= end => std::task::Poll::Ready(None),
        std::task::Poll::Pending => std::task::Poll::Pending,
    })
    .await
}

/// Inserts numbers, each once, into a table that would take them twice.
#[derive(Clone, Default)]
pub struct Inserts {
    /// Numbers whose insert was acknowledged.
    pub acknowledged: Rc<RefCell<BTreeSet<i64>>>,
    /// Numbers that may be there or not.
    pub unknown: Rc<RefCell<BTreeSet<i64>>>,
    stop: Rc<RefCell<bool>>,
}

impl Inserts {
    /// Makes the table.
    pub async fn setup(host: Host, nodes: u8) {
        query_anywhere(host, nodes, "CREATE TABLE numbers (n bigint NOT NULL)".into()).await;
    }

    /// Starts a client. It changes nodes whenever one fails it.
    pub fn start(&self, cluster: &mut Cluster, client: i64) {
        let (this, host, nodes) = (self.clone(), cluster.host(), cluster.len());
        cluster.spawn(async move { this.run(host, nodes, client).await });
    }

    /// Lets the clients end.
    pub fn stop(&self) {
        *self.stop.borrow_mut() = true;
    }

    async fn run(self, host: Host, nodes: u8, client: i64) {
        let mut next = client * 1_000_000;
        let mut node = (client % i64::from(nodes)) as u8;
        while !*self.stop.borrow() {
            let Some(mut connection) = connect_next(&host, nodes, &mut node).await else { continue };
            while !*self.stop.borrow() {
                next += 1;
                let sql = format!("INSERT INTO numbers VALUES ({next})");
                match within(&host, PATIENCE, connection.query(&sql)).await {
                    Some(Ok(_)) => drop(self.acknowledged.borrow_mut().insert(next)),
                    // The server says that nothing was changed.
                    Some(Err(QueryError::Server(state, _))) if state != "08007" => break,
                    _ => {
                        self.unknown.borrow_mut().insert(next);
                        break;
                    }
                }
            }
        }
    }

    /// What is wrong with `rows`, which should be the table.
    pub fn check(&self, rows: &[Vec<Option<String>>]) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        for row in rows {
            let number: i64 = row[0].as_ref().and_then(|n| n.parse().ok()).ok_or("a row holds no number")?;
            if !seen.insert(number) {
                return Err(format!("{number} was inserted twice"));
            }
            if !self.acknowledged.borrow().contains(&number) && !self.unknown.borrow().contains(&number) {
                return Err(format!("{number} is there, though its insert was refused"));
            }
        }
        match self.acknowledged.borrow().iter().find(|number| !seen.contains(number)) {
            Some(lost) => Err(format!("{lost} was acknowledged and is lost")),
            None => Ok(()),
        }
    }
}

/// Moves money between accounts; the sum never changes, in no snapshot.
#[derive(Clone, Default)]
pub struct Bank {
    /// Transfers that were acknowledged.
    pub transfers: Rc<RefCell<u64>>,
    /// Snapshots read.
    pub audits: Rc<RefCell<u64>>,
    wrong: Rc<RefCell<Option<String>>>,
    stop: Rc<RefCell<bool>>,
}

/// Accounts of the bank, and what each begins with.
const ACCOUNTS: u64 = 8;
const START_BALANCE: i64 = 100;

impl Bank {
    /// Opens the accounts.
    pub async fn setup(host: Host, nodes: u8) {
        let create = "CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL)";
        query_anywhere(host.clone(), nodes, create.into()).await;
        let values: Vec<String> = (0..ACCOUNTS).map(|id| format!("({id}, {START_BALANCE})")).collect();
        // An earlier attempt may have succeeded without saying so.
        let count = query_anywhere(host.clone(), nodes, "SELECT count(*) FROM accounts".into()).await;
        if count == [[Some("0".to_string())]] {
            let insert = format!("INSERT INTO accounts VALUES {}", values.join(","));
            let mut client = connect_anywhere(&host, nodes).await;
            let _ = client.query(&insert).await;
        }
    }

    /// Starts a client that moves money, and one that audits.
    pub fn start(&self, cluster: &mut Cluster, client: u64) {
        let (this, host, nodes) = (self.clone(), cluster.host(), cluster.len());
        let seed = cluster.below(u64::MAX);
        cluster.spawn(async move { this.run(host, nodes, client, seed).await });
    }

    /// Lets the clients end.
    pub fn stop(&self) {
        *self.stop.borrow_mut() = true;
    }

    /// What was found wrong.
    pub fn verdict(&self) -> Result<(), String> {
        self.wrong.borrow().clone().map_or(Ok(()), Err)
    }

    async fn run(self, host: Host, nodes: u8, client: u64, mut dice: u64) {
        let mut node = (client % u64::from(nodes)) as u8;
        while !*self.stop.borrow() {
            let Some(mut connection) = connect_next(&host, nodes, &mut node).await else { continue };
            while !*self.stop.borrow() {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let step = match dice >> 60 {
                    0..4 => within(&host, PATIENCE, self.audit(&mut connection)).await,
                    _ => within(&host, PATIENCE, self.transfer(&mut connection, dice >> 8)).await,
                };
                if !matches!(step, Some(Ok(()))) {
                    break;
                }
            }
        }
    }

    async fn audit(&self, client: &mut Client) -> Result<(), QueryError> {
        let rows = client.query("SELECT sum(balance), count(*) FROM accounts").await?.rows;
        *self.audits.borrow_mut() += 1;
        let expected = [Some((ACCOUNTS as i64 * START_BALANCE).to_string()), Some(ACCOUNTS.to_string())];
        if rows != [expected] {
            *self.wrong.borrow_mut() = Some(format!("an audit found {rows:?}"));
        }
        Ok(())
    }

    async fn transfer(&self, client: &mut Client, dice: u64) -> Result<(), QueryError> {
        let (from, to, amount) = (dice % ACCOUNTS, (dice >> 8) % ACCOUNTS, (dice >> 16) % 10);
        let moved = self.try_transfer(client, from, to, amount as i64).await;
        match moved {
            Err(QueryError::Server(state, _)) if state == "40001" => {
                client.query("ROLLBACK").await?;
                Ok(())
            }
            other => other,
        }
    }

    async fn try_transfer(
        &self,
        client: &mut Client,
        from: u64,
        to: u64,
        amount: i64,
    ) -> Result<(), QueryError> {
        client.query("BEGIN").await?;
        let balance = |rows: Vec<Vec<Option<String>>>| rows.first()?.first()?.as_ref()?.parse::<i64>().ok();
        let read = |id| format!("SELECT balance FROM accounts WHERE id = {id}");
        let (Some(has), Some(gets)) =
            (balance(client.query(&read(from)).await?.rows), balance(client.query(&read(to)).await?.rows))
        else {
            *self.wrong.borrow_mut() = Some(format!("account {from} or {to} is gone"));
            return client.query("ROLLBACK").await.map(drop);
        };
        if from != to && has >= amount {
            let write = |id, balance: i64| format!("UPDATE accounts SET balance = {balance} WHERE id = {id}");
            client.query(&write(from, has - amount)).await?;
            client.query(&write(to, gets + amount)).await?;
        }
        client.query("COMMIT").await?;
        *self.transfers.borrow_mut() += 1;
        Ok(())
    }
}

/// Connects to the node after `node`; none, after a little pause, if it does not answer.
async fn connect_next(host: &Host, nodes: u8, node: &mut u8) -> Option<Client> {
    *node = *node % nodes + 1;
    match within(host, PATIENCE, Client::connect(host, *node)).await {
        Some(Ok(client)) => Some(client),
        _ => {
            host.sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

async fn connect_anywhere(host: &Host, nodes: u8) -> Client {
    loop {
        for node in 1..=nodes {
            if let Some(Ok(client)) = within(host, PATIENCE, Client::connect(host, node)).await {
                return client;
            }
        }
    }
}
