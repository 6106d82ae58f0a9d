//! Registers: rows that hold one value, and count how often they were written.
//!
//! A register at version `n` is a list of `n` values of which only the last is shown. What the others were is put
//! together from all transactions that took place; so a history with registers becomes one of lists, and transactions
//! that touch both are judged as one.

use std::collections::{BTreeMap, BTreeSet};

use crate::anomaly::Anomaly;
use crate::history::{History, Key, Operation, Outcome, Step, Value};

/// One step of a transaction, on a list or a register. Their keys share one space; values as for lists: each is written
/// to a register once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// On a list.
    List(Step),
    /// Wrote a value to a register; the version that this made, if the answer came.
    Wrote(Key, Option<u64>, Value),
    /// Read a register: how often it was written, and its value. One that was never written has version 0.
    Saw(Key, u64, Value),
}

/// What is known of registers: who showed which value at which version, first.
#[derive(Debug, Default)]
struct Values {
    by_version: BTreeMap<Key, BTreeMap<u64, (Value, usize)>>,
    seen: BTreeSet<(Key, Value)>,
}

/// The same history with a list in place of each register.
///
/// A version that nobody showed is that of a transaction of unknown outcome: it is left out wherever it would be, which
/// hides nothing of what anybody saw.
pub fn as_lists(operations: &[Operation<Access>]) -> Result<History, Anomaly> {
    let mut values = Values::default();
    let committed = |operation: &Operation<Access>| operation.outcome == Outcome::Committed;
    for index in (0..operations.len()).filter(|index| committed(&operations[*index])) {
        values.note(operations, index)?;
    }
    // Where one write of a transaction was seen, the others are where their answers say.
    for (index, operation) in operations.iter().enumerate() {
        if operation.outcome == Outcome::Unknown
            && operation.steps.iter().any(|access| values.has_seen(access))
        {
            values.note(operations, index)?;
        }
    }
    let lists = operations.iter().map(|operation| values.with_lists(operation));
    Ok(History { operations: lists.collect() })
}

impl Values {
    /// Notes what an operation that took place has shown.
    fn note(&mut self, operations: &[Operation<Access>], index: usize) -> Result<(), Anomaly> {
        for access in &operations[index].steps {
            let (key, version, value) = match *access {
                Access::Wrote(key, Some(version), value) => (key, version, value),
                // What it read, if nobody says that it committed, nobody vouches for.
                Access::Saw(key, version, value) if operations[index].outcome == Outcome::Committed => {
                    (key, version, value)
                }
                _ => continue,
            };
            // Version 0 has no value.
            if version == 0 {
                continue;
            }
            self.seen.insert((key, value));
            let known = self.by_version.entry(key).or_default().entry(version).or_insert((value, index));
            if known.0 != value {
                let both = [known.1, index].map(|index| alone(&operations[index]));
                return Err(Anomaly::Incompatible(key, Box::new(both)));
            }
        }
        Ok(())
    }

    fn has_seen(&self, access: &Access) -> bool {
        matches!(*access, Access::Wrote(key, _, value) if self.seen.contains(&(key, value)))
    }

    /// The operation with its registers as lists. What it wrote, if nobody knows where that is, is not in it: for all that
    /// is known it was written over before anybody looked.
    fn with_lists(&self, operation: &Operation<Access>) -> Operation {
        let is_known = |access: &Access| !matches!(access, Access::Wrote(..)) || self.has_seen(access);
        let is_doubtful = operation.outcome == Outcome::Unknown;
        let steps =
            operation.steps.iter().filter(|access| !is_doubtful || is_known(access)).cloned().collect();
        as_steps(&Operation { steps, ..*operation }, |key, version, _| {
            let known = self.by_version.get(&key).into_iter().flat_map(|known| known.range(..=version));
            known.map(|(_, (value, _))| *value).collect()
        })
    }
}

/// The operation as a report shows it that has nothing but itself.
fn alone(operation: &Operation<Access>) -> Operation {
    as_steps(operation, |_, _, value| vec![value])
}

fn as_steps(operation: &Operation<Access>, list: impl Fn(Key, u64, Value) -> Vec<Value>) -> Operation {
    let Operation { client, invoked, completed, outcome, ref steps } = *operation;
    let steps = steps.iter().flat_map(|access| match access {
        Access::List(step) => vec![step.clone()],
        // What an update returns is a read, too: of what it has written, behind what was there.
        Access::Wrote(key, Some(version), value) => {
            vec![Step::Append(*key, *value), Step::Read(*key, list(*key, *version, *value))]
        }
        Access::Wrote(key, None, value) => vec![Step::Append(*key, *value)],
        Access::Saw(key, version, value) => vec![Step::Read(*key, list(*key, *version, *value))],
    });
    Operation { client, invoked, completed, outcome, steps: steps.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;

    fn during(invoked: u64, completed: u64, steps: &[Access]) -> Operation<Access> {
        let outcome = Outcome::Committed;
        Operation { client: invoked, invoked, completed, outcome, steps: steps.to_vec() }
    }

    fn wrote(key: Key, version: u64, value: Value) -> Access {
        Access::Wrote(key, Some(version), value)
    }

    fn verdict(operations: &[Operation<Access>]) -> Option<String> {
        let checked = as_lists(operations).and_then(|history| check(&history));
        checked.err().map(|anomaly| anomaly.name())
    }

    #[test]
    fn registers_that_behave_pass() {
        let history = [
            during(0, 1, &[Access::Saw(1, 0, 0), wrote(1, 1, 11), wrote(2, 1, 21)]),
            during(2, 9, &[wrote(1, 2, 12), Access::Saw(1, 2, 12), Access::List(Step::Append(3, 1))]),
            during(3, 4, &[Access::Saw(1, 1, 11), Access::Saw(2, 1, 21)]),
            during(10, 11, &[Access::Saw(1, 2, 12), Access::List(Step::Read(3, vec![1]))]),
        ];
        assert_eq!(verdict(&history), None);
    }

    #[test]
    fn one_version_has_one_value() {
        let both = [during(0, 9, &[wrote(1, 1, 11)]), during(0, 9, &[wrote(1, 1, 12)])];
        assert_eq!(verdict(&both).as_deref(), Some("incompatible order"));
    }

    #[test]
    fn a_stale_read_of_a_register_is_found() {
        let stale = [during(0, 1, &[wrote(1, 1, 11)]), during(2, 3, &[Access::Saw(1, 0, 0)])];
        assert_eq!(verdict(&stale).as_deref(), Some("G-single (read skew)-realtime"));
    }

    #[test]
    fn skew_between_a_register_and_a_list_is_found() {
        let skew = [
            during(0, 9, &[Access::Saw(1, 0, 0), Access::List(Step::Append(2, 5))]),
            during(0, 9, &[Access::List(Step::Read(2, vec![])), wrote(1, 1, 11)]),
            during(10, 11, &[Access::Saw(1, 1, 11), Access::List(Step::Read(2, vec![5]))]),
        ];
        assert_eq!(verdict(&skew).as_deref(), Some("G2-item (write skew)"));
    }

    #[test]
    fn a_write_of_unknown_outcome_may_have_taken_place_unseen() {
        let unknown = Operation { outcome: Outcome::Unknown, ..during(0, 1, &[Access::Wrote(1, None, 11)]) };
        let overwritten =
            [unknown.clone(), during(2, 3, &[wrote(1, 2, 12)]), during(4, 5, &[Access::Saw(1, 2, 12)])];
        assert_eq!(verdict(&overwritten), None);
        let gone = [unknown, during(2, 3, &[Access::Saw(1, 1, 11)]), during(4, 5, &[Access::Saw(1, 0, 0)])];
        assert_eq!(verdict(&gone).as_deref(), Some("G-single (read skew)-realtime"));
    }

    #[test]
    fn half_of_a_transaction_of_unknown_outcome_may_be_written_over_unseen() {
        let steps = [wrote(1, 1, 11), wrote(2, 1, 21)];
        let unknown = Operation { outcome: Outcome::Unknown, ..during(0, 1, &steps) };
        let seen = during(2, 3, &[Access::Saw(1, 1, 11)]);
        let over = during(4, 5, &[wrote(2, 2, 22)]);
        assert_eq!(verdict(&[unknown.clone(), seen.clone(), over.clone()]), None);
        let silent =
            Operation { steps: vec![steps[0].clone(), Access::Wrote(2, None, 21)], ..unknown.clone() };
        assert_eq!(verdict(&[silent, seen.clone(), over]), None);
        let torn = during(4, 5, &[Access::Saw(2, 0, 0)]);
        assert_eq!(verdict(&[unknown, seen, torn]).as_deref(), Some("G-single (read skew)-realtime"));
    }

    #[test]
    fn a_write_that_was_aborted_must_not_be_seen() {
        let aborted = Operation { outcome: Outcome::Aborted, ..during(0, 1, &[wrote(1, 1, 11)]) };
        let seen = [aborted, during(2, 3, &[Access::Saw(1, 1, 11)])];
        assert_eq!(verdict(&seen).as_deref(), Some("G1a (aborted read)"));
    }
}
