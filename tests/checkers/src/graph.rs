//! Which transaction must precede which, and cycles in that.

use std::collections::VecDeque;

use crate::history::{Key, Value};

/// Why one transaction precedes another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// It appended the first value, the other the second, right behind.
    WriteWrite(Key, Value, Value),
    /// It appended the value, with which the other's read ends.
    WriteRead(Key, Value),
    /// It read the list without the value, which the other appended.
    ReadWrite(Key, Value),
    /// It had completed when the other was invoked.
    RealTime,
}

impl Edge {
    /// Classes of edges: a cycle of lower ones alone is the graver anomaly.
    fn class(self) -> u8 {
        match self {
            Edge::WriteWrite(..) => 0,
            Edge::WriteRead(..) => 1,
            Edge::ReadWrite(..) => 2,
            Edge::RealTime => 3,
        }
    }
}

/// A graph of transactions by number.
pub(crate) struct Graph {
    edges: Vec<Vec<(usize, Edge)>>,
}

impl Graph {
    pub(crate) fn new(len: usize) -> Graph {
        Graph { edges: vec![Vec::new(); len] }
    }

    pub(crate) fn add(&mut self, from: usize, to: usize, edge: Edge) {
        if from != to {
            self.edges[from].push((to, edge));
        }
    }

    /// The smallest cycle of the gravest class there is: each transaction, with the edge to the next.
    pub(crate) fn cycle(&self) -> Option<Vec<(usize, Edge)>> {
        (0..=3).find_map(|class| {
            let components = Components::of(self, class);
            let within = |from: usize, to: usize| components.of[from] == components.of[to];
            let cycles = components.entangled().filter_map(|start| self.cycle_at(start, class, &within));
            cycles.min_by_key(Vec::len)
        })
    }

    fn next(&self, from: usize, class: u8) -> impl Iterator<Item = &(usize, Edge)> {
        self.edges[from].iter().filter(move |(_, edge)| edge.class() <= class)
    }

    /// The shortest way from `start` back to it, breadth first.
    fn cycle_at(
        &self,
        start: usize,
        class: u8,
        within: &dyn Fn(usize, usize) -> bool,
    ) -> Option<Vec<(usize, Edge)>> {
        let mut came: Vec<Option<(usize, Edge)>> = vec![None; self.edges.len()];
        let mut queue = VecDeque::from([start]);
        while let Some(from) = queue.pop_front() {
            for &(to, edge) in self.next(from, class).filter(|(to, _)| within(from, *to)) {
                if came[to].is_some() {
                    continue;
                }
                came[to] = Some((from, edge));
                if to == start {
                    return Some(way_back(start, &came));
                }
                queue.push_back(to);
            }
        }
        None
    }
}

fn way_back(start: usize, came: &[Option<(usize, Edge)>]) -> Vec<(usize, Edge)> {
    let mut cycle = Vec::new();
    let mut at = start;
    while let Some((from, edge)) = came[at] {
        cycle.push((from, edge));
        at = from;
        if at == start {
            break;
        }
    }
    cycle.reverse();
    cycle
}

/// Strongly connected components, by Tarjan's algorithm with a stack of its own: histories are long.
struct Components {
    /// The component of each node.
    of: Vec<usize>,
    sizes: Vec<usize>,
}

/// Starts of cycles that are tried, at most: in a large component most give the same.
const STARTS_MAX: usize = 500;

impl Components {
    /// A node that can reach none but itself may lie in a component of one: it is on no cycle.
    fn entangled(&self) -> impl Iterator<Item = usize> {
        (0..self.of.len()).filter(|node| self.sizes[self.of[*node]] > 1).take(STARTS_MAX)
    }

    fn of(graph: &Graph, class: u8) -> Components {
        const UNSEEN: usize = usize::MAX;
        let len = graph.edges.len();
        let mut found = Components { of: vec![UNSEEN; len], sizes: Vec::new() };
        let (mut index, mut low) = (vec![UNSEEN; len], vec![0; len]);
        let (mut stack, mut next_index) = (Vec::new(), 0);
        for root in 0..len {
            if index[root] != UNSEEN {
                continue;
            }
            // Each frame: a node, and how many of its edges were followed.
            let mut frames = vec![(root, 0)];
            while let Some((node, followed)) = frames.last_mut() {
                let (node, at) = (*node, *followed);
                if at == 0 {
                    (index[node], low[node]) = (next_index, next_index);
                    next_index += 1;
                    stack.push(node);
                }
                *followed += 1;
                match graph.edges[node].get(at) {
                    Some((_, edge)) if edge.class() > class => {}
                    Some(&(to, _)) if index[to] == UNSEEN => frames.push((to, 0)),
                    Some(&(to, _)) if found.of[to] == UNSEEN => low[node] = low[node].min(index[to]),
                    Some(_) => {}
                    None => {
                        frames.pop();
                        if let Some((parent, _)) = frames.last() {
                            low[*parent] = low[*parent].min(low[node]);
                        }
                        if low[node] == index[node] {
                            found.close(node, &mut stack);
                        }
                    }
                }
            }
        }
        found
    }

    /// Everything on the stack down to `root` is one component.
    fn close(&mut self, root: usize, stack: &mut Vec<usize>) {
        let component = self.sizes.len();
        self.sizes.push(0);
        while let Some(member) = stack.pop() {
            self.of[member] = component;
            self.sizes[component] += 1;
            if member == root {
                break;
            }
        }
    }
}
