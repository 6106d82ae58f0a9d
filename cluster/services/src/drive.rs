//! Runs of programs, from their transaction's beginning to its end: what they ask for is done in the session.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use cluster_calendar::Timestamptz;
use cluster_format::NodeId;
use cluster_sql::database::{Database, Freshness};
use cluster_sql::programs::{ANSWER_LEN_MAX, SLICE_FUEL};
use cluster_sql::types::Datum;
use cluster_sql::{CancelFlag, Session, SqlError, SqlResult, SqlState};
use cluster_store::yield_now;
use cluster_tasks::{Answer, Call, FileCall, LogLevel, Run, Step};
use spin::Mutex;

use crate::files::{self, FileError, FileResult, Kind, New, SYSTEM};
use crate::worker::{Stop, of_program, of_trap, task};
use crate::workflows;

/// Lines that one attempt may log; those beyond are lost.
const LINES_MAX: usize = 100;

/// What is said of an attempt that was stopped.
pub(crate) const TOOK_TOO_LONG: &str = "it took longer than its timeout";

/// What programs make.
const FILE: New<'_> = New { mode: 0o644, owner: SYSTEM };
const DIRECTORY: New<'_> = New { mode: 0o755, owner: SYSTEM };

const OUTSIDE_OF_STEPS: &str =
    "a program that has steps runs its statements within them: call step before, and step_done behind them";

/// How a program ended well.
enum Ended {
    Done(Option<String>),
    /// To be begun again at this time, in microseconds since the Unix epoch.
    Sleeps(i64),
    /// The same, or when there is a message in this mailbox.
    Waits(String, i64),
}

/// A run of a task's program, in the transaction block that is open.
pub(crate) struct Drive<'a, D: Database> {
    session: &'a mut Session<D>,
    cancel: &'a CancelFlag,
    node: NodeId,
    task: i64,
    /// How often the task was given to a worker.
    attempt: i32,
    /// What it has logged that did not take place yet, and what has.
    lines: Vec<(LogLevel, String)>,
    said: &'a Mutex<Vec<(LogLevel, String)>>,
    /// The step that it is in.
    step: Option<String>,
    has_steps: bool,
}

impl<'a, D: Database> Drive<'a, D> {
    /// Of the task's attempt of this number, at a node; what it logs is added to `said` once it has taken place.
    pub(crate) fn new(
        session: &'a mut Session<D>,
        cancel: &'a CancelFlag,
        node: NodeId,
        (task, attempt): (i64, i32),
        said: &'a Mutex<Vec<(LogLevel, String)>>,
    ) -> Drive<'a, D> {
        Drive { session, cancel, node, task, attempt, lines: Vec::new(), said, step: None, has_steps: false }
    }

    /// Runs the program to its end, and commits what it has done.
    pub(crate) async fn run(mut self, run: &mut Run) -> Result<(), Stop> {
        let ended = self.drive(run).await?;
        end(self.session, self.task, ended).await.map_err(of_program)?;
        self.commit().await
    }

    /// Commits; what it has logged has taken place.
    async fn commit(&mut self) -> Result<(), Stop> {
        self.session.end_block().await.map_err(of_program)?;
        self.said.lock().append(&mut self.lines);
        Ok(())
    }

    /// Runs the program to its end, slice by slice.
    async fn drive(&mut self, run: &mut Run) -> Result<Ended, Stop> {
        loop {
            if self.cancel.is_set() {
                return Err(Stop::Failed(TOOK_TOO_LONG.into()));
            }
            match run.step(SLICE_FUEL) {
                Step::Yield => yield_now().await,
                Step::Call(Call::Sql { .. } | Call::File(_)) if self.has_steps && self.step.is_none() => {
                    run.answer(Answer::Failed(OUTSIDE_OF_STEPS.into()));
                }
                Step::Call(Call::Sql { text, parameters }) => {
                    run.answer(self.statement(&text, &parameters).await?);
                }
                Step::Call(Call::File(call)) => run.answer(self.file(call).await?),
                Step::Call(Call::Step { name }) => run.answer(self.begin_step(name).await?),
                Step::Call(Call::StepDone { result }) => {
                    self.end_step(&result).await?;
                    run.answer(Answer::Done(self.session.transaction_micros()));
                }
                Step::Call(Call::Log { level, text }) => {
                    // As many as are read: the first ones say most.
                    if self.lines.len() < LINES_MAX {
                        self.lines.push((level, text));
                    }
                }
                Step::Done(_) if self.step.is_some() => {
                    return Err(Stop::Failed("the program has ended within a step".into()));
                }
                Step::Done(result) => return Ok(Ended::Done(result)),
                Step::Sleep(until) => {
                    self.check_pause()?;
                    return Ok(Ended::Sleeps(until));
                }
                Step::Wait { mailbox, until } => {
                    self.check_pause()?;
                    return Ok(Ended::Waits(mailbox, until));
                }
                Step::Trap(trap) => return Err(of_trap(trap)),
            }
        }
    }

    async fn statement(&mut self, text: &str, parameters: &str) -> Result<Answer, Stop> {
        match self.session.run_json(text, parameters, ANSWER_LEN_MAX).await {
            Ok(response) => Ok(Answer::Response(response)),
            Err(error) if error.is_of_statement() => Ok(Answer::Failed(error.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    /// Does something with files. What is made is the program's owner's, who is nobody in particular yet.
    async fn file(&mut self, call: FileCall) -> Result<Answer, Stop> {
        let session = &mut *self.session;
        let done = match call {
            FileCall::Read { path, offset, len } => {
                files::read(session, &path, offset, len).await.map(Answer::Bytes)
            }
            FileCall::Write { path, offset, bytes } => write(session, &path, offset, &bytes).await.map(done),
            FileCall::Remove { path } => remove(session, &path).await.map(done),
            FileCall::Rename { path, to } => files::rename(session, &path, &to).await.map(done),
            FileCall::MakeDirectory { path } => {
                files::make_directories(session, &path, DIRECTORY).await.map(drop).map(done)
            }
        };
        match done {
            Ok(answer) => Ok(answer),
            // The block goes on.
            Err(error @ FileError::Path { .. }) => Ok(Answer::Failed(error.to_string())),
            Err(FileError::Sql(error)) => Err(of_program(error)),
        }
    }

    async fn begin_step(&mut self, name: String) -> Result<Answer, Stop> {
        if let Some(open) = &self.step {
            let message = alloc::format!("the program has begun step \"{name}\" within step \"{open}\"");
            return Err(Stop::Failed(message));
        }
        if !self.has_steps && self.session.has_written() {
            return Err(Stop::Failed(OUTSIDE_OF_STEPS.into()));
        }
        self.has_steps = true;
        match workflows::known(self.session, self.task, &name).await.map_err(of_program)? {
            Some(result) => Ok(Answer::Response(result)),
            None => {
                self.step = Some(name);
                Ok(Answer::Nothing)
            }
        }
    }

    /// Commits what the step has done, and that it has; what follows is another transaction, if the task is still this node's.
    async fn end_step(&mut self, result: &str) -> Result<(), Stop> {
        let Some(name) = self.step.take() else {
            return Err(Stop::Failed("the program has ended a step that it has not begun".into()));
        };
        workflows::record(self.session, self.task, &name, result).await.map_err(of_program)?;
        self.commit().await?;
        self.session.begin_on(Freshness::Local).await?;
        let known = task(self.session, self.node, self.task).await.map_err(of_program)?;
        match known {
            Some(known) if known.attempt == self.attempt => Ok(()),
            _ => Err(Stop::Gone),
        }
    }

    /// What a step has changed so far would be done again by the next run.
    fn check_pause(&self) -> Result<(), Stop> {
        match &self.step {
            Some(name) if self.session.has_written() => {
                let message =
                    alloc::format!("step \"{name}\" has changed something, and cannot sleep or wait then");
                Err(Stop::Failed(message))
            }
            _ => Ok(()),
        }
    }
}

fn done((): ()) -> Answer {
    Answer::Response(String::new())
}

/// Writes a piece of a file, which is made if it is not there.
async fn write<D: Database>(
    session: &mut Session<D>,
    path: &str,
    offset: Option<u64>,
    bytes: &[u8],
) -> FileResult<()> {
    files::create(session, path, FILE, false).await?;
    match offset {
        Some(offset) => files::write(session, path, offset, bytes).await,
        None => files::append(session, path, bytes).await.map(drop),
    }
}

async fn remove<D: Database>(session: &mut Session<D>, path: &str) -> FileResult<()> {
    match files::stat_link(session, path).await?.kind {
        Kind::Directory => files::remove_directory(session, path).await,
        _ => files::unlink(session, path).await,
    }
}

/// Writes how a task ended, in the transaction that is open.
async fn end<D: Database>(session: &mut Session<D>, id: i64, ended: Ended) -> SqlResult<()> {
    let (sql, params) = match ended {
        Ended::Done(result) => (
            "UPDATE sys.tasks SET state = 'done', ended_at = now(), result = $2, error = NULL WHERE id = $1",
            [Datum::Int8(id), result.map_or(Datum::Null, Datum::Text)].to_vec(),
        ),
        Ended::Sleeps(until) => (
            // Whoever wants to go on at once comes behind those that are due already.
            "UPDATE sys.tasks SET state = 'ready', worker = NULL, run_at = greatest($2, now()) WHERE id = $1",
            [Datum::Int8(id), Datum::Timestamptz(moment(until))].to_vec(),
        ),
        Ended::Waits(mailbox, until) => {
            check_mailbox(session, &mailbox).await?;
            // Whoever sends a message after this was read meets it, or is met: one of them sees the other.
            let sql = "UPDATE sys.tasks SET state = 'ready', worker = NULL, \
                       run_at = CASE WHEN m.there THEN now() ELSE greatest($2, now()) END, \
                       waits_for = CASE WHEN NOT m.there THEN $3 END \
                       FROM (SELECT EXISTS (SELECT FROM sys.messages WHERE mailbox = $3) AS there) m WHERE id = $1";
            let until = Datum::Timestamptz(moment(until));
            (sql, [Datum::Int8(id), until, Datum::Text(mailbox)].to_vec())
        }
    };
    session.run(sql, params).await.map(drop)
}

async fn check_mailbox<D: Database>(session: &mut Session<D>, mailbox: &str) -> SqlResult<()> {
    let sql = "SELECT FROM sys.mailboxes WHERE name = $1";
    if session.run(sql, [Datum::Text(mailbox.into())].into()).await?.rows.is_empty() {
        let message = alloc::format!("there is no mailbox \"{mailbox}\" to wait for");
        return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
    }
    Ok(())
}

/// A time that a program has named, as far as there are times; the last one is never.
fn moment(micros: i64) -> Timestamptz {
    if micros == i64::MAX {
        return Timestamptz::INFINITY;
    }
    let beyond = if micros > 0 { Timestamptz::INFINITY } else { Timestamptz::MINUS_INFINITY };
    Timestamptz::from_unix_micros(micros).unwrap_or(beyond)
}
