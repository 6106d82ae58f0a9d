//! What can be wrong with a history, in words.

use std::fmt;

use crate::graph::Edge;
use crate::history::{Key, Operation, Value};

/// Why a history is not strictly serializable. Cycles have the names of Adya and Elle: G0, G1c, G-single, G2,
/// with `-realtime` where the clock is needed to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anomaly {
    /// The workload appended a value twice: nothing can be inferred.
    ReusedValue(Key, Value),
    /// Within one transaction, a read does not show what the transaction did or read before.
    Internal(Operation),
    /// A read shows a value twice.
    Duplicate(Key, Value, Operation),
    /// A read shows a value that nobody appended.
    Garbage(Key, Value, Operation),
    /// Two reads of one list, of which neither is a prefix of the other.
    Incompatible(Key, Box<[Operation; 2]>),
    /// G1a: a read shows what an aborted transaction appended. Writer and reader.
    AbortedRead(Key, Value, Box<[Operation; 2]>),
    /// G1b: a read ends amid the appends of another transaction. Writer and reader.
    IntermediateRead(Key, Value, Box<[Operation; 2]>),
    /// Each transaction must precede the next, and the last the first.
    Cycle(Vec<(Operation, Edge)>),
}

impl Anomaly {
    /// Its name in the literature.
    pub fn name(&self) -> String {
        match self {
            Anomaly::ReusedValue(..) => "reused value".into(),
            Anomaly::Internal(_) => "internal inconsistency".into(),
            Anomaly::Duplicate(..) => "duplicate value".into(),
            Anomaly::Garbage(..) => "garbage read".into(),
            Anomaly::Incompatible(..) => "incompatible order".into(),
            Anomaly::AbortedRead(..) => "G1a (aborted read)".into(),
            Anomaly::IntermediateRead(..) => "G1b (intermediate read)".into(),
            Anomaly::Cycle(cycle) => cycle_name(cycle),
        }
    }
}

fn cycle_name(cycle: &[(Operation, Edge)]) -> String {
    let count = |is: fn(&Edge) -> bool| cycle.iter().filter(|(_, edge)| is(edge)).count();
    let anti = count(|edge| matches!(edge, Edge::ReadWrite(..)));
    let reads = count(|edge| matches!(edge, Edge::WriteRead(..)));
    let name = match (anti, reads) {
        (0, 0) => "G0 (write cycle)",
        (0, _) => "G1c (circular information flow)",
        (1, _) => "G-single (read skew)",
        _ => "G2-item (write skew)",
    };
    let by_the_clock = count(|edge| matches!(edge, Edge::RealTime)) > 0;
    format!("{name}{}", if by_the_clock { "-realtime" } else { "" })
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name())?;
        match self {
            Anomaly::ReusedValue(key, value) => write!(f, "{value} was appended to list {key} twice"),
            Anomaly::Internal(operation) => write!(f, "a transaction contradicts itself\n  {operation}"),
            Anomaly::Duplicate(key, value, reader) => {
                write!(f, "{value} is twice in list {key}\n  {reader}")
            }
            Anomaly::Garbage(key, value, reader) => {
                write!(f, "nobody appended {value} to list {key}\n  {reader}")
            }
            Anomaly::Incompatible(key, readers) => {
                let [one, other] = &**readers;
                write!(f, "neither of two reads of list {key} begins with the other\n  {one}\n  {other}")
            }
            Anomaly::AbortedRead(key, value, both) | Anomaly::IntermediateRead(key, value, both) => {
                let [writer, reader] = &**both;
                write!(
                    f,
                    "{value} of list {key} should not be seen\n  written by {writer}\n  read by {reader}"
                )
            }
            Anomaly::Cycle(cycle) => write_cycle(f, cycle),
        }
    }
}

fn write_cycle(f: &mut fmt::Formatter<'_>, cycle: &[(Operation, Edge)]) -> fmt::Result {
    write!(f, "{} transactions, each of which must precede the next", cycle.len())?;
    for (index, (operation, _)) in cycle.iter().enumerate() {
        write!(f, "\n  T{}: {operation}", index + 1)?;
    }
    for (index, (_, edge)) in cycle.iter().enumerate() {
        let (before, after) = (index + 1, (index + 1) % cycle.len() + 1);
        write!(f, "\n  T{before} before T{after}: ")?;
        match edge {
            Edge::WriteWrite(key, first, second) => {
                write!(f, "T{before} appended {first} to list {key}, T{after} then {second} (ww)")?;
            }
            Edge::WriteRead(key, value) => {
                write!(f, "T{before} appended {value} to list {key}, T{after} saw it (wr)")?;
            }
            Edge::ReadWrite(key, value) => {
                write!(f, "T{before} read list {key} without {value}, which T{after} appended (rw)")?;
            }
            Edge::RealTime => write!(f, "T{before} had completed when T{after} was invoked (real time)")?,
        }
    }
    Ok(())
}
