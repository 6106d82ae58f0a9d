//! The simple query protocol, and what it shares with the extended one: results and copies.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_sql::ast::CopyFormat;
use cluster_sql::database::Database;
use cluster_sql::sessions::shown;
use cluster_sql::types::Datum;
use cluster_sql::{CopyIn, Cursor, Mode, Outcome, Parsed, Prepared, SqlError, SqlState, Tag};

use crate::Connection;
use crate::client::{Ended, Stop};
use crate::frontend::Message;
use crate::serve::{Backend, violation};

impl<C: Connection, D: Database> Backend<C, D> {
    /// Runs the statements of one text, in one transaction unless they say otherwise.
    pub(crate) async fn simple_query(&mut self, sql: &str) -> Result<(), Ended> {
        self.begin_statement(shown(sql));
        self.extended.forget_unnamed();
        match self.statements(sql).await {
            Ok(()) => {}
            Err(Stop::Ended(ended)) => return Err(ended),
            Err(Stop::Sql(error)) => self.failed(&error)?,
        }
        self.ready().await
    }

    async fn statements(&mut self, sql: &str) -> Result<(), Stop> {
        self.entered.time_statement(self.session.timeouts().statement);
        if let Some((prepared, params)) = self.session.recognize(sql).await {
            match self.run_prepared(&prepared, params, Mode { alone: true, described: false }).await {
                // What its values are has changed since: nothing was done, and the text may mean something all the same.
                Err(Stop::Sql(error)) if error.is_plan_changed() => {}
                done => {
                    self.entered.stop_timer();
                    return done;
                }
            }
        }
        let statements = self.session.parse(sql)?;
        if statements.is_empty() {
            self.client.out.empty_query();
        }
        let mode = Mode { alone: statements.len() == 1, described: false };
        for statement in statements.iter() {
            self.entered.time_statement(self.session.timeouts().statement);
            let done = self.statement(statement, mode).await;
            self.entered.stop_timer();
            done?;
        }
        Ok(())
    }

    async fn statement(&mut self, statement: &Arc<Parsed>, mode: Mode) -> Result<(), Stop> {
        let prepared = self.session.prepare(statement, &[]).await?;
        if let Some(number) = prepared.params().len().checked_sub(1) {
            let message = format!("there is no parameter ${}", number + 1);
            return Err(SqlError::new(SqlState::UNDEFINED_PARAMETER, message).into());
        }
        self.run_prepared(&prepared, Vec::new(), mode).await
    }

    async fn run_prepared(
        &mut self,
        prepared: &Prepared,
        params: Vec<Datum>,
        mode: Mode,
    ) -> Result<(), Stop> {
        self.keep_portals_still(prepared).await?;
        let outcome = self.session.execute(prepared, params, mode).await?;
        self.remark();
        let tag = match outcome {
            Outcome::Rows(mut cursor) => {
                self.client.out.row_description(cursor.columns(), &[]);
                while let Some(rows) = self.session.fetch(&mut cursor).await? {
                    for row in rows {
                        self.client.out.data_row(&row, &[], self.session.style());
                        self.client.flush_if_long().await?;
                    }
                }
                cursor.tag()
            }
            other => self.finish(other).await?,
        };
        self.remark();
        self.client.out.command_complete(&tag.to_string());
        Ok(())
    }

    /// Whatever an outcome without rows for the client still needs.
    pub(crate) async fn finish(&mut self, outcome: Outcome) -> Result<Tag, Stop> {
        match outcome {
            Outcome::Done(tag) => Ok(tag),
            Outcome::Rows(cursor) => Ok(cursor.tag()),
            Outcome::CopyOut(cursor, format) => self.copy_out(cursor, &format).await,
            Outcome::CopyIn(copy) => self.copy_in(copy).await,
            Outcome::Backup(backup) => self.backup(backup).await,
            Outcome::Restore(restore) => self.restore(restore).await,
            Outcome::Deallocate(Some(name)) => {
                self.extended.deallocate(&name)?;
                Ok(Tag::Deallocate)
            }
            Outcome::Deallocate(None) => {
                self.extended.deallocate_all();
                Ok(Tag::DeallocateAll)
            }
            Outcome::DiscardAll => {
                self.extended.deallocate_all();
                Ok(Tag::DiscardAll)
            }
        }
    }

    async fn copy_out(&mut self, mut cursor: Box<Cursor>, format: &CopyFormat) -> Result<Tag, Stop> {
        self.client.out.copy_response(false, *format == CopyFormat::Binary, cursor.columns().len());
        let mut line = Vec::new();
        // The header goes out even if no row does.
        cursor.write_copy(&[], format, &mut line);
        while let Some(rows) = self.session.fetch(&mut cursor).await? {
            for row in rows {
                cursor.write_copy(&[row], format, &mut line);
                self.client.out.copy_data(&line);
                line.clear();
                self.client.flush_if_long().await?;
            }
        }
        cursor.write_copy_end(format, &mut line);
        if !line.is_empty() {
            self.client.out.copy_data(&line);
        }
        self.client.out.copy_done();
        Ok(cursor.tag())
    }

    async fn copy_in(&mut self, mut copy: Box<CopyIn>) -> Result<Tag, Stop> {
        self.client.out.copy_response(true, copy.is_binary(), copy.columns_len());
        self.client.flush().await?;
        loop {
            match self.client.message().await? {
                Message::CopyData(data) => self.session.copy_data(&mut copy, &data).await?,
                Message::CopyDone => return Ok(self.session.copy_done(*copy).await?),
                Message::CopyFail(reason) => {
                    let message = format!("COPY from stdin failed: {reason}");
                    return Err(SqlError::new(SqlState::QUERY_CANCELED, message).into());
                }
                Message::Flush | Message::Sync => {}
                Message::Terminate => return Err(Ended::Closed.into()),
                _ => return Err(violation("unexpected message during COPY from stdin".into()).into()),
            }
        }
    }
}
