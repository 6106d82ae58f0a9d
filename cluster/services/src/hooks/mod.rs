//! Hooks: requests from outside that become tasks, `sys.hooks`.

use cluster_sql::database::Database;
use cluster_sql::types::Datum;
use cluster_sql::{ServiceSchema, Session, SqlError, SqlResult, SqlState};

/// Its table.
pub const SCHEMA: ServiceSchema = ServiceSchema { number: 7, name: "hooks", sql: include_str!("schema.sql") };

/// How often the task of a key may be gone before that is reported.
const ATTEMPTS_MAX: usize = 10;

/// The task that a request has become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Called {
    /// Its id.
    pub task: i64,
    /// Whether it was made for this request, and not for an earlier one of the same key.
    pub is_new: bool,
}

/// A request with this body, which is JSON, becomes a task; none if there is no such hook. Of those with the same key, all are
/// one task, for as long as there is a row of it.
pub async fn call<D: Database>(
    session: &mut Session<D>,
    hook: &str,
    body: &str,
    key: Option<&str>,
) -> SqlResult<Option<Called>> {
    let name = Datum::Text(hook.into());
    // Other hooks, and whoever else has tasks in the queue, have keys of their own.
    let key = key.map_or(Datum::Null, |key| Datum::Text(["hook ", hook, " ", key].concat()));
    let make = "INSERT INTO sys.tasks (queue, program, version, entry, priority, tenant, attempts_max, backoff, timeout, \
                arguments, deduplication_key) \
                SELECT queue, program, version, entry, priority, tenant, attempts_max, backoff, timeout, $2::jsonb, $3 \
                FROM sys.hooks WHERE name = $1 \
                ON CONFLICT (queue, deduplication_key) DO NOTHING RETURNING id";
    let find = "SELECT t.id FROM sys.hooks h LEFT JOIN sys.tasks t ON t.queue = h.queue AND t.deduplication_key = $2 \
                WHERE h.name = $1";
    for _ in 0..ATTEMPTS_MAX {
        let params = [name.clone(), Datum::Text(body.into()), key.clone()];
        if let Some(Datum::Int8(task)) = session.run(make, params.into()).await?.value() {
            return Ok(Some(Called { task: *task, is_new: true }));
        }
        match session.run(find, [name.clone(), key.clone()].into()).await?.value() {
            None => return Ok(None),
            Some(Datum::Int8(task)) => return Ok(Some(Called { task: *task, is_new: false })),
            // The task that was met is gone by now: then, one is made.
            Some(_) => {}
        }
    }
    let message = "tasks of this key come and go: it is not known whether one was made";
    Err(SqlError::new(SqlState::SERIALIZATION_FAILURE, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Bench, block_on};

    #[test]
    fn a_request_becomes_a_task_and_the_same_key_the_same_one() {
        let mut bench = Bench::new();
        assert_eq!(block_on(call(&mut bench.session, "order", "1", None)), Ok(None));
        bench.run("INSERT INTO sys.hooks (name, program, priority, timeout) VALUES ('order', 'p', 7, '5 s')");
        bench.run("INSERT INTO sys.hooks (name, program) VALUES ('other', 'q')");
        let mut call = |hook: &str, body: &str, key| block_on(call(&mut bench.session, hook, body, key));
        let first = call("order", r#"{"a": [1]}"#, Some("k")).expect("a call").expect("a hook");
        assert!(first.is_new);
        assert_eq!(call("order", "2", Some("k")), Ok(Some(Called { is_new: false, ..first })));
        for (hook, key) in [("other", Some("k")), ("order", None), ("order", None)] {
            assert!(call(hook, "3", key).expect("a call").expect("a hook").is_new);
        }
        assert_eq!(call("order", "{", None).map_err(|error| error.state), Err(SqlState::INVALID_TEXT));
        assert_eq!(
            bench.run("SELECT program, arguments, priority, timeout, state FROM sys.tasks ORDER BY id"),
            "p {\"a\": [1]} 7 00:00:05 ready, q 3 0 00:01:00 ready, p 3 7 00:00:05 ready, p 3 7 00:00:05 ready"
        );
    }
}
