//! A session: one client's statements, one after the other.
//!
//! ```text
//!           BEGIN                    error
//!   Idle ----------> Explicit ----------------> Failed
//!   |  ^                | COMMIT, ROLLBACK        | ROLLBACK, ROLLBACK TO
//!   |  +----------------+-------------------------+
//!   |
//!   | a statement that is not alone      sync, or an error
//!   +----------------------> Implicit ------------------> Idle
//! ```
//! A statement alone is a transaction of its own, run again by the session if it meets a conflict.

mod analyze;
mod backup;
mod block;
mod build;
mod constraints;
mod copy_in;
mod cursor;
mod definition;
mod explain;
mod maintenance;
mod named;
mod notify;
mod replay;
mod restore;
mod run;
mod seen;
mod service;
mod set;
mod settings;
mod shapes;
mod slices;
mod tag;
mod timeouts;
mod transaction;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_store::Transaction;
use spin::Mutex;

pub use backup::Backup;
pub use copy_in::CopyIn;
pub use cursor::Cursor;
pub use restore::Restore;
pub use service::{Answer, ServiceSchema};
pub use tag::Tag;
pub use timeouts::Timeouts;

use crate::ast::{CopyFormat, Statement};
use crate::cancel::CancelFlag;
use crate::chance::Chance;
use crate::database::{Database, Freshness, RequestIds};
use crate::error::{SqlResult, SqlState};
use crate::eval::{Env, SessionFacts};
use crate::exec::{Context, Deferred, Row, RowIds, row_len};
use crate::notify::Listening;
use crate::parse;
use crate::path::{self, SearchPath};
use crate::plan::{self, OutputColumn, Planned, Relations};
use crate::types::DataType;
use crate::wire::Style;
use cursor::{CursorRows, Query};
use named::Named;
pub(crate) use settings::{AskedSetting, Settings};
use shapes::Shapes;
use transaction::{Repeats, State};

/// Statements whose text and plan a session remembers.
const CACHE_STATEMENTS_MAX: usize = 128;

/// Longest text it remembers.
const CACHE_TEXT_LEN_MAX: usize = 2048;

/// Whether a session is in a transaction, as clients are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// In none.
    Idle,
    /// In one.
    Transaction,
    /// In one that failed and waits for its end.
    Failed,
}

/// Something worth a remark, though no error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// `NOTICE` or `WARNING`
    pub severity: &'static str,
    /// Its class.
    pub state: SqlState,
    /// One line.
    pub message: String,
}

impl Notice {
    pub(crate) fn warning(state: SqlState, message: String) -> Notice {
        Notice { severity: "WARNING", state, message }
    }
}

/// A parsed statement, with its plan once there is one.
pub struct Parsed {
    statement: Statement,
    /// The plan that was made last, and the types of parameters that it was made for.
    planned: Mutex<Option<(GivenTypes, Arc<Planned>)>>,
}

/// The types that a client has given parameters, as far as it has.
type GivenTypes = Arc<[Option<DataType>]>;

impl Parsed {
    /// The statement.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The plan that was made last for parameters of these types.
    fn planned(&self, given: &[Option<DataType>]) -> Option<Arc<Planned>> {
        let planned = self.planned.lock();
        planned.as_ref().filter(|(known, _)| **known == *given).map(|(_, planned)| planned.clone())
    }

    fn keep(&self, given: &GivenTypes, planned: &Arc<Planned>) {
        *self.planned.lock() = Some((given.clone(), planned.clone()));
    }
}

/// A statement whose parameters and result have types.
#[derive(Clone)]
pub struct Prepared {
    parsed: Arc<Parsed>,
    given: GivenTypes,
    planned: Arc<Planned>,
}

impl Prepared {
    /// The types of its parameters.
    pub fn params(&self) -> &[DataType] {
        &self.planned.params
    }

    /// The columns of its result; none if it has no rows.
    pub fn columns(&self) -> Option<&[OutputColumn]> {
        self.planned.columns.as_deref()
    }

    /// The plan that was made last.
    fn latest(&self) -> Arc<Planned> {
        self.parsed.planned(&self.given).unwrap_or_else(|| self.planned.clone())
    }

    /// The statement.
    pub fn statement(&self) -> &Statement {
        &self.parsed.statement
    }
}

/// How a statement is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Nothing else belongs to its transaction, unless one was begun.
    pub alone: bool,
    /// The client has been told the columns of the result: they must not have changed.
    pub described: bool,
}

/// What running a statement gives.
pub enum Outcome {
    /// Rows to fetch.
    Rows(Box<Cursor>),
    /// Nothing more.
    Done(Tag),
    /// Rows to fetch and write as `COPY` does.
    CopyOut(Box<Cursor>, CopyFormat),
    /// Rows to send.
    CopyIn(Box<CopyIn>),
    /// A backup to fetch.
    Backup(Box<Backup>),
    /// A backup to send.
    Restore(Box<Restore>),
    /// A prepared statement is to be forgotten, or all.
    Deallocate(Option<String>),
    /// Everything but the connection is to be forgotten.
    DiscardAll,
}

/// One client's statements, one after the other.
pub struct Session<D: Database> {
    database: D,
    facts: SessionFacts,
    cancel: Arc<CancelFlag>,
    request_ids: RequestIds,
    settings: Settings,
    /// As they say.
    timeouts: Timeouts,
    named: Named,
    state: State,
    repeats: Repeats,
    cache: BTreeMap<String, Arc<[Arc<Parsed>]>>,
    cache_order: VecDeque<String>,
    shapes: Shapes,
    listening: Listening,
    notices: Vec<Notice>,
    changed_settings: Vec<(&'static str, String)>,
    transactions_ended: u64,
}

impl<D: Database> Session<D> {
    /// A session of `user`, known to others as `backend`, that stops when `cancel` is set.
    pub fn new(
        database: D,
        user: &str,
        database_name: &str,
        backend: u32,
        cancel: Arc<CancelFlag>,
    ) -> Session<D> {
        let id = database.new_session_id();
        let facts = SessionFacts {
            user: user.into(),
            database: database_name.into(),
            cluster: database.cluster_name().into(),
            backend,
            path: Arc::new(SearchPath::parse(path::DEFAULT, user)),
            settings: Arc::default(),
            asked_settings: Arc::default(),
            style: Style::default(),
            chance: Arc::new(Chance::new(id, database.wall_micros().cast_unsigned())),
            regexes: Arc::default(),
            statement_micros: 0,
            builder: None,
            service: None,
            deferred: Arc::new(Mutex::new(Deferred::new(database.memory()))),
            sequences: Arc::default(),
            told: Arc::default(),
            remarks: Arc::default(),
            calls: Arc::default(),
            row_ids: Arc::new(Mutex::new(RowIds::new(id))),
        };
        let listening = Listening::new(database.channels().clone());
        Session {
            database,
            facts,
            cancel,
            request_ids: RequestIds::new(id),
            settings: Settings::default(),
            timeouts: Timeouts::default(),
            named: Named::default(),
            state: State::Idle,
            repeats: Repeats::default(),
            cache: BTreeMap::new(),
            cache_order: VecDeque::new(),
            shapes: Shapes::default(),
            listening,
            notices: Vec::new(),
            changed_settings: Vec::new(),
            transactions_ended: 0,
        }
    }

    /// How it reads and writes values.
    pub fn style(&self) -> &Style {
        &self.facts.style
    }

    /// How long its statements and pauses may take.
    pub fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// Whether it is in a transaction.
    pub fn status(&self) -> Status {
        self.state.status()
    }

    /// How many of its transactions have ended: what was opened in one of these is gone with it.
    pub fn transactions_ended(&self) -> u64 {
        self.transactions_ended
    }

    /// The remarks since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        let mut notices = core::mem::take(&mut self.notices);
        notices.append(&mut self.facts.remarks.lock());
        notices
    }

    /// The statements of `sql`.
    pub fn parse(&mut self, sql: &str) -> SqlResult<Arc<[Arc<Parsed>]>> {
        if let Some(parsed) = self.cache.get(sql) {
            return Ok(parsed.clone());
        }
        let wrap = |statement| Arc::new(Parsed { statement, planned: Mutex::new(None) });
        let parsed: Arc<[Arc<Parsed>]> = parse::parse(sql)?.into_iter().map(wrap).collect();
        if sql.len() <= CACHE_TEXT_LEN_MAX && parsed.len() == 1 {
            if self.cache_order.len() >= CACHE_STATEMENTS_MAX
                && let Some(oldest) = self.cache_order.pop_front()
            {
                self.cache.remove(&oldest);
            }
            self.cache.insert(sql.into(), parsed.clone());
            self.cache_order.push_back(sql.into());
        }
        Ok(parsed)
    }

    /// Plans `parsed`, whose first parameters have the types `given`, as far as known.
    pub async fn prepare(&mut self, parsed: &Arc<Parsed>, given: &[Option<DataType>]) -> SqlResult<Prepared> {
        self.state.check_usable(&parsed.statement)?;
        if let Some(columns) = self.named.columns(&parsed.statement) {
            let planned = Arc::new(Planned::named(columns));
            return Ok(Prepared { parsed: parsed.clone(), given: given.into(), planned });
        }
        let planned = match parsed.planned(given) {
            Some(planned) if self.is_current(&planned).await? => planned,
            _ => {
                let planned = Arc::new(self.plan(&parsed.statement, given).await?);
                parsed.keep(&given.into(), &planned);
                planned
            }
        };
        Ok(Prepared { parsed: parsed.clone(), given: given.into(), planned })
    }

    /// Whether the tables that `planned` was made for are what they were, as far as this node knows: what
    /// clients are told of a result should hold when they ask for it.
    async fn is_current(&mut self, planned: &Planned) -> SqlResult<bool> {
        if planned.made_for.is_empty() {
            return Ok(true);
        }
        if self.state.is_block() {
            return planned.is_current(self.state.transaction(&self.database).await?, &self.facts.path).await;
        }
        let snapshot = self.database.snapshot(Freshness::Local).await?;
        let mut transaction = Transaction::reading(snapshot, self.database.memory().lease());
        planned.is_current(&mut transaction, &self.facts.path).await
    }

    /// Plans on the tables as the session sees them: in its transaction, or as this node has them, unless
    /// that is not enough.
    async fn plan(&mut self, statement: &Statement, given: &[Option<DataType>]) -> SqlResult<Planned> {
        if !plan::needs_tables(statement) {
            return plan::plan(statement, Relations::default(), given);
        }
        if self.state.is_block() {
            let transaction = self.state.transaction(&self.database).await?;
            let relations = plan::relations(statement, transaction, &self.database, &self.facts.path).await?;
            return plan::plan(statement, relations, given);
        }
        let mut freshness = Freshness::Local;
        loop {
            let mut transaction = Transaction::reading(
                self.database.snapshot(freshness).await?,
                self.database.memory().lease(),
            );
            let planned =
                match plan::relations(statement, &mut transaction, &self.database, &self.facts.path).await {
                    Ok(relations) => plan::plan(statement, relations, given),
                    Err(error) => Err(error),
                };
            match planned {
                Err(_) if freshness == Freshness::Local => freshness = Freshness::Linearizable,
                planned => return planned,
            }
        }
    }

    /// The next rows of `cursor`; none at the end. A batch may be empty.
    pub async fn fetch(&mut self, cursor: &mut Cursor) -> SqlResult<Option<Vec<Row>>> {
        match &mut cursor.rows {
            CursorRows::Ready(rows, budget) => {
                let rows: Vec<Row> = rows.take(cluster_format::limits::BATCH_ROWS).collect();
                budget.refund(rows.iter().map(row_len).sum());
                Ok((!rows.is_empty()).then_some(rows))
            }
            CursorRows::Query(query) => {
                let Query { rows, params, facts, own, budget, memo, step, .. } = &mut **query;
                let transaction = match own {
                    Some(transaction) => transaction,
                    None => self.state.transaction(&self.database).await?,
                };
                let env = Env::new(params, facts, memo);
                let mut context =
                    Context { database: &self.database, transaction, env, cancel: &self.cancel, budget };
                let rows = rows.next_rows(&mut context).await?;
                cursor.count += rows.as_ref().map_or(0, |rows| rows.len() as u64);
                if let (Some(step), Some(history)) = (*step, self.state.history()) {
                    match &rows {
                        Some(rows) => history.note(step, rows),
                        None => history.complete(step),
                    }
                }
                self.set_as_asked()?;
                Ok(rows)
            }
        }
    }

    /// Ends the implicit transaction of statements that were not alone.
    pub async fn sync(&mut self) -> SqlResult<()> {
        match core::mem::replace(&mut self.state, State::Idle) {
            State::Implicit(mut transaction) => {
                let ended = match self.check_at_end(&mut transaction).await {
                    Ok(()) => self.commit(*transaction).await,
                    Err(error) => Err(error),
                };
                self.end_transaction(ended.is_ok());
                ended
            }
            State::Idle => {
                let told = self.tell_alone().await;
                self.end_transaction(told.is_ok());
                told
            }
            other => {
                self.state = other;
                Ok(())
            }
        }
    }

    /// After an error: an implicit transaction is gone, an explicit one has failed.
    pub fn fail(&mut self) {
        self.facts.asked_settings.lock().clear();
        self.state.fail();
        if self.state.status() == Status::Idle {
            self.end_transaction(false);
        }
    }

    async fn commit(&mut self, transaction: Transaction) -> SqlResult<()> {
        if transaction.is_read_only() {
            return Ok(());
        }
        let (commit, _held) = transaction.into_commit(self.request_ids.take(), self.database.origin());
        self.database.commit(commit).await?;
        Ok(())
    }
}
