//! Strict serializability of histories of appends and reads.

use crate::anomaly::Anomaly;
use crate::graph::{Edge, Graph};
use crate::history::{History, Key, Outcome};
use crate::order::{Access, List, Orders};

/// Checks that all transactions could have taken place one after the other, each at some moment between its
/// invocation and its completion.
pub fn check(history: &History) -> Result<(), Anomaly> {
    let orders = Orders::infer(history)?;
    let mut graph = Graph::new(history.operations.len());
    for (&key, list) in &orders.lists {
        add_writes(&mut graph, &orders, key, list);
    }
    for (reader, accesses) in orders.accesses.iter().enumerate() {
        for (&key, access) in accesses {
            add_reads(&mut graph, &orders, reader, key, access);
        }
    }
    add_real_time(&mut graph, history, &orders.took_place);
    let named = |cycle: Vec<(usize, Edge)>| {
        let with_operation = |(index, edge): (usize, Edge)| (history.operations[index].clone(), edge);
        Anomaly::Cycle(cycle.into_iter().map(with_operation).collect())
    };
    graph.cycle().map_or(Ok(()), |cycle| Err(named(cycle)))
}

/// Appends that took place and that nobody saw: all are later than what the longest read shows.
fn unseen<'a>(orders: &'a Orders, list: &'a List) -> impl Iterator<Item = (u64, usize)> + 'a {
    let all = list.appenders.iter().map(|(value, writer)| (*value, *writer));
    all.filter(|(value, writer)| orders.took_place[*writer] && !list.longest.contains(value))
}

fn add_writes(graph: &mut Graph, orders: &Orders, key: Key, list: &List) {
    for pair in list.longest.windows(2) {
        let (first, second) = (list.appenders[&pair[0]], list.appenders[&pair[1]]);
        graph.add(first, second, Edge::WriteWrite(key, pair[0], pair[1]));
    }
    if let Some(last) = list.longest.last() {
        for (value, writer) in unseen(orders, list) {
            graph.add(list.appenders[last], writer, Edge::WriteWrite(key, *last, value));
        }
    }
}

fn add_reads(graph: &mut Graph, orders: &Orders, reader: usize, key: Key, access: &Access) {
    let Some(read) = &access.read else { return };
    let list = &orders.lists[&key];
    if let Some(last) = read.last() {
        graph.add(list.appenders[last], reader, Edge::WriteRead(key, *last));
    }
    match list.longest.get(read.len()) {
        Some(next) => graph.add(reader, list.appenders[next], Edge::ReadWrite(key, *next)),
        None => {
            for (value, writer) in unseen(orders, list) {
                graph.add(reader, writer, Edge::ReadWrite(key, value));
            }
        }
    }
}

/// Whoever had completed precedes whoever was invoked later. Edges that follow from others are left out:
/// from each transaction only those to the ones invoked before a later one had completed. (The order is one
/// of intervals, so this is its transitive reduction.)
fn add_real_time(graph: &mut Graph, history: &History, took_place: &[bool]) {
    // At one moment invocations come first: what is not clearly later is concurrent.
    let mut events: Vec<(u64, bool, usize)> = Vec::new();
    for (index, operation) in history.operations.iter().enumerate().filter(|(index, _)| took_place[*index]) {
        events.push((operation.invoked, false, index));
        // What nobody was told of may take place at any later time.
        if operation.outcome == Outcome::Committed {
            events.push((operation.completed, true, index));
        }
    }
    events.sort_unstable();
    let mut frontier: Vec<usize> = Vec::new();
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); history.operations.len()];
    for (_, completes, index) in events {
        if completes {
            let covered = std::mem::take(&mut before[index]);
            frontier.retain(|earlier| !covered.contains(earlier));
            frontier.push(index);
        } else {
            frontier.iter().for_each(|earlier| graph.add(*earlier, index, Edge::RealTime));
            before[index] = frontier.clone();
        }
    }
}
