//! The extended query protocol: parse, bind, describe, execute.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use cluster_sql::database::Database;
use cluster_sql::sessions::shown;
use cluster_sql::types::{DataType, Datum};
use cluster_sql::wire::Style;
use cluster_sql::{Cursor, Mode, Outcome, Prepared, Row, SqlError, SqlResult, SqlState, Status, Tag, wire};

use crate::Connection;
use crate::backend::{format_of, type_of_oid};
use crate::client::{Ended, Stop};
use crate::frontend::{Bind, Kind, Message};
use crate::serve::{Backend, violation};

/// Most prepared statements of a session.
pub const STATEMENTS_MAX: usize = 1024;

/// Most bytes of text of them.
pub const STATEMENTS_LEN_MAX: usize = 8 * 1024 * 1024;

/// Most portals of a session.
pub const PORTALS_MAX: usize = 256;

/// The names that a session's client has given.
#[derive(Default)]
pub(crate) struct Extended {
    statements: BTreeMap<String, NamedStatement>,
    statements_len: usize,
    portals: BTreeMap<String, Box<Portal>>,
    /// How many transactions of the session had ended when the first of them was made.
    portals_since: u64,
    /// Whether an error was met, so that messages are ignored until `Sync`.
    pub(crate) skipping: bool,
}

#[derive(Clone)]
struct NamedStatement {
    /// None for an empty text.
    prepared: Option<Prepared>,
    /// What is shown while it runs.
    text: Arc<str>,
    /// The types of the parameters, as the client knows them.
    oids: Vec<u32>,
    len: usize,
}

struct Portal {
    prepared: Option<Prepared>,
    text: Arc<str>,
    params: Vec<Datum>,
    formats: Vec<i16>,
    progress: Progress,
}

/// How far a portal is.
enum Progress {
    Bound,
    /// A result, and rows fetched from it that were more than asked for.
    Suspended(Box<Cursor>, vec::IntoIter<Row>),
    /// A query whose rows have all been sent.
    Exhausted,
    /// Run, or failed.
    Done,
}

impl Extended {
    pub(crate) fn forget_unnamed(&mut self) {
        self.remove("");
        self.portals.remove("");
    }

    /// Portals live as long as the transaction that they were made in: one may end within a pipeline.
    fn forget_portals_before(&mut self, transactions_ended: u64) {
        if core::mem::replace(&mut self.portals_since, transactions_ended) != transactions_ended {
            self.portals.clear();
        }
    }

    fn remove(&mut self, name: &str) -> bool {
        let removed = self.statements.remove(name);
        self.statements_len -= removed.as_ref().map_or(0, |statement| statement.len);
        removed.is_some()
    }

    pub(crate) fn deallocate(&mut self, name: &str) -> SqlResult<()> {
        if self.remove(name) { Ok(()) } else { Err(no_statement(name)) }
    }

    pub(crate) fn deallocate_all(&mut self) {
        self.statements.clear();
        self.statements_len = 0;
    }

    fn insert(&mut self, name: String, statement: NamedStatement) -> SqlResult<()> {
        if self.statements.len() >= STATEMENTS_MAX || self.statements_len + statement.len > STATEMENTS_LEN_MAX
        {
            let message = format!(
                "a session of more than {STATEMENTS_MAX} prepared statements or {STATEMENTS_LEN_MAX} bytes of them exceeds the limit"
            );
            return Err(SqlError::new(SqlState::LIMIT_EXCEEDED, message));
        }
        self.statements_len += statement.len;
        self.statements.insert(name, statement);
        Ok(())
    }

    fn statement(&self, name: &str) -> SqlResult<&NamedStatement> {
        self.statements.get(name).ok_or_else(|| no_statement(name))
    }
}

fn no_statement(name: &str) -> SqlError {
    let message = match name {
        "" => "unnamed prepared statement does not exist".into(),
        name => format!("prepared statement \"{name}\" does not exist"),
    };
    SqlError::new(SqlState::INVALID_STATEMENT_NAME, message)
}

fn no_portal(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_CURSOR_NAME, format!("portal \"{name}\" does not exist"))
}

impl<C: Connection, D: Database> Backend<C, D> {
    pub(crate) async fn extended_message(&mut self, message: Message) -> Result<(), Stop> {
        // From the first message of a statement to the end of its execution.
        self.entered.time_statement(self.session.timeouts().statement);
        self.extended.forget_portals_before(self.session.transactions_ended());
        match message {
            Message::Parse { name, sql, types } => self.parse(name, &sql, &types).await?,
            Message::Bind(bind) => self.bind(bind)?,
            Message::Describe(Kind::Statement, name) => self.describe_statement(&name)?,
            Message::Describe(Kind::Portal, name) => self.describe_portal(&name)?,
            Message::Execute { portal, rows_max } => {
                let executed = self.execute(&portal, rows_max).await;
                self.entered.stop_timer();
                executed?;
            }
            Message::Close(Kind::Statement, name) => {
                self.extended.remove(&name);
                self.client.out.close_complete();
            }
            Message::Close(Kind::Portal, name) => {
                self.extended.portals.remove(&name);
                self.client.out.close_complete();
            }
            _ => return Err(violation("unexpected message".into()).into()),
        }
        self.client.flush_if_long().await?;
        Ok(())
    }

    /// The end of a pipeline, and of its transaction unless one was begun.
    pub(crate) async fn sync(&mut self) -> Result<(), Ended> {
        self.extended.skipping = false;
        self.ready().await?;
        if self.session.status() == Status::Idle {
            self.extended.portals.clear();
        }
        Ok(())
    }

    async fn parse(&mut self, name: String, sql: &str, types: &[u32]) -> Result<(), Stop> {
        let text = shown(sql);
        self.begin_statement(text.clone());
        if name.is_empty() {
            self.extended.forget_unnamed();
        } else if self.extended.statements.contains_key(&name) {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(SqlError::new(SqlState::DUPLICATE_STATEMENT, message).into());
        }
        let mut given = Vec::with_capacity(types.len());
        for oid in types {
            given.push(type_of_oid(*oid).ok_or_else(|| {
                SqlError::not_supported(&format!("a parameter of the type with object id {oid}"))
            })?);
        }
        let statements = self.session.parse(sql)?;
        let prepared = match &*statements {
            [] => None,
            [statement] => Some(self.session.prepare(statement, &given).await?),
            _ => {
                let message = "cannot insert multiple commands into a prepared statement";
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).into());
            }
        };
        let params = prepared.as_ref().map_or(&[][..], Prepared::params);
        let known = |(index, data_type): (usize, &DataType)| match types.get(index) {
            None | Some(0 | 705) => data_type.oid(),
            Some(oid) => *oid,
        };
        let oids = params.iter().enumerate().map(known).collect();
        self.extended.insert(name, NamedStatement { prepared, text, oids, len: sql.len() })?;
        self.client.out.parse_complete();
        Ok(())
    }

    fn bind(&mut self, bind: Bind) -> SqlResult<()> {
        let statement = self.extended.statement(&bind.statement)?;
        let expected = statement.oids.len();
        if bind.values.len() != expected {
            return Err(violation(format!(
                "bind message supplies {} parameters, but prepared statement \"{}\" requires {expected}",
                bind.values.len(),
                bind.statement
            )));
        }
        let columns = statement.prepared.as_ref().and_then(Prepared::columns).map_or(0, <[_]>::len);
        check_formats(&bind.formats, expected, "parameters")?;
        check_formats(&bind.result_formats, columns, "result columns")?;
        let types = statement.prepared.as_ref().map_or(&[][..], Prepared::params);
        let mut params = Vec::with_capacity(expected);
        for (index, (value, data_type)) in bind.values.iter().zip(types).enumerate() {
            let binary = format_of(&bind.formats, index) == 1;
            let style = self.session.style();
            params.push(match value {
                Some(value) => parameter(*data_type, binary, value, style)?,
                None => Datum::Null,
            });
        }
        let (prepared, text) = (statement.prepared.clone(), statement.text.clone());
        if !bind.portal.is_empty() && self.extended.portals.contains_key(&bind.portal) {
            let message = format!("cursor \"{}\" already exists", bind.portal);
            return Err(SqlError::new(SqlState::DUPLICATE_CURSOR, message));
        }
        if self.extended.portals.len() >= PORTALS_MAX {
            let message = format!("a session of more than {PORTALS_MAX} portals exceeds the limit");
            return Err(SqlError::new(SqlState::LIMIT_EXCEEDED, message));
        }
        let portal =
            Portal { prepared, text, params, formats: bind.result_formats, progress: Progress::Bound };
        self.extended.portals.insert(bind.portal, Box::new(portal));
        self.client.out.bind_complete();
        Ok(())
    }

    fn describe_statement(&mut self, name: &str) -> SqlResult<()> {
        let statement = self.extended.statement(name)?;
        self.client.out.parameter_description(&statement.oids);
        match statement.prepared.as_ref().and_then(Prepared::columns) {
            Some(columns) => self.client.out.row_description(columns, &[]),
            None => self.client.out.no_data(),
        }
        Ok(())
    }

    fn describe_portal(&mut self, name: &str) -> SqlResult<()> {
        let portal = self.extended.portals.get(name).ok_or_else(|| no_portal(name))?;
        match portal.prepared.as_ref().and_then(Prepared::columns) {
            Some(columns) => self.client.out.row_description(columns, &portal.formats),
            None => self.client.out.no_data(),
        }
        Ok(())
    }

    async fn execute(&mut self, name: &str, rows_max: u32) -> Result<(), Stop> {
        let text = self.extended.portals.get(name).map(|portal| portal.text.clone());
        self.begin_statement(text.ok_or_else(|| no_portal(name))?);
        let portal = self.extended.portals.get_mut(name).ok_or_else(|| no_portal(name))?;
        let formats = portal.formats.clone();
        let progress = core::mem::replace(&mut portal.progress, Progress::Done);
        let (cursor, ahead) = match progress {
            Progress::Suspended(cursor, ahead) => (cursor, ahead),
            Progress::Exhausted => {
                portal.progress = Progress::Exhausted;
                self.client.out.command_complete(&Tag::Select(0).to_string());
                return Ok(());
            }
            Progress::Done => {
                let message = format!("portal \"{name}\" cannot be run");
                return Err(SqlError::new(SqlState::NOT_IN_PREREQUISITE_STATE, message).into());
            }
            Progress::Bound => {
                let params = core::mem::take(&mut portal.params);
                let Some(prepared) = portal.prepared.clone() else {
                    self.client.out.empty_query();
                    return Ok(());
                };
                self.keep_portals_still(&prepared).await?;
                let alone = self.client.sync_follows().await?;
                let mode = Mode { alone, described: true };
                let outcome = self.session.execute(&prepared, params, mode).await?;
                self.remark();
                match outcome {
                    Outcome::Rows(cursor) => (cursor, Vec::new().into_iter()),
                    other => {
                        let tag = self.finish(other).await?;
                        self.client.out.command_complete(&tag.to_string());
                        return Ok(());
                    }
                }
            }
        };
        self.send_rows(name, cursor, ahead, &formats, rows_max).await
    }

    /// Before a statement is run: results that it may change are taken whole.
    pub(crate) async fn keep_portals_still(&mut self, prepared: &Prepared) -> SqlResult<()> {
        self.extended.forget_portals_before(self.session.transactions_ended());
        let mut portals = core::mem::take(&mut self.extended.portals);
        let mut kept = Ok(());
        for portal in portals.values_mut() {
            if let Progress::Suspended(cursor, _) = &mut portal.progress {
                kept = self.session.keep_still(cursor, prepared).await;
            }
            if kept.is_err() {
                break;
            }
        }
        self.extended.portals = portals;
        kept
    }

    async fn send_rows(
        &mut self,
        name: &str,
        mut cursor: Box<Cursor>,
        mut ahead: vec::IntoIter<Row>,
        formats: &[i16],
        rows_max: u32,
    ) -> Result<(), Stop> {
        let mut sent = 0;
        loop {
            while let Some(row) = ahead.next() {
                self.client.out.data_row(&row, formats, self.session.style());
                self.client.flush_if_long().await?;
                sent += 1;
                if sent == u64::from(rows_max) {
                    self.client.out.portal_suspended();
                    if let Some(portal) = self.extended.portals.get_mut(name) {
                        portal.progress = Progress::Suspended(cursor, ahead);
                    }
                    return Ok(());
                }
            }
            match self.session.fetch(&mut cursor).await? {
                Some(rows) => ahead = rows.into_iter(),
                None => break,
            }
        }
        let tag = match cursor.tag() {
            Tag::Select(_) => {
                if let Some(portal) = self.extended.portals.get_mut(name) {
                    portal.progress = Progress::Exhausted;
                }
                Tag::Select(sent)
            }
            other => other,
        };
        self.remark();
        self.client.out.command_complete(&tag.to_string());
        Ok(())
    }
}

fn check_formats(formats: &[i16], count: usize, what: &str) -> SqlResult<()> {
    if formats.len() > 1 && formats.len() != count {
        return Err(violation(format!("bind message has {} formats but {count} {what}", formats.len())));
    }
    match formats.iter().find(|format| !matches!(format, 0 | 1)) {
        None => Ok(()),
        Some(other) => {
            let message = format!("unsupported format code: {other}");
            Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
        }
    }
}

fn parameter(data_type: DataType, binary: bool, value: &[u8], style: &Style) -> SqlResult<Datum> {
    if binary {
        return wire::parse_binary(data_type, value);
    }
    let text = core::str::from_utf8(value).map_err(|_| wire::bad_utf8())?;
    wire::parse_text(data_type, text, style)
}
