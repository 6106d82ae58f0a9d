//! The switch: where a frame goes, and what befalls it on the way. Pure: frames and dice in, deliveries out.

use std::collections::HashMap;
use std::time::Duration;

use crate::control::LinkOrder;

/// A port: 0 is the gateway's, K is node K's.
pub type Port = u8;

/// The gateway's port.
pub const GATEWAY_PORT: Port = 0;

/// What happens to frames from one port to another.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Fault {
    loss: f64,
    delay_ms: u64,
    jitter_ms: u64,
    duplicate: f64,
}

/// One copy of a frame on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub to: Port,
    pub delay: Duration,
}

/// The switch's state.
pub struct Switch {
    ports: Vec<Port>,
    /// Which port a MAC address was last seen at.
    learned: HashMap<[u8; 6], Port>,
    /// The group of each node while the network is partitioned.
    groups: HashMap<Port, usize>,
    faults: HashMap<(Port, Port), Fault>,
}

impl Switch {
    /// A switch for the gateway and nodes 1 to `nodes`.
    pub fn new(nodes: u8) -> Switch {
        Switch {
            ports: (0..=nodes).collect(),
            learned: HashMap::new(),
            groups: HashMap::new(),
            faults: HashMap::new(),
        }
    }

    /// A further node's port.
    pub fn add_port(&mut self, port: Port) {
        if !self.ports.contains(&port) {
            self.ports.push(port);
        }
    }

    /// Where a frame that came in at `from` goes. `dice` gives numbers from 0 to 1.
    pub fn route(&mut self, from: Port, frame: &[u8], dice: &mut dyn FnMut() -> f64) -> Vec<Delivery> {
        let (Some(destination), Some(source)) = (address(frame, 0), address(frame, 6)) else {
            return Vec::new();
        };
        self.learned.insert(source, from);
        let broadcast = destination[0] & 1 == 1;
        let known = self.learned.get(&destination).copied().filter(|_| !broadcast);
        let mut deliveries = Vec::new();
        for &to in &self.ports {
            if to == from || known.is_some_and(|port| port != to) || self.parted(from, to) {
                continue;
            }
            let fault = self.faults.get(&(from, to)).copied().unwrap_or_default();
            if fault.loss > 0.0 && dice() < fault.loss {
                continue;
            }
            let copies = if fault.duplicate > 0.0 && dice() < fault.duplicate { 2 } else { 1 };
            for _ in 0..copies {
                let jitter = if fault.jitter_ms > 0 { dice() * fault.jitter_ms as f64 } else { 0.0 };
                let delay =
                    Duration::from_millis(fault.delay_ms) + Duration::from_micros((jitter * 1e3) as u64);
                deliveries.push(Delivery { to, delay });
            }
        }
        deliveries
    }

    /// Nodes in different groups no longer hear each other; those in none hear nobody. The gateway hears
    /// and is heard by all.
    pub fn partition(&mut self, groups: &[Vec<Port>]) {
        self.groups.clear();
        for (index, group) in groups.iter().enumerate() {
            self.groups.extend(group.iter().map(|port| (*port, index)));
        }
        let rest = self.ports.iter().filter(|port| **port != GATEWAY_PORT);
        for (index, port) in rest.enumerate() {
            self.groups.entry(*port).or_insert(groups.len() + index);
        }
    }

    /// Makes links between nodes behave as ordered, in both directions.
    pub fn set_links(&mut self, order: &LinkOrder) {
        let LinkOrder { between, loss, delay_ms, jitter_ms, duplicate } = *order;
        let fault = Fault { loss, delay_ms, jitter_ms, duplicate };
        let nodes: Vec<Port> = self.ports.iter().copied().filter(|port| *port != GATEWAY_PORT).collect();
        for &a in &nodes {
            for &b in nodes.iter().filter(|b| **b != a) {
                if between.is_none_or(|ends| ends == (a, b) || ends == (b, a)) {
                    self.faults.insert((a, b), fault);
                }
            }
        }
    }

    /// Ends every fault.
    pub fn heal(&mut self) {
        self.groups.clear();
        self.faults.clear();
    }

    fn parted(&self, from: Port, to: Port) -> bool {
        match (self.groups.get(&from), self.groups.get(&to)) {
            (Some(a), Some(b)) => a != b,
            _ => false,
        }
    }
}

fn address(frame: &[u8], at: usize) -> Option<[u8; 6]> {
    frame.get(at..at + 6)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(to: u8, from: u8) -> Vec<u8> {
        let mac = |last: u8| if last == 0xff { [0xff; 6] } else { [2, 0, 0, 0, 0, last] };
        [&mac(to)[..], &mac(from)[..], &[8, 0]].concat()
    }

    fn ports(switch: &mut Switch, from: Port, to: u8) -> Vec<Port> {
        let deliveries = switch.route(from, &frame(to, from), &mut || 0.5);
        deliveries.into_iter().map(|delivery| delivery.to).collect()
    }

    #[test]
    fn frames_go_where_their_address_was_seen() {
        let mut switch = Switch::new(3);
        assert_eq!(ports(&mut switch, 1, 2), [0, 2, 3], "not seen yet: to all");
        assert_eq!(ports(&mut switch, 2, 0xff), [0, 1, 3]);
        assert_eq!(ports(&mut switch, 1, 2), [2]);
        assert!(switch.route(1, &[1, 2, 3], &mut || 0.5).is_empty(), "too short for a frame");
    }

    #[test]
    fn partitions_part_nodes_but_not_the_gateway() {
        let mut switch = Switch::new(3);
        switch.partition(&[vec![1, 2]]);
        assert_eq!(ports(&mut switch, 1, 0xff), [0, 2]);
        assert_eq!(ports(&mut switch, 3, 0xff), [0]);
        switch.heal();
        assert_eq!(ports(&mut switch, 3, 0xff), [0, 1, 2]);
    }

    #[test]
    fn link_faults_lose_double_and_delay() {
        let mut switch = Switch::new(3);
        let lossy = LinkOrder { between: Some((2, 1)), loss: 0.6, delay_ms: 0, jitter_ms: 0, duplicate: 0.0 };
        switch.set_links(&lossy);
        assert_eq!(ports(&mut switch, 1, 0xff), [0, 3]);
        let slow = LinkOrder { between: None, loss: 0.0, delay_ms: 10, jitter_ms: 4, duplicate: 1.0 };
        switch.set_links(&slow);
        let deliveries = switch.route(1, &frame(0xff, 1), &mut || 0.5);
        let delay = Duration::from_millis(12);
        let twice = [Delivery { to: 2, delay }, Delivery { to: 2, delay }];
        assert_eq!(deliveries[1..3], twice);
        assert_eq!(deliveries[0], Delivery { to: 0, delay: Duration::ZERO });
    }
}
