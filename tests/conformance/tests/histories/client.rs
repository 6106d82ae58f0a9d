//! A client: transactions one after the other, at another node whenever its own fails.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tests_checkers::{Access, Operation, Outcome, Step as ListStep};
use tests_conformance::random::chance::Chance;
use tests_conformance::session::{Answer, Failure, Session};

use crate::plan::{ACCOUNTS, BALANCE, Plan, Step};
use crate::record::Record;

/// Before a node that cannot be reached is followed by the next.
const RECONNECT_PAUSE: Duration = Duration::from_millis(20);

/// When a node is given up that does not answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// When a test is given up in which no node takes a client.
const CONNECTED_WITHIN: Duration = Duration::from_secs(120);

/// Most attempts at one transaction that meets conflicts.
const ATTEMPTS_MAX: usize = 5;

/// Why a statement may fail though nothing is wrong with it: 40001, no quorum, outcome unknown.
const EXPECTED: [&str; 3] = ["40001", "57P03", "08007"];

/// What all clients share.
pub struct Load {
    ports: Vec<u16>,
    started: Instant,
    values: AtomicU64,
    /// Transactions that have ended.
    pub done: AtomicU64,
    pub faults_are_over: AtomicBool,
}

impl Load {
    pub fn new(ports: Vec<u16>) -> Load {
        let (values, done) = (AtomicU64::new(0), AtomicU64::new(0));
        Load { ports, started: Instant::now(), values, done, faults_are_over: AtomicBool::new(false) }
    }

    fn nanos(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }

    /// A value that was never used.
    fn value(&self) -> u64 {
        self.values.fetch_add(1, Ordering::Relaxed) + 1
    }
}

pub struct Client {
    number: u64,
    load: std::sync::Arc<Load>,
    chance: Chance,
    node: usize,
    session: Option<Session>,
    record: Record,
}

impl Client {
    pub fn new(number: u64, load: std::sync::Arc<Load>) -> Client {
        let node = number as usize % load.ports.len();
        let chance = Chance::new(number);
        Client { number, load, chance, node, session: None, record: Record::default() }
    }

    pub fn into_record(self) -> Record {
        self.record
    }

    /// At least so many transactions, and until the last fault is over.
    pub async fn run(mut self, transactions_min: u64) -> Record {
        let mut done = 0;
        while done < transactions_min || !self.load.faults_are_over.load(Ordering::Relaxed) {
            let plan = Plan::draw(&mut self.chance);
            for _ in 0..ATTEMPTS_MAX {
                if self.attempt(&plan).await != Outcome::Aborted {
                    break;
                }
            }
            done += 1;
        }
        self.record
    }

    /// Reads everything at one node.
    pub async fn audit_at(&mut self, node: u64) {
        self.node = node as usize - 1;
        while self.attempt(&Plan::everything()).await != Outcome::Committed {}
        assert_eq!(self.node, node as usize - 1, "it answers");
    }

    async fn attempt(&mut self, plan: &Plan) -> Outcome {
        self.connect().await;
        let invoked = self.load.nanos();
        let mut steps = Vec::new();
        let done = self.perform(plan, &mut steps).await;
        let completed = self.load.nanos();
        let outcome = match done {
            Ok(()) => Outcome::Committed,
            Err((failure, may_have_happened)) => self.failed(&failure, may_have_happened).await,
        };
        let client = self.number;
        self.record.operations.push(Operation { client, invoked, completed, outcome, steps });
        self.load.done.fetch_add(1, Ordering::Relaxed);
        outcome
    }

    /// What a failure means for the transaction. `may_have_happened`: if nobody says that it has not.
    async fn failed(&mut self, failure: &Failure, may_have_happened: bool) -> Outcome {
        let is_lost = failure.state.is_empty();
        if !is_lost && !EXPECTED.contains(&&*failure.state) {
            self.record.wrong.push(format!("client {} met {failure}", self.number));
        }
        if is_lost || failure.state == "57P03" {
            self.session = None;
            self.node = (self.node + 1) % self.load.ports.len();
        } else {
            // Outside of a block it only warns.
            let _ = self.ask("ROLLBACK").await;
        }
        match may_have_happened && (is_lost || failure.state == "08007") {
            true => Outcome::Unknown,
            false => Outcome::Aborted,
        }
    }

    async fn connect(&mut self) {
        let started = Instant::now();
        while self.session.is_none() {
            let connected = tokio::time::timeout(ANSWER_WITHIN, Session::connect(self.load.ports[self.node]));
            match connected.await {
                Ok(Ok(session)) => self.session = Some(session),
                _ => {
                    assert!(started.elapsed() < CONNECTED_WITHIN, "no node takes a client");
                    self.node = (self.node + 1) % self.load.ports.len();
                    tokio::time::sleep(RECONNECT_PAUSE).await;
                }
            }
        }
    }

    /// Runs the transaction. A failure says whether it came when the transaction may have been committed.
    async fn perform(&mut self, plan: &Plan, done: &mut Vec<Access>) -> Result<(), (Failure, bool)> {
        if !plan.block {
            return self.step(&plan.steps[0], done).await.map_err(|failure| (failure, true));
        }
        self.ask("BEGIN").await.map_err(|failure| (failure, false))?;
        for step in &plan.steps {
            self.step(step, done).await.map_err(|failure| (failure, false))?;
        }
        self.ask("COMMIT").await.map(drop).map_err(|failure| (failure, true))
    }

    async fn ask(&mut self, sql: &str) -> Result<Answer, Failure> {
        let lost = |message: &str| Failure { state: String::new(), message: message.into() };
        let session = self.session.as_ref().ok_or_else(|| lost("not connected"))?;
        let asked = async {
            match self.is_extended() {
                true => session.binary(sql).await,
                false => session.text(sql).await,
            }
        };
        tokio::time::timeout(ANSWER_WITHIN, asked).await.unwrap_or_else(|_| Err(lost("no answer")))
    }

    /// Half of the clients use the extended protocol, and get values as bytes, in hexadecimal digits.
    fn is_extended(&self) -> bool {
        self.number % 2 == 1
    }

    fn number_of(&self, cell: &str) -> Option<i64> {
        match self.is_extended() {
            true => u64::from_str_radix(cell, 16).ok().map(u64::cast_signed),
            false => cell.parse().ok(),
        }
    }

    /// The values of a list; none if it holds anything else.
    fn list_of(&self, answer: &Answer) -> Option<Vec<u64>> {
        let mut text = answer.rows.first()?.first()?.clone()?;
        if self.is_extended() {
            let bytes = text
                .as_bytes()
                .chunks(2)
                .map(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok());
            text = String::from_utf8(bytes.collect::<Option<_>>()?).ok()?;
        }
        text.split_whitespace().map(|word| word.parse().ok()).collect()
    }

    /// The numbers in the rows of an answer.
    async fn numbers(&mut self, sql: &str) -> Result<Vec<Vec<i64>>, Failure> {
        let answer = self.ask(sql).await?;
        let number = |cell: &Option<String>| cell.as_ref().and_then(|cell| self.number_of(cell));
        let rows = answer.rows.iter().map(|row| row.iter().map(number).collect::<Option<Vec<i64>>>());
        let rows = rows.collect::<Option<Vec<_>>>();
        Ok(rows.unwrap_or_else(|| {
            self.record.wrong.push(format!("{sql} gave {:?}", answer.rows));
            Vec::new()
        }))
    }

    /// Runs a step. What it writes is noted before it is sent, since its answer may not come.
    async fn step(&mut self, step: &Step, done: &mut Vec<Access>) -> Result<(), Failure> {
        match step {
            Step::Append(list) => {
                let value = self.load.value();
                done.push(Access::List(ListStep::Append(*list, value)));
                let sql = format!("UPDATE lists SET list = list || ' {value}' WHERE id = {list}");
                let changed = self.ask(&sql).await?.count;
                self.expect(changed == 1, || format!("{sql} changed {changed} rows"));
            }
            Step::Read(list) => {
                let answer = self.ask(&format!("SELECT list FROM lists WHERE id = {list}")).await?;
                let values = self.list_of(&answer);
                self.expect(values.is_some(), || format!("list {list} reads as {:?}", answer.rows));
                done.push(Access::List(ListStep::Read(*list, values.unwrap_or_default())));
            }
            Step::Write(registers) => self.write(registers, done).await?,
            Step::See(registers) => {
                let ids = words(registers);
                let seen = format!("SELECT id, version, value FROM registers WHERE id IN ({ids})");
                self.see(&seen, registers.len(), done).await?;
            }
            Step::Audit => {
                let all = "SELECT id, version, value, balance FROM accounts";
                let rows = self.see(all, ACCOUNTS as usize, done).await?;
                let sum: i64 = rows.iter().map(|row| row[3]).sum();
                self.expect(sum == BALANCE * ACCOUNTS as i64, || format!("an audit found {rows:?}"));
            }
            Step::Move { from, to, amount } => {
                let sql = format!("SELECT id, version, value, balance FROM accounts WHERE id = {from}");
                let rows = self.see(&sql, 1, done).await?;
                if rows.first().is_some_and(|row| row[3] >= *amount) {
                    self.change_balance(*from, -amount, done).await?;
                    self.change_balance(*to, *amount, done).await?;
                }
            }
        }
        Ok(())
    }

    /// Gives each register another value, all in one statement.
    async fn write(&mut self, registers: &[u64], done: &mut Vec<Access>) -> Result<(), Failure> {
        let first = done.len();
        let values: Vec<(u64, u64)> = registers.iter().map(|id| (*id, self.load.value())).collect();
        done.extend(values.iter().map(|(id, value)| Access::Wrote(*id, None, *value)));
        let cases: Vec<String> = values.iter().map(|(id, value)| format!("WHEN {id} THEN {value}")).collect();
        let (cases, ids) = (cases.join(" "), words(registers));
        let sql = format!(
            "UPDATE registers SET version = version + 1, value = CASE id {cases} END WHERE id IN ({ids}) \
             RETURNING id, version, value"
        );
        self.note_written(&sql, registers.len(), first, done).await
    }

    async fn change_balance(&mut self, id: u64, by: i64, done: &mut Vec<Access>) -> Result<(), Failure> {
        let (first, value) = (done.len(), self.load.value());
        done.push(Access::Wrote(id, None, value));
        let sql = format!(
            "UPDATE accounts SET version = version + 1, value = {value}, balance = balance + {by} \
             WHERE id = {id} RETURNING id, version, value"
        );
        self.note_written(&sql, 1, first, done).await
    }

    /// Runs a statement that writes registers, and says which version each has now.
    async fn note_written(
        &mut self,
        sql: &str,
        count: usize,
        first: usize,
        done: &mut [Access],
    ) -> Result<(), Failure> {
        let rows = self.numbers(sql).await?;
        self.expect(rows.len() == count, || format!("{sql} gave {rows:?}"));
        for row in rows {
            let (id, version, value) = (row[0] as u64, row[1] as u64, row[2] as u64);
            let written = done[first..].iter_mut().find(|access| **access == Access::Wrote(id, None, value));
            match written {
                Some(written) => *written = Access::Wrote(id, Some(version), value),
                None => self.record.wrong.push(format!("{sql} gave {row:?}")),
            }
        }
        Ok(())
    }

    /// Runs a query of registers.
    async fn see(
        &mut self,
        sql: &str,
        count: usize,
        done: &mut Vec<Access>,
    ) -> Result<Vec<Vec<i64>>, Failure> {
        let rows = self.numbers(sql).await?;
        self.expect(rows.len() == count, || format!("{sql} gave {rows:?}"));
        done.extend(rows.iter().map(|row| Access::Saw(row[0] as u64, row[1] as u64, row[2] as u64)));
        Ok(rows)
    }

    fn expect(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.record.wrong.push(otherwise());
        }
    }
}

fn words(ids: &[u64]) -> String {
    ids.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}
