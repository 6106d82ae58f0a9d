//! What arrives: fragments put in order, messages put together, acknowledgements due.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use cluster_format::limits::MESSAGE_LEN_MAX;
use drivers_api::{Instant, Mtu};

use super::outbound::{WINDOW, WINDOW_LEN};
use crate::datagram::{Header, payload_len_max};

/// What has arrived is acknowledged within this, well below the least timeout, or after so many datagrams, or bytes:
/// long before the sender must stop.
const ACKNOWLEDGE_WITHIN: Duration = Duration::from_millis(4);
const ACKNOWLEDGE_AFTER: u32 = 16;
const ACKNOWLEDGE_AFTER_LEN: usize = WINDOW_LEN / 4;

/// Bytes that wait for their turn, at most: so many as a peer has in flight that keeps to its window.
const EARLY_LEN_MAX: usize = WINDOW_LEN + payload_len_max(Mtu::JUMBO);

/// A fragment: whether it begins and ends a message, and its bytes.
type Fragment = (bool, bool, Vec<u8>);

/// The receiving half of a link.
#[derive(Default)]
pub(super) struct Inbound {
    /// Every sequence up to this has arrived.
    received: u64,
    /// Fragments that came before their turn.
    early: BTreeMap<u64, Fragment>,
    /// Bytes of these.
    early_len: usize,
    assembling: Option<Vec<u8>>,
    delivered: VecDeque<Vec<u8>>,
    /// When what has arrived is acknowledged, if nothing that is sent before does so.
    due: Option<Instant>,
    unacknowledged: u32,
    /// Bytes of these.
    unacknowledged_len: usize,
}

impl Inbound {
    /// The next message that has arrived whole.
    pub(super) fn take_message(&mut self) -> Option<Vec<u8>> {
        self.delivered.pop_front()
    }

    /// Whether a message has begun to arrive and is not whole yet.
    pub(super) fn is_assembling(&self) -> bool {
        self.assembling.is_some()
    }

    /// Everything up to here has arrived, and which of the 64 behind that.
    pub(super) fn received(&self) -> (u64, u64) {
        let next = self.received + 1;
        let behind = self.early.range(next..next + 64);
        (self.received, behind.fold(0, |bits, (early, _)| bits | 1 << (early - next)))
    }

    /// What has arrived is being acknowledged.
    pub(super) fn acknowledged(&mut self) {
        self.due = None;
        (self.unacknowledged, self.unacknowledged_len) = (0, 0);
    }

    /// Says by `at` what has arrived, though nothing new may have.
    pub(super) fn acknowledge_at(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |earlier| earlier.min(at)));
    }

    /// When an acknowledgement is due, if one is.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// A fragment has arrived.
    pub(super) fn arrived(&mut self, now: Instant, header: &Header, payload: &[u8]) {
        let ahead = header.sequence.wrapping_sub(self.received + 1);
        // An answer will follow as a rule, and acknowledge on its way; a gap or a repetition is told at once.
        self.unacknowledged += 1;
        self.unacknowledged_len += payload.len();
        let many =
            self.unacknowledged >= ACKNOWLEDGE_AFTER || self.unacknowledged_len >= ACKNOWLEDGE_AFTER_LEN;
        let at_once = ahead != 0 || !self.early.is_empty() || many;
        let due = if at_once { now } else { now + ACKNOWLEDGE_WITHIN };
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
        if ahead >= 2 * WINDOW {
            return;
        }
        if ahead > 0 {
            let is_new = !self.early.contains_key(&header.sequence);
            if is_new && self.early_len + payload.len() <= EARLY_LEN_MAX {
                self.early_len += payload.len();
                self.early.insert(header.sequence, (header.first, header.last, payload.to_vec()));
            }
            return;
        }
        self.assemble(header.first, header.last, payload);
        while let Some((first, last, payload)) = self.early.remove(&(self.received + 1)) {
            self.early_len -= payload.len();
            self.assemble(first, last, &payload);
        }
    }

    /// Takes the next fragment in order.
    fn assemble(&mut self, first: bool, last: bool, payload: &[u8]) {
        self.received += 1;
        if first {
            self.assembling = Some(Vec::new());
        }
        let Some(message) = &mut self.assembling else { return };
        if message.len() + payload.len() > MESSAGE_LEN_MAX {
            self.assembling = None;
            return;
        }
        message.extend_from_slice(payload);
        if last && let Some(message) = self.assembling.take() {
            self.delivered.push_back(message);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::link::outbound::tests::acknowledgement;

    #[test]
    fn what_comes_before_its_turn_takes_no_more_than_a_window() {
        let payload = vec![7; payload_len_max(Mtu::JUMBO)];
        let mut inbound = Inbound::default();
        let mut arrive = |sequence| {
            let header = Header { sequence, first: true, last: true, ..acknowledgement(0, &[]) };
            inbound.arrived(Instant::ZERO, &header, &payload);
            (inbound.early_len, inbound.early.values().map(|early| early.2.len()).sum::<usize>())
        };
        for sequence in (2..2 * WINDOW).chain(2..2 * WINDOW) {
            let (counted, held) = arrive(sequence);
            assert!(counted == held && held <= EARLY_LEN_MAX);
        }
        assert!(arrive(2).0 > WINDOW_LEN, "as much as a peer may send");
        assert_eq!(arrive(1), (0, 0));
        assert_eq!(inbound.received().0, 1 + (EARLY_LEN_MAX / payload.len()) as u64);
    }
}
