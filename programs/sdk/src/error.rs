//! What can go wrong in a program.

use std::fmt;

/// As everywhere in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The node has refused a statement. It refuses all that follow in the same transaction, and its end: whatever the program
    /// makes of the error, the run fails. Who expects that something is there already says in the statement what is to be done
    /// then, by `ON CONFLICT` or a `WHERE`.
    Statement {
        /// What is wrong, without a state.
        message: String,
        /// Its SQLSTATE, five letters, if there is one.
        state: Option<String>,
    },
    /// The node has refused to do something with a file. What was done before stays.
    File(String),
    /// What the program was given, be it arguments, rows or messages, is of another type than it says, or what it
    /// gives is no JSON.
    Type(String),
    /// What the program says itself.
    Program(String),
}

impl Error {
    /// What a node says of a statement: its state comes last, in brackets.
    pub(crate) fn of_statement(text: &str) -> Error {
        let split = text.strip_suffix(')').and_then(|text| text.rsplit_once(" (SQLSTATE "));
        match split {
            Some((message, state)) => Error::Statement { message: message.into(), state: Some(state.into()) },
            None => Error::Statement { message: text.into(), state: None },
        }
    }

    /// The SQLSTATE of a statement that was refused.
    pub fn state(&self) -> Option<&str> {
        match self {
            Error::Statement { state, .. } => state.as_deref(),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Statement { message, state: Some(state) } => write!(f, "{message} (SQLSTATE {state})"),
            Error::Statement { message, state: None } => f.write_str(message),
            Error::File(text) | Error::Type(text) | Error::Program(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

impl From<String> for Error {
    fn from(text: String) -> Error {
        Error::Program(text)
    }
}

impl From<&str> for Error {
    fn from(text: &str) -> Error {
        Error::Program(text.into())
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Error {
        Error::Type(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_statement_is_told_from_its_message() {
        let error = Error::of_statement("relation \"a (b)\" does not exist (SQLSTATE 42P01)");
        assert_eq!(error.state(), Some("42P01"));
        assert_eq!(error.to_string(), "relation \"a (b)\" does not exist (SQLSTATE 42P01)");
        let error = Error::of_statement("call step before (as ever)");
        assert_eq!((error.state(), &*error.to_string()), (None, "call step before (as ever)"));
    }
}
