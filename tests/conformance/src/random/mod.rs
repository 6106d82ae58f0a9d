//! Random SQL, made from a seed, that Relix and PostgreSQL must answer alike.
//!
//! [`case`](case::case) makes tables and statements: pure, the same from the same seed. A statement is a [`tree`] that knows what
//! can be left out of it. [`side`] asks a server, [`judge`] compares what two of them said and knows the differences that
//! are meant, and [`minimise`] makes what differs smaller while it does.

pub mod aggregate;
pub mod case;
pub mod chance;
pub mod expression;
pub mod features;
pub mod from;
pub mod judge;
pub mod minimise;
pub mod number;
pub mod operator;
pub mod predicate;
pub mod query;
pub mod side;
pub mod statement;
pub mod text;
pub mod tree;
pub mod types;
