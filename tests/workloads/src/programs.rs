//! Programs that tasks of workloads run.

use std::fmt::Write;
use std::time::Duration;

use crate::workload::{numbers, rows};
use crate::world::World;

/// If no task is done within this, on a cluster that is well, they are stuck. A disk that takes a sixth of a second for each
/// read, beside tables that have next to no memory, makes a round of the scheduler take minutes.
pub(crate) const NEXT_DONE_WITHIN: Duration = Duration::from_secs(1200);

/// The statement that adds the program "statement", which runs the statement that its arguments are.
///
/// # Panics
/// If the example is no module.
pub fn add_statement_program() -> String {
    add_program("statement", include_str!("../../../cluster/tasks/examples/statement.wat"))
}

/// A statement that gives the cluster program "order", a workflow: see the example.
///
/// # Panics
/// If the example is no module.
pub fn add_order_program() -> String {
    add_program("order", include_str!("../../../cluster/tasks/examples/order.wat"))
}

/// A statement that gives the cluster a program, whose module is given as text.
///
/// # Panics
/// If it is no module.
pub fn add_program(name: &str, text: &str) -> String {
    add_module(name, &wat::parse_str(text).expect("the text is valid"))
}

/// The same, of a module.
pub fn add_module(name: &str, module: &[u8]) -> String {
    let hex = module.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a text takes all");
        hex
    });
    format!("INSERT INTO sys.programs (name, module) VALUES ('{name}', '\\x{hex}')")
}

/// Waits until all tasks of a program are done; an error says which one is stuck, or was given up.
pub(crate) async fn wait_until_done<W: World>(
    world: &W,
    connection: &mut W::Connection,
    program: &str,
) -> Result<(), String> {
    let (mut least, mut since) = (i64::MAX, world.now());
    loop {
        let of = format!("FROM sys.tasks WHERE program = '{program}' AND state <> 'done'");
        let left = format!("SELECT count(*), count(*) FILTER (WHERE state = 'failed') {of}");
        let left = rows(connection, &left).await?.first().and_then(numbers).unwrap_or_default();
        let [left, given_up] = left[..] else { return Err("a count is none".into()) };
        if given_up > 0 {
            let task = format!("SELECT id, error {of} AND state = 'failed' ORDER BY id LIMIT 1");
            return Err(format!("{given_up} tasks were given up: {:?}", rows(connection, &task).await?));
        }
        if left == 0 {
            return Ok(());
        }
        if left < least {
            (least, since) = (left, world.now());
        }
        if world.now() - since > NEXT_DONE_WITHIN {
            let task = format!("SELECT id, state, worker, attempt, failures, error {of} ORDER BY id LIMIT 1");
            let task = rows(connection, &task).await?;
            return Err(format!("{left} tasks are not done, the first of them is {task:?}"));
        }
        world.sleep(Duration::from_millis(100)).await;
    }
}
