//! What a run is given, and how it ends.

use std::fmt::Display;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result, imports};

/// The arguments of the run; `null` if its task has none. A function that [`entry!`](crate::entry) names is given them.
pub fn arguments<T: DeserializeOwned>() -> Result<T> {
    serde_json::from_slice(&imports::arguments()).map_err(|error| Error::Type(format!("arguments: {error}")))
}

/// Sets the result of the run; the last one counts. A function that [`entry!`](crate::entry) names returns it.
pub fn result(value: &impl Serialize) -> Result<()> {
    imports::result(&serde_json::to_string(value)?);
    Ok(())
}

/// Ends the run: it has failed, and this is why. What it has done does not take place.
pub fn fail(why: impl Display) -> ! {
    imports::fail(&why.to_string())
}

/// How much a line of the log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Somebody is to do something.
    Error,
    /// It may become an error.
    Warn,
    /// It is good to know.
    Info,
    /// For whoever looks for a mistake.
    Debug,
}

/// Writes a line to the log, once what the run has done takes place.
pub fn log(level: Level, line: impl Display) {
    let level = match level {
        Level::Error => 0,
        Level::Warn => 1,
        Level::Info => 2,
        Level::Debug => 3,
    };
    imports::log(level, &line.to_string());
}

/// Random bits. A run that is repeated gets the same ones.
pub fn random() -> u64 {
    imports::random()
}
