//! Doing a transaction block again that met a conflict.
//!
//! What a block has run is remembered, with what the client was told of it. If its commit meets a conflict, the statements
//! are run again on a newer snapshot; if each of them says the same as before, the client cannot tell the difference, and
//! what was written then is committed. Clients that change the same rows thus all make progress, without their doing.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::Version;
use cluster_store::{Conflict, MemoryPool, Transaction};

use super::run::{ATTEMPTS_MAX, Written, current_plan, write_once};
use super::transaction::{Explicit, State};
use super::{Mode, Outcome, Prepared, Session, Tag};
use crate::ast::Statement;
use crate::claims::{BlockClaims, Taken};
use crate::database::{Database, DatabaseError, snapshot_after};
use crate::error::{SqlResult, SqlState};
use crate::eval::Env;
use crate::exec::{self, Budget, Context, Row};
use crate::memo::Memo;
use crate::plan::Plan;
use crate::row;
use crate::types::Datum;

/// Most statements of a block that is done again, and most bytes of their parameters and of what they said.
const STEPS_MAX: usize = 256;
const SAID_LEN_MAX: usize = 256 * 1024;

/// What a transaction block has done.
#[derive(Default)]
pub(crate) struct History {
    steps: Vec<Step>,
    /// The memory that they take.
    budget: Option<Budget>,
    /// Something was done that cannot be done again.
    lost: bool,
}

struct Step {
    prepared: Prepared,
    params: Vec<Datum>,
    /// The rows that the client has seen, and the tag.
    said: Vec<u8>,
    /// Whether it has seen them all.
    complete: bool,
}

impl History {
    /// A statement is run. Returns its number.
    pub(super) fn begin(
        &mut self,
        prepared: &Prepared,
        params: &[Datum],
        pool: &Arc<MemoryPool>,
    ) -> Option<usize> {
        if self.lost || self.steps.len() >= STEPS_MAX {
            self.lose();
            return None;
        }
        self.budget.get_or_insert_with(|| Budget::new(pool));
        self.grow(params.iter().map(Datum::len_memory).sum::<usize>() + 128);
        if self.lost {
            return None;
        }
        let (prepared, params) = (prepared.clone(), params.to_vec());
        self.steps.push(Step { prepared, params, said: Vec::new(), complete: false });
        Some(self.steps.len() - 1)
    }

    /// The client is told `rows` of the statement `step`.
    pub(super) fn note(&mut self, step: usize, rows: &[Row]) {
        let Some(step) = self.steps.get_mut(step) else { return };
        let before = step.said.len();
        rows.iter().for_each(|row| write_row(row, &mut step.said));
        let len = step.said.len() - before;
        self.grow(len);
    }

    /// So many bytes more are remembered, if there is room for them; else there is nothing that can be done again.
    fn grow(&mut self, len: usize) {
        let has_room = self
            .budget
            .as_mut()
            .is_some_and(|budget| budget.in_use() + len <= SAID_LEN_MAX && budget.charge(len).is_ok());
        if !has_room {
            self.lose();
        }
    }

    /// The client is told all that the statement `step` has written.
    pub(super) fn note_outcome(&mut self, step: usize, outcome: &Outcome) {
        match outcome {
            Outcome::Rows(cursor) => {
                self.note(step, cursor.ready_rows());
                self.note_tag(step, cursor.tag());
            }
            Outcome::Done(tag) => self.note_tag(step, *tag),
            _ => self.lose(),
        }
        self.complete(step);
    }

    fn note_tag(&mut self, step: usize, tag: Tag) {
        if let Some(step) = self.steps.get_mut(step) {
            step.said.extend_from_slice(format!("{tag}").as_bytes());
        }
    }

    /// The client has been told all of the statement `step`.
    pub(super) fn complete(&mut self, step: usize) {
        if let Some(step) = self.steps.get_mut(step) {
            step.complete = true;
        }
    }

    /// Something was done that cannot be done again.
    pub(super) fn lose(&mut self) {
        self.lost = true;
        self.steps = Vec::new();
        self.budget = None;
    }

    /// Whether all but the statement that is being run can be done again.
    fn can_be_renewed(&self) -> bool {
        let done = self.steps.split_last().map_or(&[][..], |(_, done)| done);
        !self.lost && done.iter().all(|step| step.complete)
    }

    fn can_be_repeated(&self) -> bool {
        !self.lost && self.steps.iter().all(|step| step.complete)
    }
}

fn write_row(row: &Row, out: &mut Vec<u8>) {
    let bytes = row::encode(row);
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(&bytes);
}

impl<D: Database> Session<D> {
    /// Commits a transaction block; if it meets a conflict, as it would have gone on newer rows. Returns the version of the
    /// commit, if there was anything to commit.
    pub(super) async fn commit_or_repeat(
        &mut self,
        transaction: Transaction,
        history: History,
    ) -> SqlResult<Option<Version>> {
        if transaction.is_read_only() {
            return Ok(None);
        }
        let (commit, held) = transaction.into_commit(self.request_ids.take(), self.database.origin());
        let conflict = match self.database.commit(commit).await {
            Err(DatabaseError::Conflict(conflict)) if history.can_be_repeated() => conflict,
            done => return done.map(Some).map_err(Into::into),
        };
        let mut last = conflict;
        drop(held);
        let mut turn = None;
        for _ in 0..ATTEMPTS_MAX {
            self.cancel.check()?;
            let snapshot = snapshot_after(&self.database, last).await?;
            let mut transaction = Transaction::new(snapshot, self.database.memory().lease());
            let is_the_same = self.says_the_same(&history.steps, &mut transaction).await?;
            if !is_the_same || self.check_at_end(&mut transaction).await.is_err() {
                break;
            }
            let (commit, _held) = transaction.into_commit(self.request_ids.take(), self.database.origin());
            match self.database.commit(commit).await {
                Err(DatabaseError::Conflict(conflict)) => {
                    last = conflict;
                    // The turn that the leader gave was not enough: others of this node that meet conflicts wait until this
                    // one has come through.
                    if turn.is_none() {
                        turn = self.cancel.unless_set(self.database.turns().take()).await;
                    }
                }
                done => return done.map(Some).map_err(Into::into),
            }
        }
        Err(DatabaseError::Conflict(conflict).into())
    }

    /// Runs a statement that writes in the open transaction. Rows that another block of this node has changed are waited
    /// for; what the block has done before is then done again on what the other has left, and so is the statement.
    pub(super) async fn write_in_block(
        &mut self,
        prepared: &Prepared,
        params: &[Datum],
        mode: Mode,
    ) -> SqlResult<Written> {
        let told = self.facts.told.lock().count();
        let remarks = self.facts.remarks.lock().len();
        for _ in 0..ATTEMPTS_MAX {
            let Session { state, database, facts, cancel, .. } = &mut *self;
            let transaction = state.transaction(database).await?;
            let memo = Memo::default();
            let env = Env::new(params, facts, &memo);
            let mut budget = Budget::new(database.memory());
            let mut context = Context { database, transaction, env, cancel, budget: &mut budget };
            let mut written = write_once(prepared, &mut context, mode).await?;
            written.hold(budget);
            if !self.claim_written().await? {
                return Ok(written);
            }
            self.facts.told.lock().truncate(told);
            self.facts.remarks.lock().truncate(remarks);
            self.renew().await?;
        }
        Err(DatabaseError::Conflict(Conflict::TooOld).into())
    }

    /// Claims what the open block has written; whether others had some of it, and have changed it.
    async fn claim_written(&mut self) -> SqlResult<bool> {
        let Session { state, database, cancel, .. } = self;
        let State::Explicit(Explicit { transaction: Some(transaction), savepoints, history, claims, .. }) =
            state
        else {
            return Ok(false);
        };
        // What cannot be done again need not wait.
        if !savepoints.is_empty() || !history.can_be_renewed() {
            return Ok(false);
        }
        let claims = claims.get_or_insert_with(|| BlockClaims::new(database.claims()));
        let mut has_waited = false;
        for key in transaction.written_keys() {
            match cancel.unless_set(claims.take(key)).await {
                None => cancel.check()?,
                Some(Taken::Free) => {}
                Some(Taken::Waited) => has_waited = true,
                Some(Taken::GivenUp) => break,
            }
        }
        // What others have given up is as it was.
        Ok(has_waited && claims.newest().is_some_and(|newest| newest > transaction.read_version()))
    }

    /// Puts a newer transaction in the place of the open block's, in which all but its last statement has been done again;
    /// 40001 if one of them would have said something else.
    async fn renew(&mut self) -> SqlResult<()> {
        let newest = match &self.state {
            State::Explicit(Explicit { claims: Some(claims), .. }) => claims.newest(),
            _ => None,
        };
        let conflict = newest.map_or(Conflict::TooOld, Conflict::Written);
        let snapshot = snapshot_after(&self.database, conflict).await?;
        let State::Explicit(explicit) = &mut self.state else { return Ok(()) };
        let mut steps = core::mem::take(&mut explicit.history.steps);
        let last = steps.pop();
        let mut renewed = Transaction::new(snapshot, self.database.memory().lease());
        let said = self.says_the_same(&steps, &mut renewed).await;
        steps.extend(last);
        let State::Explicit(explicit) = &mut self.state else { return Ok(()) };
        explicit.history.steps = steps;
        if !said? {
            return Err(DatabaseError::Conflict(conflict).into());
        }
        explicit.transaction = Some(Box::new(renewed));
        Ok(())
    }

    /// Remembers a statement of a transaction block. Returns its number, if it can be done again.
    pub(super) fn remember(&mut self, prepared: &Prepared, params: &[Datum]) -> Option<usize> {
        let pool = self.database.memory();
        let history = self.state.history()?;
        match &prepared.planned.plan {
            Plan::Query(_) | Plan::Insert(_) | Plan::Update(_) | Plan::Delete(_) | Plan::With(_) => {
                history.begin(prepared, params, pool)
            }
            Plan::Explain(explained) => {
                if explained.analyze {
                    history.lose();
                }
                None
            }
            _ => {
                // What these do is seen by no later statement, or runs others by itself.
                let is_harmless = matches!(
                    prepared.statement(),
                    Statement::Begin { .. }
                        | Statement::Commit
                        | Statement::Rollback
                        | Statement::Show(_)
                        | Statement::Prepare(..)
                        | Statement::Execute(..)
                        | Statement::Deallocate(_)
                        | Statement::Savepoint(_)
                        | Statement::Release(_)
                        | Statement::RollbackTo(_)
                        | Statement::Lock(_)
                        | Statement::Listen(_)
                        | Statement::Unlisten(_)
                        | Statement::Notify(..)
                );
                if !is_harmless {
                    history.lose();
                }
                None
            }
        }
    }

    /// Runs `steps` in `transaction`; whether clients would be told the same.
    async fn says_the_same(&mut self, steps: &[Step], transaction: &mut Transaction) -> SqlResult<bool> {
        self.facts.deferred.lock().forget_notes();
        let told = core::mem::take(&mut *self.facts.told.lock());
        let remarks = self.facts.remarks.lock().len();
        let said = self.say_again(steps, transaction).await;
        // The client has been told of them.
        self.facts.remarks.lock().truncate(remarks);
        let repeated = core::mem::replace(&mut *self.facts.told.lock(), told);
        Ok(said? && self.facts.told.lock().is_repeated_by(&repeated))
    }

    async fn say_again(&mut self, steps: &[Step], transaction: &mut Transaction) -> SqlResult<bool> {
        for step in steps {
            let repeated = self.repeat(step, transaction).await;
            self.facts.asked_settings.lock().clear();
            match repeated {
                Ok(said) if said == step.said => {}
                Err(error)
                    if matches!(
                        error.state,
                        SqlState::QUERY_CANCELED | SqlState::OUT_OF_MEMORY | SqlState::INSUFFICIENT_RESOURCES
                    ) =>
                {
                    return Err(error);
                }
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// What `step` says in `transaction`.
    async fn repeat(&mut self, step: &Step, transaction: &mut Transaction) -> SqlResult<Vec<u8>> {
        let mode = Mode { alone: false, described: true };
        let planned =
            current_plan(&step.prepared, transaction, &self.database, mode, &self.facts.path).await?;
        let Session { database, facts, cancel, .. } = self;
        let memo = Memo::default();
        let env = Env::new(&step.params, facts, &memo);
        let mut budget = Budget::new(database.memory());
        let mut context = Context { database: &*database, transaction, env, cancel, budget: &mut budget };
        let mut said = Vec::new();
        if let Plan::Query(rel) = &planned.plan {
            let mut rows = exec::Cursor::open(rel);
            while let Some(rows) = rows.next_rows(&mut context).await? {
                rows.iter().for_each(|row| write_row(row, &mut said));
            }
            return Ok(said);
        }
        let written = write_once(&step.prepared, &mut context, mode).await?;
        for row in written.rows.iter().flat_map(|(rows, _)| rows) {
            write_row(row, &mut said);
        }
        said.extend_from_slice(format!("{}", written.tag).as_bytes());
        Ok(said)
    }
}
