//! The order of the versions of each list, inferred from its reads.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use crate::anomaly::Anomaly;
use crate::history::{History, Key, Operation, Outcome, Step, Value};

/// What one transaction did to one list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    /// The list before the transaction's own appends, if it was read.
    pub(crate) read: Option<Vec<Value>>,
    /// Its own appends, in order.
    pub(crate) appended: Vec<Value>,
}

/// All that is known of one list.
#[derive(Debug, Default)]
pub(crate) struct List {
    /// Its longest state that was read, and by whom.
    pub(crate) longest: Vec<Value>,
    longest_by: usize,
    /// Who appended each value.
    pub(crate) appenders: BTreeMap<Value, usize>,
}

/// A history, understood.
pub(crate) struct Orders {
    /// What each transaction did; nothing if it may not have taken place.
    pub(crate) accesses: Vec<BTreeMap<Key, Access>>,
    /// The lists.
    pub(crate) lists: BTreeMap<Key, List>,
    /// Whether each transaction is known to have taken place.
    pub(crate) took_place: Vec<bool>,
}

impl Orders {
    /// Infers the orders; or finds reads that fit none.
    pub(crate) fn infer(history: &History) -> Result<Orders, Anomaly> {
        let operations = &history.operations;
        let took_place = operations.iter().map(|operation| operation.outcome == Outcome::Committed).collect();
        let mut orders = Orders { accesses: Vec::new(), lists: BTreeMap::new(), took_place };
        orders.note_appends(operations)?;
        for (index, operation) in operations.iter().enumerate() {
            let committed = orders.took_place[index];
            orders.accesses.push(if committed { accesses(operation)? } else { BTreeMap::new() });
            for step in operation.steps.iter().filter(|_| committed) {
                if let Step::Read(key, values) = step {
                    orders.note_read(operations, index, *key, values)?;
                }
            }
        }
        orders.check_reads(operations)?;
        orders.promote(operations);
        Ok(orders)
    }

    fn note_appends(&mut self, operations: &[Operation]) -> Result<(), Anomaly> {
        for (index, operation) in operations.iter().enumerate() {
            for step in &operation.steps {
                let Step::Append(key, value) = step else { continue };
                match self.lists.entry(*key).or_default().appenders.entry(*value) {
                    Entry::Vacant(vacant) => drop(vacant.insert(index)),
                    Entry::Occupied(_) => return Err(Anomaly::ReusedValue(*key, *value)),
                }
            }
        }
        Ok(())
    }

    /// Every read is a prefix of the longest.
    fn note_read(
        &mut self,
        operations: &[Operation],
        by: usize,
        key: Key,
        values: &[Value],
    ) -> Result<(), Anomaly> {
        let list = self.lists.entry(key).or_default();
        let shared = values.len().min(list.longest.len());
        if values[..shared] != list.longest[..shared] {
            let readers = [list.longest_by, by].map(|reader| operations[reader].clone());
            return Err(Anomaly::Incompatible(key, Box::new(readers)));
        }
        if values.len() > list.longest.len() {
            (list.longest, list.longest_by) = (values.to_vec(), by);
        }
        Ok(())
    }

    /// As all reads are prefixes of the longest, it is enough to look at that for strange values.
    fn check_reads(&self, operations: &[Operation]) -> Result<(), Anomaly> {
        for (&key, list) in &self.lists {
            let reader = || operations[list.longest_by].clone();
            let mut seen = BTreeSet::new();
            for &value in &list.longest {
                if !seen.insert(value) {
                    return Err(Anomaly::Duplicate(key, value, reader()));
                }
                let Some(&writer) = list.appenders.get(&value) else {
                    return Err(Anomaly::Garbage(key, value, reader()));
                };
                if operations[writer].outcome == Outcome::Aborted {
                    let both = Box::new([operations[writer].clone(), reader()]);
                    return Err(Anomaly::AbortedRead(key, value, both));
                }
            }
        }
        for (reader, accesses) in self.accesses.iter().enumerate() {
            for (&key, access) in accesses {
                let Some(&last) = access.read.as_ref().and_then(|read| read.last()) else { continue };
                let writer = self.lists[&key].appenders[&last];
                let appended = appends(&operations[writer], key);
                if writer != reader && appended.last() != Some(&last) {
                    let both = [writer, reader].map(|index| operations[index].clone());
                    return Err(Anomaly::IntermediateRead(key, last, Box::new(both)));
                }
            }
        }
        Ok(())
    }

    /// Transactions of unknown outcome whose appends were seen took place. What they read does not count:
    /// nobody vouches for it.
    fn promote(&mut self, operations: &[Operation]) {
        for (&key, list) in &self.lists {
            for writer in list.longest.iter().map(|value| list.appenders[value]) {
                if !self.took_place[writer] {
                    let appended = appends(&operations[writer], key);
                    self.accesses[writer].entry(key).or_default().appended = appended;
                }
            }
        }
        for (took_place, accesses) in self.took_place.iter_mut().zip(&self.accesses) {
            *took_place |= !accesses.is_empty();
        }
    }
}

fn appends(operation: &Operation, to: Key) -> Vec<Value> {
    let own = operation.steps.iter().filter_map(|step| match step {
        Step::Append(key, value) if *key == to => Some(*value),
        _ => None,
    });
    own.collect()
}

/// What a transaction did to each list, if its steps agree with each other.
fn accesses(operation: &Operation) -> Result<BTreeMap<Key, Access>, Anomaly> {
    let internal = || Anomaly::Internal(operation.clone());
    let mut accesses: BTreeMap<Key, Access> = BTreeMap::new();
    for step in &operation.steps {
        match step {
            Step::Append(key, value) => accesses.entry(*key).or_default().appended.push(*value),
            Step::Read(key, values) => {
                let access = accesses.entry(*key).or_default();
                let before = values.strip_suffix(access.appended.as_slice()).ok_or_else(internal)?;
                if access.read.as_ref().is_some_and(|read| read != before) {
                    return Err(internal());
                }
                access.read = Some(before.to_vec());
            }
        }
    }
    Ok(accesses)
}
