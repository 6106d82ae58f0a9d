//! Whether a recorded history of transactions could be that of a right system.
//!
//! 1. **Pure.** A history goes in, a verdict comes out: no clock, no cluster, no thread.
//! 2. **No false alarm.** Only what was observed counts. A transaction of unknown outcome counts as committed
//!    when somebody saw what it wrote, and not at all otherwise.
//! 3. **A verdict that can be followed.** It names the smallest cycle found, and why each transaction in it
//!    must precede the next.
//!
//! The method is Elle's (Kingsbury and Alvaro, "Elle: Inferring Isolation Anomalies from Experimental
//! Observations", VLDB 2020): clients append values that are never used twice to lists, so that every read
//! reveals the order in which the values before its end were written. Registers that count their writes are lists
//! of which only the end is shown.

#![forbid(unsafe_code)]

mod anomaly;
mod graph;
mod history;
mod list_append;
mod order;
mod register;
#[cfg(test)]
mod tests;

pub use anomaly::Anomaly;
pub use history::{History, Key, Operation, Outcome, Step, Value};
pub use list_append::check;
pub use register::{Access, as_lists};
