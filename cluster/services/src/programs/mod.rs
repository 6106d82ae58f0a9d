//! Programs: `sys.programs`.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use cluster_sql::catalog::service_id;
use cluster_sql::database::Database;
use cluster_sql::programs::{FIND, MODULE, ProgramRow, Programs, Ready};
use cluster_sql::types::Datum;
use cluster_sql::{ServiceSchema, Session, SqlResult};
use cluster_tasks::{Grants, Program};

/// Its table.
pub const SCHEMA: ServiceSchema =
    ServiceSchema { number: 1, name: "programs", sql: include_str!("schema.sql") };

/// `sys.programs`
pub const PROGRAMS: u32 = service_id(SCHEMA.number, 0);

/// What a program may do, and how much; what is not said is as the columns of `sys.programs` have it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allowance<'a> {
    /// What it may ask for.
    pub privileges: Option<&'a str>,
    /// Bytes of memory that a run of it may take.
    pub memory_max: Option<i64>,
    /// Units of work that a run of it may take.
    pub fuel_max: Option<i64>,
}

/// Adds a program, or a version of one; which. Nothing is added that no task could run: then, one line says why.
pub async fn add<D: Database>(
    session: &mut Session<D>,
    name: &str,
    module: &[u8],
    allowance: Allowance<'_>,
) -> SqlResult<Result<i32, String>> {
    let privileges = allowance.privileges.map(str::parse::<Grants>).transpose();
    let grants = match privileges {
        Ok(grants) => grants.unwrap_or_else(Grants::all),
        Err(error) => return Ok(Err(error.to_string())),
    };
    if let Err(error) = Program::new(module, grants) {
        return Ok(Err(error.to_string()));
    }
    let said = [
        ("privileges", allowance.privileges.map(|text| Datum::Text(text.into()))),
        ("memory_max", allowance.memory_max.map(Datum::Int8)),
        ("fuel_max", allowance.fuel_max.map(Datum::Int8)),
    ];
    let mut params = vec![Datum::Text(name.into()), Datum::Bytea(module.into())];
    let (mut columns, mut values) = (String::new(), String::new());
    for (column, value) in said {
        let Some(value) = value else { continue };
        params.push(value);
        columns.push_str(&format!(", {column}"));
        values.push_str(&format!(", ${}", params.len()));
    }
    let sql = format!(
        "INSERT INTO sys.programs (name, version, module{columns}) \
         SELECT $1, coalesce(max(version), 0) + 1, $2{values} FROM sys.programs WHERE name = $1 RETURNING version"
    );
    let answer = session.run(&sql, params).await?;
    match answer.value() {
        Some(Datum::Int4(version)) => Ok(Ok(*version)),
        _ => Ok(Err("the program was not added".into())),
    }
}

/// The newest version of a program, or the one that is asked for; else one line that says why there is none. Rows are
/// read in the transaction that is open, so whatever runs a program depends on its being that one.
pub(crate) async fn load<D: Database>(
    session: &mut Session<D>,
    programs: &Programs,
    name: &str,
    version: Option<i32>,
) -> SqlResult<Result<Ready, String>> {
    let params = vec![Datum::Text(name.into()), version.map_or(Datum::Null, Datum::Int4)];
    let answer = session.run(FIND, params).await?;
    let row = match ProgramRow::new(name, answer.rows.first().map(Vec::as_slice)) {
        Ok(row) => row,
        Err(error) => {
            return Ok(Err(version.map_or(error.clone(), |version| format!("{error} of version {version}"))));
        }
    };
    let read_at = session.read_version();
    if let Some(ready) = programs.known(&row, read_at) {
        return Ok(Ok(ready));
    }
    let params = vec![Datum::Text(name.into()), Datum::Int4(row.version())];
    let answer = session.run(MODULE, params).await?;
    let Some(Datum::Bytea(module)) = answer.value() else {
        return Ok(Err(format!("there is no program \"{name}\"")));
    };
    Ok(row.compile(module).inspect(|ready| programs.keep(row.clone(), ready.clone(), read_at)))
}

#[cfg(test)]
mod tests;
