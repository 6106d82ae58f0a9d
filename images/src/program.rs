//! `relix program add`: a WebAssembly module becomes a program that tasks can run.

use std::path::Path;

use cluster_tasks::limits::MODULE_LEN_MAX;

use crate::cli::ProgramOptions;
use crate::error::Failure;
use crate::http::{Http, Problem, escaped, port_of};
use crate::layout::Layout;

/// Longest file that is read: as text, a module is longer than as bytes.
const FILE_LEN_MAX: u64 = 16 * MODULE_LEN_MAX as u64;

/// Adds a program, or a new version of it: the node checks that a task could run it.
pub fn add(layout: &Layout, options: &ProgramOptions) -> Result<(), Failure> {
    let ProgramOptions { name, file, privileges, memory_max, fuel_max, node } = options;
    if name.is_empty() || name.contains('/') {
        return Err(Failure::Argument(format!(
            "a program's name has no slash, and is not empty: not \"{name}\""
        )));
    }
    let module = read(file)?;
    let port = port_of(layout, *node)?;
    let mut said = Vec::new();
    if let Some(privileges) = privileges {
        said.push(format!("privileges={}", escaped(privileges)));
    }
    said.extend(memory_max.map(|max| format!("memory_max={max}")));
    said.extend(fuel_max.map(|max| format!("fuel_max={max}")));
    let (path, query) = (format!("/programs/{name}"), said.join("&"));
    let added = Http::new().ask_with_json(port, "PUT", &path, Some(&query), &module[..]);
    let added = added.map_err(|problem| match problem {
        Problem::Refused(422, why) => Failure::Argument(format!("{}: {why}", file.display())),
        problem => problem.into(),
    })?;
    println!("Program \"{name}\" has version {}. A task that runs it:", added["version"]);
    println!("  INSERT INTO sys.tasks (program, arguments) VALUES ('{}', '{{}}');", name.replace('\'', "''"));
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
