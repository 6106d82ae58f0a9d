//! What has a name in a session: statements that were prepared, and cursors.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_store::Transaction;
use spin::Mutex;

use super::transaction::State;
use super::{Cursor, Mode, Outcome, Parsed, Prepared, Session, Tag};
use crate::ast::{Declare, Expr as AstExpr, FetchDirection, Statement};
use crate::bind::{Binder, Scope};
use crate::catalog::Column;
use crate::database::{Database, Freshness};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::eval::{Env, Value};
use crate::exec::{Budget, Context, Row};
use crate::expr::Expr;
use crate::memo::Memo;
use crate::plan::{OutputColumn, Planner, Relations};
use crate::types::{DataType, Datum};

/// Most statements that a session prepares by SQL, and most cursors that it opens.
const NAMES_MAX: usize = 1024;

/// What has a name in a session.
#[derive(Default)]
pub(super) struct Named {
    statements: BTreeMap<String, Prepared>,
    cursors: BTreeMap<String, SqlCursor>,
}

/// A cursor of `DECLARE`.
struct SqlCursor {
    cursor: Box<Cursor>,
    /// Rows that have been fetched, and may be wanted again if it can go back.
    kept: VecDeque<Row>,
    /// The place of the first row that is kept, from 0.
    first: usize,
    /// The place of the present row, from 1; 0 before the first.
    at: usize,
    at_end: bool,
    scrolls: bool,
    holds: bool,
    /// How many savepoints there were when it was made, if it was made in the transaction in hand.
    made_at: Option<usize>,
    /// What the rows that are kept take.
    budget: Budget,
}

/// The rows that a cursor comes by.
struct Passed {
    count: u64,
    /// None if nobody wants to see them.
    rows: Option<Vec<Row>>,
    budget: Budget,
}

impl Passed {
    fn take(&mut self, row: &Row) -> SqlResult<()> {
        self.count += 1;
        if let Some(rows) = &mut self.rows {
            self.budget.charge_row(row)?;
            rows.push(row.clone());
        }
        Ok(())
    }
}

impl Named {
    /// The end of a transaction: cursors without hold go with it, and if it is rolled back, all that it has made.
    pub(super) fn end_transaction(&mut self, is_committed: bool) {
        self.cursors.retain(|_, cursor| cursor.holds && (is_committed || cursor.made_at.is_none()));
        self.cursors.values_mut().for_each(|cursor| cursor.made_at = None);
    }

    /// The transaction comes back to its savepoint `at`: cursors that were made since go.
    pub(super) fn roll_back_to(&mut self, at: usize) {
        self.cursors.retain(|_, cursor| cursor.made_at.is_none_or(|made_at| made_at <= at));
    }

    /// There are no more than `count` savepoints from now on.
    pub(super) fn release(&mut self, count: usize) {
        for made_at in self.cursors.values_mut().filter_map(|cursor| cursor.made_at.as_mut()) {
            *made_at = count.min(*made_at);
        }
    }

    pub(super) fn forget_all(&mut self) {
        self.statements.clear();
        self.cursors.clear();
    }

    /// The columns that a statement about something named gives.
    pub(super) fn columns(&self, statement: &Statement) -> Option<Vec<OutputColumn>> {
        match statement {
            Statement::Execute(name, _) => self.statements.get(name)?.columns().map(Into::into),
            Statement::Fetch(name, _, false) => Some(self.cursors.get(name)?.cursor.columns().into()),
            _ => None,
        }
    }

    /// Forgets a prepared statement, or all; whether there was one.
    pub(super) fn deallocate(&mut self, name: Option<&str>) -> bool {
        match name {
            Some(name) => self.statements.remove(name).is_some(),
            None => {
                self.statements.clear();
                false
            }
        }
    }
}

impl<D: Database> Session<D> {
    /// `PREPARE`
    pub(super) async fn prepare_named(
        &mut self,
        name: &str,
        types: &[DataType],
        statement: &Statement,
    ) -> SqlResult<Tag> {
        if self.named.statements.contains_key(name) {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(SqlError::new(SqlState::DUPLICATE_STATEMENT, message));
        }
        check_count(self.named.statements.len())?;
        let parsed = Arc::new(Parsed { statement: statement.clone(), planned: Mutex::new(None) });
        let given: Vec<Option<DataType>> = types.iter().copied().map(Some).collect();
        let prepared = Box::pin(self.prepare(&parsed, &given)).await?;
        self.named.statements.insert(name.into(), prepared);
        Ok(Tag::Defined("PREPARE"))
    }

    /// `EXECUTE`
    pub(super) async fn execute_named(
        &mut self,
        name: &str,
        arguments: &[AstExpr],
        mode: Mode,
    ) -> SqlResult<Outcome> {
        let prepared = self.named.statements.get(name).cloned().ok_or_else(|| no_statement(name))?;
        if arguments.len() != prepared.params().len() {
            let (given, wanted) = (arguments.len(), prepared.params().len());
            let message = format!("wrong number of parameters for prepared statement \"{name}\"");
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message)
                .detail(format!("Expected {wanted} parameters but got {given}.")));
        }
        let (scope, mut planner) = (Scope::default(), Planner::new(Relations::default(), &[]));
        let memo = Memo::default();
        let mut params = Vec::with_capacity(arguments.len());
        for (at, (argument, data_type)) in arguments.iter().zip(prepared.params()).enumerate() {
            let mut binder = Binder::new(&scope, &mut planner, "EXECUTE parameters");
            let column = Column::new(&format!("${}", at + 1), *data_type);
            let expr = binder.assign(argument, &column)?;
            if expr.has_subquery() {
                let message = "cannot use subquery in EXECUTE parameter";
                return Err(SqlError::new(SqlState::NOT_SUPPORTED, message));
            }
            let value = expr.eval(&[], &Env::new(&[], &self.facts, &memo)).map(Value::into_owned);
            params.push(match value {
                Err(error) if error.is_pending() => self.argument(&expr).await?,
                value => value?,
            });
        }
        // It is planned again if its tables have changed.
        let parsed = prepared.parsed.clone();
        let again = Box::pin(self.prepare(&parsed, &prepared.given)).await?;
        Box::pin(self.execute(&again, params, mode)).await
    }

    /// The value of an argument that is not known without a look at the tables.
    async fn argument(&mut self, expr: &Expr) -> SqlResult<Datum> {
        let Session { state, database, facts, cancel, .. } = self;
        let mut own;
        let transaction = if state.is_block() {
            state.transaction(database).await?
        } else {
            let snapshot = database.snapshot(Freshness::Linearizable).await?;
            own = Transaction::reading(snapshot, database.memory().lease());
            &mut own
        };
        let memo = Memo::default();
        let env = Env::new(&[], facts, &memo);
        let mut budget = Budget::new(database.memory());
        let mut context = Context { database: &*database, transaction, env, cancel, budget: &mut budget };
        context.eval(expr, &[]).await
    }

    /// `DECLARE`
    pub(super) async fn declare(&mut self, declare: &Declare) -> SqlResult<Tag> {
        let Declare { name, query, scroll, hold } = declare;
        if !*hold && !matches!(self.state, State::Explicit(_)) {
            let message = "DECLARE CURSOR can only be used in transaction blocks";
            return Err(SqlError::new(SqlState::NO_TRANSACTION, message));
        }
        if self.named.cursors.contains_key(name) {
            let message = format!("cursor \"{name}\" already exists");
            return Err(SqlError::new(SqlState::DUPLICATE_CURSOR, message));
        }
        check_count(self.named.cursors.len())?;
        let statement = Statement::Query(query.clone());
        let parsed = Arc::new(Parsed { statement, planned: Mutex::new(None) });
        let prepared = Box::pin(self.prepare(&parsed, &[])).await?;
        let mode = Mode { alone: *hold, described: false };
        let Outcome::Rows(cursor) = Box::pin(self.execute(&prepared, Vec::new(), mode)).await? else {
            return Err(SqlError::not_supported("a cursor for this statement"));
        };
        let made_at = match &self.state {
            State::Explicit(explicit) => Some(explicit.savepoints.len()),
            State::Implicit(_) => Some(0),
            State::Idle | State::Failed(_) => None,
        };
        let mut cursor = SqlCursor {
            cursor,
            kept: VecDeque::new(),
            first: 0,
            at: 0,
            at_end: false,
            scrolls: *scroll || *hold,
            holds: *hold,
            made_at,
            budget: Budget::new(self.database.memory()),
        };
        if *hold {
            // Its transaction may end before it does: all rows are taken now.
            self.reach(&mut cursor, usize::MAX).await?;
        }
        self.named.cursors.insert(name.clone(), cursor);
        Ok(Tag::Defined("DECLARE CURSOR"))
    }

    /// `FETCH`, or `MOVE`.
    pub(super) async fn fetch_named(
        &mut self,
        name: &str,
        direction: FetchDirection,
        moves: bool,
    ) -> SqlResult<Outcome> {
        let mut cursor = self.named.cursors.remove(name).ok_or_else(|| no_cursor(name))?;
        let budget = Budget::new(self.database.memory());
        let mut passed = Passed { count: 0, rows: (!moves).then(Vec::new), budget };
        let went = self.go(&mut cursor, direction, &mut passed).await;
        let columns = cursor.cursor.columns().to_vec();
        self.named.cursors.insert(name.into(), cursor);
        went?;
        let Passed { count, rows, budget } = passed;
        Ok(match rows {
            None => Outcome::Done(Tag::Move(count)),
            Some(rows) => Outcome::Rows(Cursor::ready(rows, columns, Tag::Fetch, count, budget)),
        })
    }

    /// `CLOSE`
    pub(super) fn close(&mut self, name: Option<&str>) -> SqlResult<Tag> {
        match name {
            None => self.named.cursors.clear(),
            Some(name) => drop(self.named.cursors.remove(name).ok_or_else(|| no_cursor(name))?),
        }
        Ok(Tag::Defined(if name.is_some() { "CLOSE CURSOR" } else { "CLOSE CURSOR ALL" }))
    }

    /// Before a statement is run: see [`Session::keep_still`].
    pub(super) async fn keep_cursors_still(&mut self, prepared: &Prepared) -> SqlResult<()> {
        if self.named.cursors.is_empty() {
            return Ok(());
        }
        let mut cursors = core::mem::take(&mut self.named.cursors);
        let mut kept = Ok(());
        for cursor in cursors.values_mut().filter(|cursor| !cursor.at_end) {
            kept = Box::pin(self.keep_still(&mut cursor.cursor, prepared)).await;
            if kept.is_err() {
                break;
            }
        }
        self.named.cursors = cursors;
        kept
    }

    /// Makes sure that the row at `place`, from 1, has been fetched if there is one.
    async fn reach(&mut self, cursor: &mut SqlCursor, place: usize) -> SqlResult<()> {
        while !cursor.at_end && cursor.first + cursor.kept.len() < place {
            match self.fetch(&mut cursor.cursor).await? {
                None => cursor.at_end = true,
                Some(rows) => {
                    for row in rows {
                        cursor.budget.charge_row(&row)?;
                        cursor.kept.push_back(row);
                    }
                }
            }
        }
        Ok(())
    }

    /// Moves `cursor`; `passed` are the rows on its way.
    async fn go(
        &mut self,
        cursor: &mut SqlCursor,
        direction: FetchDirection,
        passed: &mut Passed,
    ) -> SqlResult<()> {
        let steps = |count: i64| usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        match direction {
            FetchDirection::Forward(count @ 1..) => self.forward(cursor, steps(count), passed).await,
            FetchDirection::All(true) => self.forward(cursor, usize::MAX, passed).await,
            FetchDirection::Forward(0) => self.to(cursor, cursor.at, passed).await,
            FetchDirection::Forward(count) => cursor.backward(steps(count), passed),
            FetchDirection::All(false) => cursor.backward(usize::MAX, passed),
            FetchDirection::Absolute(place @ 0..) => self.to(cursor, steps(place), passed).await,
            FetchDirection::Absolute(place) => {
                self.reach(cursor, usize::MAX).await?;
                let end = cursor.first + cursor.kept.len() + 1;
                self.to(cursor, end.saturating_sub(steps(place)), passed).await
            }
            FetchDirection::Relative(by) => {
                let at = i64::try_from(cursor.at).unwrap_or(i64::MAX).saturating_add(by).max(0);
                self.to(cursor, steps(at), passed).await
            }
        }
    }

    async fn forward(&mut self, cursor: &mut SqlCursor, count: usize, passed: &mut Passed) -> SqlResult<()> {
        for _ in 0..count {
            let next = cursor.at + 1;
            self.reach(cursor, next).await?;
            let Some(row) = cursor.row(next) else {
                cursor.at = cursor.first + cursor.kept.len() + 1;
                break;
            };
            passed.take(row)?;
            cursor.at = next;
            cursor.forget_before();
        }
        Ok(())
    }

    /// To the row at `place`.
    async fn to(&mut self, cursor: &mut SqlCursor, place: usize, passed: &mut Passed) -> SqlResult<()> {
        if place < cursor.at {
            cursor.check_scrolls()?;
        }
        self.reach(cursor, place).await?;
        cursor.at = place.min(cursor.first + cursor.kept.len() + 1);
        let took = cursor.row(cursor.at).map_or(Ok(()), |row| passed.take(row));
        cursor.forget_before();
        took
    }
}

impl SqlCursor {
    /// The row at `place`, from 1, if it is kept.
    fn row(&self, place: usize) -> Option<&Row> {
        self.kept.get(place.checked_sub(self.first + 1)?)
    }

    fn backward(&mut self, count: usize, passed: &mut Passed) -> SqlResult<()> {
        self.check_scrolls()?;
        for _ in 0..count {
            if self.at == 0 {
                break;
            }
            self.at -= 1;
            let Some(row) = self.row(self.at) else { break };
            passed.take(row)?;
        }
        Ok(())
    }

    /// Rows before the present one are kept only if it can go back.
    fn forget_before(&mut self) {
        while !self.scrolls && self.first + 1 < self.at {
            let Some(row) = self.kept.pop_front() else { return };
            self.budget.refund(crate::exec::row_len(&row));
            self.first += 1;
        }
    }

    fn check_scrolls(&self) -> SqlResult<()> {
        if self.scrolls {
            return Ok(());
        }
        Err(SqlError::new(SqlState::OBJECT_NOT_IN_STATE, "cursor can only scan forward")
            .hint("Declare it with SCROLL option to enable backward scan."))
    }
}

fn check_count(count: usize) -> SqlResult<()> {
    if count < NAMES_MAX {
        return Ok(());
    }
    let message =
        format!("a session of more than {NAMES_MAX} prepared statements or cursors exceeds the limit");
    Err(SqlError::new(SqlState::LIMIT_EXCEEDED, message))
}

fn no_statement(name: &str) -> SqlError {
    let message = format!("prepared statement \"{name}\" does not exist");
    SqlError::new(SqlState::INVALID_STATEMENT_NAME, message)
}

fn no_cursor(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_CURSOR_NAME, format!("cursor \"{name}\" does not exist"))
}
