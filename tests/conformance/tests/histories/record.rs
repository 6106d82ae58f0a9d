//! What clients were told.

use std::fmt;

use tests_checkers::{Access, Operation, Outcome, as_lists, check};

/// All transactions of some clients, and what single answers alone have shown to be wrong.
#[derive(Clone, Debug, Default)]
pub struct Record {
    pub operations: Vec<Operation<Access>>,
    pub wrong: Vec<String>,
}

impl Record {
    pub fn merge(&mut self, other: Record) {
        self.operations.extend(other.operations);
        self.wrong.extend(other.wrong);
    }

    pub fn count(&self, outcome: Outcome) -> usize {
        self.operations.iter().filter(|operation| operation.outcome == outcome).count()
    }

    /// Whether it is that of a strictly serializable database; if not, why.
    pub fn check(&self) -> Result<(), String> {
        if let Some(wrong) = self.wrong.first() {
            return Err(wrong.clone());
        }
        let checked = as_lists(&self.operations).and_then(|history| check(&history));
        checked.map_err(|anomaly| anomaly.to_string())
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [committed, aborted, unknown] =
            [Outcome::Committed, Outcome::Aborted, Outcome::Unknown].map(|outcome| self.count(outcome));
        let total = self.operations.len();
        write!(
            f,
            "{total} transactions: {committed} committed, {aborted} aborted, {unknown} of unknown outcome"
        )
    }
}
