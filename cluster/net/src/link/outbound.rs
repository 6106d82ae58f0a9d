//! What leaves: messages cut into fragments, kept until they are acknowledged, sent again when lost.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use cluster_format::limits::MESSAGE_LEN_MAX;
use drivers_api::{Instant, Mtu};

use super::LinkError;
use crate::datagram::{Header, payload_len_max};

/// Datagrams in flight at most.
pub(super) const WINDOW: u64 = 128;

/// Bytes in flight at most, and less than one datagram more: so many as Ethernet's own MTU has in that many, 176 KiB.
/// What lies between two nodes holds bytes, however they are cut.
pub(super) const WINDOW_LEN: usize = WINDOW as usize * payload_len_max(Mtu::ETHERNET);

/// Bytes of messages waiting at most.
const QUEUE_LEN_MAX: usize = 2 * MESSAGE_LEN_MAX;

const TIMEOUT_MIN: Duration = Duration::from_millis(20);
const TIMEOUT_MAX: Duration = Duration::from_millis(400);
const TIMEOUT_FIRST: Duration = Duration::from_millis(60);

/// A link over which nothing is acknowledged for this long is given up.
const DEAD_AFTER: Duration = Duration::from_secs(2);

/// A datagram counts as lost when this many acknowledgements have told of others that were sent after it
/// (as RFC 8985, section 2, "time of sending" and not of sequence: so one that was sent again is not lost anew
/// until a round trip later, however many datagrams overtake each other).
const PASSED_OVER_MAX: u8 = 3;

/// A message, or what is left of it.
struct Waiting {
    message: Arc<[u8]>,
    sent: usize,
}

/// A fragment on its way.
struct Flight {
    sequence: u64,
    message: Arc<[u8]>,
    start: usize,
    end: usize,
    sent_at: Instant,
    sent_again: bool,
    arrived: bool,
    passed_over: u8,
}

/// A fragment to send.
pub(super) struct Departure<'a> {
    pub(super) sequence: u64,
    pub(super) first: bool,
    pub(super) last: bool,
    pub(super) payload: &'a [u8],
}

/// The sending half of a link.
pub(super) struct Outbound {
    queue: VecDeque<Waiting>,
    queue_len: usize,
    next_sequence: u64,
    flights: VecDeque<Flight>,
    /// Bytes of the flights.
    flights_len: usize,
    /// When something was last acknowledged, or first sent after a pause.
    progress_at: Instant,
    timeout: Duration,
    round_trip: Option<RoundTrip>,
    /// Fragments sent again.
    pub(super) retransmits: u64,
}

/// Mean and variation of the round trip (RFC 6298, section 2).
#[derive(Clone, Copy)]
struct RoundTrip {
    mean: Duration,
    variation: Duration,
}

impl RoundTrip {
    fn measured(earlier: Option<RoundTrip>, sample: Duration) -> RoundTrip {
        match earlier {
            None => RoundTrip { mean: sample, variation: sample / 2 },
            Some(RoundTrip { mean, variation }) => RoundTrip {
                mean: (mean * 7 + sample) / 8,
                variation: (variation * 3 + mean.abs_diff(sample)) / 4,
            },
        }
    }

    fn timeout(&self) -> Duration {
        (self.mean + self.variation * 4).clamp(TIMEOUT_MIN, TIMEOUT_MAX)
    }
}

impl Outbound {
    pub(super) fn new(now: Instant) -> Outbound {
        Outbound {
            queue: VecDeque::new(),
            queue_len: 0,
            next_sequence: 1,
            flights: VecDeque::new(),
            flights_len: 0,
            progress_at: now,
            timeout: TIMEOUT_FIRST,
            round_trip: None,
            retransmits: 0,
        }
    }

    /// The smoothed round trip, once measured.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.round_trip.map(|round_trip| round_trip.mean)
    }

    /// Queues a message.
    pub(super) fn push(&mut self, message: Vec<u8>) -> Result<(), LinkError> {
        if message.len() > MESSAGE_LEN_MAX {
            return Err(LinkError::TooLong);
        }
        if self.queue_len + message.len() > QUEUE_LEN_MAX {
            return Err(LinkError::QueueFull);
        }
        self.queue_len += message.len();
        self.queue.push_back(Waiting { message: message.into(), sent: 0 });
        Ok(())
    }

    /// Takes the acknowledgement that every datagram carries.
    pub(super) fn acknowledged(&mut self, now: Instant, header: &Header) {
        // Of what this acknowledgement tells of first.
        let mut sent_last = None;
        for flight in &mut self.flights {
            let behind = flight.sequence.checked_sub(header.received.saturating_add(1));
            let selected = behind.is_some_and(|bit| bit < 64 && header.received_behind >> bit & 1 == 1);
            if (flight.sequence <= header.received || selected) && !flight.arrived {
                flight.arrived = true;
                self.progress_at = now;
                let took = now.since(flight.sent_at);
                // The answer to one that was sent twice does not say to which, unless it came late enough.
                if !flight.sent_again || self.round_trip.is_some_and(|usual| took >= usual.mean) {
                    sent_last = sent_last.max(Some(flight.sent()));
                }
                if !flight.sent_again {
                    let round_trip = RoundTrip::measured(self.round_trip, took);
                    self.timeout = round_trip.timeout();
                    self.round_trip = Some(round_trip);
                }
            }
        }
        while let Some(flight) = self.flights.pop_front_if(|flight| flight.arrived) {
            self.flights_len -= flight.len();
        }
        for flight in &mut self.flights {
            if !flight.arrived && Some(flight.sent()) < sent_last {
                flight.passed_over = flight.passed_over.saturating_add(1);
            }
        }
    }

    /// The path has failed that datagrams took: what is on its way counts as lost.
    pub(super) fn path_failed(&mut self) {
        self.timeout = self.timeout.min(TIMEOUT_FIRST);
        self.flights.iter_mut().for_each(|flight| flight.passed_over = PASSED_OVER_MAX);
    }

    /// Whether the peer has acknowledged nothing for so long that it must be gone.
    pub(super) fn is_dead(&self, now: Instant) -> bool {
        !self.flights.is_empty() && now.since(self.progress_at) >= DEAD_AFTER
    }

    /// Emits what is due: first what was lost, cut as it was, then what is new, in fragments of at most
    /// `payload_len_max` bytes.
    pub(super) fn poll(&mut self, now: Instant, payload_len_max: usize, emit: &mut dyn FnMut(Departure<'_>)) {
        self.send_again(now, emit);
        self.send_new(now, payload_len_max, emit);
    }

    fn send_again(&mut self, now: Instant, emit: &mut dyn FnMut(Departure<'_>)) {
        let (mut timed_out, mut oldest_timed_out) = (false, false);
        let unarrived = self.flights.iter_mut().filter(|flight| !flight.arrived);
        for (index, flight) in unarrived.enumerate() {
            // One a turn times out: its arrival tells about the others.
            let late = !timed_out && now.since(flight.sent_at) >= self.timeout;
            if !late && flight.passed_over < PASSED_OVER_MAX {
                continue;
            }
            timed_out |= late;
            oldest_timed_out |= late && index == 0;
            flight.sent_at = now;
            flight.sent_again = true;
            flight.passed_over = 0;
            self.retransmits += 1;
            emit(flight.departure());
        }
        if oldest_timed_out {
            self.timeout = (self.timeout * 2).min(TIMEOUT_MAX);
        }
    }

    fn send_new(&mut self, now: Instant, payload_len_max: usize, emit: &mut dyn FnMut(Departure<'_>)) {
        while let Some(waiting) = self.queue.front_mut() {
            let oldest = self.flights.front().map_or(self.next_sequence, |flight| flight.sequence);
            if self.next_sequence - oldest >= WINDOW || self.flights_len >= WINDOW_LEN {
                return;
            }
            if self.flights.is_empty() {
                self.progress_at = now;
            }
            let start = waiting.sent;
            let end = (start + payload_len_max).min(waiting.message.len());
            waiting.sent = end;
            let message = waiting.message.clone();
            if end == message.len() {
                self.queue_len -= message.len();
                self.queue.pop_front();
            }
            let flight = Flight {
                sequence: self.next_sequence,
                message,
                start,
                end,
                sent_at: now,
                sent_again: false,
                arrived: false,
                passed_over: 0,
            };
            self.next_sequence += 1;
            emit(flight.departure());
            self.flights_len += flight.len();
            self.flights.push_back(flight);
        }
    }

    /// When [`Outbound::poll`] has something to do, if ever. (What was passed over is sent in the turn in
    /// which it is found out.)
    pub(super) fn deadline(&self) -> Option<Instant> {
        let oldest = self.flights.iter().find(|flight| !flight.arrived)?;
        Some((oldest.sent_at + self.timeout).min(self.progress_at + DEAD_AFTER))
    }
}

impl Flight {
    /// Orders flights by when each was last sent.
    fn sent(&self) -> (Instant, u64) {
        (self.sent_at, self.sequence)
    }

    /// Bytes of payload.
    fn len(&self) -> usize {
        self.end - self.start
    }

    fn departure(&self) -> Departure<'_> {
        let Flight { sequence, message, start, end, .. } = self;
        Departure {
            sequence: *sequence,
            first: *start == 0,
            last: *end == message.len(),
            payload: &message[*start..*end],
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use alloc::vec;

    use cluster_format::{ClusterId, NodeId};

    use super::*;
    use crate::datagram::Kind;

    /// Most payload of a datagram.
    const LEN: usize = payload_len_max(Mtu::ETHERNET);

    /// Everything up to `received` has arrived, and these of what is behind that.
    pub(crate) fn acknowledgement(received: u64, behind: &[u64]) -> Header {
        let received_behind = behind.iter().fold(0, |bits, sequence| bits | 1 << (sequence - received - 1));
        Header {
            kind: Kind::Data,
            from: NodeId(1),
            to: NodeId(2),
            cluster: ClusterId::of_name("test"),
            source_session: 1,
            destination_session: 2,
            sequence: 0,
            received,
            received_behind,
            first: false,
            last: false,
            hears: true,
            leaves_first: true,
            mtu: Mtu::ETHERNET,
        }
    }

    fn sent(outbound: &mut Outbound, now: Instant) -> Vec<u64> {
        let mut sequences = vec![];
        outbound.poll(now, LEN, &mut |departure| sequences.push(departure.sequence));
        sequences
    }

    #[test]
    fn what_overtakes_is_no_loss_twice() {
        let at = |millis| Instant::ZERO + Duration::from_millis(millis);
        let mut outbound = Outbound::new(at(0));
        outbound.push(vec![7; 20 * LEN]).unwrap();
        assert_eq!(sent(&mut outbound, at(0)).len(), 20);
        // The first is late. It counts as lost once three others have been acknowledged ...
        outbound.acknowledged(at(1), &acknowledgement(0, &[2]));
        outbound.acknowledged(at(1), &acknowledgement(0, &[2, 3]));
        assert_eq!(sent(&mut outbound, at(1)), []);
        outbound.acknowledged(at(1), &acknowledgement(0, &[2, 3, 4]));
        assert_eq!(sent(&mut outbound, at(1)), [1]);
        // ... and not again by those that were sent before it was sent again, nor by what is said twice.
        for last in 4..=20 {
            let behind: Vec<u64> = (2..=last).collect();
            outbound.acknowledged(at(2), &acknowledgement(0, &behind));
            outbound.acknowledged(at(2), &acknowledgement(0, &behind));
            assert_eq!(sent(&mut outbound, at(2)), []);
        }
        // What is sent after it tells that it was lost once more.
        outbound.push(vec![7; 3 * LEN]).unwrap();
        assert_eq!(sent(&mut outbound, at(3)), [21, 22, 23]);
        for last in 21..=23 {
            outbound.acknowledged(at(4), &acknowledgement(0, &(2..=last).collect::<Vec<_>>()));
        }
        assert_eq!(sent(&mut outbound, at(4)), [1]);
    }

    #[test]
    fn as_many_bytes_are_in_flight_whatever_the_mtu() {
        let now = Instant::ZERO;
        for mtu in [Mtu::MIN, Mtu::ETHERNET, Mtu::nearest(4000), Mtu::JUMBO] {
            let len_max = payload_len_max(mtu);
            let mut outbound = Outbound::new(now);
            outbound.push(vec![7; 3 * WINDOW_LEN]).unwrap();
            let mut lens = vec![];
            outbound.poll(now, len_max, &mut |departure| lens.push(departure.payload.len()));
            let total: usize = lens.iter().sum();
            assert!(lens.iter().all(|len| *len == len_max) && lens.len() <= WINDOW as usize, "{mtu:?}");
            assert!(total < WINDOW_LEN + len_max, "{mtu:?}: {total}");
            assert!(total >= WINDOW_LEN || lens.len() == WINDOW as usize, "{mtu:?}: {total}");
            // What has arrived makes room for as much, and what follows may be cut otherwise.
            outbound.acknowledged(now, &acknowledgement(lens.len() as u64, &[]));
            let mut again = 0;
            outbound.poll(now, LEN, &mut |departure| again += departure.payload.len());
            assert_eq!(again, WINDOW_LEN, "{mtu:?}");
        }
    }
}
