//! What a program can use at most, on one page. What a run may use of memory and time is its [`Limits`].
//!
//! [`Limits`]: crate::Limits

/// The longest module, in bytes. Programs are compiled at once and as a whole, so this bounds how long that takes.
pub const MODULE_LEN_MAX: usize = 1024 * 1024;

/// The most imports of a module: there are seventeen functions to import, each of them once.
pub const IMPORTS_MAX: usize = 64;

/// The most functions of a module. Each run has a table of them.
pub const FUNCTIONS_MAX: usize = 10_000;

/// The most parameters of a function or block, and the most results.
pub const PARAMETERS_MAX: usize = 32;

/// The most globals of a module.
pub const GLOBALS_MAX: usize = 1000;

/// The most segments of data that a module has, and the most of elements.
pub const SEGMENTS_MAX: usize = 1000;

/// The most exports of a module. Each run has a table of them.
pub const EXPORTS_MAX: usize = 1000;

/// The most locals of a function, besides its parameters. They are made zero whenever it is called, and a call costs
/// the same fuel however many there are.
pub const LOCALS_MAX: u64 = 2000;

/// The most blocks of a function that are in one another. The compiler remembers some hundred bytes of each.
pub const BLOCK_DEPTH_MAX: usize = 5000;

/// The most elements of all tables of a run together, and of all segments that they are filled from, at most 24 bytes
/// each. Tables do not grow.
pub const TABLE_ELEMENTS_MAX: usize = 100_000;

/// The most calls that are in one another. They are on a stack of their own: the host's does not grow with them.
pub const CALL_DEPTH_MAX: usize = 10_000;

/// The most bytes of locals and intermediate values of all calls of a run that are in one another.
pub const STACK_LEN_MAX: usize = 1024 * 1024;

/// The stack that a run begins with, in bytes.
pub(crate) const STACK_LEN_MIN: usize = 4 * 1024;

/// The longest text of an SQL statement, in bytes.
pub const SQL_LEN_MAX: usize = 1024 * 1024;

/// The longest text of a statement's parameters, in bytes.
pub const PARAMETERS_LEN_MAX: usize = 1024 * 1024;

/// The longest response, in bytes: arguments, what a statement answers, or the text of an error.
pub const RESPONSE_LEN_MAX: usize = 16 * 1024 * 1024;

/// The longest result, in bytes.
pub const RESULT_LEN_MAX: usize = 256 * 1024;

/// The longest path of a file, in bytes.
pub const PATH_LEN_MAX: usize = 4096;

/// The longest piece of a file that is read or written at once, in bytes.
pub const PIECE_LEN_MAX: usize = 1024 * 1024;

/// The longest name of a step or a mailbox, in bytes.
pub const CALLED_LEN_MAX: usize = 1024;

/// Lines for the log are cut to so many bytes.
pub const LOG_LEN_MAX: usize = 4 * 1024;

/// Messages of programs that fail are cut to so many bytes.
pub const MESSAGE_LEN_MAX: usize = 4 * 1024;

/// Names that a module has chosen are cut to so many bytes where errors repeat them.
pub(crate) const NAME_LEN_MAX: usize = 64;

/// What is said of a module that is not valid is cut to so many bytes.
pub(crate) const REASON_LEN_MAX: usize = 256;

/// The fuel that a call of an import costs, besides its bytes: about 50 instructions' worth, as long as it takes.
pub(crate) const CALL_FUEL: u64 = 50;

/// A unit of fuel pays for so many bytes of text that an import reads or writes.
pub(crate) const TEXT_BYTES_PER_FUEL: u64 = 16;

/// A unit of fuel pays for so many bytes of memory that are made zero, as `memory.grow` has it.
pub(crate) const ZERO_BYTES_PER_FUEL: u64 = 64;

// Lengths that programs are told of are i32, and so are those of errors, made negative.
const _: () = assert!(RESPONSE_LEN_MAX <= i32::MAX as usize);
const _: () = assert!(MESSAGE_LEN_MAX <= RESPONSE_LEN_MAX && STACK_LEN_MIN <= STACK_LEN_MAX);
