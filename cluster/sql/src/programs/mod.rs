//! Programs that this node has ready to run: WebAssembly modules of `sys.programs`, checked and compiled.
//!
//! Tasks run them, and functions whose language is wasm. Rows are read in the transaction that is open, so whatever runs a
//! program depends on its being that one; what is kept here saves to compile it again.

pub(crate) mod json;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;

use cluster_format::Version;
use cluster_store::{Lease, MemoryPool};
use cluster_tasks::{Facts, Grants, Limits, Memory, Program, Run, Trap};
use spin::Mutex;

use crate::types::Datum;

/// The newest version of the program `$1`, or the version `$2`, as [`ProgramRow::new`] reads it.
pub const FIND: &str = "SELECT version, privileges, memory_max, fuel_max, created_at FROM sys.programs \
                        WHERE name = $1 AND ($2::integer IS NULL OR version = $2) ORDER BY version DESC LIMIT 1";

/// Its module.
pub const MODULE: &str = "SELECT module FROM sys.programs WHERE name = $1 AND version = $2";

/// Units of work of a program before others may run: about a tenth of a millisecond.
pub const SLICE_FUEL: u64 = 50_000;

/// Longest answer to a statement that a program is given, in bytes.
pub const ANSWER_LEN_MAX: usize = 4 << 20;

/// Programs that are kept ready, and most bytes that they take.
const READY_MAX: usize = 32;
const READY_LEN_MAX: usize = 8 << 20;

/// The interpreter doubles what it has when that is not enough: the memory of a run may take so many times its length.
const MEMORY_TAKEN: usize = 2;

/// A program, and what a run of it may take.
#[derive(Clone, Debug)]
pub struct Ready {
    program: Program,
    limits: Limits,
}

impl Ready {
    /// A run that begins at `entry`; what it takes of memory is of the pool.
    ///
    /// # Errors
    /// As [`Run::new`] has it.
    pub fn run(&self, entry: &str, facts: Facts, memory: &Arc<MemoryPool>) -> Result<Run, Trap> {
        // What this node could never give is not worth waiting for.
        let memory_len_max = self.limits.memory_len_max.min(memory.hopeful_len() / MEMORY_TAKEN);
        let limits = Limits { memory_len_max, ..self.limits };
        Run::new(&self.program, entry, limits, facts, Box::new(Leased(memory.lease())))
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }
}

/// The memory of a run, of that which all sessions share.
struct Leased(Lease);

impl Memory for Leased {
    fn resize(&mut self, len: usize) -> bool {
        self.0.resize(len.saturating_mul(MEMORY_TAKEN)).is_ok()
    }
}

/// A version of a program, as its row says.
#[derive(Clone, Debug, PartialEq)]
pub struct ProgramRow {
    name: String,
    version: i32,
    privileges: String,
    memory_max: i64,
    fuel_max: i64,
    created_at: Datum,
}

impl ProgramRow {
    /// Of the row that [`FIND`] gives, if there is one.
    pub fn new(name: &str, row: Option<&[Datum]>) -> Result<ProgramRow, String> {
        let Some(
            [
                Datum::Int4(version),
                Datum::Text(privileges),
                Datum::Int8(memory_max),
                Datum::Int8(fuel_max),
                created_at,
            ],
        ) = row
        else {
            return Err(format!("there is no program \"{name}\""));
        };
        Ok(ProgramRow {
            name: name.into(),
            version: *version,
            privileges: privileges.clone(),
            memory_max: *memory_max,
            fuel_max: *fuel_max,
            created_at: created_at.clone(),
        })
    }

    /// Which version it is.
    pub fn version(&self) -> i32 {
        self.version
    }

    /// Checks and compiles its module.
    ///
    /// # Errors
    /// One line that says why nothing can run it.
    pub fn compile(&self, module: &[u8]) -> Result<Ready, String> {
        let of = |error: &dyn ToString| {
            format!("program \"{}\", version {}: {}", self.name, self.version, error.to_string())
        };
        let grants: Grants = self.privileges.parse().map_err(|error| of(&error))?;
        let program = Program::new(module, grants).map_err(|error| of(&error))?;
        let limits = Limits {
            memory_len_max: usize::try_from(self.memory_max).unwrap_or(0),
            fuel_max: self.fuel_max.unsigned_abs(),
        };
        Ok(Ready { program, limits })
    }
}

/// Programs that were made ready, those used last at the end.
#[derive(Default)]
pub struct Programs {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    all: VecDeque<(ProgramRow, Ready)>,
    /// A module may be another one since, though its row says the same.
    changed: Version,
}

impl Programs {
    /// The entry at this version, which is applied before anybody reads what it wrote, has changed programs.
    pub fn note_changed(&self, version: Version) {
        let mut kept = self.kept.lock();
        kept.changed = version;
        kept.all.clear();
    }

    /// The program of a row that was read at a version, if it is kept.
    pub fn known(&self, row: &ProgramRow, read_at: Version) -> Option<Ready> {
        let Kept { all, changed } = &mut *self.kept.lock();
        if read_at < *changed {
            return None;
        }
        let at = all.iter().position(|(known, _)| known == row)?;
        let found = all.remove(at)?;
        let ready = found.1.clone();
        all.push_back(found);
        Some(ready)
    }

    /// Keeps the program of a row that was read at a version, as it was committed.
    pub fn keep(&self, row: ProgramRow, ready: Ready, read_at: Version) {
        let Kept { all, changed } = &mut *self.kept.lock();
        if read_at < *changed {
            return;
        }
        let len = |all: &VecDeque<(ProgramRow, Ready)>| {
            all.iter().map(|(_, known)| known.program.memory_len()).sum::<usize>()
        };
        while !all.is_empty()
            && (all.len() >= READY_MAX || len(all) + ready.program.memory_len() > READY_LEN_MAX)
        {
            all.pop_front();
        }
        all.push_back((row, ready));
    }
}
