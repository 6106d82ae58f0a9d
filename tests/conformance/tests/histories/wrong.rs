//! The history that clients have left, with one mistake each: the checker must find it.

use tests_checkers::{Access, Operation, Outcome, Step};

use crate::record::Record;

/// Makes a right history wrong.
type Mistake = fn(&mut Record);

/// Plants each mistake in a history that is right.
pub fn every_wrong_history_is_found(right: &Record) {
    let mistakes: [(&str, Mistake); 5] = [
        ("a stale read", a_stale_read),
        ("a lost update", a_lost_update),
        ("a lost append", a_lost_append),
        ("half of a transaction", half_of_a_transaction),
        ("a value of an aborted transaction", an_aborted_value),
    ];
    for (name, plant) in mistakes {
        let mut wrong = right.clone();
        plant(&mut wrong);
        let found = wrong.check().expect_err(name);
        println!("{name}: {}", found.lines().next().unwrap_or_default());
    }
}

/// Somebody who comes last, and is told this.
fn tell(record: &mut Record, steps: Vec<Access>) {
    let last = record.operations.iter().map(|operation| operation.completed).max().unwrap_or(0);
    let (invoked, completed) = (last + 1, last + 2);
    let outcome = Outcome::Committed;
    record.operations.push(Operation { client: u64::MAX, invoked, completed, outcome, steps });
}

/// What committed transactions have written to registers.
fn writes(record: &Record) -> impl DoubleEndedIterator<Item = (u64, u64, u64)> {
    let committed = record.operations.iter().filter(|operation| operation.outcome == Outcome::Committed);
    committed.flat_map(|operation| &operation.steps).filter_map(|access| match *access {
        Access::Wrote(key, Some(version), value) => Some((key, version, value)),
        _ => None,
    })
}

fn a_stale_read(record: &mut Record) {
    let (key, version, value) = writes(record).next().expect("a write");
    assert!(writes(record).any(|(other, later, _)| other == key && later > version), "it was written again");
    tell(record, vec![Access::Saw(key, version, value)]);
}

fn a_lost_update(record: &mut Record) {
    let (key, version, _) = writes(record).next_back().expect("a write");
    tell(record, vec![Access::Wrote(key, Some(version), u64::MAX)]);
}

fn a_lost_append(record: &mut Record) {
    let reads = record.operations.iter().rev().flat_map(|operation| &operation.steps);
    let mut lists = reads.filter_map(|access| match access {
        Access::List(Step::Read(list, values)) if values.len() > 1 => Some((*list, values.clone())),
        _ => None,
    });
    let (list, mut values) = lists.next().expect("a list that was read");
    values.pop();
    tell(record, vec![Access::List(Step::Read(list, values))]);
}

/// One that is told, while everything goes on, of one write of a transaction and not of the other.
fn half_of_a_transaction(record: &mut Record) {
    let both = record.operations.iter().find_map(|operation| match operation.steps.as_slice() {
        [.., Access::Wrote(one, Some(first), value), Access::Wrote(other, Some(second), _)]
            if operation.outcome == Outcome::Committed && one != other =>
        {
            Some((*one, *first, *value, *other, *second))
        }
        _ => None,
    });
    let (one, first, value, other, second) = both.expect("a transaction that wrote two registers");
    let before = writes(record).find(|(key, version, _)| *key == other && version + 1 == second);
    let before = before.map_or((other, 0, 0), |(_, version, value)| (other, version, value));
    tell(record, vec![Access::Saw(one, first, value), Access::Saw(before.0, before.1, before.2)]);
    // No clock decides.
    if let Some(told) = record.operations.last_mut() {
        told.invoked = 0;
    }
}

fn an_aborted_value(record: &mut Record) {
    let (key, version, _) = writes(record).max_by_key(|(_, version, _)| *version).expect("a write");
    tell(record, vec![Access::Wrote(key, Some(version + 1), u64::MAX)]);
    if let Some(told) = record.operations.last_mut() {
        told.outcome = Outcome::Aborted;
    }
    tell(record, vec![Access::Saw(key, version + 1, u64::MAX)]);
}
