//! What Postgres clients expect: drivers, and SQL as PostgreSQL answers it.
//!
//! `scripts/*.slt` are [sqllogictest](https://docs.rs/sqllogictest) files, one for each feature. Their answers are those of
//! a real PostgreSQL: `cargo run -p tests-conformance --example differential -- record FILE...` writes them. `cargo test` asks
//! Relix the same; `differential` asks both, side by side, and compares names and types of columns, rows and SQLSTATEs.
//!
//! [`random`] makes SQL that nobody has thought of, for both: `cargo run -p tests-conformance --example random`.

#![forbid(unsafe_code)]

pub mod clients;
pub mod postgres;
pub mod random;
pub mod script;
pub mod session;
