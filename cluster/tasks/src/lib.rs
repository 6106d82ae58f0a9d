//! The sandbox that user programs run in: WebAssembly modules that a node executes a slice at a time.
//!
//! 1. **Checked before it runs.** A [`Program`] is a valid module that imports only what it was granted. Whatever bytes
//!    it is made of, it says no with one line of text, in bounded time.
//! 2. **Runs as far as it is let.** [`Run::step`] is given fuel and comes back when that is used up, when the program
//!    asks for something, or when it ends. Nothing a program does takes longer than its fuel, more memory than its
//!    [`Limits`], or any of the host's stack.
//! 3. **Asks, and is answered.** A program sees nothing of the machine: it asks for SQL and the log as [`Call`]s, which
//!    whoever steps it carries out. Time and chance are [`Facts`].
//! 4. **Does the same again.** What a run does and how much fuel it uses follow from its program, facts and answers
//!    alone, however its fuel was sliced. Not-a-numbers have the same bits everywhere.
//! 5. **An interpreter behind types of our own.** That it is wasmi shows nowhere, so that a compiler can replace it.
//!
//! It refuses what does not fit that: start functions, imports of anything but the functions below, more than one
//! memory, memories of 64 bits, vectors, threads, tail calls, tables that grow (`table.grow` returns -1).
//!
//! # What a program sees
//! It exports its memory as "memory", and a function without parameters and results, "run" as a rule. It imports of
//! module "relix" what it needs; README.md has that as a table, with examples:
//!
//! ```text
//! arguments() -> i32                             the arguments become the response; returns their length
//! sql(text, text_len, params, params_len) -> i32 the answer becomes the response; returns its length, or minus the
//!                                                length of an error's text
//! response_read(into, offset, len) -> i32        copies a piece of the response; returns how much
//! result(text, len)                              sets the result
//! fail(text, len)                                ends the run as failed
//! log(level, text, len)                          0 error, 1 warn, 2 info, 3 debug
//! time() -> i64                                  microseconds since the Unix epoch, when the run began
//! random() -> i64                                64 random bits
//! sleep_until(micros: i64)                       ends the run, to begin again later
//! wait_for(mailbox, len, micros: i64)            ends the run, to begin again when there is a message, or at that time
//! file_read(path, len, offset: i64, count) -> i32 a piece of the file becomes the response
//! file_write(path, len, offset: i64, bytes, count) -> i32, file_remove(path, len) -> i32,
//! file_rename(path, len, to, to_len) -> i32, file_mkdir(path, len) -> i32
//!                                                0, or minus the length of an error's text
//! step(name, len) -> i32                         what the step gave before becomes the response; returns its length, or
//!                                                -1 if it is to be done
//! step_done(result, len)                         what was done since the step began takes place
//! ```
//! Texts are UTF-8. Pointers, lengths and levels are i32, unsigned but for the level and what is returned.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod grants;
mod imports;
pub mod limits;
mod program;
mod run;
mod state;
mod survey;
#[cfg(test)]
mod tests;
mod text;
mod trap;

pub use grants::{Grant, Grants, UnknownGrant};
pub use program::{ModuleError, Program};
pub use run::{Answer, Call, Facts, FileCall, Limits, LogLevel, Memory, Run, Step};
pub use trap::Trap;
