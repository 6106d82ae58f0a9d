//! A wire between simulated machines, and what can befall it.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use core::task::{Context, Poll};
use core::time::Duration;

use drivers_api::{Frame, Instant, Mtu, Nic, NicQueueFull};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Frames that wait in a NIC whose machine does not take them, at most, as in a receive queue.
const RECEIVED_MAX: usize = 128;

/// Bytes that wait for a slow link, at most.
const LINK_QUEUE_LEN_MAX: u64 = 64 * 1024;

/// The type of frames of the address resolution protocol.
const ARP: [u8; 2] = [8, 6];

/// A simulated NIC: frames it was given, frames it gives.
pub struct SimNic {
    hardware_address: [u8; 6],
    mtu: Mtu,
    received: VecDeque<Frame>,
    sent: VecDeque<Frame>,
    powered: bool,
}

impl SimNic {
    /// A NIC with this address and MTU, whose machine has power.
    pub fn new(hardware_address: [u8; 6], mtu: Mtu) -> SimNic {
        SimNic { hardware_address, mtu, received: VecDeque::new(), sent: VecDeque::new(), powered: true }
    }

    /// The machine lost its power, and the frames it held; what arrives meanwhile is lost, too.
    pub fn crash(&mut self) {
        *self = SimNic { powered: false, ..SimNic::new(self.hardware_address, self.mtu) };
    }

    /// The machine has power again.
    pub fn start(&mut self) {
        self.powered = true;
    }
}

impl Nic for SimNic {
    fn hardware_address(&self) -> [u8; 6] {
        self.hardware_address
    }

    fn mtu(&self) -> Mtu {
        self.mtu
    }

    fn can_transmit(&self) -> bool {
        true
    }

    fn transmit(&mut self, frame: Frame) -> Result<(), NicQueueFull> {
        assert!(frame.bytes().len() <= self.mtu.frame_len(), "a frame of {} bytes", frame.bytes().len());
        self.sent.push_back(frame);
        Ok(())
    }

    fn kick(&mut self) {}

    fn poll_receive(&mut self, _context: &mut Context<'_>) -> Poll<Frame> {
        self.received.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

/// What befalls frames on their way. Shares are per thousand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkFaults {
    /// Lost.
    pub loss_per_mille: u32,
    /// Sent twice.
    pub duplicate_per_mille: u32,
    /// One bit flipped.
    pub corrupt_per_mille: u32,
    /// Held back, while later frames pass.
    pub reorder_per_mille: u32,
    /// The most a held-back frame is late.
    pub held_back: Duration,
    /// The most a frame is late beyond the wire's latency: frames overtake each other.
    pub jitter: Duration,
    /// The link carries no more than this; what its queue does not hold is lost. 0: as much as is sent.
    pub bytes_per_second: u64,
}

/// How often each fault has befallen a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkFaultCounts {
    /// Frames that met a cut.
    pub cut: u64,
    /// Frames lost by chance.
    pub lost: u64,
    /// Frames sent twice.
    pub duplicated: u64,
    /// Frames with a flipped bit.
    pub corrupted: u64,
    /// Frames that arrived before one sent earlier on the same link.
    pub reordered: u64,
    /// Frames that waited for a slow link.
    pub queued: u64,
    /// Frames that a slow link's queue did not hold.
    pub queue_overflowed: u64,
    /// Frames that a machine's receive queue did not hold.
    pub receive_overflowed: u64,
    /// Frames that were too long for the NIC they came to: a mistake of their senders.
    pub too_long: u64,
}

/// One direction between two ports.
#[derive(Clone, Copy, Debug, Default)]
struct Link {
    /// Instead of the wire's own.
    faults: Option<LinkFaults>,
    /// A slow link has sent everything by then.
    busy_until: Instant,
    /// The latest arrival so far.
    latest: Instant,
}

/// The wire, to which NIC K is attached as port K. With several fabrics, each is a wire of its own: so many ports of the first
/// are followed by as many of the next.
pub struct SimNetwork {
    now: Instant,
    rng: ChaCha8Rng,
    /// By arrival; the number keeps frames of one instant in order.
    flying: BTreeMap<(Instant, u64), (usize, usize, Frame)>,
    sent: u64,
    links: BTreeMap<(usize, usize), Link>,
    /// Ports of each fabric.
    pub fabric_len: usize,
    /// The time a frame takes at least.
    pub latency: Duration,
    /// What befalls frames that do not involve a spared port, on links without faults of their own.
    pub faults: LinkFaults,
    /// Ports whose frames suffer no fault, unless their links have faults of their own: clients'.
    pub spared: BTreeSet<usize>,
    /// Pairs (from, to) that are cut, and how often: a pair that was cut twice must be joined twice.
    cut: BTreeMap<(usize, usize), u32>,
    /// What has happened.
    pub counts: NetworkFaultCounts,
}

impl SimNetwork {
    /// A quiet wire, and only one.
    pub fn new(seed: u64) -> SimNetwork {
        SimNetwork {
            now: Instant::ZERO,
            rng: ChaCha8Rng::seed_from_u64(seed),
            flying: BTreeMap::new(),
            sent: 0,
            links: BTreeMap::new(),
            fabric_len: usize::MAX,
            latency: Duration::from_micros(100),
            faults: LinkFaults::default(),
            spared: BTreeSet::new(),
            cut: BTreeMap::new(),
            counts: NetworkFaultCounts::default(),
        }
    }

    /// Cuts or mends both directions between every port of `one` and every port of `other`.
    pub fn set_cut(&mut self, one: &[usize], other: &[usize], cut: bool) {
        self.set_cut_one_way(one, other, cut);
        self.set_cut_one_way(other, one, cut);
    }

    /// Cuts or mends what goes from a port of `from` to a port of `to`. What is on its way is lost with the cut.
    pub fn set_cut_one_way(&mut self, from: &[usize], to: &[usize], cut: bool) {
        for pair in from.iter().flat_map(|&from| to.iter().map(move |&to| (from, to))) {
            let times = self.cut.entry(pair).or_default();
            *times = if cut { *times + 1 } else { times.saturating_sub(1) };
            if *times == 0 {
                self.cut.remove(&pair);
            }
            if cut {
                let lost = self.flying.extract_if(.., |_, (from, to, _)| (*from, *to) == pair);
                self.counts.cut += lost.count() as u64;
            }
        }
    }

    /// Gives what goes from one port to another faults of its own, instead of the wire's.
    pub fn set_link(&mut self, from: usize, to: usize, faults: Option<LinkFaults>) {
        self.links.entry((from, to)).or_default().faults = faults;
    }

    /// Ends every fault.
    pub fn heal(&mut self) {
        self.faults = LinkFaults::default();
        self.cut.clear();
        self.links.values_mut().for_each(|link| link.faults = None);
    }

    /// Time is now `now`: frames that have arrived reach their NICs, and are shown to `seen` with the port.
    pub fn deliver(&mut self, now: Instant, nics: &mut [SimNic], seen: &mut dyn FnMut(usize, &Frame)) {
        self.now = now;
        while let Some(entry) = self.flying.first_entry() {
            if entry.key().0 > now {
                return;
            }
            let (_, to, frame) = entry.remove();
            if !nics[to].powered {
                continue;
            }
            if frame.bytes().len() > nics[to].mtu.frame_len() {
                self.counts.too_long += 1;
            } else if nics[to].received.len() < RECEIVED_MAX {
                seen(to, &frame);
                nics[to].received.push_back(frame);
            } else {
                self.counts.receive_overflowed += 1;
            }
        }
    }

    /// When the next frame arrives.
    pub fn next_due(&self) -> Option<Instant> {
        self.flying.keys().next().map(|(due, _)| *due)
    }

    /// Takes what has been sent from this port of each fabric.
    pub fn collect_all(&mut self, port: usize, nics: &mut [SimNic]) {
        (port..nics.len()).step_by(self.fabric_len).for_each(|from| self.collect(from, nics));
    }

    /// Takes what port `from` has sent.
    pub fn collect(&mut self, from: usize, nics: &mut [SimNic]) {
        while let Some(frame) = nics[from].sent.pop_front() {
            let destination: Option<[u8; 6]> = frame.bytes().get(..6).and_then(|bytes| bytes.try_into().ok());
            let Some(destination) = destination else { continue };
            let fabric = from / self.fabric_len;
            for (to, nic) in nics.iter().enumerate() {
                let is_meant = destination[0] & 1 == 1 || nic.hardware_address == destination;
                if is_meant && to != from && to / self.fabric_len == fabric {
                    self.launch(from, to, frame.clone());
                }
            }
        }
    }

    fn launch(&mut self, from: usize, to: usize, frame: Frame) {
        if self.cut.contains_key(&(from, to)) {
            self.counts.cut += 1;
            return;
        }
        let spared = self.spared.contains(&from) || self.spared.contains(&to);
        let own = self.links.get(&(from, to)).and_then(|link| link.faults);
        let faults = own.unwrap_or(if spared { LinkFaults::default() } else { self.faults });
        if self.chance(faults.loss_per_mille) {
            self.counts.lost += 1;
            return;
        }
        if self.chance(faults.duplicate_per_mille) {
            self.counts.duplicated += 1;
            self.fly(from, to, frame.clone(), faults);
        }
        self.fly(from, to, frame, faults);
    }

    fn fly(&mut self, from: usize, to: usize, mut frame: Frame, faults: LinkFaults) {
        if self.chance(faults.corrupt_per_mille) {
            // An address announcement has no checksum but Ethernet's own, which would have it dropped. One that
            // came through would lead a sender astray for a minute, faults ended or not.
            if frame.bytes().get(12..14) == Some(&ARP) {
                self.counts.lost += 1;
                return;
            }
            self.counts.corrupted += 1;
            let at = self.rng.next_u64() as usize % frame.bytes().len();
            frame.bytes_mut()[at] ^= 1 << (self.rng.next_u32() % 8);
        }
        let Some(sent_at) = self.transmit(from, to, frame.bytes().len() as u64, faults) else {
            self.counts.queue_overflowed += 1;
            return;
        };
        let mut late = self.up_to(faults.jitter);
        if self.chance(faults.reorder_per_mille) {
            late += self.up_to(faults.held_back);
        }
        let due = sent_at + self.latency + late;
        let link = self.links.entry((from, to)).or_default();
        self.counts.reordered += u64::from(due < link.latest);
        link.latest = link.latest.max(due);
        self.sent += 1;
        self.flying.insert((due, self.sent), (from, to, frame));
    }

    /// When a frame of `len` bytes has left its sender; none if the link's queue is full.
    fn transmit(&mut self, from: usize, to: usize, len: u64, faults: LinkFaults) -> Option<Instant> {
        if faults.bytes_per_second == 0 {
            return Some(self.now);
        }
        let nanos = |bytes: u64| bytes.saturating_mul(1_000_000_000) / faults.bytes_per_second;
        let link = self.links.entry((from, to)).or_default();
        let waits = link.busy_until.since(self.now);
        if waits.as_nanos() > u128::from(nanos(LINK_QUEUE_LEN_MAX)) {
            return None;
        }
        self.counts.queued += u64::from(!waits.is_zero());
        link.busy_until = link.busy_until.max(self.now) + Duration::from_nanos(nanos(len));
        Some(link.busy_until)
    }

    fn up_to(&mut self, span: Duration) -> Duration {
        match span.as_nanos() as u64 {
            0 => Duration::ZERO,
            nanos => Duration::from_nanos(self.rng.next_u64() % (nanos + 1)),
        }
    }

    fn chance(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.rng.next_u32() % 1000 < per_mille
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    fn frame_to(port: u8, mark: u8) -> Frame {
        let mut bytes = [0; 60];
        bytes[..6].copy_from_slice(&[2, 0, 0, 0, 0, port]);
        bytes[20] = mark;
        Frame::copy_of(&bytes)
    }

    fn wire(ports: u8) -> (SimNetwork, Vec<SimNic>) {
        (
            SimNetwork::new(1),
            (0..ports).map(|port| SimNic::new([2, 0, 0, 0, 0, port], Mtu::ETHERNET)).collect(),
        )
    }

    /// The marks of the frames that reach port 1 when port 0 sends `count` of them, with their arrivals.
    fn arrivals(network: &mut SimNetwork, nics: &mut [SimNic], count: u8) -> Vec<(Instant, u8)> {
        (0..count).for_each(|mark| nics[0].transmit(frame_to(1, mark)).unwrap());
        network.collect(0, nics);
        let mut seen = Vec::new();
        while let Some(due) = network.next_due() {
            network.deliver(due, nics, &mut |to, frame| {
                assert_eq!(to, 1);
                seen.push((due, frame.bytes()[20]));
            });
        }
        seen
    }

    #[test]
    fn a_cut_in_one_direction_leaves_the_other() {
        let (mut network, mut nics) = wire(2);
        network.set_cut_one_way(&[1], &[0], true);
        assert_eq!(arrivals(&mut network, &mut nics, 3).len(), 3);
        nics[1].transmit(frame_to(0, 0)).unwrap();
        network.collect(1, &mut nics);
        assert_eq!((network.next_due(), network.counts.cut), (None, 1));
    }

    #[test]
    fn a_slow_link_takes_its_time_and_drops_what_it_cannot_hold() {
        let (mut network, mut nics) = wire(2);
        network.set_link(0, 1, Some(LinkFaults { bytes_per_second: 6_000, ..LinkFaults::default() }));
        let seen = arrivals(&mut network, &mut nics, 10);
        assert_eq!(seen.len(), 10);
        assert_eq!(seen[9].0, Instant::ZERO + Duration::from_millis(100) + network.latency);
        assert_eq!(network.counts.queued, 9);
        for _ in 0..10 {
            (0..200).for_each(|mark| nics[0].transmit(frame_to(1, mark)).unwrap());
        }
        network.collect(0, &mut nics);
        assert!(network.counts.queue_overflowed > 0);
    }

    #[test]
    fn what_is_longer_than_a_nic_takes_is_lost() {
        let (mut network, mut nics) = wire(2);
        nics[0].mtu = Mtu::JUMBO;
        for len in [Mtu::ETHERNET.frame_len(), Mtu::ETHERNET.frame_len() + 1, Mtu::JUMBO.frame_len()] {
            let mut bytes = vec![0; len];
            bytes[..6].copy_from_slice(&nics[1].hardware_address);
            nics[0].transmit(Frame::copy_of(&bytes)).unwrap();
        }
        assert_eq!(arrivals(&mut network, &mut nics, 0).len(), 1);
        assert_eq!(network.counts.too_long, 2);
    }

    #[test]
    fn held_back_frames_are_overtaken() {
        let (mut network, mut nics) = wire(2);
        network.faults = LinkFaults {
            reorder_per_mille: 300,
            held_back: Duration::from_millis(20),
            ..LinkFaults::default()
        };
        let marks: Vec<u8> = arrivals(&mut network, &mut nics, 100).iter().map(|(_, mark)| *mark).collect();
        assert!(!marks.is_sorted() && network.counts.reordered > 0);
        assert_eq!(marks.len(), 100);
    }
}
