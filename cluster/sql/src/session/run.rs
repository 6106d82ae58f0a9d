//! Running statements.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_calendar::Timestamptz;
use cluster_store::{Transaction, yield_now};

use super::notify::write_notifications;
use super::transaction::State;
use super::{
    CopyIn, Cursor, CursorRows, Mode, Notice, Outcome, Prepared, Query, Session, Settings, Tag, definition,
};
use crate::ast::{Statement, WithItem};
use crate::database::{Database, DatabaseError, Freshness, snapshot_after};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::eval::Env;
use crate::exec::{
    self, Budget, Context, Row, check_deferred, row_len, run_change, settle_keys, store_own_sequences,
};
use crate::memo::Memo;
use crate::path::SearchPath;
use crate::plan::{self, OutputColumn, Plan, Planned};
use crate::types::Datum;

/// How often a statement alone is run before its conflicts are reported.
pub(super) const ATTEMPTS_MAX: usize = 100;

/// What a statement that writes did.
pub(super) struct Written {
    pub(super) tag: Tag,
    /// For `RETURNING`.
    pub(super) rows: Option<(Vec<Row>, Vec<OutputColumn>)>,
    /// The memory that those rows take.
    budget: Option<Budget>,
    notices: Vec<Notice>,
}

impl Written {
    /// Keeps of what the statement has used what its rows take.
    pub(super) fn hold(&mut self, mut budget: Budget) {
        if let Some((rows, _)) = &self.rows {
            budget.return_to(rows.iter().map(row_len).sum());
            self.budget = Some(budget);
        }
    }
}

impl<D: Database> Session<D> {
    /// Runs a statement. After an error, [`Session::fail`] is due.
    pub async fn execute(
        &mut self,
        prepared: &Prepared,
        params: Vec<Datum>,
        mode: Mode,
    ) -> SqlResult<Outcome> {
        let statement = prepared.statement();
        self.state.check_usable(statement)?;
        self.facts.statement_micros = self.database.wall_micros();
        if !self.state.is_block() {
            if mode.alone {
                // What was set before is of a transaction that is over.
                self.settings.end_transaction(true);
                self.end_sequences(true);
            }
            self.facts.style.now = Timestamptz::from_unix_micros(self.facts.statement_micros)?;
        }
        self.keep_cursors_still(prepared).await?;
        self.facts.asked_settings.lock().clear();
        let step = self.remember(prepared, &params);
        match &prepared.planned.plan {
            Plan::Direct => match statement {
                _ if definition::is_definition(statement) => {
                    if mode.alone && !self.state.is_block() {
                        return Box::pin(self.define_alone(prepared, &params, mode)).await;
                    }
                    self.write(prepared, &params, mode).await
                }
                Statement::Backup => Box::pin(self.begin_backup(mode)).await,
                Statement::Restore => Box::pin(self.begin_restore(mode)).await,
                Statement::Execute(name, arguments) => self.execute_named(name, arguments, mode).await,
                Statement::Fetch(name, direction, moves) => self.fetch_named(name, *direction, *moves).await,
                Statement::Maintenance(maintenance) => {
                    if !self.state.is_block() {
                        Box::pin(self.sweep_builds()).await;
                    }
                    Box::pin(self.maintain(maintenance, mode)).await
                }
                _ => self.direct(statement, mode).await,
            },
            Plan::Explain(_) => Box::pin(self.explain(prepared, params, mode)).await,
            Plan::Query(_) | Plan::CopyOut(..) => self.query(prepared, params, mode, step).await,
            Plan::End(_) => Box::pin(self.end_sessions(prepared, params, mode)).await,
            Plan::CopyIn(_) => {
                self.state.check_writable("COPY FROM")?;
                Box::pin(self.begin_copy_in(prepared, mode)).await
            }
            Plan::Insert(_) | Plan::Update(_) | Plan::Delete(_) | Plan::With(_) => {
                let outcome = self.write(prepared, &params, mode).await?;
                if let (Some(step), Some(history)) = (step, self.state.history()) {
                    history.note_outcome(step, &outcome);
                }
                Ok(outcome)
            }
        }
    }

    /// Opens a query. Alone, it reads a snapshot of its own.
    pub(super) async fn query(
        &mut self,
        prepared: &Prepared,
        params: Vec<Datum>,
        mode: Mode,
        step: Option<usize>,
    ) -> SqlResult<Outcome> {
        let mut own = None;
        let transaction = if mode.alone && !self.state.is_block() {
            let freshness =
                if prepared.planned.reads_store { Freshness::Linearizable } else { Freshness::Local };
            own.insert(Transaction::reading(
                self.database.snapshot(freshness).await?,
                self.database.memory().lease(),
            ))
        } else {
            self.state.transaction(&self.database).await?
        };
        let planned = current_plan(prepared, transaction, &self.database, mode, &self.facts.path).await?;
        let (rel, columns, format) = match &planned.plan {
            Plan::Query(rel) => (rel, planned.columns.clone().unwrap_or_default(), None),
            Plan::End(rel) => (rel, Vec::new(), None),
            Plan::CopyOut(rel, columns, format) => (rel, columns.clone(), Some(format.clone())),
            _ => return Err(plan_changed()),
        };
        let rows = exec::Cursor::open(rel);
        let budget = Budget::new(self.database.memory());
        let tag = if format.is_some() { Tag::Copy } else { Tag::Select };
        let (facts, memo) = (self.facts.clone(), Memo::default());
        let query = Query { rows, planned: planned.clone(), params, facts, own, budget, memo, step };
        let rows = CursorRows::Query(Box::new(query));
        let cursor = Box::new(Cursor { rows, columns, tag, count: 0, started: false });
        Ok(match format {
            None => Outcome::Rows(cursor),
            Some(format) => Outcome::CopyOut(cursor, format),
        })
    }

    /// Runs a statement that writes: in the open transaction, or again and again in its own until no
    /// conflict is met.
    pub(super) async fn write(
        &mut self,
        prepared: &Prepared,
        params: &[Datum],
        mode: Mode,
    ) -> SqlResult<Outcome> {
        self.state.check_writable(command(prepared.statement()))?;
        let written = if mode.alone && !self.state.is_block() {
            self.write_alone(prepared, params, mode).await?
        } else {
            self.write_in_block(prepared, params, mode).await?
        };
        self.notices.extend(written.notices);
        Ok(match written.rows {
            None => Outcome::Done(written.tag),
            Some((rows, columns)) => {
                let (tag, count): (fn(u64) -> Tag, u64) = match written.tag {
                    Tag::Insert(count) => (Tag::Insert, count),
                    Tag::Update(count) => (Tag::Update, count),
                    Tag::Delete(count) => (Tag::Delete, count),
                    Tag::Select(count) => (Tag::Select, count),
                    _ => (Tag::Select, 0),
                };
                let budget = written.budget.unwrap_or_else(|| Budget::new(self.database.memory()));
                Outcome::Rows(Cursor::ready(rows, columns, tag, count, budget))
            }
        })
    }

    async fn write_alone(&mut self, prepared: &Prepared, params: &[Datum], mode: Mode) -> SqlResult<Written> {
        let mut freshness = Freshness::Local;
        let mut attempt = 0;
        let (mut turn, mut conflict) = (None, None);
        let remarks = self.facts.remarks.lock().len();
        loop {
            attempt += 1;
            let snapshot = match conflict.take() {
                Some(conflict) => snapshot_after(&self.database, conflict).await?,
                None => self.database.snapshot(freshness).await?,
            };
            let Session { database, facts, cancel, .. } = &mut *self;
            let mut transaction = Transaction::new(snapshot, database.memory().lease());
            let memo = Memo::default();
            let env = Env::new(params, facts, &memo);
            let mut budget = Budget::new(database.memory());
            let mut context =
                Context { database, transaction: &mut transaction, env, cancel, budget: &mut budget };
            context.env.session.deferred.lock().forget_notes();
            context.env.session.sequences.lock().end_transaction(false);
            context.env.session.told.lock().truncate(0);
            context.env.session.remarks.lock().truncate(remarks);
            let written = match write_once(prepared, &mut context, mode).await {
                Ok(written) => settle(&mut context).await.map(|()| written),
                Err(error) => Err(error),
            };
            // What is not committed is not checked, so it must have been read from the newest state: an
            // error, or having nothing to do.
            if freshness == Freshness::Local && (written.is_err() || transaction.is_read_only()) {
                freshness = Freshness::Linearizable;
                continue;
            }
            let mut written = written?;
            written.hold(budget);
            if transaction.is_read_only() {
                return Ok(written);
            }
            let (commit, _held) = transaction.into_commit(self.request_ids.take(), self.database.origin());
            match self.database.commit(commit).await {
                Ok(_) => {
                    self.end_sequences(true);
                    self.end_notifications(true);
                    return Ok(written);
                }
                Err(DatabaseError::Conflict(met)) if attempt < ATTEMPTS_MAX => {
                    freshness = Freshness::Local;
                    conflict = Some(met);
                    // The leader keeps others from what is written here until the next attempt. If that was not enough, it
                    // is what was read that changes.
                    if turn.is_none() && attempt > 1 {
                        turn = self.cancel.unless_set(self.database.turns().take()).await;
                    }
                }
                Err(error) => return Err(error.into()),
            }
            self.cancel.check()?;
            yield_now().await;
        }
    }

    async fn begin_copy_in(&mut self, prepared: &Prepared, mode: Mode) -> SqlResult<Outcome> {
        let alone = mode.alone && !self.state.is_block();
        let mut own = None;
        let transaction = if alone {
            own.insert(Transaction::new(
                self.database.snapshot(Freshness::Linearizable).await?,
                self.database.memory().lease(),
            ))
        } else {
            self.state.transaction(&self.database).await?
        };
        let planned = current_plan(prepared, transaction, &self.database, mode, &self.facts.path).await?;
        let budget = Budget::new(self.database.memory());
        Ok(Outcome::CopyIn(Box::new(CopyIn::new(planned, own, budget)?)))
    }

    /// Statements about the session itself.
    async fn direct(&mut self, statement: &Statement, mode: Mode) -> SqlResult<Outcome> {
        let tag = match statement {
            Statement::Begin { read_only, start } => {
                self.begin(*read_only);
                if *start { Tag::StartTransaction } else { Tag::Begin }
            }
            Statement::Commit => self.commit_block().await?,
            Statement::Rollback => {
                if matches!(self.state, State::Idle | State::Implicit(_)) {
                    self.warn(SqlState::NO_TRANSACTION, "there is no transaction in progress");
                }
                self.state = State::Idle;
                self.end_transaction(false);
                Tag::Rollback
            }
            Statement::Savepoint(name) => self.savepoint(name).await?,
            Statement::Release(name) => self.release(name)?,
            Statement::RollbackTo(name) => self.rollback_to(name)?,
            Statement::Set { name, value, local } => {
                self.set_by_statement(name, value.as_ref(), *local, mode)?;
                Tag::Set
            }
            Statement::Reset(name) => {
                self.set_by_statement(name, None, false, mode)?;
                Tag::Reset
            }
            Statement::ResetAll => {
                self.change_settings(Settings::reset_all);
                Tag::Reset
            }
            Statement::Show(name) => {
                let rows = [[Datum::Text(self.settings.show(name)?)].into()].into();
                let columns =
                    [OutputColumn { name: name.clone(), data_type: crate::types::DataType::Text }].into();
                let budget = Budget::new(self.database.memory());
                return Ok(Outcome::Rows(Cursor::ready(rows, columns, |_| Tag::Show, 0, budget)));
            }
            Statement::CallSystem(procedure) => {
                if self.state.is_block() {
                    let message = "CALL of a system procedure cannot run inside a transaction block";
                    return Err(SqlError::new(SqlState::ACTIVE_TRANSACTION, message));
                }
                self.database.call(*procedure).await?;
                Tag::Call
            }
            Statement::Nothing(tag) => Tag::Defined(tag),
            Statement::Deallocate(name) => {
                return Ok(match self.named.deallocate(name.as_deref()) {
                    true => Outcome::Done(Tag::Deallocate),
                    // The client may have given it that name by another way.
                    false => Outcome::Deallocate(name.clone()),
                });
            }
            Statement::Prepare(name, types, statement) => self.prepare_named(name, types, statement).await?,
            Statement::Declare(declare) => self.declare(declare).await?,
            Statement::Close(name) => self.close(name.as_deref())?,
            Statement::SetConstraints(names, deferred) => self.set_constraints(names, *deferred).await?,
            Statement::Lock(_) => {
                if !matches!(self.state, State::Explicit(_)) {
                    return Err(only_in_block("LOCK TABLE"));
                }
                Tag::Defined("LOCK TABLE")
            }
            Statement::Listen(channel) => self.listen(channel)?,
            Statement::Unlisten(channel) => self.unlisten(channel.as_deref())?,
            Statement::Notify(channel, payload) => self.notify(channel, payload, mode).await?,
            Statement::DiscardAll => {
                if self.state.is_block() {
                    let message = "DISCARD ALL cannot run inside a transaction block";
                    return Err(SqlError::new(SqlState::ACTIVE_TRANSACTION, message));
                }
                self.forget();
                return Ok(Outcome::DiscardAll);
            }
            _ => return Err(SqlError::not_supported("this statement")),
        };
        Ok(Outcome::Done(tag))
    }

    pub(super) fn warn(&mut self, state: SqlState, message: &str) {
        self.notices.push(Notice::warning(state, message.into()));
    }
}

pub(super) fn only_in_block(command: &str) -> SqlError {
    SqlError::new(SqlState::NO_TRANSACTION, format!("{command} can only be used in transaction blocks"))
}

const PLAN_CHANGED: &str = "cached plan must not change result type";

fn plan_changed() -> SqlError {
    SqlError::new(SqlState::NOT_SUPPORTED, PLAN_CHANGED)
}

impl SqlError {
    /// Whether a prepared statement was not run since it has become another one.
    pub fn is_plan_changed(&self) -> bool {
        self.state == SqlState::NOT_SUPPORTED && self.message == PLAN_CHANGED
    }
}

fn command(statement: &Statement) -> &'static str {
    match statement {
        Statement::Insert(_) => "INSERT",
        Statement::Update(_) => "UPDATE",
        Statement::Delete(_) => "DELETE",
        Statement::Call(_) => "CALL",
        Statement::With(with) => {
            let mut changes = with.items.iter().filter_map(|item| match item {
                WithItem::Change { statement, .. } => Some(command(statement)),
                WithItem::Query(_) => None,
            });
            changes.next().unwrap_or_else(|| command(&with.statement))
        }
        Statement::Query(_) => "a SELECT that calls a function which is VOLATILE",
        other => definition::command(other),
    }
}

/// The plan of `prepared` for the tables as `transaction` sees them: the one there is, as a rule.
pub(super) async fn current_plan<D: Database>(
    prepared: &Prepared,
    transaction: &mut Transaction,
    database: &D,
    mode: Mode,
    path: &Arc<SearchPath>,
) -> SqlResult<Arc<Planned>> {
    let planned = prepared.latest();
    let planned = if planned.is_current(transaction, path).await? {
        planned
    } else {
        let relations = plan::relations(prepared.statement(), transaction, database, path).await?;
        let planned = Arc::new(plan::plan(prepared.statement(), relations, &prepared.given)?);
        prepared.parsed.keep(&prepared.given, &planned);
        planned
    };
    if planned.params != prepared.planned.params
        || (mode.described && planned.columns != prepared.planned.columns)
    {
        return Err(plan_changed());
    }
    Ok(planned)
}

/// Runs a statement that writes, once.
pub(super) async fn write_once<D: Database>(
    prepared: &Prepared,
    context: &mut Context<'_, D>,
    mode: Mode,
) -> SqlResult<Written> {
    let statement = prepared.statement();
    // Their futures are long.
    let defines = definition::is_definition(statement);
    if defines && let Some((tag, notices)) = Box::pin(definition::run(statement, context)).await? {
        super::service::check_schema(context.transaction, context.env.session.service)?;
        // What is defined holds for the rows that are there.
        settle_keys(false, context).await?;
        return Ok(Written { tag, rows: None, budget: None, notices });
    }
    let planned =
        current_plan(prepared, context.transaction, context.database, mode, &context.env.session.path)
            .await?;
    let plan = match &planned.plan {
        Plan::Explain(explained) => &explained.plan,
        plan => plan,
    };
    let tag = Tag::of_plan(plan).ok_or_else(plan_changed)?;
    let changed = run_change(plan, context).await?;
    let tag = if matches!(statement, Statement::Call(_)) { Tag::Call } else { tag(changed.count) };
    let rows = planned.columns.clone().map(|columns| (changed.returned, columns));
    Ok(Written { tag, rows, budget: None, notices: Vec::new() })
}

/// The end of a transaction: what has waited for it is checked, what it has kept to itself is stored, and what it tells goes
/// with what it writes.
pub(super) async fn settle<D: Database>(context: &mut Context<'_, D>) -> SqlResult<()> {
    check_deferred(true, context).await?;
    store_own_sequences(context).await?;
    write_notifications(context)
}

/// A remark that something was not done.
pub(super) fn skipping(state: SqlState, message: String) -> Notice {
    Notice { severity: "NOTICE", state, message }
}
