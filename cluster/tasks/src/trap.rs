//! Why a run ends badly.

use alloc::string::String;
use core::fmt;

use wasmi::errors::{ErrorKind, InstantiationError, MemoryError, TableError};
use wasmi::{Error, TrapCode};

use crate::limits::{CALL_DEPTH_MAX, REASON_LEN_MAX, STACK_LEN_MAX, TABLE_ELEMENTS_MAX};
use crate::text::shown;

/// Why a run ended badly. But for the last three it is the program's fault, and the same run ends in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trap {
    /// It came to an instruction that says that it cannot be reached: how most languages panic.
    Unreachable,
    /// It divided an integer by zero.
    DivisionByZero,
    /// The quotient of two integers is not one.
    IntegerOverflow,
    /// It made an integer of a number that is too large, or none.
    BadConversion,
    /// It read or wrote outside its memory.
    MemoryOutOfBounds,
    /// It read or wrote outside a table.
    TableOutOfBounds,
    /// It called an element of a table that is null.
    CallToNull,
    /// It called a function as if it were of another type.
    CallOfOtherType,
    /// Too many calls in one another.
    StackOverflow,
    /// It took more time than it may.
    OutOfFuel {
        /// The fuel that it may use.
        limit: u64,
    },
    /// It begins with more memory than it may have.
    OutOfMemory {
        /// The bytes that it begins with.
        len: usize,
        /// The bytes that it may have.
        limit: usize,
    },
    /// Its tables begin with more elements than they may have.
    TableTooLong,
    /// It gave an import a range that is not all in its memory.
    BadPointer {
        /// Which.
        import: &'static str,
    },
    /// It gave an import a text that is not UTF-8.
    TextNotUtf8 {
        /// Which.
        import: &'static str,
    },
    /// It gave an import a text that is too long.
    TextTooLong {
        /// Which.
        import: &'static str,
        /// The bytes that it may have.
        limit: usize,
    },
    /// There is no function of that name, without parameters and results, among its exports.
    NoEntry {
        /// The name, cut.
        name: String,
    },
    /// It said that it failed.
    Failed {
        /// What it said, cut.
        message: String,
    },
    /// There was not enough memory for what it begins with, or for its stack. Later, there may be.
    MemoryRefused,
    /// It was stepped though it had ended, or though what it asked for was not answered: a fault of the caller.
    NotRunnable,
    /// The interpreter failed in a way that it should not.
    Interpreter {
        /// What it said.
        reason: String,
    },
}

impl Trap {
    /// Of an error that the interpreter gave.
    pub(crate) fn of(error: &Error, fuel_max: u64) -> Trap {
        match error.kind() {
            ErrorKind::TrapCode(code) => Trap::of_code(*code, fuel_max),
            // What it begins with did not go well.
            ErrorKind::Instantiation(InstantiationError::ElementSegmentDoesNotFit { .. }) => {
                Trap::TableOutOfBounds
            }
            ErrorKind::Memory(MemoryError::OutOfBoundsAccess) => Trap::MemoryOutOfBounds,
            ErrorKind::Memory(MemoryError::OutOfSystemMemory)
            | ErrorKind::Table(TableError::OutOfSystemMemory) => Trap::MemoryRefused,
            kind => Trap::Interpreter { reason: shown(&alloc::format!("{kind}"), REASON_LEN_MAX) },
        }
    }

    fn of_code(code: TrapCode, fuel_max: u64) -> Trap {
        match code {
            TrapCode::UnreachableCodeReached => Trap::Unreachable,
            TrapCode::MemoryOutOfBounds => Trap::MemoryOutOfBounds,
            TrapCode::TableOutOfBounds => Trap::TableOutOfBounds,
            TrapCode::IndirectCallToNull => Trap::CallToNull,
            TrapCode::IntegerDivisionByZero => Trap::DivisionByZero,
            TrapCode::IntegerOverflow => Trap::IntegerOverflow,
            TrapCode::BadConversionToInteger => Trap::BadConversion,
            TrapCode::StackOverflow => Trap::StackOverflow,
            TrapCode::BadSignature => Trap::CallOfOtherType,
            TrapCode::OutOfFuel => Trap::OutOfFuel { limit: fuel_max },
            TrapCode::OutOfSystemMemory | TrapCode::GrowthOperationLimited => Trap::MemoryRefused,
        }
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trap::Unreachable => f.write_str("the program panicked: it came to an unreachable instruction"),
            Trap::DivisionByZero => f.write_str("the program divided an integer by zero"),
            Trap::IntegerOverflow => f.write_str("the program divided an integer, and the quotient is too large"),
            Trap::BadConversion => f.write_str("the program made an integer of a number that is too large or none"),
            Trap::MemoryOutOfBounds => f.write_str("the program read or wrote outside its memory"),
            Trap::TableOutOfBounds => f.write_str("the program read or wrote outside a table"),
            Trap::CallToNull => f.write_str("the program called a function pointer that is null"),
            Trap::CallOfOtherType => f.write_str("the program called a function pointer of another type"),
            Trap::StackOverflow => write!(
                f,
                "the program has too many calls in one another: {CALL_DEPTH_MAX} at most, with {STACK_LEN_MAX} bytes of locals"
            ),
            Trap::OutOfFuel { limit } => write!(f, "the program used up all its fuel: {limit} at most"),
            Trap::OutOfMemory { len, limit } => {
                write!(f, "the program begins with {len} bytes of memory, and may have {limit}")
            }
            Trap::TableTooLong => {
                write!(f, "the program's tables have more than {TABLE_ELEMENTS_MAX} elements together")
            }
            Trap::BadPointer { import } => {
                write!(f, "the program gave relix.{import} a range that is not in its memory")
            }
            Trap::TextNotUtf8 { import } => {
                write!(f, "the program gave relix.{import} a text that is not UTF-8")
            }
            Trap::TextTooLong { import, limit } => {
                write!(f, "the program gave relix.{import} a text that is too long: {limit} bytes at most")
            }
            Trap::NoEntry { name } => {
                write!(f, "the program exports no function \"{name}\" without parameters and results")
            }
            Trap::Failed { message } => write!(f, "the program failed: {}", shown(message, usize::MAX)),
            Trap::MemoryRefused => f.write_str("there is not enough memory left to run the program"),
            Trap::NotRunnable => f.write_str(
                "the run has ended, or what it asked for was not answered: a fault of Relix, not of the program",
            ),
            Trap::Interpreter { reason } => write!(f, "the interpreter failed: {reason}"),
        }
    }
}

impl core::error::Error for Trap {}
