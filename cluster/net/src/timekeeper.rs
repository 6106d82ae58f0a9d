//! The wall clock of a node that asks time servers, by [NTP](crate::ntp). Pure: it says what is to be asked, is given what is
//! answered, and corrects the machine's clock.
//!
//! ```text
//!   servers ──► samples ──► the median of those that are new ──► a wall clock that follows it
//! ```
//! A sample is where the server's clock stood when this machine's monotonic clock was zero, as exact as half of the round trip.
//! The wall clock runs by the monotonic one from there. It follows small corrections by running up to a sixteenth faster or
//! slower, and leaps over others (as RFC 5905, section 11.3, by the same threshold). The machine's own wall clock counts only
//! until a server has answered. It is heeded in one way: when it leaps, the machine may have stood still, and servers are
//! asked at once.

use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use drivers_api::{Instant, Now, WallTime};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::ntp::{self, NoTime, PACKET_LEN};

/// Servers, at most.
pub const SERVERS_MAX: usize = 4;

/// Between two questions to a server that answers.
const ASKED_EVERY: Duration = Duration::from_secs(64);

/// To one that does not: first after this, then after twice as long, up to the above.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// What took longer to be answered is not taken: it could be wrong by half of that.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(1);

/// Clocks run a little apart while a server has a question, in microseconds.
const HELD_SLACK: i64 = 10_000;

/// A sample counts for this long.
const COUNTS_FOR: Duration = Duration::from_secs(200);

/// The wall clock leaps if it is wrong by more, in microseconds.
const LEAPS_FROM: i64 = 128_000;

/// The machine's own wall clock has leapt if it did by more, in microseconds.
const HAS_LEAPT_FROM: i64 = 100_000;

/// It runs faster or slower by this share of the time, at most.
const SLEW: u64 = 16;

/// No server has told the time for so long: that is said.
const SILENT_AFTER: Duration = Duration::from_secs(10);

/// And said again.
const SILENT_AGAIN_AFTER: Duration = Duration::from_secs(600);

/// What there is to say of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeNotice {
    /// The clock has leapt.
    Set {
        /// By what this server says, or several of which it is one.
        server: IpAddr,
        /// How far the clock was behind, in microseconds; negative if it was ahead.
        behind_micros: i64,
    },
    /// A server was asked and tells no time.
    Refused {
        /// The server.
        server: IpAddr,
        /// Why.
        why: NoTime,
    },
    /// No server has told the time for so many seconds.
    Silent {
        /// Seconds.
        secs: u64,
    },
}

impl fmt::Display for TimeNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TimeNotice::Set { server, behind_micros } => {
                let (seconds, millis) =
                    (behind_micros.unsigned_abs() / 1_000_000, behind_micros.unsigned_abs() / 1000 % 1000);
                let was = if *behind_micros < 0 { "ahead" } else { "behind" };
                write!(f, "the clock is set by time server {server}: it was {seconds}.{millis:03} s {was}")
            }
            TimeNotice::Refused { server, why } => {
                write!(f, "time server {server} tells no time: {why}: name another one in relix.ntp")
            }
            TimeNotice::Silent { secs } => write!(
                f,
                "no time server has answered for {secs} s: is relix.ntp right, and the network between? \
                 The clock goes on as it is"
            ),
        }
    }
}

struct Sample {
    /// Where the server's clock stood at the monotonic clock's zero, in microseconds since the Unix epoch.
    base_micros: i64,
    at: Instant,
}

struct Server {
    ip: IpAddr,
    /// The number of the question that is not answered yet, and when it was asked.
    asked: Option<(u64, Instant)>,
    due: Instant,
    pause: Duration,
    sample: Option<Sample>,
    /// Said already of it.
    refused: Option<NoTime>,
}

/// The clock, and whom it follows.
pub struct Timekeeper {
    servers: Vec<Server>,
    rng: ChaCha8Rng,
    /// Where the wall clock stood at the monotonic clock's zero; none until a server has answered.
    base_micros: Option<i64>,
    /// Where it should have, by the servers.
    target_micros: i64,
    /// When the clock was last read.
    read_at: Instant,
    /// The machine's own, as the above.
    machine_base_micros: Option<i64>,
    /// This server has told the time, and others are waited for.
    waits_with: Option<IpAddr>,
    /// When it began to ask, at first or because the machine's clock has leapt.
    began_at: Instant,
    heard_at: Instant,
    silence_said_at: Option<Instant>,
    notices: Vec<TimeNotice>,
}

impl Timekeeper {
    /// One that asks these servers; the first [`SERVERS_MAX`] of them. Without any, the machine's own clock counts.
    pub fn new(servers: &[IpAddr], seed: [u8; 32], now: Instant) -> Timekeeper {
        let server = |ip: &IpAddr| Server {
            ip: *ip,
            asked: None,
            due: now,
            pause: ASKED_AGAIN_AFTER,
            sample: None,
            refused: None,
        };
        Timekeeper {
            servers: servers.iter().take(SERVERS_MAX).map(server).collect(),
            rng: ChaCha8Rng::from_seed(seed),
            base_micros: None,
            target_micros: 0,
            read_at: now,
            machine_base_micros: None,
            waits_with: None,
            began_at: now,
            heard_at: now,
            silence_said_at: None,
            notices: Vec::new(),
        }
    }

    /// Whether a server has told the time.
    pub fn is_set(&self) -> bool {
        self.base_micros.is_some()
    }

    /// What is wrong, if no server has told the time for long.
    pub fn trouble(&self, now: Instant) -> Option<TimeNotice> {
        let silent_for = now.since(self.heard_at);
        let is_silent = !self.servers.is_empty() && silent_for >= self.silent_after();
        let refused =
            self.servers.iter().find_map(|it| Some(TimeNotice::Refused { server: it.ip, why: it.refused? }));
        is_silent.then(|| refused.unwrap_or(TimeNotice::Silent { secs: silent_for.as_secs() }))
    }

    /// The first answer should come at once; later ones come now and then.
    fn silent_after(&self) -> Duration {
        if self.is_set() { COUNTS_FOR } else { SILENT_AFTER }
    }

    /// Both clocks, with the machine's wall clock corrected.
    pub fn corrected(&mut self, now: Now) -> Now {
        let own = now.wall.unix_micros.saturating_sub(micros(now.monotonic));
        let before = self.machine_base_micros.replace(own);
        if before.is_some_and(|before| before.abs_diff(own) > HAS_LEAPT_FROM.unsigned_abs()) {
            self.began_at = now.monotonic;
            for server in &mut self.servers {
                // What was measured before counts no more.
                (server.due, server.pause, server.sample) = (now.monotonic, ASKED_AGAIN_AFTER, None);
            }
        }
        let most = now.monotonic.since(self.read_at).as_micros() as u64 / SLEW;
        // What is left of the division counts the next time.
        self.read_at = self.read_at + Duration::from_micros(most * SLEW);
        let most = most.cast_signed();
        let Some(base) = &mut self.base_micros else { return now };
        *base += (self.target_micros - *base).clamp(-most, most);
        let unix_micros = base.saturating_add(micros(now.monotonic));
        Now { wall: WallTime { unix_micros }, ..now }
    }

    /// Asks whom it is time to ask.
    pub fn poll(&mut self, now: Instant, ask: &mut dyn FnMut(IpAddr, [u8; PACKET_LEN])) {
        for server in self.servers.iter_mut().filter(|server| now >= server.due) {
            let nonce = self.rng.next_u64();
            ask(server.ip, ntp::question(nonce));
            server.asked = Some((nonce, now));
            server.due = now + server.pause;
            server.pause = (server.pause * 2).min(ASKED_EVERY);
        }
        if let Some(server) = self.waits_with.filter(|_| now.since(self.began_at) >= SILENT_AFTER) {
            self.follow(now, server);
        }
        if let Some(notice) = self.trouble(now)
            && self.silence_said_at.is_none_or(|at| now.since(at) >= SILENT_AGAIN_AFTER)
        {
            self.silence_said_at = Some(now);
            self.notices.push(notice);
        }
    }

    /// A datagram has come from `from`, out of a server's port.
    pub fn receive(&mut self, now: Instant, from: IpAddr, packet: &[u8]) {
        let Some(server) = self.servers.iter_mut().find(|server| server.ip == from) else { return };
        let Some((nonce, asked_at)) = server.asked else { return };
        let Some(answer) = ntp::answer(packet, nonce) else { return };
        server.asked = None;
        let round_trip = now.since(asked_at);
        // A server has had the question for a part of that.
        let is_held = |answer: &ntp::Answer| {
            let held = answer.sent_micros.saturating_sub(answer.received_micros);
            (0..=micros(Instant::ZERO + round_trip) + HELD_SLACK).contains(&held)
        };
        match answer {
            Err(why) => {
                server.pause = ASKED_EVERY;
                server.due = now + ASKED_EVERY;
                if server.refused.replace(why) != Some(why) {
                    self.notices.push(TimeNotice::Refused { server: from, why });
                }
            }
            // It is asked again.
            Ok(answer) if round_trip > ROUND_TRIP_MAX || !is_held(&answer) => {}
            Ok(answer) => {
                // If that is not answered, it is asked again soon.
                (server.pause, server.due) = (ASKED_AGAIN_AFTER, now + ASKED_EVERY);
                let there = answer.received_micros.midpoint(answer.sent_micros);
                let here = micros(asked_at).midpoint(micros(now));
                server.sample = Some(Sample { base_micros: there.saturating_sub(here), at: now });
                server.refused = None;
                (self.heard_at, self.silence_said_at) = (now, None);
                self.follow(now, from);
            }
        }
    }

    /// Follows the median of what servers have said lately: of three, one may be wrong.
    fn follow(&mut self, now: Instant, server: IpAddr) {
        let samples = self.servers.iter().filter_map(|server| server.sample.as_ref());
        let new = samples.filter(|sample| now.since(sample.at) < COUNTS_FOR);
        let mut bases: Vec<i64> = new.map(|sample| sample.base_micros).collect();
        // One that is wrong must not be first; where others are silent, it has to do.
        if 2 * bases.len() <= self.servers.len() && now.since(self.began_at) < SILENT_AFTER {
            self.waits_with = Some(server);
            return;
        }
        self.waits_with = None;
        bases.sort_unstable();
        let Some(target) = bases.get(bases.len().saturating_sub(1) / 2).copied() else { return };
        self.target_micros = target;
        let before = self.base_micros.or(self.machine_base_micros).unwrap_or(target);
        let behind_micros = target.saturating_sub(before);
        let leaps = behind_micros.unsigned_abs() > LEAPS_FROM.unsigned_abs();
        if leaps {
            self.notices.push(TimeNotice::Set { server, behind_micros });
        }
        if leaps || self.base_micros.is_none() {
            self.base_micros = Some(if leaps { target } else { before });
        }
    }

    /// What there is to say since the last call.
    pub fn take_notices(&mut self) -> Vec<TimeNotice> {
        core::mem::take(&mut self.notices)
    }

    /// When [`Timekeeper::poll`] has something to do, if ever.
    pub fn deadline(&self) -> Option<Instant> {
        let asks = self.servers.iter().map(|server| server.due).min()?;
        let says =
            self.silence_said_at.map_or(self.heard_at + self.silent_after(), |at| at + SILENT_AGAIN_AFTER);
        let waits = self.waits_with.map(|_| self.began_at + SILENT_AFTER);
        Some(asks.min(says).min(waits.unwrap_or(says)))
    }
}

fn micros(at: Instant) -> i64 {
    i64::try_from(at.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
