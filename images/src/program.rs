//! `relix program add`: a WebAssembly module becomes a program that tasks can run.

use std::path::Path;

use cluster_tasks::limits::MODULE_LEN_MAX;
use cluster_tasks::{Grants, Program};

use crate::cli::ProgramOptions;
use crate::cluster::Cluster;
use crate::error::Failure;
use crate::layout::Layout;
use crate::session::{self, Session};

/// Longest file that is read: as text, a module is longer than as bytes.
const FILE_LEN_MAX: u64 = 16 * MODULE_LEN_MAX as u64;

/// Adds a program, or a new version of it.
pub fn add(layout: &Layout, options: &ProgramOptions) -> Result<(), Failure> {
    let module = read(&options.file)?;
    check(&options.file, &module, &options.privileges)?;
    let cluster = Cluster::expect(layout)?;
    let Session { runtime, client, .. } = session::connect(layout, &cluster, options.node)?;
    let sql = "INSERT INTO sys.programs (name, version, module, privileges, memory_max, fuel_max) \
               SELECT $1, coalesce(max(version), 0) + 1, $2, $3, $4, $5 FROM sys.programs WHERE name = $1 \
               RETURNING version";
    let ProgramOptions { name, privileges, memory_max, fuel_max, .. } = options;
    let row = runtime.block_on(client.query_one(sql, &[name, &module, privileges, memory_max, fuel_max]));
    let row = row.map_err(|error| Failure::sql(&error))?;
    let version: i32 = row.try_get(0).map_err(|error| Failure::Sql(error.to_string()))?;
    println!("Program \"{}\" has version {version}. A task that runs it:", options.name);
    println!(
        "  INSERT INTO sys.tasks (program, arguments) VALUES ('{}', '{{}}');",
        options.name.replace('\'', "''")
    );
    Ok(())
}

/// The module in a file, which may be in the text format of WebAssembly.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let len = std::fs::metadata(path).map_err(Failure::file("read", path))?.len();
    if len > FILE_LEN_MAX {
        let message =
            format!("{}: a module of {len} bytes is too long: it may have {MODULE_LEN_MAX}", path.display());
        return Err(Failure::Argument(message));
    }
    let bytes = std::fs::read(path).map_err(Failure::file("read", path))?;
    if path.extension().is_some_and(|extension| extension == "wat") {
        let module = wat::parse_bytes(&bytes);
        return module.map(Into::into).map_err(|error| {
            let lines = error.to_string();
            let words: Vec<&str> = lines.split_whitespace().collect();
            Failure::Argument(format!("{}: {}", path.display(), words.join(" ")))
        });
    }
    Ok(bytes)
}

/// Nothing is added that no task could run.
fn check(path: &Path, module: &[u8], privileges: &str) -> Result<(), Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::Argument(format!("{}: {error}", path.display()));
    let grants: Grants = privileges.parse().map_err(|error| wrong(&error))?;
    Program::new(module, grants).map(drop).map_err(|error| wrong(&error))
}
