//! What is done elsewhere for a request: `POST /hooks/NAME` makes a task, `GET /tasks/ID` says how it is, `/programs/NAME` is
//! what tasks run.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;

use cluster_services::{hooks, programs};
use cluster_sql::SqlState;
use cluster_sql::database::Database;
use cluster_sql::types::{Datum, Json};
use cluster_tasks::limits::MODULE_LEN_MAX;

use super::exchange::Exchange;
use super::head::Head;
use super::response::{Response, Stop};
use crate::Connection;

/// Longest body of a hook: what the arguments of a task may have.
const ARGUMENTS_LEN_MAX: usize = 983_040;

/// Longest key that keeps a request from being taken twice.
const KEY_LEN_MAX: usize = 255;

impl<C: Connection, D: Database> Exchange<C, D> {
    /// Makes a task of the body. One with a key (Idempotency-Key) that was seen before is the task that was made then.
    pub(super) async fn hook(&mut self, head: &Head, name: &str) -> Result<Response, Stop> {
        if head.method != "POST" {
            return Ok(super::not_allowed("POST"));
        }
        let _lease = self.lease_for_body(ARGUMENTS_LEN_MAX)?;
        let body = self.whole_body(ARGUMENTS_LEN_MAX).await?;
        let not_json = || {
            let message = "the body is not JSON, which the arguments of a task are";
            Stop::from(Response::error(400, message, None))
        };
        let body = String::from_utf8(body).map_err(|_| not_json())?;
        let key = head.field("idempotency-key");
        if key.is_some_and(|key| key.is_empty() || key.len() > KEY_LEN_MAX) {
            let message = format!("an Idempotency-Key has 1 to {KEY_LEN_MAX} bytes");
            return Err(Response::error(400, &message, None).into());
        }
        self.begin_work();
        let called = hooks::call(&mut self.session, name, &body, key).await;
        self.end_work();
        let called = called.map_err(|error| match error.state {
            SqlState::INVALID_TEXT => not_json(),
            _ => error.into(),
        })?;
        let Some(called) = called else {
            let hint = "A row of sys.hooks makes one.";
            let message = format!("there is no hook \"{name}\"");
            return Err(Response::error(404, &message, Some(hint)).into());
        };
        let status = if called.is_new { 202 } else { 200 };
        let body = Json::object(vec![("task".into(), Json::Number(called.task.into()))]);
        Ok(Response::json(status, &body).with("Location", format!("/tasks/{}", called.task)))
    }

    /// How a task is.
    pub(super) async fn task(&mut self, head: &Head, id: &str) -> Result<Response, Stop> {
        if !matches!(head.method.as_str(), "GET" | "HEAD") {
            return Ok(super::not_allowed("GET, HEAD"));
        }
        let sql = "SELECT jsonb_build_object('task', id, 'state', state, 'queue', queue, 'program', program, \
                   'attempt', attempt, 'worker', worker, 'created_at', created_at, 'ended_at', ended_at, \
                   'result', result, 'error', error) FROM sys.tasks WHERE id = $1";
        let not_found = || Response::error(404, &format!("there is no task {id}"), None);
        let number: i64 = id.parse().map_err(|_| not_found())?;
        let answer = self.run(sql, vec![Datum::Int8(number)]).await?;
        match answer.value() {
            Some(Datum::Jsonb(task)) => Ok(Response::json(200, task)),
            _ => Err(not_found().into()),
        }
    }

    /// A program: its newest version, or the one that is asked for; or a new one.
    pub(super) async fn program(&mut self, head: &Head, name: &str) -> Result<Response, Stop> {
        match head.method.as_str() {
            "PUT" => self.put_program(head, name).await,
            "GET" | "HEAD" => {
                let version = match head.parameter("version").map(str::parse) {
                    None => Datum::Null,
                    Some(Ok(version)) => Datum::Int4(version),
                    Some(Err(_)) => return Err(Response::error(400, "a version is a number", None).into()),
                };
                let sql = "SELECT module FROM sys.programs WHERE name = $1 AND ($2::integer IS NULL OR version = $2) \
                           ORDER BY version DESC LIMIT 1";
                let answer = self.run(sql, vec![Datum::Text(name.into()), version]).await?;
                match answer.value() {
                    Some(Datum::Bytea(module)) => Ok(Response::new(200, "application/wasm", module.to_vec())),
                    _ => {
                        Err(Response::error(404, &format!("there is no such program as \"{name}\""), None)
                            .into())
                    }
                }
            }
            _ => Ok(super::not_allowed("GET, HEAD, PUT")),
        }
    }

    async fn put_program(&mut self, head: &Head, name: &str) -> Result<Response, Stop> {
        let number = |what: &str| match head.parameter(what).map(str::parse::<i64>) {
            None => Ok(None),
            Some(Ok(number)) => Ok(Some(number)),
            Some(Err(_)) => Err(Stop::from(Response::error(400, &format!("{what} is a number"), None))),
        };
        let allowance = programs::Allowance {
            privileges: head.parameter("privileges"),
            memory_max: number("memory_max")?,
            fuel_max: number("fuel_max")?,
        };
        let _lease = self.lease_for_body(MODULE_LEN_MAX)?;
        let module = self.whole_body(MODULE_LEN_MAX).await?;
        self.begin_work();
        let added = programs::add(&mut self.session, name, &module, allowance).await;
        self.end_work();
        let version = match added? {
            Ok(version) => version,
            Err(why) => return Err(Response::error(422, &why.to_string(), None).into()),
        };
        let body = Json::object(vec![
            ("program".into(), Json::String(name.into())),
            ("version".into(), Json::Number(version.into())),
        ]);
        Ok(Response::json(201, &body))
    }
}
