//! `COPY FROM STDIN`: one transaction, whose rows come piece by piece.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_store::{Transaction, yield_now};

use super::run::ATTEMPTS_MAX;
use super::{Session, Tag};
use crate::ast::CopyFormat;
use crate::catalog::Event;
use crate::copy::{CopyDecoder, Field};
use crate::database::{Database, DatabaseError, Freshness};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::eval::Env;
use crate::exec::{
    Budget, Context, References, Row, before_row, check_deferred, check_row, replay_inserts, settle_keys,
    store_row,
};
use crate::memo::Memo;
use crate::plan::{CopyInPlan, Plan, Planned};
use crate::types::Datum;
use crate::wire;

/// So many bytes are taken apart at once: short rows take many times the memory that they have bytes.
const PIECE_LEN: usize = 64 * 1024;

/// A copy in progress.
pub struct CopyIn {
    planned: Arc<Planned>,
    decoder: CopyDecoder,
    /// The transaction, if the copy is alone in it.
    own: Option<Transaction>,
    count: u64,
    references: References,
    /// Whether triggers have been called that are called before all rows.
    has_begun: bool,
    budget: Budget,
}

impl CopyIn {
    pub(super) fn new(planned: Arc<Planned>, own: Option<Transaction>, budget: Budget) -> SqlResult<CopyIn> {
        let Plan::CopyIn(plan) = &planned.plan else { return Err(SqlError::not_supported("this COPY")) };
        let decoder = CopyDecoder::new(plan.format.clone(), plan.columns.len());
        Ok(CopyIn {
            planned,
            decoder,
            own,
            count: 0,
            references: References::default(),
            has_begun: false,
            budget,
        })
    }

    /// Whether rows come as bytes rather than lines.
    pub fn is_binary(&self) -> bool {
        matches!(&self.planned.plan, Plan::CopyIn(CopyInPlan { format: CopyFormat::Binary, .. }))
    }

    /// How many fields a line has.
    pub fn columns_len(&self) -> usize {
        match &self.planned.plan {
            Plan::CopyIn(plan) => plan.columns.len(),
            _ => 0,
        }
    }
}

impl<D: Database> Session<D> {
    /// Takes a piece of the data.
    pub async fn copy_data(&mut self, copy: &mut CopyIn, bytes: &[u8]) -> SqlResult<()> {
        for piece in bytes.chunks(PIECE_LEN) {
            let mut records = Vec::new();
            copy.decoder.push(piece, &mut records)?;
            self.copy_records(copy, records).await?;
        }
        Ok(())
    }

    async fn copy_records(
        &mut self,
        copy: &mut CopyIn,
        records: Vec<(u64, crate::copy::Record)>,
    ) -> SqlResult<()> {
        self.cancel.check()?;
        let planned = copy.planned.clone();
        let Plan::CopyIn(plan) = &planned.plan else { return Ok(()) };
        let Session { state, database, facts, cancel, .. } = self;
        let transaction = match &mut copy.own {
            Some(transaction) => transaction,
            None => state.transaction(database).await?,
        };
        let memo = Memo::default();
        let env = Env::new(&[], facts, &memo);
        let mut context = Context { database, transaction, env, cancel, budget: &mut copy.budget };
        if !core::mem::replace(&mut copy.has_begun, true) {
            let (fired, id) = (&mut copy.references.fired, plan.table.descriptor.id);
            fired.begin(&plan.related, id, Event::Insert, &[], &mut context).await?;
        }
        for (index, (line, record)) in records.into_iter().enumerate() {
            context.breathe(index).await?;
            let stored = copy_record(plan, record, &mut copy.references, &mut context).await;
            copy.count += u64::from(stored.map_err(|error| at_line(error, plan, line))?);
        }
        Ok(())
    }

    /// Whether what the rows refer to is there.
    async fn check_references(&mut self, copy: &mut CopyIn) -> SqlResult<()> {
        let planned = copy.planned.clone();
        let Plan::CopyIn(plan) = &planned.plan else { return Ok(()) };
        let Session { state, database, facts, cancel, .. } = self;
        let is_alone = copy.own.is_some();
        let transaction = match &mut copy.own {
            Some(transaction) => transaction,
            None => state.transaction(database).await?,
        };
        let memo = Memo::default();
        let env = Env::new(&[], facts, &memo);
        let mut context = Context { database, transaction, env, cancel, budget: &mut copy.budget };
        let mut references = core::mem::take(&mut copy.references);
        let fired = core::mem::take(&mut references.fired);
        references.check(true, &plan.related, &mut context).await?;
        settle_keys(true, &mut context).await?;
        fired.end(&plan.related, &mut context).await?;
        if is_alone {
            check_deferred(true, &mut context).await?;
        }
        Ok(())
    }

    /// The end of the data: commits, if the copy is alone.
    pub async fn copy_done(&mut self, mut copy: CopyIn) -> SqlResult<Tag> {
        let mut records = Vec::new();
        copy.decoder.finish(&mut records)?;
        self.copy_records(&mut copy, records).await?;
        self.check_references(&mut copy).await?;
        let Plan::CopyIn(plan) = &copy.planned.plan else { return Ok(Tag::Copy(0)) };
        let Some(mut transaction) = copy.own.take() else { return Ok(Tag::Copy(copy.count)) };
        if transaction.is_read_only() {
            return Ok(Tag::Copy(copy.count));
        }
        // Only the taking of keys is done again: what else was checked holds for the rows that were there then.
        let descriptor = &plan.table.descriptor;
        let can_be_replayed = !descriptor.has_checks_of_others() && descriptor.triggers.is_empty();
        let attempts_max = if can_be_replayed { ATTEMPTS_MAX } else { 1 };
        for attempt in 1.. {
            let (commit, _held) = transaction.into_commit(self.request_ids.take(), self.database.origin());
            // Its keys and values are shared, so this copies no rows.
            match self.database.commit(commit.clone()).await {
                Ok(_) => break,
                Err(DatabaseError::Conflict(_)) if attempt < attempts_max => {}
                Err(error) => return Err(error.into()),
            }
            yield_now().await;
            transaction = Transaction::new(
                self.database.snapshot(Freshness::Linearizable).await?,
                self.database.memory().lease(),
            );
            replay_inserts(&commit, &plan.table, &mut transaction).await?;
        }
        Ok(Tag::Copy(copy.count))
    }
}

/// Stores a record; whether a row has come of it.
async fn copy_record<D: Database>(
    plan: &CopyInPlan,
    mut record: crate::copy::Record,
    references: &mut References,
    context: &mut Context<'_, D>,
) -> SqlResult<bool> {
    let table = &plan.table;
    if record.len() > plan.columns.len() {
        return Err(SqlError::new(SqlState::BAD_COPY_FORMAT, "extra data after last expected column"));
    }
    let mut row = Row::with_capacity(table.types.len());
    for (index, column) in table.descriptor.columns.iter().enumerate() {
        let field = match plan.columns.iter().position(|target| *target == index) {
            None => {
                row.push(match table.bound.defaults.get(index) {
                    Some(default) => context.eval(default, &[]).await?,
                    None => Datum::Null,
                });
                continue;
            }
            Some(at) => record.get_mut(at).ok_or_else(|| {
                let message = format!("missing data for column \"{}\"", column.name);
                SqlError::new(SqlState::BAD_COPY_FORMAT, message)
            })?,
        };
        row.push(match core::mem::replace(field, Field::Null) {
            Field::Null => Datum::Null,
            Field::Text(text) => wire::parse_owned_text(column.data_type, text, &context.env.session.style)?,
            Field::Binary(bytes) => {
                let parsed = wire::parse_binary(column.data_type, &bytes);
                parsed.map_err(|error| in_column(error, &column.name))?
            }
        });
    }
    let (related, id) = (&plan.related, table.descriptor.id);
    let becomes = before_row(related, id, Event::Insert, (&Row::new(), row), &[], context).await?;
    let Some(mut row) = becomes else { return Ok(false) };
    check_row(table, &mut row, &context.env)?;
    store_row(table, &row, context.transaction, &context.env).await?;
    references.fired.note(related, id, Event::Insert, (&Row::new(), &row), &[], context)?;
    references.want(related, id, &row, context)?;
    Ok(true)
}

/// What is said of a value in a message, about one in a column.
fn in_column(mut error: SqlError, column: &str) -> SqlError {
    if let Some(rest) = error.message.strip_suffix(" in bind parameter") {
        error.message = rest.into();
    }
    error.detail = Some(format!("column {column}"));
    error
}

/// Says which line was at fault.
fn at_line(mut error: SqlError, plan: &CopyInPlan, line: u64) -> SqlError {
    let place = format!("COPY {}, line {line}", plan.table.descriptor.name);
    error.detail = Some(match error.detail {
        Some(detail) => format!("{detail} ({place})"),
        None => place,
    });
    error
}
