//! Statements, in the transaction of the run.

use crate::parameters::Parameters;
use crate::rows::Rows;
use crate::{Error, Result, imports};

/// Runs a statement; its rows. `$1` is the first of the parameters, and so on.
///
/// ```no_run
/// # use relix_program::{Result, query};
/// # fn example() -> Result<()> {
/// let balance: Option<i64> = query("SELECT balance FROM accounts WHERE name = $1", ("ann",))?.first()?;
/// let all: Vec<(String, i64)> = query("SELECT name, balance FROM accounts", ())?.read()?;
/// # Ok(()) }
/// ```
pub fn query(sql: &str, parameters: impl Parameters) -> Result<Rows> {
    let response = imports::sql(sql, &parameters.json()).map_err(|text| Error::of_statement(&text))?;
    Rows::parse(&response)
}

/// Runs a statement; how many rows it has changed, or has given.
pub fn execute(sql: &str, parameters: impl Parameters) -> Result<u64> {
    query(sql, parameters).map(|rows| rows.count())
}
