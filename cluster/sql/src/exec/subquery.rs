//! Running the subqueries that expressions ask for.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;

use hashbrown::HashSet;

use super::{Context, Cursor, Row, row_len};
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::{Subquery, SubqueryKind};
use crate::memo::{Pending, SubqueryResult, comparable_form};
use crate::session::Notice;
use crate::sessions::Signal;
use crate::system::{self, Catalog, SystemTable};
use crate::types::Datum;

impl<D: Database> Context<'_, D> {
    /// Runs the subquery that the last expression has asked for, so that it can be evaluated again.
    pub(super) fn run_pending(&mut self) -> Pin<Box<dyn Future<Output = SqlResult<()>> + Send + '_>> {
        Box::pin(async move {
            let taken = self.env.memo.take_pending();
            let asked = taken.as_ref().and_then(Pending::asked);
            let pending = match taken {
                Some(Pending::Subquery(pending)) => pending,
                Some(Pending::Sequence(request)) => {
                    let number = self.sequence(&request).await?;
                    self.env.memo.note_answer(asked, Datum::Int8(number));
                    self.env.memo.begin_again();
                    return Ok(());
                }
                Some(Pending::Signal(signal)) => {
                    let told = self.signal(signal).await?;
                    self.env.memo.note_answer(asked, Datum::Bool(told));
                    self.env.memo.begin_again();
                    return Ok(());
                }
                Some(Pending::Routine(request)) => {
                    let aside = self.env.memo.put_aside();
                    let called = self.call(&request.routine, &request.arguments).await?;
                    self.env.memo.bring_back(aside);
                    let value = called.into_iter().next().and_then(|row| row.into_iter().next());
                    self.env.memo.note_answer(asked, value.unwrap_or(Datum::Null));
                    return Ok(());
                }
                Some(Pending::Catalog) => {
                    self.catalog().await?;
                    self.env.memo.begin_again();
                    return Ok(());
                }
                None => return Err(SqlError::corrupted("subquery")),
            };
            let in_use = self.budget.in_use();
            let mut inner = self.within(&pending.outer);
            // What expressions within ask sequences for must not be taken for what this one asks for.
            let aside = inner.env.memo.put_aside();
            let (result, len) = run(&pending.subquery, &mut inner).await?;
            self.env.memo.bring_back(aside);
            self.budget.return_to(in_use);
            let len = if pending.subquery.varies() { 0 } else { len };
            self.budget.charge(len)?;
            let given_up = self.env.memo.note(&pending, result, len);
            self.budget.refund(given_up);
            Ok(())
        })
    }
}

impl<D: Database> Context<'_, D> {
    /// Tells a session to stop, or to end; whether it was there. If not, that is worth a remark.
    async fn signal(&self, signal: Signal) -> SqlResult<bool> {
        let told = self.database.signal(signal).await?;
        if !told {
            let message = format!("PID {} is not a PostgreSQL backend process", signal.pid);
            self.env.session.remarks.lock().push(Notice::warning(SqlState::WARNING, message));
        }
        Ok(told)
    }

    /// What there is, read once for the statement.
    pub(super) async fn catalog(&mut self) -> SqlResult<Arc<Catalog>> {
        if let Ok(known) = self.env.memo.catalog() {
            return Ok(known);
        }
        self.env.memo.take_pending();
        let live = self.database.live_tables();
        let catalog = Arc::new(system::load(self.transaction, self.env.session, live).await?);
        self.budget.charge(catalog.len_memory())?;
        self.env.memo.note_catalog(catalog.clone());
        Ok(catalog)
    }

    /// The rows of a system table, made once for the statement.
    pub(super) async fn system_rows(&mut self, table: &'static SystemTable) -> SqlResult<Arc<Vec<Row>>> {
        if let Some(rows) = self.env.memo.system(table.oid) {
            return Ok(rows);
        }
        let catalog = self.catalog().await?;
        let rows = table.rows(&catalog);
        for row in rows.iter() {
            self.budget.charge_row(row)?;
        }
        self.env.memo.note_system(table.oid, rows.clone());
        Ok(rows)
    }
}

/// What `subquery` gives, and how many bytes of memory that takes.
async fn run<D: Database>(
    subquery: &Subquery,
    context: &mut Context<'_, D>,
) -> SqlResult<(SubqueryResult, usize)> {
    let mut cursor = Cursor::open(&subquery.rel);
    let mut rows = Vec::new();
    let mut whole = HashSet::new();
    let mut len = 128;
    // One row tells whether there are any, two that there are too many.
    let wanted = match subquery.kind {
        SubqueryKind::Exists => 1,
        SubqueryKind::Scalar => 2,
        SubqueryKind::Quantified(..) => usize::MAX,
    };
    while let Some(batch) = cursor.next_wanted(context, wanted).await? {
        let batch = batch.into_rows();
        match subquery.kind {
            SubqueryKind::Exists if !batch.is_empty() => return Ok((SubqueryResult::Exists(true), len)),
            SubqueryKind::Exists => continue,
            SubqueryKind::Scalar if rows.len() + batch.len() > 1 => {
                let message = "more than one row returned by a subquery used as an expression";
                return Err(SqlError::new(SqlState::CARDINALITY_VIOLATION, message));
            }
            _ => {}
        }
        for row in batch {
            let mut row_len = row_len(&row);
            if matches!(subquery.kind, SubqueryKind::Quantified(..))
                && row.iter().all(|value| !value.is_null())
            {
                let form = comparable_form(&row);
                row_len += form.len() + 48;
                // Once is enough.
                if !whole.insert(form) {
                    continue;
                }
            }
            context.budget.charge(row_len)?;
            len += row_len;
            rows.push(row);
        }
    }
    Ok(match subquery.kind {
        SubqueryKind::Exists => (SubqueryResult::Exists(false), len),
        SubqueryKind::Quantified(..) => (SubqueryResult::Rows(rows, whole), len),
        SubqueryKind::Scalar => {
            let value = rows.pop().and_then(|mut row| row.pop()).unwrap_or(Datum::Null);
            (SubqueryResult::Value(value), len)
        }
    })
}
