//! Which transaction a session is in.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_store::{Savepoint, Transaction};

use super::Status;
use super::replay::History;
use super::settings::Assigned;
use crate::ast::Statement;
use crate::claims::BlockClaims;
use crate::database::{Database, Freshness};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::exec::{OwnSequences, Waiting};
use crate::sessions::OpenBlock;

/// Most savepoints of a transaction: each is a copy of the write buffer's index.
pub(crate) const SAVEPOINTS_MAX: usize = 32;

/// Which transaction a session is in. See the picture above.
pub(crate) enum State {
    /// In none.
    Idle,
    /// In one that ends with the message or the pipeline.
    Implicit(Box<Transaction>),
    /// In one that was begun.
    Explicit(Explicit),
    /// In one that was begun and has failed.
    Failed(Explicit),
}

/// A transaction that was begun.
#[derive(Default)]
pub(crate) struct Explicit {
    /// None before its first statement.
    pub(crate) transaction: Option<Box<Transaction>>,
    pub(crate) read_only: bool,
    pub(crate) savepoints: Vec<Saved>,
    /// What it has done, to be done again if its commit meets a conflict.
    pub(crate) history: History,
    /// The rows that it has changed; none before the first.
    pub(crate) claims: Option<BlockClaims>,
}

/// Whether a block that meets a conflict is begun again at once, and what it keeps until then.
#[derive(Default)]
pub(crate) struct Repeats {
    pub(crate) at_once: bool,
    /// What it has claimed: others of this node would only change the rows before it has come back to them.
    pub(crate) claims: Option<BlockClaims>,
}

/// A savepoint, and what can be come back to beside the tables.
pub(crate) struct Saved {
    pub(crate) name: String,
    pub(crate) savepoint: Savepoint,
    pub(crate) settings: Arc<Assigned>,
    /// Which constraints wait.
    pub(crate) waiting: Waiting,
    /// The sequences that it had made.
    pub(crate) sequences: OwnSequences,
    /// How much it was to tell, and had asked to listen to.
    pub(crate) notifications: (usize, usize),
}

impl State {
    pub(crate) fn status(&self) -> Status {
        match self {
            State::Idle | State::Implicit(_) => Status::Idle,
            State::Explicit(_) => Status::Transaction,
            State::Failed(_) => Status::Failed,
        }
    }

    /// The block that was begun, if there is one.
    pub(crate) fn open_block(&self) -> Option<OpenBlock> {
        let (State::Explicit(explicit) | State::Failed(explicit)) = self else { return None };
        let transaction = explicit.transaction.as_deref();
        let (written, written_len) = transaction.map_or((0, 0), Transaction::written_size);
        let version = transaction.map(Transaction::read_version);
        Some(OpenBlock { version, written_len, written, read_only: explicit.read_only })
    }

    /// Whether a transaction is open.
    pub(crate) fn is_block(&self) -> bool {
        !matches!(self, State::Idle)
    }

    /// The open transaction; opens an implicit one if there is none.
    pub(crate) async fn transaction<D: Database>(&mut self, database: &D) -> SqlResult<&mut Transaction> {
        if let State::Idle = self {
            let snapshot = database.snapshot(Freshness::Linearizable).await?;
            *self = State::Implicit(Box::new(Transaction::new(snapshot, database.memory().lease())));
        }
        match self {
            State::Implicit(transaction) => Ok(transaction),
            State::Explicit(explicit) => {
                if explicit.transaction.is_none() {
                    let snapshot = database.snapshot(Freshness::Linearizable).await?;
                    explicit.transaction =
                        Some(Box::new(Transaction::new(snapshot, database.memory().lease())));
                }
                explicit.transaction.as_deref_mut().ok_or_else(failed)
            }
            State::Idle | State::Failed(_) => Err(failed()),
        }
    }

    /// What the transaction block has done, if there is one.
    pub(crate) fn history(&mut self) -> Option<&mut History> {
        match self {
            State::Explicit(explicit) => Some(&mut explicit.history),
            _ => None,
        }
    }

    pub(crate) fn fail(&mut self) {
        *self = match core::mem::replace(self, State::Idle) {
            State::Idle | State::Implicit(_) => State::Idle,
            // Others need not wait for its end any more.
            State::Explicit(explicit) | State::Failed(explicit) => {
                State::Failed(Explicit { claims: None, ..explicit })
            }
        };
    }

    /// 25P02 if the transaction has failed and `statement` does not end it.
    pub(crate) fn check_usable(&self, statement: &Statement) -> SqlResult<()> {
        let ends = matches!(statement, Statement::Commit | Statement::Rollback | Statement::RollbackTo(_));
        if matches!(self, State::Failed(_)) && !ends {
            return Err(failed());
        }
        Ok(())
    }

    /// 25006 if the transaction only reads.
    pub(crate) fn check_writable(&self, command: &str) -> SqlResult<()> {
        if let State::Explicit(Explicit { read_only: true, .. }) = self {
            let message = alloc::format!("cannot execute {command} in a read-only transaction");
            return Err(SqlError::new(SqlState::READ_ONLY_TRANSACTION, message));
        }
        Ok(())
    }
}

fn failed() -> SqlError {
    let message = "current transaction is aborted, commands ignored until end of transaction block";
    SqlError::new(SqlState::FAILED_TRANSACTION, message)
}
