//! Programs: `sys.programs`, and those that this node has ready to run.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;

use cluster_format::Version;
use cluster_sql::catalog::service_id;
use cluster_sql::database::Database;
use cluster_sql::types::Datum;
use cluster_sql::{ServiceSchema, Session, SqlResult};
use cluster_tasks::{Grants, Program};
use spin::Mutex;

/// Its table.
pub const SCHEMA: ServiceSchema =
    ServiceSchema { number: 1, name: "programs", sql: include_str!("schema.sql") };

/// `sys.programs`
pub const PROGRAMS: u32 = service_id(SCHEMA.number, 0);

/// Programs that are kept ready, and most bytes that they take.
const READY_MAX: usize = 32;
const READY_LEN_MAX: usize = 8 << 20;

/// A program, and what a run of it may take.
#[derive(Clone)]
pub struct Ready {
    pub(crate) program: Program,
    pub(crate) memory_len_max: usize,
    pub(crate) fuel_max: u64,
}

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

/// A version of a program, as its row says.
#[derive(Clone, PartialEq)]
struct Row {
    name: String,
    version: i32,
    privileges: String,
    memory_max: i64,
    fuel_max: i64,
    created_at: Datum,
}

/// Programs that were checked and made ready, those used last at the end.
#[derive(Default)]
pub struct Programs {
    ready: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    all: VecDeque<(Row, Ready)>,
    /// A module may be another one since, though its row says the same.
    changed: Version,
}

impl Programs {
    /// The newest version of a program, or the one that is asked for; else one line that says why there is none. Rows are
    /// read in the transaction that is open, so whatever runs a program depends on its being that one.
    pub(crate) async fn load<D: Database>(
        &self,
        session: &mut Session<D>,
        name: &str,
        version: Option<i32>,
    ) -> SqlResult<Result<Ready, String>> {
        let wanted = version.map_or(Datum::Null, Datum::Int4);
        let params = vec![Datum::Text(name.into()), wanted];
        let answer = session
            .run(
                "SELECT version, privileges, memory_max, fuel_max, created_at FROM sys.programs \
                 WHERE name = $1 AND ($2::integer IS NULL OR version = $2) ORDER BY version DESC LIMIT 1",
                params,
            )
            .await?;
        let Some(row) = answer.rows.first().and_then(|row| read(name, row)) else {
            let of = version.map_or(String::new(), |version| format!(" of version {version}"));
            return Ok(Err(format!("there is no program \"{name}\"{of}")));
        };
        let at = session.read_version();
        if let Some(ready) = self.known(&row, at) {
            return Ok(Ok(ready));
        }
        let params = vec![Datum::Text(name.into()), Datum::Int4(row.version)];
        let answer =
            session.run("SELECT module FROM sys.programs WHERE name = $1 AND version = $2", params).await?;
        let Some(Datum::Bytea(module)) = answer.value() else {
            return Ok(Err(format!("there is no program \"{name}\"")));
        };
        Ok(self.make(row, module, at))
    }

    /// The entry at this version, which is applied before anybody reads what it wrote, has changed programs.
    pub(crate) fn note_changed(&self, version: Version) {
        let mut kept = self.ready.lock();
        kept.changed = version;
        kept.all.clear();
    }

    fn known(&self, row: &Row, read_at: Version) -> Option<Ready> {
        let Kept { all, changed } = &mut *self.ready.lock();
        if read_at < *changed {
            return None;
        }
        let at = all.iter().position(|(known, _)| known == row)?;
        let found = all.remove(at)?;
        let ready = found.1.clone();
        all.push_back(found);
        Some(ready)
    }

    /// A program whose row and module were read at a version.
    fn make(&self, row: Row, module: &[u8], read_at: Version) -> Result<Ready, String> {
        let of = |error: &dyn ToString| {
            format!("program \"{}\", version {}: {}", row.name, row.version, error.to_string())
        };
        let grants: Grants = row.privileges.parse().map_err(|error| of(&error))?;
        let program = Program::new(module, grants).map_err(|error| of(&error))?;
        let ready = Ready {
            program,
            memory_len_max: usize::try_from(row.memory_max).unwrap_or(0),
            fuel_max: row.fuel_max.unsigned_abs(),
        };
        let Kept { all, changed } = &mut *self.ready.lock();
        if read_at < *changed {
            return Ok(ready);
        }
        let len = |all: &VecDeque<(Row, Ready)>| {
            all.iter().map(|(_, known)| known.program.memory_len()).sum::<usize>()
        };
        while !all.is_empty()
            && (all.len() >= READY_MAX || len(all) + ready.program.memory_len() > READY_LEN_MAX)
        {
            all.pop_front();
        }
        all.push_back((row, ready.clone()));
        Ok(ready)
    }
}

fn read(name: &str, row: &[Datum]) -> Option<Row> {
    let [
        Datum::Int4(version),
        Datum::Text(privileges),
        Datum::Int8(memory_max),
        Datum::Int8(fuel_max),
        created_at,
    ] = row
    else {
        return None;
    };
    Some(Row {
        name: name.into(),
        version: *version,
        privileges: privileges.clone(),
        memory_max: *memory_max,
        fuel_max: *fuel_max,
        created_at: created_at.clone(),
    })
}
