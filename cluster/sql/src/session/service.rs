//! What a service of the system does with a session: makes its tables in schema `sys`, and runs statements to their end.
//!
//! A service's schema is a list of statements that only grows. What of it has been run is noted in the store, so each
//! statement is run once in the life of a cluster, by whichever node leads first with a build that knows it; and ids of what
//! it defines depend on nothing but the list.
//!
//! ```text
//! key: 00 06 | service, u8      value: statements that have been run, u32 | ids that they have taken, u32
//! ```

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_calendar::Timestamptz;
use cluster_format::Version;
use cluster_store::{Most, Transaction};

use super::transaction::{Explicit, State};
use super::{Mode, Outcome, Parsed, Prepared, Session, Settings, definition};
use crate::ast::Statement;
use crate::cancel::CancelFlag;
use crate::catalog;
use crate::database::{Database, Freshness};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::exec::{Row, row_len};
use crate::plan::OutputColumn;
use crate::programs::json;
use crate::types::Datum;

/// The tables of a service.
#[derive(Clone, Copy, Debug)]
pub struct ServiceSchema {
    /// Which service; each has a range of ids of its own.
    pub number: u8,
    /// Its name, for people.
    pub name: &'static str,
    /// The statements that make its tables, in order. New ones are added at the end, and none is changed.
    pub sql: &'static str,
}

/// What a statement gave that was run to its end.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The columns of its rows.
    pub columns: Vec<OutputColumn>,
    /// All of its rows.
    pub rows: Vec<Row>,
    /// How many rows it gave or changed.
    pub count: u64,
}

impl Answer {
    /// The first value of its first row, if there is one.
    pub fn value(&self) -> Option<&Datum> {
        self.rows.first().and_then(|row| row.first())
    }
}

impl<D: Database> Session<D> {
    /// A session of the system itself, that stops when `cancel` is set.
    pub fn of_system(database: D, cancel: Arc<CancelFlag>) -> Session<D> {
        Session::new(database, "relix", "relix", 0, cancel)
    }

    /// Runs what of the services' schemas has not been run yet, in one transaction; whether there was anything.
    pub async fn install(&mut self, schemas: &[ServiceSchema]) -> SqlResult<bool> {
        self.set_time()?;
        self.begin(false);
        let mut any = false;
        for schema in schemas {
            any |= self.install_one(schema).await?;
        }
        self.commit_block().await?;
        Ok(any)
    }

    async fn install_one(&mut self, schema: &ServiceSchema) -> SqlResult<bool> {
        let statements = self.parse(schema.sql)?;
        let transaction = self.state.transaction(&self.database).await?;
        let done = catalog::service(schema.number, transaction).await?.statements;
        let rest = statements.get(done as usize..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(false);
        }
        self.facts.service = Some(schema.number);
        let mut ran = Ok(());
        for statement in rest {
            ran = self.run_parsed(statement, Vec::new()).await.map(drop);
            if ran.is_err() {
                break;
            }
        }
        self.facts.service = None;
        ran?;
        let transaction = self.state.transaction(&self.database).await?;
        let mut service = catalog::service(schema.number, transaction).await?;
        service.statements = u32::try_from(statements.len()).unwrap_or(u32::MAX);
        catalog::put_service(schema.number, service, transaction)?;
        Ok(true)
    }

    /// What follows happens now.
    fn set_time(&mut self) -> SqlResult<()> {
        self.facts.statement_micros = self.database.wall_micros();
        self.facts.style.now = Timestamptz::from_unix_micros(self.facts.statement_micros)?;
        Ok(())
    }

    /// Begins a transaction block on a snapshot that is as new as this. One that is not confirmed by the leader is enough for
    /// a block that writes, if what it fails with is not believed before it has failed on one that is.
    pub async fn begin_on(&mut self, freshness: Freshness) -> SqlResult<()> {
        self.set_time()?;
        self.begin(false);
        let snapshot = self.database.snapshot(freshness).await?;
        if let State::Explicit(Explicit { transaction: transaction @ None, claims, .. }) = &mut self.state {
            *transaction = Some(Box::new(Transaction::new(snapshot, self.database.memory().lease())));
            *claims = self.repeats.claims.take();
        }
        Ok(())
    }

    /// The same for a block that is only tried, and abandoned: it does not wait for others that have changed the same rows.
    pub async fn begin_trial(&mut self, freshness: Freshness) -> SqlResult<()> {
        self.begin_on(freshness).await?;
        if let Some(history) = self.state.history() {
            history.lose();
        }
        Ok(())
    }

    /// From now on, whoever has this session begins a block again at once that has met a conflict, after
    /// [`Session::abandon_to_repeat`]: what it has claimed is kept for it.
    pub fn repeats_at_once(&mut self) {
        self.repeats.at_once = true;
    }

    /// Commits the transaction block that is open. After an error it is gone; it has not taken place, unless the error is
    /// [`SqlState::OUTCOME_UNKNOWN`].
    pub async fn end_block(&mut self) -> SqlResult<()> {
        self.commit_block().await.map(drop)
    }

    /// Gives up the transaction block that is open, if one is.
    pub fn abandon_block(&mut self) {
        self.abandon_to_repeat();
        self.repeats.claims = None;
    }

    /// The same, but what it has claimed is the next block's, if it has met a conflict.
    pub fn abandon_to_repeat(&mut self) {
        self.state = State::Idle;
        self.end_transaction(false);
    }

    /// The block that is open, if one is, has failed with this.
    fn fail_with(&mut self, error: &SqlError) {
        if let State::Explicit(explicit) = &mut self.state {
            let claims = explicit.claims.take();
            self.keep_claims(error, claims);
        }
        self.fail();
    }

    /// Sets the session back to what a new one is: what one program has set is nothing to the next.
    pub fn forget(&mut self) {
        self.change_settings(Settings::reset_all);
        self.named.forget_all();
        self.listening.forget();
        self.take_notices();
    }

    /// The version that the open transaction block reads; zero if it has not begun to.
    pub fn read_version(&self) -> Version {
        match &self.state {
            State::Explicit(Explicit { transaction: Some(transaction), .. }) => transaction.read_version(),
            _ => Version::ZERO,
        }
    }

    /// Whether the open transaction block has changed anything, or is to tell something.
    pub fn has_written(&self) -> bool {
        let has_written = match &self.state {
            State::Explicit(Explicit { transaction: Some(transaction), .. }) => !transaction.is_read_only(),
            _ => false,
        };
        has_written || self.facts.told.lock().count() > 0
    }

    /// The wall time of the open transaction's start, in microseconds since the Unix epoch.
    pub fn transaction_micros(&self) -> i64 {
        self.facts.style.now.unix_micros()
    }

    /// Runs the one statement of `sql` to its end. After an error, the block that is open has failed.
    pub async fn run(&mut self, sql: &str, params: Vec<Datum>) -> SqlResult<Answer> {
        self.run_until(sql, params, usize::MAX).await
    }

    /// The same, until it has given so many rows.
    pub async fn run_until(&mut self, sql: &str, params: Vec<Datum>, rows_max: usize) -> SqlResult<Answer> {
        let ran = async {
            let statement = self.only_statement(sql)?;
            self.run_most(&statement, params, Most { rows: rows_max, len: usize::MAX }).await
        };
        let ran = ran.await;
        if let Err(error) = &ran {
            self.fail_with(error);
        }
        ran
    }

    fn only_statement(&mut self, sql: &str) -> SqlResult<Arc<Parsed>> {
        match &*self.parse(sql)? {
            [statement] => Ok(statement.clone()),
            statements => {
                let message = format!("one statement is wanted, not {}", statements.len());
                Err(SqlError::new(SqlState::SYNTAX_ERROR, message))
            }
        }
    }

    async fn run_parsed(&mut self, statement: &Arc<Parsed>, params: Vec<Datum>) -> SqlResult<Answer> {
        self.run_most(statement, params, Most::rows(usize::MAX)).await
    }

    async fn run_most(
        &mut self,
        statement: &Arc<Parsed>,
        params: Vec<Datum>,
        most: Most,
    ) -> SqlResult<Answer> {
        let given: Vec<_> = params.iter().map(Datum::data_type).collect();
        let prepared = self.prepare(statement, &given).await?;
        self.run_prepared(&prepared, params, most).await
    }

    /// Runs a statement, to its end if it has no more rows than are wanted; they must not take more memory than is said.
    async fn run_prepared(
        &mut self,
        prepared: &Prepared,
        params: Vec<Datum>,
        most: Most,
    ) -> SqlResult<Answer> {
        if params.len() != prepared.params().len() {
            let message =
                format!("the statement takes {} parameters, not {}", prepared.params().len(), params.len());
            return Err(SqlError::new(SqlState::UNDEFINED_PARAMETER, message));
        }
        let mode = Mode { alone: true, described: false };
        match self.execute(prepared, params, mode).await? {
            Outcome::Done(tag) => Ok(Answer { count: tag.count(), ..Answer::default() }),
            Outcome::Rows(mut cursor) => {
                let mut answer = Answer { columns: cursor.columns().to_vec(), ..Answer::default() };
                let mut len = 0;
                while answer.rows.len() < most.rows
                    && let Some(rows) = self.fetch(&mut cursor).await?
                {
                    len += rows.iter().map(row_len).sum::<usize>();
                    if len > most.len {
                        return Err(json::too_long(most.len));
                    }
                    answer.rows.extend(rows);
                }
                answer.rows.truncate(most.rows);
                answer.count = cursor.tag().count();
                Ok(answer)
            }
            _ => Err(SqlError::not_supported("a statement that transfers data, from here,")),
        }
    }

    /// Runs a statement for a program: `params` is a JSON array of its parameters, or nothing. What it gives is JSON, no
    /// longer than `len_max` bytes:
    ///
    /// ```text
    /// {"columns":["id","name"],"rows":[[1,"one"],[2,null]],"count":2}
    /// ```
    pub async fn run_json(&mut self, sql: &str, params: &str, len_max: usize) -> SqlResult<String> {
        let ran = self.try_run_json(sql, params, len_max).await;
        if let Err(error) = &ran {
            self.fail_with(error);
        }
        ran
    }

    async fn try_run_json(&mut self, sql: &str, params: &str, len_max: usize) -> SqlResult<String> {
        let statement = self.only_statement(sql)?;
        check_of_program(statement.statement())?;
        let prepared = self.prepare(&statement, &[]).await?;
        let values = json::parameters(params, prepared.params(), &self.facts.style)?;
        let most = Most { rows: usize::MAX, len: len_max };
        let answer = self.run_prepared(&prepared, values, most).await?;
        let json = json::answer(&answer.columns, &answer.rows, answer.count, &self.facts.style);
        if json.len() > len_max { Err(json::too_long(len_max)) } else { Ok(json) }
    }
}

/// 0A000 if a program must not run this: its transaction and its session are not its own to end or to change.
fn check_of_program(statement: &Statement) -> SqlResult<()> {
    match statement {
        Statement::Query(_)
        | Statement::Insert(_)
        | Statement::Update(_)
        | Statement::Delete(_)
        | Statement::With(_)
        | Statement::Notify(..)
        | Statement::Call(_)
        | Statement::Explain(_) => Ok(()),
        statement if definition::is_definition(statement) => Ok(()),
        _ => Err(SqlError::new(SqlState::NOT_SUPPORTED, "a program cannot run this statement")
            .hint("It can query, change and define tables; its transaction begins and ends with its task.")),
    }
}

/// 42501, if the transaction has defined anything in schema `sys`, which only services may.
pub(super) fn check_schema(transaction: &Transaction, service: Option<u8>) -> SqlResult<()> {
    if service.is_none() && transaction.has_written(&catalog::descriptors_of_services()) {
        let message = "permission denied for schema sys";
        return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message).hint(
            "What the system keeps there can be read, and rows can be changed; its definitions are its own.",
        ));
    }
    Ok(())
}
