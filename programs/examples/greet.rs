//! The smallest program: its arguments are a name, its result a greeting.
//!
//!   INSERT INTO sys.tasks (program, arguments) VALUES ('greet', '"Ann"');
//!   SELECT result FROM sys.tasks;                                            -- "Hello, Ann"

#![forbid(unsafe_code)]

use relix_program::{Result, entry};

entry!(greet);

fn greet(name: String) -> Result<String> {
    Ok(format!("Hello, {name}"))
}
