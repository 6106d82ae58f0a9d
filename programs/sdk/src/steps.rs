//! Steps: transactions of their own, each done once.

use std::fmt::Display;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{fail, imports};

/// Does a step, unless it was done in an earlier run; what it gave.
///
/// A run that sleeps, waits, fails or loses its node begins again at the top of the program. Steps that were done are not done
/// again, and give what they gave, so the run goes on behind the last of them. What a step does takes place when it ends. A
/// step that gives an error, or panics, is undone, and the run fails: there is nothing to go on with.
///
/// A program with steps has all its statements and files within them. Each has a name of its own, and none within it.
///
/// ```no_run
/// # use relix_program::{execute, query, step};
/// let number: i64 = step("pay", || query("INSERT INTO payments (amount) VALUES ($1) RETURNING number", (7,))?.only());
/// step("ship", || execute("INSERT INTO shipments VALUES ($1)", (number,)));
/// ```
pub fn step<T, E>(name: &str, work: impl FnOnce() -> Result<T, E>) -> T
where
    T: Serialize + DeserializeOwned,
    E: Display,
{
    if let Some(given) = imports::step(name) {
        return serde_json::from_slice(&given).unwrap_or_else(|error| {
            fail(format_args!("step \"{name}\" has given something else before: {error}"))
        });
    }
    let value = work().unwrap_or_else(|error| fail(error));
    let json = serde_json::to_string(&value);
    let json = json.unwrap_or_else(|error| fail(format_args!("what step \"{name}\" gives: {error}")));
    imports::step_done(&json);
    value
}
