//! SQL over transactions.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod access;
pub mod ast;
mod batch;
mod bind;
mod builders;
mod cancel;
mod cast;
pub mod catalog;
mod chance;
mod claims;
mod copy;
pub mod database;
pub mod error;
mod eval;
mod exec;
mod expr;
mod function;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod key;
mod like;
mod memo;
pub mod memory;
mod notify;
mod numbers;
mod operator;
pub mod parse;
mod path;
mod plan;
pub mod programs;
pub mod row;
mod session;
pub mod sessions;
mod settings;
mod system;
mod turns;
pub mod types;
pub mod wire;

pub use builders::Builders;
pub use cancel::{CancelFlag, CancelReason, ENDED};
pub use claims::Claims;
pub use error::{SqlError, SqlResult, SqlState};
pub use exec::{Row, STATEMENT_MEMORY_MAX};
pub use function::SERVER_VERSION;
pub use notify::{Channels, Missed, Notification, notifications};
pub use plan::OutputColumn;
pub use session::{
    Answer, Backup, CopyIn, Cursor, Mode, Notice, Outcome, Parsed, Prepared, Restore, ServiceSchema, Session,
    Status, Tag, Timeouts,
};
pub use turns::{Turn, Turns};
