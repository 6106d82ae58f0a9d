//! The switch: where a frame goes, and what befalls it on the way. Pure: frames, time and a seed in; arrivals out.

mod link;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use drivers_api::Instant;
use smoltcp::wire::EthernetAddress;

use crate::fabric::switch::link::Link;
use crate::links::{FIRST_FABRIC, FaultChange, GATEWAY_PORT, LinkSelection, LinkState, LinkStatus, Port};

/// Addresses that are remembered, at most: what is sent to others goes to all.
const LEARNED_MAX: usize = 256;

/// Where dice begin, unless told otherwise.
pub const SEED: u64 = 0;

/// A frame that has come to the end of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    pub from: Port,
    pub to: Port,
    pub frame: Rc<[u8]>,
}

/// The state of one fabric's switch.
pub struct Switch {
    fabric: u8,
    seed: u64,
    /// Which port a MAC address was last seen at.
    learned: HashMap<[u8; 6], Port>,
    /// From each port to each other.
    links: BTreeMap<(Port, Port), Link>,
    /// Ports that hear and say nothing.
    unplugged: BTreeSet<Port>,
    /// Frames on their way, by arrival; the number keeps those of one moment in order.
    flying: BTreeMap<(Instant, u64), Arrival>,
    numbered: u64,
}

impl Switch {
    /// The switch of a fabric, for the gateway and nodes 1 to `nodes`.
    pub fn new(fabric: u8, nodes: u8) -> Switch {
        let mut switch = Switch {
            fabric,
            seed: SEED,
            learned: HashMap::new(),
            links: BTreeMap::new(),
            unplugged: BTreeSet::new(),
            flying: BTreeMap::new(),
            numbered: 0,
        };
        (1..=nodes).for_each(|port| switch.add_port(port));
        switch
    }

    /// Its fabric.
    pub fn fabric(&self) -> u8 {
        self.fabric
    }

    /// A further node's port.
    pub fn add_port(&mut self, port: Port) {
        // Nodes are numbered without gaps, from 1. The gateway is on the first fabric only.
        let first = if self.fabric == FIRST_FABRIC { GATEWAY_PORT } else { GATEWAY_PORT + 1 };
        for other in first..port {
            for (from, to) in [(other, port), (port, other)] {
                self.links.entry((from, to)).or_insert_with(|| Link::new(self.seed, self.fabric, from, to));
            }
        }
    }

    /// A frame has come in at `from`: the ports that it arrives at now, once for each copy. The others are kept until they
    /// are due. What was due before is to be taken first, or it is overtaken.
    pub fn route(&mut self, now: Instant, from: Port, frame: &[u8]) -> Vec<Port> {
        let (Some(destination), Some(source)) = (address(frame, 0), address(frame, 6)) else {
            return Vec::new();
        };
        self.learn(source, from);
        let is_for_all = EthernetAddress(destination).is_multicast();
        let known = self.learned.get(&destination).copied().filter(|_| !is_for_all);
        let len = frame.len() as u64;
        let mut now_at = Vec::new();
        let mut kept: Option<Rc<[u8]>> = None;
        for (&(_, to), link) in self.links.range_mut((from, Port::MIN)..=(from, Port::MAX)) {
            if known.is_some_and(|port| port != to) {
                continue;
            }
            let is_plugged = are_plugged(&self.unplugged, from, to);
            for arrival in link.carry(now, len, is_plugged).into_iter().flatten() {
                if arrival <= now {
                    link.arrive(len);
                    now_at.push(to);
                } else {
                    let frame = kept.get_or_insert_with(|| frame.into()).clone();
                    self.flying.insert((arrival, self.numbered), Arrival { from, to, frame });
                    self.numbered += 1;
                }
            }
        }
        now_at
    }

    fn learn(&mut self, source: [u8; 6], from: Port) {
        let is_known_or_fits = self.learned.contains_key(&source) || self.learned.len() < LEARNED_MAX;
        if is_known_or_fits && !EthernetAddress(source).is_multicast() && !self.unplugged.contains(&from) {
            self.learned.insert(source, from);
        }
    }

    /// The next frame that has arrived by now, of those that were kept.
    pub fn take_due(&mut self, now: Instant) -> Option<Arrival> {
        let entry = self.flying.first_entry().filter(|entry| entry.key().0 <= now)?;
        let arrival = entry.remove();
        if let Some(link) = self.links.get_mut(&(arrival.from, arrival.to)) {
            link.arrive(arrival.frame.len() as u64);
        }
        Some(arrival)
    }

    /// When the next of them arrives.
    pub fn deadline(&self) -> Option<Instant> {
        self.flying.first_key_value().map(|((arrival, _), _)| *arrival)
    }

    /// Nobody has taken a frame that had arrived.
    pub fn count_untaken(&mut self, from: Port, to: Port) {
        if let Some(link) = self.links.get_mut(&(from, to)) {
            link.counters.untaken += 1;
        }
    }

    /// Nodes in different groups no longer hear each other; those in none hear nobody. The gateway hears and is heard by
    /// all. An earlier partition ends.
    pub fn partition(&mut self, groups: &[Vec<Port>]) {
        let group = |port: Port| groups.iter().position(|group| group.contains(&port)).ok_or(port);
        for (&(from, to), link) in &mut self.links {
            link.is_cut = from != GATEWAY_PORT && to != GATEWAY_PORT && group(from) != group(to);
        }
    }

    /// What nodes of the first group send to those of the others is lost; all else arrives. An earlier partition ends.
    pub fn partition_one_way(&mut self, first: &[Port], others: &[Port]) {
        for ((from, to), link) in &mut self.links {
            link.is_cut = first.contains(from) && others.contains(to);
        }
    }

    /// Unplugs a port, or plugs it in again.
    pub fn plug(&mut self, port: Port, is_plugged: bool) {
        match is_plugged {
            true => self.unplugged.remove(&port),
            false => self.unplugged.insert(port),
        };
    }

    /// The ports that are unplugged.
    pub fn unplugged(&self) -> Vec<Port> {
        self.unplugged.iter().copied().collect()
    }

    /// Changes the faults of some links. What is on its way there arrives now.
    pub fn set_links(&mut self, now: Instant, selection: &LinkSelection, change: &FaultChange) {
        for ((from, to), link) in &mut self.links {
            if selection.has(*from, *to) {
                link.fault = change.of(link.fault);
                link.clear(now);
            }
        }
        self.hasten(now, |from, to| selection.has(from, to));
    }

    /// Ends every fault. What is on its way arrives now.
    pub fn heal(&mut self, now: Instant) {
        for link in self.links.values_mut() {
            (link.fault, link.is_cut) = Default::default();
            link.clear(now);
        }
        self.unplugged.clear();
        self.hasten(now, |_, _| true);
    }

    /// All dice begin anew.
    pub fn set_seed(&mut self, seed: u64) {
        self.seed = seed;
        self.links.iter_mut().for_each(|((from, to), link)| link.seed(seed, self.fabric, *from, *to));
    }

    /// Where dice began.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// All links, those of the gateway first.
    pub fn status(&self) -> Vec<LinkStatus> {
        let status = self.links.iter().map(|(&(from, to), link)| {
            let state = match link {
                _ if !are_plugged(&self.unplugged, from, to) => LinkState::Unplugged,
                link if !link.fault.up => LinkState::Down,
                link if link.is_cut => LinkState::Cut,
                _ => LinkState::Up,
            };
            LinkStatus { fabric: self.fabric, from, to, state, fault: link.fault, counters: link.counters }
        });
        status.collect()
    }

    /// What is on its way on these links arrives now, in its order.
    fn hasten(&mut self, now: Instant, is_meant: impl Fn(Port, Port) -> bool) {
        let hastened = self.flying.extract_if(.., |_, arrival| is_meant(arrival.from, arrival.to));
        for (_, arrival) in hastened.collect::<Vec<_>>() {
            self.flying.insert((now, self.numbered), arrival);
            self.numbered += 1;
        }
    }
}

/// Whether a link has a network card at both ends.
fn are_plugged(unplugged: &BTreeSet<Port>, from: Port, to: Port) -> bool {
    !unplugged.contains(&from) && !unplugged.contains(&to)
}

fn address(frame: &[u8], at: usize) -> Option<[u8; 6]> {
    frame.get(at..at + 6)?.try_into().ok()
}

#[cfg(test)]
mod tests;
