//! What a program for Relix is written with, in safe Rust.
//!
//! ```no_run
//! use relix_program::{Result, entry, query};
//!
//! entry!(count);
//!
//! /// A task's arguments are its parameter, and what it returns the task's result, both as JSON.
//! fn count(town: String) -> Result<i64> {
//!     query("SELECT count(*) FROM airports WHERE city = $1", (town,))?.only()
//! }
//! ```
//!
//! 1. **A run is one transaction.** [`query`] and [`execute`] work in it, [`files`] too, and all of it takes place when the
//!    run ends. If the run fails, by an `Err`, a panic or [`fail`], nothing does.
//! 2. **A workflow has steps.** What [`step`] does is done once, however often the run is begun again.
//! 3. **What ends a run does not return.** [`fail`], [`sleep_until`] and [`wait_for`] have the type `!`.
//! 4. **Unsafe code has an address.** `imports.rs` is the door to the node, `memory.rs` the allocator; a program has none.
//!
//! Compile it as a `cdylib` for `wasm32-unknown-unknown`. Elsewhere it can be checked and tested as far as it asks nothing of a
//! node: what does, panics.

#![deny(unsafe_code)]

mod entry;
mod error;
pub mod files;
#[allow(unsafe_code)]
mod imports;
#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code)]
mod memory;
mod messages;
mod moment;
mod parameters;
mod rows;
mod run;
mod statement;
mod steps;
mod values;

#[doc(hidden)]
pub use entry::{Main, begin};
pub use error::{Error, Result};
pub use messages::{Message, receive, send, wait_for, wait_for_until};
pub use moment::{sleep_until, time};
pub use parameters::{Parameter, Parameters};
pub use rows::{Row, Rows};
pub use run::{Level, arguments, fail, log, random, result};
pub use statement::{execute, query};
pub use steps::step;
pub use values::{Bytes, Json};
