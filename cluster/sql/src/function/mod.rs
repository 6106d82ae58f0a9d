//! Functions and operators of values. Aggregates and what has a grammar of its own are elsewhere.
//!
//! All are rows of tables: a name, the types of the arguments, the type of the result, and the code. Which row a call
//! means is decided in `bind/resolve.rs`, as Postgres does it.

mod array;
mod bits;
mod bytes;
mod comparison;
mod datetime;
mod float;
mod format;
mod integer;
mod json;
mod json_build;
mod json_edit;
mod moment;
mod number_format;
mod numeric;
mod regex;
mod regex_syntax;
mod server;
mod string;
mod subscript;
mod system;
mod text;

use crate::error::{SqlError, SqlResult, SqlState};
use crate::eval::{Env, SessionFacts};
use crate::system::Catalog;
use crate::types::{DataType, Datum};

pub(crate) use json_build::{key_text, to_json, write_json};
pub(crate) use regex::Regexes;
pub use system::SERVER_VERSION;

/// What code gets: its arguments and the session.
pub(crate) type Code = fn(&[&Datum], &SessionFacts) -> SqlResult<Datum>;

/// The same, of what looks things up among what there is.
pub(crate) type CatalogCode = fn(&[&Datum], &SessionFacts, &Catalog) -> SqlResult<Datum>;

/// The type of an argument or result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// This one.
    Is(DataType),
    /// Any, and the same wherever it stands; the elements of `AnyArray`.
    AnyElement,
    /// An array of `AnyElement`.
    AnyArray,
    /// Any, whatever the others are.
    Any,
    /// As `Any`, but no array.
    AnyNonArray,
}

/// What becomes of NULL, and how many arguments there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// NULL for a NULL argument.
    Strict,
    /// The code sees NULLs.
    Nullable,
    /// The code sees NULLs, and the last argument may stand any number of times.
    Variadic,
}

/// A function or operator.
pub(crate) struct Signature {
    pub(crate) name: &'static str,
    pub(crate) arguments: &'static [Kind],
    pub(crate) result: Kind,
    pub(crate) mode: Mode,
    pub(crate) code: Code,
    /// Takes the place of the code, if there is some.
    pub(crate) looks_up: Option<CatalogCode>,
}

/// A function or operator, by its row.
#[derive(Clone, Copy)]
pub(crate) struct Function(pub(crate) &'static Signature);

impl Function {
    /// Whether it gives NULL for a NULL argument.
    pub(crate) fn is_strict(self) -> bool {
        self.0.mode == Mode::Strict
    }

    /// Whether two calls may give different values.
    pub(crate) fn is_volatile(self) -> bool {
        matches!(
            self.0.name,
            "random"
                | "setseed"
                | "gen_random_uuid"
                | "clock_timestamp"
                | "timeofday"
                | "set_config"
                | "pg_notify"
                | "raise_exception"
        )
    }

    /// Whether its value depends on whose session it is called in, or when.
    pub(crate) fn is_of_session(self) -> bool {
        let is_zoned = |kind: &Kind| matches!(kind, Kind::Is(DataType::Timestamptz));
        let is_named = matches!(
            self.0.name,
            "now"
                | "transaction_timestamp"
                | "statement_timestamp"
                | "current_timestamp"
                | "current_date"
                | "localtime"
                | "localtimestamp"
                | "current_user"
                | "session_user"
                | "user"
                | "current_role"
                | "current_database"
                | "current_catalog"
                | "current_setting"
                | "pg_backend_pid"
                | "version"
        );
        is_named
            || self.0.looks_up.is_some()
            || self.0.arguments.iter().any(is_zoned)
            || is_zoned(&self.0.result)
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        core::ptr::eq(self.0, other.0)
    }
}

impl core::fmt::Debug for Function {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.0.name)
    }
}

macro_rules! kind {
    (AnyElement) => {
        $crate::function::Kind::AnyElement
    };
    (AnyArray) => {
        $crate::function::Kind::AnyArray
    };
    (Any) => {
        $crate::function::Kind::Any
    };
    (AnyNonArray) => {
        $crate::function::Kind::AnyNonArray
    };
    ([$scalar:ident]) => {
        $crate::function::Kind::Is($crate::types::DataType::Array($crate::types::Scalar::$scalar))
    };
    ($scalar:ident) => {
        $crate::function::Kind::Is($crate::types::DataType::$scalar)
    };
}

/// A table of functions: `"name"(Argument, ...) Result, Mode, code;`, where an array is `[Element]`.
macro_rules! signatures {
    ($table:ident: $($name:literal ($($argument:tt),*) $result:tt, $mode:ident, $code:expr;)*) => {
        pub(super) static $table: &[$crate::function::Signature] = &[$($crate::function::Signature {
            name: $name,
            arguments: &[$($crate::function::kind!($argument)),*],
            result: $crate::function::kind!($result),
            mode: $crate::function::Mode::$mode,
            code: $code,
            looks_up: None,
        }),*];
    };
    ($table:ident reads catalog: $($name:literal ($($argument:tt),*) $result:tt, $mode:ident, $code:expr;)*) => {
        pub(crate) static $table: &[$crate::function::Signature] = &[$($crate::function::Signature {
            name: $name,
            arguments: &[$($crate::function::kind!($argument)),*],
            result: $crate::function::kind!($result),
            mode: $crate::function::Mode::$mode,
            code: |_, _| Err($crate::function::unexpected()),
            looks_up: Some($code),
        }),*];
    };
}

pub(crate) use {kind, signatures};

/// The functions.
static FUNCTIONS: &[&[Signature]] = &[
    string::FUNCTIONS,
    text::FUNCTIONS,
    format::FUNCTIONS,
    number_format::FUNCTIONS,
    regex::FUNCTIONS,
    integer::FUNCTIONS,
    float::FUNCTIONS,
    numeric::FUNCTIONS,
    moment::FUNCTIONS,
    array::FUNCTIONS,
    subscript::FUNCTIONS,
    json::FUNCTIONS,
    json_build::FUNCTIONS,
    json_edit::FUNCTIONS,
    bytes::FUNCTIONS,
    system::FUNCTIONS,
    server::FUNCTIONS,
    crate::system::FUNCTIONS,
];

/// The operators, but for comparisons.
static OPERATORS: &[&[Signature]] = &[
    integer::OPERATORS,
    float::OPERATORS,
    numeric::OPERATORS,
    bits::OPERATORS,
    datetime::OPERATORS,
    string::OPERATORS,
    regex::OPERATORS,
    array::OPERATORS,
    json::OPERATORS,
    json_edit::OPERATORS,
    bytes::OPERATORS,
];

fn named(
    tables: &'static [&'static [Signature]],
    name: &str,
) -> impl Iterator<Item = &'static Signature> + Clone {
    tables.iter().copied().flatten().filter(move |signature| signature.name == name)
}

/// The functions of a name.
pub(crate) fn functions(name: &str) -> impl Iterator<Item = &'static Signature> + Clone {
    named(FUNCTIONS, name)
}

/// All functions.
pub(crate) fn all() -> impl Iterator<Item = &'static Signature> {
    FUNCTIONS.iter().copied().flatten()
}

/// The operators that are written so.
pub(crate) fn operators(symbol: &str) -> impl Iterator<Item = &'static Signature> + Clone {
    named(OPERATORS, symbol)
}

/// Which types can be compared.
pub(crate) fn comparisons() -> impl Iterator<Item = &'static Signature> + Clone {
    comparison::COMPARISONS.iter()
}

/// `now()`
pub(crate) fn now() -> Option<Function> {
    functions("now").next().map(Function)
}

/// Calls a function: NULL for a NULL argument, if it is strict.
pub(crate) fn call(function: Function, arguments: &[&Datum], env: &Env<'_>) -> SqlResult<Datum> {
    if function.0.mode == Mode::Strict && arguments.iter().any(|argument| argument.is_null()) {
        return Ok(Datum::Null);
    }
    match function.0.looks_up {
        None => (function.0.code)(arguments, env.session),
        Some(code) => code(arguments, env.session, &*env.memo.catalog()?),
    }
}

/// What code says of arguments that its row does not admit.
pub(crate) fn unexpected() -> SqlError {
    SqlError::new(SqlState("XX000"), "a function was called with arguments of other types than its own")
}

/// The text of an argument.
pub(crate) fn text(datum: &Datum) -> &str {
    datum.as_text().unwrap_or_default()
}

/// The integer of an argument.
pub(crate) fn int(datum: &Datum) -> i64 {
    datum.as_i64().unwrap_or(0)
}

/// A text, unless it is too long.
pub(crate) fn text_datum(text: alloc::string::String) -> SqlResult<Datum> {
    crate::eval::check_text_len(text.len())?;
    Ok(Datum::Text(text))
}
