//! Functions and procedures whose language is wasm: a program of `sys.programs` runs within the statement that calls, a slice
//! at a time.
//!
//! ```text
//!                     arguments of the run                   its result
//! a function          [1, "two", null]                       its value: 1, "two", [1, 2], null; none is NULL
//! that gives rows     the same                               [[1, "one"], [2, null]], or [1, 2] of one column
//! a trigger           {"op": "UPDATE", "trigger": "t",       null leaves the row alone, an object puts its values in the
//!                      "table": "s",                         places of the row's of the same names; none changes nothing
//!                      "old": {"a": 1}, "new": {"a": 2}}
//! ```
//! What it asks for is done in the transaction of the statement. A statement of it that fails makes the call fail, whatever
//! the program does then. It can neither sleep, wait, have steps, nor use files: that is for tasks.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_store::yield_now;
use cluster_tasks::limits::RESPONSE_LEN_MAX;
use cluster_tasks::{Answer, Call, Facts, LogLevel, Run, Step, Trap};

use super::routine::{Body, Columns, Given, OLD, check_fits};
use super::{Budget, Context, Cursor, Row, row_len, run_change};
use crate::ast::Statement;
use crate::catalog::{self, BodyStatement, Returns, Stored, StoredRoutine, TableDescriptor};
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::key::table_range;
use crate::memo::Memo;
use crate::parse;
use crate::plan::{self, OutputColumn, Plan, Planned, Rel};
use crate::programs::{ANSWER_LEN_MAX, ProgramRow, Ready, SLICE_FUEL, json};
use crate::session::Notice;
use crate::types::{DataType, Datum, Json, parse_json, quote_json};
use crate::wire::Style;

/// Remarks of a statement, beyond which those of programs are lost.
const REMARKS_MAX: usize = 100;

/// Statements of a program whose plans are kept, and the longest text of one.
const STATEMENTS_MAX: usize = 32;
const STATEMENT_LEN_MAX: usize = 4096;

/// What a statement has given.
struct Ran {
    planned: Arc<Planned>,
    rows: Vec<Row>,
    count: u64,
    /// The memory of the rows.
    budget: Budget,
}

impl<D: Database> Context<'_, D> {
    /// Runs the program of a routine from `entry` on; what it gives.
    pub(super) async fn run_program(
        &mut self,
        body: &Body<'_>,
        entry: &str,
        arguments: &[Datum],
    ) -> SqlResult<Given> {
        let routine = body.routine;
        let place = || format!("WebAssembly function \"{}\"", routine.descriptor.name);
        let ran = async {
            check_arguments(arguments)?;
            let ready = self.program(body).await?;
            let style = &self.env.session.style;
            let facts = Facts {
                arguments: body.arguments(arguments, style),
                time_micros: style.now.unix_micros(),
                seed: self.env.session.chance.next(),
            };
            let run = ready.run(entry, facts, self.database.memory());
            let mut run = run.map_err(|trap| of_trap(&trap, None))?;
            let result = self.drive(routine, &mut run).await?;
            given(body, result, &self.env.session.style)
        };
        ran.await.map_err(|error: SqlError| error.within(place()))
    }

    /// The program of a routine, as the transaction sees it.
    async fn program(&mut self, body: &Body<'_>) -> SqlResult<Ready> {
        let name = &body.routine.descriptor.body;
        let [find, module] = body.statements else { return Err(SqlError::corrupted("function")) };
        let missing = |message: String| {
            SqlError::new(SqlState::UNDEFINED_OBJECT, message)
                .hint(format!("Add it: relix program add {name} FILE.wasm"))
        };
        let params = [Datum::Text(name.clone()), Datum::Null];
        let found = self.run_own(body.routine, find, &params).await?.rows;
        let row = ProgramRow::new(name, found.first().map(Vec::as_slice)).map_err(missing)?;
        // What the transaction itself has written is nothing to others.
        let is_common = !self.has_written_programs().await?;
        let read_at = self.transaction.read_version();
        if is_common
            && let Some(ready) =
                self.database.programs().known(&row, read_at).or_else(|| self.env.memo.program(&row))
        {
            return Ok(ready);
        }
        let params = [Datum::Text(name.clone()), Datum::Int4(row.version())];
        let found = self.run_own(body.routine, module, &params).await?.rows;
        let Some(Datum::Bytea(module)) = found.first().and_then(|row| row.first()) else {
            return Err(SqlError::corrupted("program"));
        };
        let ready = row
            .compile(module)
            .map_err(|message| SqlError::new(SqlState::INVALID_FUNCTION_DEFINITION, message))?;
        if is_common {
            // If programs have changed since, it is kept for the statement alone.
            self.env.memo.note_program(row.clone(), ready.clone());
            self.database.programs().keep(row, ready.clone(), read_at);
        }
        Ok(ready)
    }

    async fn has_written_programs(&mut self) -> SqlResult<bool> {
        if self.transaction.is_read_only() {
            return Ok(false);
        }
        let table = catalog::find(self.transaction, "sys", "programs").await?;
        let Some(Stored::Table(table)) = table else { return Ok(true) };
        Ok(self.transaction.has_written(&table_range(table.descriptor.id)))
    }

    /// Runs a program to its end; its result.
    async fn drive(&mut self, routine: &StoredRoutine, run: &mut Run) -> SqlResult<Option<String>> {
        let mut failed: Option<SqlError> = None;
        loop {
            self.check_cancel()?;
            match run.step(SLICE_FUEL) {
                Step::Yield => yield_now().await,
                Step::Call(Call::Sql { .. }) if failed.is_some() => {
                    run.answer(Answer::Failed("a statement before this one has failed".into()));
                }
                Step::Call(Call::Sql { text, parameters }) => {
                    match self.statement(routine, &text, &parameters).await {
                        Ok(response) => run.answer(Answer::Response(response)),
                        Err(error) if error.is_of_statement() => {
                            run.answer(Answer::Failed(format!("{error}")));
                            failed = Some(error);
                        }
                        Err(error) => return Err(error),
                    }
                }
                Step::Call(Call::Log { level, text }) => self.remark(level, text),
                Step::Call(_) | Step::Sleep(_) | Step::Wait { .. } => {
                    let what = "a function that sleeps, waits, has steps or uses files";
                    return Err(SqlError::not_supported(what).hint("Run its program as a task."));
                }
                Step::Done(result) => return failed.map_or(Ok(result), Err),
                Step::Trap(trap) => return Err(of_trap(&trap, failed)),
            }
        }
    }

    /// What a program logs, the client is told.
    fn remark(&mut self, level: LogLevel, message: String) {
        let (severity, state) = match level {
            LogLevel::Error | LogLevel::Warn => ("WARNING", SqlState::WARNING),
            LogLevel::Info => ("NOTICE", SqlState::SUCCESS),
            LogLevel::Debug => return,
        };
        let mut remarks = self.env.session.remarks.lock();
        if remarks.len() < REMARKS_MAX {
            remarks.push(Notice { severity, state, message });
        }
    }

    /// Runs a statement of a program; what it gave, as JSON.
    async fn statement(
        &mut self,
        routine: &StoredRoutine,
        text: &str,
        parameters: &str,
    ) -> SqlResult<String> {
        let statement = prepared(routine, text)?;
        let planned = self.planned(routine, &statement, &[]).await?;
        let params = json::parameters(parameters, &planned.params, &self.env.session.style)?;
        let mut ran = self.run_planned(planned, &params).await?;
        if let Statement::Call(_) = &*statement.statement {
            // What stands for nothing is no row.
            (ran.rows, ran.count) = (Vec::new(), 0);
        }
        let columns: &[OutputColumn] = ran.planned.columns.as_deref().unwrap_or_default();
        let json = json::answer(columns, &ran.rows, ran.count, &self.env.session.style);
        check_len(json.len())?;
        ran.budget.charge(json.len())?;
        Ok(json)
    }

    /// Runs a statement that is ours.
    async fn run_own(
        &mut self,
        routine: &StoredRoutine,
        statement: &BodyStatement,
        params: &[Datum],
    ) -> SqlResult<Ran> {
        let types = [Some(DataType::Text), Some(DataType::Int4)];
        let planned = self.planned(routine, statement, &types).await?;
        self.run_planned(planned, params).await
    }

    /// The plan of a statement, for the tables as the transaction sees them.
    async fn planned(
        &mut self,
        routine: &StoredRoutine,
        statement: &BodyStatement,
        given: &[Option<DataType>],
    ) -> SqlResult<Arc<Planned>> {
        let path = self.env.session.path.clone();
        if let Some(planned) = statement.planned(self.transaction, &path).await? {
            return Ok(planned);
        }
        let relations = plan::relations(&statement.statement, self.transaction, self.database, &path).await?;
        let planned = plan::plan(&statement.statement, relations, given)?;
        check_fits(&planned, routine)?;
        let planned = Arc::new(planned);
        statement.keep(planned.clone());
        Ok(planned)
    }

    async fn run_planned(&mut self, planned: Arc<Planned>, params: &[Datum]) -> SqlResult<Ran> {
        let mut budget = Budget::new(self.database.memory());
        let memo = Memo::default();
        let mut inner = self.of_routine(params, &memo, &mut budget);
        let (rows, count) = match &planned.plan {
            Plan::Query(rel) => {
                let rows = collect_some(rel, &mut inner).await?;
                let count = rows.len() as u64;
                (rows, count)
            }
            plan => {
                let changed = run_change(plan, &mut inner).await?;
                check_len(changed.returned.iter().map(row_len).sum())?;
                (changed.returned, changed.count)
            }
        };
        Ok(Ran { planned, rows, count, budget })
    }
}

/// All rows of a query, if they are no more than a program is given.
async fn collect_some<D: Database>(rel: &Rel, context: &mut Context<'_, D>) -> SqlResult<Vec<Row>> {
    let mut cursor = Cursor::open(rel);
    let (mut rows, mut len) = (Vec::new(), 0);
    while let Some(batch) = cursor.next_batch(context).await? {
        for row in batch.into_rows() {
            len += row_len(&row);
            check_len(len)?;
            context.budget.charge_row(&row)?;
            rows.push(row);
        }
    }
    Ok(rows)
}

fn check_len(len: usize) -> SqlResult<()> {
    if len > ANSWER_LEN_MAX { Err(json::too_long(ANSWER_LEN_MAX)) } else { Ok(()) }
}

/// 54000 if they are longer than a run can be given.
fn check_arguments(arguments: &[Datum]) -> SqlResult<()> {
    if arguments.iter().map(Datum::len_memory).sum::<usize>() <= RESPONSE_LEN_MAX {
        return Ok(());
    }
    let message = format!("a program is given no more than {RESPONSE_LEN_MAX} bytes of arguments");
    Err(SqlError::new(SqlState::LIMIT_EXCEEDED, message))
}

/// The statement of a text, with its plan if it was run before.
fn prepared(routine: &StoredRoutine, text: &str) -> SqlResult<Arc<BodyStatement>> {
    if let Some(known) = known(routine, text) {
        return Ok(known);
    }
    let mut statements = parse::parse(text)?;
    let (Some(statement), true) = (statements.pop(), statements.is_empty()) else {
        let message = format!("one statement is wanted, not {}", statements.len() + 1);
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
    };
    let statement = Arc::new(BodyStatement::new(Arc::new(statement)));
    if text.len() <= STATEMENT_LEN_MAX {
        let mut kept = routine.of_program.lock();
        if kept.len() >= STATEMENTS_MAX {
            kept.pop_front();
        }
        kept.push_back((text.into(), statement.clone()));
    }
    Ok(statement)
}

fn known(routine: &StoredRoutine, text: &str) -> Option<Arc<BodyStatement>> {
    let mut kept = routine.of_program.lock();
    let at = kept.iter().position(|(known, _)| known == text)?;
    let known = kept.remove(at)?;
    let statement = known.1.clone();
    kept.push_back(known);
    Some(statement)
}

/// The program of a new function must be there, and have its entry.
pub(crate) async fn check_program<D: Database>(
    routine: &StoredRoutine,
    entry: &str,
    context: &mut Context<'_, D>,
) -> SqlResult<()> {
    let body = Body { routine, statements: &routine.body, row_of: None };
    let ready = context.program(&body).await?;
    if ready.program().has_entry(entry) {
        return Ok(());
    }
    let entries: Vec<&str> = ready.program().entries().collect();
    let message = format!("program \"{}\" exports no function \"{entry}\"", routine.descriptor.body);
    Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, message)
        .hint(format!("A call can begin at what takes and gives nothing: {}.", entries.join(", "))))
}

/// What a call fails with whose program has ended badly, perhaps because a statement of it has failed.
fn of_trap(trap: &Trap, failed: Option<SqlError>) -> SqlError {
    let state = match trap {
        Trap::Failed { message } => {
            let state = failed.map_or(SqlState::RAISED, |error| error.state);
            return SqlError::new(state, message.clone());
        }
        // Others will give back what they hold.
        Trap::MemoryRefused => SqlState::INSUFFICIENT_RESOURCES,
        Trap::OutOfFuel { .. } | Trap::OutOfMemory { .. } | Trap::StackOverflow => SqlState::LIMIT_EXCEEDED,
        _ => SqlState::EXTERNAL_ROUTINE,
    };
    failed.unwrap_or_else(|| SqlError::new(state, format!("{trap}")))
}

impl Body<'_> {
    /// What the program is called with.
    fn arguments(&self, arguments: &[Datum], style: &Style) -> String {
        let mut out = String::new();
        if self.routine.descriptor.returns != Returns::Trigger {
            json::array(arguments, style, &mut out);
            return out;
        }
        // As triggers have them: what the row was, what it becomes, and facts.
        let rows_len = self.row_of.map_or(0, |table| 2 * table.columns.len());
        let (rows, facts) = arguments.split_at(rows_len.min(arguments.len()));
        for (at, (name, fact)) in ["op", "trigger", "table"].into_iter().zip(facts).enumerate() {
            out.push_str(if at == 0 { "{\"" } else { ",\"" });
            out.push_str(name);
            out.push_str("\":");
            json::write(fact, style, &mut out);
        }
        if let Some(table) = self.row_of {
            let (old, new) = rows.split_at(table.columns.len().min(rows.len()));
            for (name, row) in [(OLD, old), (super::NEW, new)] {
                out.push_str(&format!(",\"{name}\":"));
                write_row(table, row, style, &mut out);
            }
        }
        out.push('}');
        out
    }
}

fn write_row(table: &TableDescriptor, row: &[Datum], style: &Style, out: &mut String) {
    out.push('{');
    let columns = table.columns.iter().zip(row).filter(|(column, _)| !column.dropped);
    for (at, (column, value)) in columns.enumerate() {
        if at > 0 {
            out.push(',');
        }
        quote_json(&column.name, out);
        out.push(':');
        json::write(value, style, out);
    }
    out.push('}');
}

/// What a routine gives whose program has ended with this result.
fn given(body: &Body<'_>, result: Option<String>, style: &Style) -> SqlResult<Given> {
    let rows = match (&body.routine.descriptor.returns, result) {
        (Returns::Nothing, _) => Vec::new(),
        (Returns::Value(_), None) => [[Datum::Null].into()].into(),
        (Returns::Value(data_type), Some(text)) => {
            let value = parse_json(&text).map_err(|_| wrong_result("1, \"two\", [1, 2] or null"))?;
            [[json::datum(&value, *data_type, style)?].into()].into()
        }
        (Returns::Rows(_) | Returns::Trigger, None) => return Ok(Given::default()),
        (Returns::Rows(columns), Some(text)) => {
            let Ok(Json::Array(items)) = parse_json(&text) else {
                return Err(wrong_result("[[1, \"one\"], [2, null]]"));
            };
            items.iter().map(|item| row_of(item, columns, style)).collect::<SqlResult<_>>()?
        }
        (Returns::Trigger, Some(text)) => return becomes(body.row_of, &text, style),
    };
    Ok(Given { rows, columns: Columns::None })
}

fn row_of(item: &Json, columns: &[(String, DataType)], style: &Style) -> SqlResult<Row> {
    match (item, columns) {
        (Json::Array(values), _) if values.len() == columns.len() => {
            let values = values.iter().zip(columns);
            values.map(|(value, (_, data_type))| json::datum(value, *data_type, style)).collect()
        }
        (Json::Array(values), _) => {
            let message = format!("the program gives a row of {} values", values.len());
            Err(SqlError::new(SqlState::INVALID_TEXT, message)
                .detail(format!("The function has {} columns.", columns.len())))
        }
        (value, [(_, data_type)]) => Ok([json::datum(value, *data_type, style)?].into()),
        _ => Err(wrong_result("[[1, \"one\"], [2, null]]")),
    }
}

/// What becomes of a row whose trigger has this result.
fn becomes(table: Option<&TableDescriptor>, text: &str, style: &Style) -> SqlResult<Given> {
    let members = match parse_json(text).unwrap_or(Json::Bool(false)) {
        Json::Null => return Ok(Given { rows: Vec::new(), columns: Columns::Named(Vec::new()) }),
        Json::Object(members) => members,
        _ => return Err(wrong_result("{\"column\": \"value\"}, or null")),
    };
    let Some(table) = table else { return Ok(Given::default()) };
    let (mut names, mut row) = (Vec::with_capacity(members.len()), Row::new());
    for (name, value) in members {
        let Some((_, column)) = table.column(&name) else {
            let message = format!("the program gives a column \"{name}\", and \"{}\" has none", table.name);
            return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message));
        };
        row.push(json::datum(&value, column.data_type, style)?);
        names.push(name);
    }
    Ok(Given { rows: [row].into(), columns: Columns::Named(names) })
}

fn wrong_result(example: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_TEXT, "the result of the program is not what the function gives")
        .hint(format!("It is to be JSON, such as {example}."))
}
