//! A link: reliable, ordered messages to one peer, over datagrams that may be lost.
//!
//! ```text
//!                 hello, and its answer                    nothing acknowledged for DEAD_AFTER,
//!   ┌─────────┐ ────────────────────────► ┌─────────────┐  or the peer has begun a new session
//!   │ Greeting│                           │ Established │ ─────────┐
//!   └─────────┘ ◄───────────────────────  └─────────────┘          │
//!        ▲     hellos with backoff                                 │
//!        └─────────────────────────────────────────────────────────┘
//! ```
//!
//! Loss is repaired by selective acknowledgement (as RFC 2018) after three later arrivals, or by a timeout
//! that follows the round trip (RFC 6298) from 20 ms on: what a lost frame may cost is milliseconds.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use cluster_format::limits::MESSAGE_LEN_MAX;
use drivers_api::Instant;

use crate::datagram::{Header, Kind, PAYLOAD_LEN_MAX};

/// Datagrams in flight at most: about 180 KB.
const WINDOW: u64 = 128;

/// Bytes of messages waiting at most.
const QUEUE_LEN_MAX: usize = 2 * MESSAGE_LEN_MAX;

const TIMEOUT_MIN: Duration = Duration::from_millis(20);
const TIMEOUT_MAX: Duration = Duration::from_millis(400);
const TIMEOUT_FIRST: Duration = Duration::from_millis(60);

/// An established link over which nothing is acknowledged for this long is given up.
const DEAD_AFTER: Duration = Duration::from_secs(2);

/// What has arrived is acknowledged within this, well below the least timeout, or after so many datagrams.
const ACKNOWLEDGE_WITHIN: Duration = Duration::from_millis(4);
const ACKNOWLEDGE_AFTER: u32 = 16;

const HELLO_MIN: Duration = Duration::from_millis(20);
const HELLO_MAX: Duration = Duration::from_millis(640);

/// A datagram counts as lost when this many acknowledgements have passed it over.
const PASSED_OVER_MAX: u8 = 3;

/// Why a message was not taken. It is as if it had been lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkError {
    /// The peer has not been heard yet, or no longer.
    NotEstablished,
    /// Too much is waiting already.
    QueueFull,
    /// The message is longer than [`MESSAGE_LEN_MAX`].
    TooLong,
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LinkError::NotEstablished => "the peer cannot be reached",
            LinkError::QueueFull => "too much is waiting for the peer",
            LinkError::TooLong => "the message is too long",
        })
    }
}

/// A link's counters, for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStatus {
    /// Whether the peer answers.
    pub established: bool,
    /// Smoothed round trip, in microseconds; 0 if not measured yet.
    pub round_trip_micros: u64,
    /// Datagrams sent again.
    pub retransmits: u64,
    /// Sessions begun with the peer.
    pub sessions: u64,
}

/// A message, or what is left of it.
struct Outgoing {
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

/// What [`Link::poll`] emits: a header still without names and sessions' cluster, and a payload.
pub(crate) struct Fragment<'a> {
    pub(crate) kind: Kind,
    pub(crate) source_session: u64,
    pub(crate) destination_session: u64,
    pub(crate) sequence: u64,
    pub(crate) received: u64,
    pub(crate) received_behind: u64,
    pub(crate) first: bool,
    pub(crate) last: bool,
    pub(crate) payload: &'a [u8],
}

/// One end of a link.
pub(crate) struct Link {
    local_session: u64,
    /// 0 until the peer's hello.
    remote_session: u64,
    established: bool,
    hello_due: Option<Instant>,
    hello_interval: Duration,

    queue: VecDeque<Outgoing>,
    queue_len: usize,
    next_sequence: u64,
    flights: VecDeque<Flight>,
    /// When something was last acknowledged, or first sent after a pause.
    progress_at: Instant,
    timeout: Duration,
    smoothed: Option<(Duration, Duration)>,

    expected: u64,
    early: BTreeMap<u64, (bool, bool, Vec<u8>)>,
    assembling: Option<Vec<u8>>,
    /// When what has arrived is acknowledged, if nothing that is sent before does so.
    ack_due: Option<Instant>,
    unacknowledged: u32,
    delivered: VecDeque<Vec<u8>>,
    status: LinkStatus,
}

impl Link {
    /// A link that greets its peer at once. `session` must never repeat: a random number, not 0.
    pub(crate) fn new(session: u64, now: Instant) -> Link {
        Link {
            local_session: session,
            remote_session: 0,
            established: false,
            hello_due: Some(now),
            hello_interval: HELLO_MIN,
            queue: VecDeque::new(),
            queue_len: 0,
            next_sequence: 1,
            flights: VecDeque::new(),
            progress_at: now,
            timeout: TIMEOUT_FIRST,
            smoothed: None,
            expected: 1,
            early: BTreeMap::new(),
            assembling: None,
            ack_due: None,
            unacknowledged: 0,
            delivered: VecDeque::new(),
            status: LinkStatus::default(),
        }
    }

    pub(crate) fn status(&self) -> LinkStatus {
        let round_trip_micros = self.smoothed.map_or(0, |(mean, _)| mean.as_micros() as u64);
        LinkStatus { established: self.established, round_trip_micros, ..self.status }
    }

    /// Queues a message.
    pub(crate) fn send(&mut self, message: Vec<u8>) -> Result<(), LinkError> {
        if !self.established {
            return Err(LinkError::NotEstablished);
        }
        if message.len() > MESSAGE_LEN_MAX {
            return Err(LinkError::TooLong);
        }
        if self.queue_len + message.len() > QUEUE_LEN_MAX {
            return Err(LinkError::QueueFull);
        }
        self.queue_len += message.len();
        self.queue.push_back(Outgoing { message: message.into(), sent: 0 });
        Ok(())
    }

    /// The next message that has arrived whole.
    pub(crate) fn take_message(&mut self) -> Option<Vec<u8>> {
        self.delivered.pop_front()
    }

    /// A datagram from the peer. True if what was sent before may be lost: a new session has begun.
    pub(crate) fn receive(&mut self, now: Instant, header: &Header, payload: &[u8]) -> bool {
        match header.kind {
            Kind::Hello => self.greeted(now, header),
            Kind::Data => {
                let ours = header.destination_session == self.local_session;
                if !ours || header.source_session != self.remote_session {
                    // Left over from another session: a greeting tells the peer of this one.
                    if !ours {
                        self.hello_due.get_or_insert(now);
                    }
                    return false;
                }
                self.established_by_answer();
                self.acknowledged(now, header);
                if header.sequence != 0 {
                    self.arrived(now, header, payload);
                }
                false
            }
        }
    }

    fn greeted(&mut self, now: Instant, header: &Header) -> bool {
        if header.source_session == 0 {
            return false;
        }
        let new_session = header.source_session != self.remote_session;
        if new_session {
            self.restart(self.local_session);
            self.remote_session = header.source_session;
            self.status.sessions += 1;
        }
        if header.destination_session == self.local_session {
            let first = !self.established;
            self.established_by_answer();
            if first {
                self.progress_at = now;
                // The peer may not know yet that it was heard.
                self.hello_due = Some(now);
            }
        } else {
            self.hello_due = Some(now);
        }
        new_session
    }

    fn established_by_answer(&mut self) {
        if !self.established {
            self.established = true;
            self.hello_due = None;
            self.hello_interval = HELLO_MIN;
        }
    }

    /// Forgets everything of the session with the peer.
    fn restart(&mut self, session: u64) {
        let fresh = Link::new(session, self.progress_at);
        let delivered = core::mem::take(&mut self.delivered);
        *self = Link { hello_due: self.hello_due, delivered, status: self.status, ..fresh };
    }

    fn acknowledged(&mut self, now: Instant, header: &Header) {
        let mut highest = header.received;
        for flight in &mut self.flights {
            let behind = flight.sequence.checked_sub(header.received.saturating_add(1));
            let selected = behind.is_some_and(|bit| bit < 64 && header.received_behind >> bit & 1 == 1);
            if (flight.sequence <= header.received || selected) && !flight.arrived {
                flight.arrived = true;
                self.progress_at = now;
                if !flight.sent_again {
                    measure(&mut self.smoothed, now.since(flight.sent_at));
                    self.timeout = timeout_of(self.smoothed);
                }
            }
            if flight.arrived {
                highest = highest.max(flight.sequence);
            }
        }
        while self.flights.front().is_some_and(|flight| flight.arrived) {
            self.flights.pop_front();
        }
        for flight in &mut self.flights {
            if !flight.arrived && flight.sequence < highest {
                flight.passed_over = flight.passed_over.saturating_add(1);
            }
        }
    }

    fn arrived(&mut self, now: Instant, header: &Header, payload: &[u8]) {
        let ahead = header.sequence.wrapping_sub(self.expected);
        // An answer will follow as a rule, and acknowledge on its way; a gap or a repetition is told at once.
        self.unacknowledged += 1;
        let at_once = ahead != 0 || !self.early.is_empty() || self.unacknowledged >= ACKNOWLEDGE_AFTER;
        let due = if at_once { now } else { now + ACKNOWLEDGE_WITHIN };
        self.ack_due = Some(self.ack_due.map_or(due, |earlier| earlier.min(due)));
        if ahead >= 2 * WINDOW {
            return;
        }
        if ahead > 0 {
            self.early.insert(header.sequence, (header.first, header.last, payload.to_vec()));
            return;
        }
        self.assemble(header.first, header.last, payload);
        while let Some((first, last, payload)) = self.early.remove(&self.expected) {
            self.assemble(first, last, &payload);
        }
    }

    /// Takes the next fragment in order.
    fn assemble(&mut self, first: bool, last: bool, payload: &[u8]) {
        self.expected += 1;
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

    /// Emits what is due. `new_session` is used if the link is given up, and then true is returned.
    pub(crate) fn poll(
        &mut self,
        now: Instant,
        new_session: u64,
        emit: &mut dyn FnMut(Fragment<'_>),
    ) -> bool {
        let dead = self.established && !self.flights.is_empty() && now.since(self.progress_at) >= DEAD_AFTER;
        if dead {
            self.restart(new_session);
            self.hello_due = Some(now);
        }
        if self.hello_due.is_some_and(|due| now >= due) {
            emit(self.fragment(Kind::Hello, 0, (false, false), &[]));
            self.hello_due = (!self.established).then(|| now + self.hello_interval);
            self.hello_interval = (self.hello_interval * 2).min(HELLO_MAX);
        }
        if self.established {
            self.send_again(now, emit);
            self.send_new(now, emit);
            if self.ack_due.is_some_and(|due| now >= due) {
                self.acknowledges();
                emit(self.fragment(Kind::Data, 0, (false, false), &[]));
            }
        }
        dead
    }

    fn send_again(&mut self, now: Instant, emit: &mut dyn FnMut(Fragment<'_>)) {
        let mut timed_out = false;
        for index in 0..self.flights.len() {
            let flight = &self.flights[index];
            if flight.arrived {
                continue;
            }
            let age = now.since(flight.sent_at);
            let passed_over = flight.passed_over >= PASSED_OVER_MAX;
            // Only the oldest times out: its arrival tells about the others.
            let late = !timed_out && age >= self.timeout;
            if !late && !passed_over {
                if age < self.timeout {
                    continue;
                }
                break;
            }
            timed_out |= late;
            self.emit_flight(index, emit);
            let flight = &mut self.flights[index];
            flight.sent_at = now;
            flight.sent_again = true;
            flight.passed_over = 0;
            self.status.retransmits += 1;
        }
        if timed_out {
            self.timeout = (self.timeout * 2).min(TIMEOUT_MAX);
        }
    }

    fn send_new(&mut self, now: Instant, emit: &mut dyn FnMut(Fragment<'_>)) {
        while let Some(outgoing) = self.queue.front_mut() {
            let oldest = self.flights.front().map_or(self.next_sequence, |flight| flight.sequence);
            if self.next_sequence - oldest >= WINDOW {
                return;
            }
            if self.flights.is_empty() {
                self.progress_at = now;
            }
            let start = outgoing.sent;
            let end = (start + PAYLOAD_LEN_MAX).min(outgoing.message.len());
            outgoing.sent = end;
            let message = outgoing.message.clone();
            if end == message.len() {
                self.queue_len -= message.len();
                self.queue.pop_front();
            }
            let sequence = self.next_sequence;
            self.next_sequence += 1;
            self.flights.push_back(Flight {
                sequence,
                message,
                start,
                end,
                sent_at: now,
                sent_again: false,
                arrived: false,
                passed_over: 0,
            });
            self.emit_flight(self.flights.len() - 1, emit);
        }
    }

    fn emit_flight(&mut self, index: usize, emit: &mut dyn FnMut(Fragment<'_>)) {
        // Every fragment acknowledges as well.
        self.acknowledges();
        let flight = &self.flights[index];
        let ends = (flight.start == 0, flight.end == flight.message.len());
        emit(self.fragment(Kind::Data, flight.sequence, ends, &flight.message[flight.start..flight.end]));
    }

    fn acknowledges(&mut self) {
        self.ack_due = None;
        self.unacknowledged = 0;
    }

    fn fragment<'a>(&self, kind: Kind, sequence: u64, ends: (bool, bool), payload: &'a [u8]) -> Fragment<'a> {
        let received = self.expected - 1;
        let behind = self.early.range(self.expected..self.expected + 64);
        let received_behind = behind.fold(0, |bits, (early, _)| bits | 1 << (early - self.expected));
        Fragment {
            kind,
            source_session: self.local_session,
            destination_session: self.remote_session,
            sequence,
            received,
            received_behind,
            first: ends.0,
            last: ends.1,
            payload,
        }
    }

    /// When [`Link::poll`] has something to do, if ever.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let oldest = self.flights.iter().find(|flight| !flight.arrived);
        let timeout = oldest.filter(|_| self.established).map(|flight| flight.sent_at + self.timeout);
        let ack = self.ack_due.filter(|_| self.established);
        [self.hello_due, timeout, ack].into_iter().flatten().min()
    }
}

/// RFC 6298, section 2.
fn measure(smoothed: &mut Option<(Duration, Duration)>, sample: Duration) {
    *smoothed = Some(match *smoothed {
        None => (sample, sample / 2),
        Some((mean, variation)) => {
            let difference = mean.abs_diff(sample);
            ((mean * 7 + sample) / 8, (variation * 3 + difference) / 4)
        }
    });
}

fn timeout_of(smoothed: Option<(Duration, Duration)>) -> Duration {
    let timeout = smoothed.map_or(TIMEOUT_FIRST, |(mean, variation)| mean + variation * 4);
    timeout.clamp(TIMEOUT_MIN, TIMEOUT_MAX)
}
