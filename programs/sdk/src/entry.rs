//! Where a run begins.

use std::fmt::Display;
use std::panic::{self, PanicHookInfo};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Result, arguments, fail, imports};

/// Names the function that a run begins with. It takes the task's arguments, as anything that is read from JSON, or nothing;
/// and returns a [`Result`](std::result::Result), of which `Ok` is the task's result, as JSON (none, if it is `null` there), and
/// `Err` makes the run fail. A panic makes it fail, too. Where a trigger of SQL is to leave a row alone, which is `null`, it says
/// so with `result(&())`.
///
/// ```
/// # use relix_program::{Result, entry};
/// entry!(greet);
/// entry!(farewell as "farewell"); // INSERT INTO sys.tasks (program, entry) VALUES ('greetings', 'farewell')
///
/// fn greet(name: String) -> Result<String> {
///     Ok(format!("Hello, {name}"))
/// }
///
/// fn farewell() -> Result<()> {
///     Err("not yet".into())
/// }
/// ```
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        $crate::entry!($main as "run");
    };
    ($main:path as $name:literal) => {
        const _: () = {
            #[unsafe(export_name = $name)]
            extern "C" fn relix_program_entry() {
                $crate::begin($main)
            }
        };
    };
}

/// A function that a run can begin with. `Takes` tells those with a parameter from those without.
pub trait Main<Takes> {
    /// Runs it; what it gives is JSON.
    fn call(self) -> Result<String, String>;
}

impl<F, T, E> Main<()> for F
where
    F: FnOnce() -> std::result::Result<T, E>,
    T: Serialize,
    E: Display,
{
    fn call(self) -> Result<String, String> {
        json(self())
    }
}

impl<F, A, T, E> Main<(A,)> for F
where
    F: FnOnce(A) -> std::result::Result<T, E>,
    A: DeserializeOwned,
    T: Serialize,
    E: Display,
{
    fn call(self) -> Result<String, String> {
        let arguments = arguments().map_err(|error| error.to_string())?;
        json(self(arguments))
    }
}

fn json<T: Serialize, E: Display>(returned: std::result::Result<T, E>) -> Result<String, String> {
    let value = returned.map_err(|error| error.to_string())?;
    serde_json::to_string(&value).map_err(|error| format!("the result: {error}"))
}

/// A run, from its beginning to its end.
pub fn begin<Takes>(main: impl Main<Takes>) {
    panic::set_hook(Box::new(|panic| fail(said(panic))));
    match main.call() {
        Ok(nothing) if nothing == "null" => {}
        Ok(result) => imports::result(&result),
        Err(why) => fail(why),
    }
}

/// What a panic says, and where, on one line.
fn said(panic: &PanicHookInfo<'_>) -> String {
    let text = panic.payload_as_str().unwrap_or("no message");
    match panic.location() {
        Some(at) => format!("panicked at {}:{}: {text}", at.file(), at.line()),
        None => format!("panicked: {text}"),
    }
}
