//! What clients did, and when.

use std::fmt;

/// Names a list.
pub type Key = u64;

/// What is appended: never the same twice to one list.
pub type Value = u64;

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The client was told that it took place.
    Committed,
    /// The client was told that nothing was changed.
    Aborted,
    /// Nobody told the client.
    Unknown,
}

/// One step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Appended a value to a list.
    Append(Key, Value),
    /// Read a whole list.
    Read(Key, Vec<Value>),
}

/// One transaction, as its client saw it. Times are nanoseconds of any clock that all clients share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<S = Step> {
    /// The client.
    pub client: u64,
    /// Before its first statement was sent.
    pub invoked: u64,
    /// After its outcome was known, or given up on.
    pub completed: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// What it did, as far as it came.
    pub steps: Vec<S>,
}

/// All transactions, in any order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Them.
    pub operations: Vec<Operation>,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Append(key, value) => write!(f, "append {value} to list {key}"),
            Step::Read(key, values) => {
                // The end of a list is what tells versions apart.
                let shown = &values[values.len().saturating_sub(8)..];
                let dots = if shown.len() < values.len() { "... " } else { "" };
                let shown: Vec<String> = shown.iter().map(Value::to_string).collect();
                write!(f, "read list {key}: [{dots}{}]", shown.join(" "))
            }
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |nanos: u64| nanos as f64 / 1e9;
        let (from, to) = (seconds(self.invoked), seconds(self.completed));
        let steps: Vec<String> = self.steps.iter().map(Step::to_string).collect();
        let outcome = match self.outcome {
            Outcome::Committed => "committed",
            Outcome::Aborted => "aborted",
            Outcome::Unknown => "outcome unknown",
        };
        write!(f, "client {}, {from:.6} to {to:.6} s, {outcome}: {}", self.client, steps.join("; "))
    }
}
