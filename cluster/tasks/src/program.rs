//! Modules, checked.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use wasmi::{CompilationMode, Config, Engine, ExternType, ImportType, Linker, Module};

use crate::imports::{Import, MODULE, linker};
use crate::limits::{
    CALL_DEPTH_MAX, MODULE_LEN_MAX, NAME_LEN_MAX, REASON_LEN_MAX, STACK_LEN_MAX, STACK_LEN_MIN,
};
use crate::state::State;
use crate::survey::Survey;
use crate::text::shown;
use crate::{Grant, Grants};

/// The name that a program's memory is exported by.
pub(crate) const MEMORY: &str = "memory";

/// What every module begins with, and the only version of it.
const PREAMBLE: [u8; 8] = *b"\0asm\x01\0\0\0";

/// A module that was checked and compiled: cheap to clone, and many runs may share it.
#[derive(Clone)]
pub struct Program {
    checked: Arc<Checked>,
}

struct Checked {
    /// With an engine of its own: an engine keeps all that it has ever compiled.
    module: Module,
    linker: Linker<State>,
    survey: Survey,
}

impl Program {
    /// Checks a module and compiles it.
    ///
    /// # Errors
    /// If it is not valid WebAssembly of the kind that runs here, or imports what there is not or what it may not have.
    pub fn new(module: &[u8], grants: Grants) -> Result<Program, ModuleError> {
        if module.len() > MODULE_LEN_MAX {
            return Err(ModuleError::TooLong { len: module.len() });
        }
        if !module.starts_with(&PREAMBLE) {
            return Err(ModuleError::NotAModule);
        }
        let engine = Engine::new(&config());
        // As a whole first: wasmi 2.0 translates each instruction as soon as it is checked, and
        // panics if there are more behind the end of a function, which is noticed last.
        Module::validate(&engine, module).map_err(|error| ModuleError::invalid(&error))?;
        let survey = Survey::of(module)?;
        let module = Module::new(&engine, module).map_err(|error| ModuleError::invalid(&error))?;
        module.imports().try_for_each(|import| check(&import, grants))?;
        if !matches!(module.get_export(MEMORY), Some(ExternType::Memory(_))) {
            return Err(ModuleError::NoMemory);
        }
        let linker = linker(&engine).map_err(|error| ModuleError::invalid(&error))?;
        Ok(Program { checked: Arc::new(Checked { module, linker, survey }) })
    }

    /// About how many bytes it takes, without its runs.
    pub fn memory_len(&self) -> usize {
        self.checked.survey.memory_len()
    }

    /// Whether a run can begin at the export of that name: a function without parameters and results.
    pub fn has_entry(&self, name: &str) -> bool {
        is_entry(self.checked.module.get_export(name).as_ref())
    }

    /// The names of the exports that a run can begin at.
    pub fn entries(&self) -> impl Iterator<Item = &str> {
        let exports = self.checked.module.exports();
        exports.filter(|export| is_entry(Some(export.ty()))).map(|export| export.name())
    }

    pub(crate) fn module(&self) -> &Module {
        &self.checked.module
    }

    pub(crate) fn linker(&self) -> &Linker<State> {
        &self.checked.linker
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("memory_len", &self.memory_len()).finish_non_exhaustive()
    }
}

fn is_entry(export: Option<&ExternType>) -> bool {
    let Some(ExternType::Func(function)) = export else { return false };
    function.params().is_empty() && function.results().is_empty()
}

/// What the interpreter is to do and what not.
fn config() -> Config {
    let mut config = Config::default();
    config.consume_fuel(true);
    // Functions that are compiled when they are first called are paid for by the run that happens to be first: what a
    // run costs would depend on others.
    config.compilation_mode(CompilationMode::Eager);
    // It would run before the first step, as a whole.
    config.allow_start_fn(false);
    config.ignore_custom_sections(true);
    // There is one memory, which pointers are into.
    config.wasm_multi_memory(false);
    // An import that is called in tail position of the entry could not be gone on with.
    config.wasm_tail_call(false);
    config.wasm_custom_page_sizes(false);
    config.wasm_wide_arithmetic(false);
    config.set_max_recursion_depth(CALL_DEPTH_MAX);
    config.set_min_stack_height(STACK_LEN_MIN);
    config.set_max_stack_height(STACK_LEN_MAX);
    // A program that is not run takes no stack.
    config.set_max_cached_stacks(0);
    config
}

fn check(import: &ImportType<'_>, grants: Grants) -> Result<(), ModuleError> {
    let known = if import.module() == MODULE { Import::named(import.name()) } else { None };
    let Some(known) = known else {
        let (module, name) = (shown(import.module(), NAME_LEN_MAX), shown(import.name(), NAME_LEN_MAX));
        return Err(ModuleError::UnknownImport { module, name });
    };
    let fits = match import.ty() {
        ExternType::Func(function) => {
            function.params() == known.parameters && function.results() == known.results
        }
        _ => false,
    };
    if !fits {
        return Err(ModuleError::ImportOfOtherType { name: known.name });
    }
    match known.grant {
        Some(grant) if !grants.has(grant) => Err(ModuleError::NotGranted { name: known.name, grant }),
        _ => Ok(()),
    }
}

/// Why a module is not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModuleError {
    /// It has too many bytes.
    TooLong {
        /// How many.
        len: usize,
    },
    /// It does not begin as modules do.
    NotAModule,
    /// It is not valid, or needs what the interpreter does not have.
    Invalid {
        /// What is wrong, and where.
        reason: String,
    },
    /// It has a start function.
    StartFunction,
    /// It has more of something than it may have.
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many it may have.
        most: usize,
    },
    /// It imports what there is not.
    UnknownImport {
        /// From which module, cut.
        module: String,
        /// What, cut.
        name: String,
    },
    /// It imports a function as if it were of another type.
    ImportOfOtherType {
        /// Which.
        name: &'static str,
    },
    /// It imports what it may not have.
    NotGranted {
        /// Which function.
        name: &'static str,
        /// What it needs.
        grant: Grant,
    },
    /// It does not export its memory.
    NoMemory,
}

impl ModuleError {
    pub(crate) fn invalid(error: &dyn fmt::Display) -> ModuleError {
        ModuleError::Invalid { reason: shown(&alloc::format!("{error}"), REASON_LEN_MAX) }
    }
}

impl fmt::Display for ModuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ModuleError::TooLong { len } => {
                write!(
                    f,
                    "the module has {len} bytes: {MODULE_LEN_MAX} at most, so strip it, or optimise for size"
                )
            }
            ModuleError::NotAModule => f.write_str(
                "this is no WebAssembly module of version 1: give it what a compiler for wasm32 has written",
            ),
            ModuleError::Invalid { reason } => write!(f, "the module cannot be run: {reason}"),
            ModuleError::StartFunction => f.write_str(
                "the module has a start function: export it, and call it where the program begins",
            ),
            ModuleError::TooMany { what, most } => write!(f, "the module has more than {most} {what}"),
            ModuleError::UnknownImport { module, name } => {
                write!(
                    f,
                    "the module imports {module}.{name}: there are only the functions of module \"{MODULE}\""
                )
            }
            ModuleError::ImportOfOtherType { name } => {
                write!(f, "the module imports {MODULE}.{name} as if it were of another type")?;
                match Import::named(name) {
                    Some(import) => write!(f, ": it is {import}"),
                    None => Ok(()),
                }
            }
            ModuleError::NotGranted { name, grant } => {
                write!(
                    f,
                    "the module imports {MODULE}.{name}, which needs the privilege \"{}\"",
                    grant.name()
                )
            }
            ModuleError::NoMemory => write!(f, "the module exports no memory named \"{MEMORY}\""),
        }
    }
}

impl core::error::Error for ModuleError {}
