//! A link: reliable, ordered messages to one peer, over datagrams that may be lost.
//!
//! ```text
//!                 hello, and its answer                    nothing acknowledged for long,
//!   ┌─────────┐ ────────────────────────► ┌─────────────┐  or the peer has begun a new session
//!   │ Greeting│                           │ Established │ ─────────┐
//!   └─────────┘ ◄───────────────────────  └─────────────┘          │
//!        ▲     hellos with backoff                                 │
//!        └─────────────────────────────────────────────────────────┘
//! ```
//!
//! Each life of an end is a *session* with a random number. An end that is greeted by another session than it
//! knows cannot tell whether the peer has begun anew or the greeting is late, from a session that has ended. So it
//! begins a session of its own *for* that one; whoever lives takes that on, and both know nothing of each other.
//! It does so once in 20 ms: of greetings that pass each other on their way, over several paths, each would have the ends
//! begin anew, and greet, and there would be ever more of them.
//!
//! Loss is repaired by selective acknowledgement (as RFC 2018) after three later arrivals, or by a timeout
//! that follows the round trip (RFC 6298) from 20 ms on: what a lost frame may cost is milliseconds.

mod inbound;
mod outbound;

use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use drivers_api::Instant;
use inbound::Inbound;
use outbound::{Departure, Outbound};

use crate::datagram::{Header, Kind};

const HELLO_MIN: Duration = Duration::from_millis(20);
const HELLO_MAX: Duration = Duration::from_millis(640);

/// A datagram without a message.
const NOTHING: Departure<'static> = Departure { sequence: 0, first: false, last: false, payload: &[] };

/// Why a message was not taken. It is as if it had been lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkError {
    /// The peer has not been heard yet, or no longer.
    NotEstablished,
    /// Too much is waiting already.
    QueueFull,
    /// The message is longer than [`cluster_format::limits::MESSAGE_LEN_MAX`].
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
    /// Messages taken to be sent.
    pub sent: Traffic,
    /// Messages that have arrived whole.
    pub received: Traffic,
}

/// So many messages, and how long they were together. Counts begin with the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages.
    pub messages: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Traffic {
    fn count(&mut self, len: usize) {
        self.messages += 1;
        self.bytes += len as u64;
    }
}

/// What [`Link::poll`] emits: a datagram still without the names of its ends and of the cluster.
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

/// What every datagram says that leaves now.
#[derive(Clone, Copy)]
struct Heading {
    source_session: u64,
    destination_session: u64,
    received: u64,
    received_behind: u64,
}

impl Heading {
    fn over(self, kind: Kind, departure: Departure<'_>) -> Fragment<'_> {
        let Heading { source_session, destination_session, received, received_behind } = self;
        let Departure { sequence, first, last, payload } = departure;
        Fragment {
            kind,
            source_session,
            destination_session,
            sequence,
            received,
            received_behind,
            first,
            last,
            payload,
        }
    }
}

/// What is counted over all sessions.
#[derive(Clone, Copy, Default)]
struct Counts {
    sessions: u64,
    /// Of sessions that have ended.
    retransmits: u64,
    sent: Traffic,
    received: Traffic,
}

/// One end of a link.
pub(crate) struct Link {
    local_session: u64,
    /// 0 until the peer's hello.
    remote_session: u64,
    established: bool,
    /// Whether the peer may have begun a new session.
    in_doubt: bool,
    hello_due: Option<Instant>,
    hello_interval: Duration,
    counts: Counts,
    /// Another session of the peer has greeted than the one that is known; 0 if none has.
    overtaken_by: u64,
    /// The session of the peer that this one was begun for; 0 if none.
    begun_for: u64,
    /// No session is begun for another before this.
    begins_anew_at: Instant,
    outbound: Outbound,
    inbound: Inbound,
}

impl Link {
    /// A link that greets its peer at once. `session` must never repeat: a random number, not 0.
    pub(crate) fn new(session: u64, now: Instant) -> Link {
        Link {
            local_session: session,
            remote_session: 0,
            established: false,
            in_doubt: false,
            hello_due: Some(now),
            hello_interval: HELLO_MIN,
            counts: Counts::default(),
            overtaken_by: 0,
            begun_for: 0,
            begins_anew_at: now,
            outbound: Outbound::new(now),
            inbound: Inbound::default(),
        }
    }

    pub(crate) fn status(&self) -> LinkStatus {
        LinkStatus {
            established: self.established,
            round_trip_micros: self.outbound.round_trip().map_or(0, |mean| mean.as_micros() as u64),
            retransmits: self.counts.retransmits + self.outbound.retransmits,
            sessions: self.counts.sessions,
            sent: self.counts.sent,
            received: self.counts.received,
        }
    }

    /// Greets the peer until it is heard, though the session with it may be good.
    pub(crate) fn greet(&mut self, now: Instant) {
        self.in_doubt = true;
        self.hello_interval = HELLO_MIN;
        self.hello_due = Some(now);
    }

    /// Queues a message.
    pub(crate) fn send(&mut self, message: Vec<u8>) -> Result<(), LinkError> {
        if !self.established {
            return Err(LinkError::NotEstablished);
        }
        let len = message.len();
        self.outbound.push(message)?;
        self.counts.sent.count(len);
        Ok(())
    }

    /// The next message that has arrived whole.
    pub(crate) fn take_message(&mut self) -> Option<Vec<u8>> {
        let message = self.inbound.take_message();
        message.iter().for_each(|message| self.counts.received.count(message.len()));
        message
    }

    /// Whether a message is on its way from the peer in pieces.
    pub(crate) fn is_receiving(&self) -> bool {
        self.inbound.is_assembling()
    }

    /// A datagram from the peer. True if what was sent before may be lost: a new session has begun.
    pub(crate) fn receive(&mut self, now: Instant, header: &Header, payload: &[u8]) -> bool {
        if header.source_session == 0 {
            return false;
        }
        if header.kind == Kind::Hello {
            return self.greeted(now, header);
        }
        if header.destination_session != self.local_session {
            // Left over from another session: a greeting tells the peer of this one.
            self.hello_due.get_or_insert(now);
            return false;
        }
        // Whoever speaks to this session has taken it on: its answer to the greeting was lost.
        let new_session = self.remote_session == 0;
        if new_session {
            self.begin_with(header.source_session, now);
        }
        if header.source_session == self.remote_session {
            self.is_known();
            self.establish();
            self.outbound.acknowledged(now, header);
            if header.sequence != 0 {
                self.inbound.arrived(now, header, payload);
            }
        }
        new_session
    }

    fn greeted(&mut self, now: Instant, header: &Header) -> bool {
        let new_session = header.source_session != self.remote_session;
        let answers = header.destination_session == self.local_session;
        if new_session && self.remote_session == 0 && self.begun_for != 0 && !answers && !header.first {
            // What the peer said before it knew: were it believed, both could go on beginning anew for ever.
            return false;
        }
        // Only of a session that was begun for this one is it certain that it knows nothing of this one yet.
        if new_session && self.remote_session != 0 && !(answers && header.first) {
            // The peer has begun anew, or the greeting is late and its session has ended: from here both look
            // alike. This end begins anew itself, with a number that no session can know that has ended.
            (self.overtaken_by, self.hello_due) = (header.source_session, Some(self.begins_anew_at.max(now)));
            return false;
        }
        self.in_doubt = false;
        if answers {
            self.is_known();
        }
        if new_session {
            self.begin_with(header.source_session, now);
        }
        if header.destination_session != self.local_session {
            self.hello_due = Some(now);
        } else if !self.established {
            self.establish();
            // The peer may not know yet that it was heard.
            self.hello_due = Some(now);
        } else {
            // It does not know yet, or would not greet again. (A hello in answer would never end.)
            self.inbound.acknowledge_at(now);
        }
        new_session
    }

    /// The peer knows this session: what greeted from another was late. (Or will greet again.)
    fn is_known(&mut self) {
        (self.in_doubt, self.overtaken_by) = (false, 0);
    }

    /// The peer's session is this one.
    fn begin_with(&mut self, remote_session: u64, now: Instant) {
        self.restart(self.local_session, now);
        self.remote_session = remote_session;
        self.counts.sessions += 1;
    }

    /// The peer has answered to this session.
    fn establish(&mut self) {
        if !self.established {
            self.established = true;
            self.hello_due = None;
            self.hello_interval = HELLO_MIN;
        }
    }

    /// Forgets everything of the session with the peer.
    fn restart(&mut self, session: u64, now: Instant) {
        let (hello_due, begins_anew_at, mut counts) = (self.hello_due, self.begins_anew_at, self.counts);
        counts.retransmits += self.outbound.retransmits;
        *self = Link { hello_due, begins_anew_at, counts, ..Link::new(session, now) };
    }

    /// Emits what is due, in datagrams of at most `payload_len_max` bytes of payload. If the peer must be gone,
    /// begins anew as `new_session` and returns true.
    pub(crate) fn poll(
        &mut self,
        now: Instant,
        new_session: u64,
        payload_len_max: usize,
        emit: &mut dyn FnMut(Fragment<'_>),
    ) -> bool {
        let begun_for = if now >= self.begins_anew_at { self.overtaken_by } else { 0 };
        let ended = begun_for != 0 || (self.established && self.outbound.is_dead(now));
        if ended {
            self.restart(new_session, now);
            (self.begun_for, self.hello_due) = (begun_for, Some(now));
            self.begins_anew_at = now + HELLO_MIN;
        }
        let is_known = self.remote_session != 0;
        let greeting = Departure { first: !is_known && self.begun_for != 0, ..NOTHING };
        let heading = self.heading();
        let mut send = |kind, departure: Departure<'_>| emit(heading.over(kind, departure));
        if self.hello_due.is_some_and(|due| now >= due) {
            send(Kind::Hello, greeting);
            self.hello_due = (self.in_doubt || !self.established).then(|| now + self.hello_interval);
            self.hello_interval = (self.hello_interval * 2).min(HELLO_MAX);
        }
        if self.established {
            let mut sent = false;
            self.outbound.poll(now, payload_len_max, &mut |departure| {
                sent = true;
                send(Kind::Data, departure);
            });
            // Every fragment acknowledges as well.
            if !sent && self.inbound.due().is_some_and(|due| now >= due) {
                sent = true;
                send(Kind::Data, NOTHING);
            }
            if sent {
                self.inbound.acknowledged();
            }
        }
        ended
    }

    /// The path has failed that datagrams took.
    pub(crate) fn path_failed(&mut self) {
        self.outbound.path_failed();
    }

    /// A datagram with which a path is tried: it acknowledges, and no more. None while the peer does not answer.
    pub(crate) fn trial(&self) -> Option<Fragment<'static>> {
        self.established.then(|| self.heading().over(Kind::Data, NOTHING))
    }

    fn heading(&self) -> Heading {
        let (received, received_behind) = self.inbound.received();
        let is_known = self.remote_session != 0;
        let destination_session = if is_known { self.remote_session } else { self.begun_for };
        Heading { source_session: self.local_session, destination_session, received, received_behind }
    }

    /// When [`Link::poll`] has something to do, if ever.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let established = [self.outbound.deadline(), self.inbound.due()].into_iter().flatten().min();
        let established = established.filter(|_| self.established);
        let begins_anew = (self.overtaken_by != 0).then_some(self.begins_anew_at);
        [self.hello_due, established, begins_anew].into_iter().flatten().min()
    }
}
