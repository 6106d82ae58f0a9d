//! Time from the network: the packet of NTP (RFC 5905, section 7.3), as a simple client uses it (section 14), and what one
//! server's answers come to.
//!
//! ```text
//!   0  leap, version, mode    1  stratum    2  poll    3  precision    4  root delay    8  root dispersion
//!  12  reference id          16  reference time       24  origin time: the question's, repeated
//!  32  when it came          40  when it left: of a question, a number that nobody can guess
//! ```
//! Numbers are big-endian; times are seconds since 1900 and their fraction, 32 bits each. A question says nothing of this
//! machine, not even its time: the number in its place is what an answer must repeat.

use core::fmt;

/// Where servers listen.
pub const NTP_PORT: u16 = 123;

/// Bytes of a packet without extensions.
pub const PACKET_LEN: usize = 48;

const VERSION: u8 = 4;
const MODE_CLIENT: u8 = 3;
const MODE_SERVER: u8 = 4;
/// The clock is not synchronised.
const LEAP_UNKNOWN: u8 = 3;
/// The farthest from a clock of reference that counts.
const STRATUM_MAX: u8 = 15;

/// From 1900 to 1970, in seconds.
const UNIX_EPOCH: i64 = 2_208_988_800;
/// How many seconds there are until the count begins anew, in 2036.
const ERA: i64 = 1 << 32;

/// What a server has said, in microseconds since the Unix epoch by its clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When the question came.
    pub received_micros: i64,
    /// When the answer left.
    pub sent_micros: i64,
}

/// Why an answer tells no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTime {
    /// The server does not know it itself.
    Unsynchronized,
    /// It is asked too often, or does not want to be asked by this machine: a "kiss of death" (section 7.4).
    Unwilling,
}

impl fmt::Display for NoTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoTime::Unsynchronized => "its clock is not synchronised",
            NoTime::Unwilling => "it does not serve this machine",
        })
    }
}

/// A question, with a number that its answer repeats.
pub fn question(nonce: u64) -> [u8; PACKET_LEN] {
    let mut packet = [0; PACKET_LEN];
    packet[0] = VERSION << 3 | MODE_CLIENT;
    packet[40..48].copy_from_slice(&nonce.to_be_bytes());
    packet
}

/// Reads the answer to the question with this number; none if it is no answer to that.
pub fn answer(packet: &[u8], nonce: u64) -> Option<Result<Answer, NoTime>> {
    let packet: &[u8; PACKET_LEN] = packet.first_chunk()?;
    let (leap, mode, stratum) = (packet[0] >> 6, packet[0] & 7, packet[1]);
    if mode != MODE_SERVER || field(packet, 24) != nonce {
        return None;
    }
    if stratum == 0 {
        return Some(Err(NoTime::Unwilling));
    }
    if leap == LEAP_UNKNOWN || stratum > STRATUM_MAX || [32, 40].iter().any(|at| field(packet, *at) == 0) {
        return Some(Err(NoTime::Unsynchronized));
    }
    let [received_micros, sent_micros] = [32, 40].map(|at| unix_micros(field(packet, at)));
    Some(Ok(Answer { received_micros, sent_micros }))
}

/// What a server whose clock says `unix_micros` answers to a question; none to anything else.
pub fn reply(packet: &[u8], unix_micros: i64) -> Option<[u8; PACKET_LEN]> {
    let packet: &[u8; PACKET_LEN] = packet.first_chunk()?;
    if packet[0] & 7 != MODE_CLIENT {
        return None;
    }
    let mut reply = [0; PACKET_LEN];
    // A server of the first stratum, as exact as a microsecond.
    (reply[0], reply[1], reply[3]) = (VERSION << 3 | MODE_SERVER, 1, (-20i8).cast_unsigned());
    reply[12..16].copy_from_slice(b"LOCL");
    let now = timestamp(unix_micros).to_be_bytes();
    for at in [16, 32, 40] {
        reply[at..at + 8].copy_from_slice(&now);
    }
    reply[24..32].copy_from_slice(&packet[40..48]);
    Some(reply)
}

fn field(packet: &[u8; PACKET_LEN], at: usize) -> u64 {
    packet[at..at + 8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Times in the first half of the count are of the era from 2036 on (RFC 4330, section 3).
fn unix_micros(timestamp: u64) -> i64 {
    let (seconds, fraction) = ((timestamp >> 32) as i64, timestamp & 0xffff_ffff);
    let era = if seconds < ERA / 2 { ERA } else { 0 };
    (seconds + era - UNIX_EPOCH) * 1_000_000 + ((fraction * 1_000_000) >> 32) as i64
}

fn timestamp(unix_micros: i64) -> u64 {
    let seconds = (unix_micros.div_euclid(1_000_000) + UNIX_EPOCH) as u64;
    // Rounded up, so that it is read as what it was.
    let fraction = ((unix_micros.rem_euclid(1_000_000) as u64) << 32).div_ceil(1_000_000);
    seconds << 32 | fraction
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-11-29T12:00:00Z.
    const NOW: i64 = 1_795_953_600_000_000;

    #[test]
    fn a_question_says_nothing_but_its_number() {
        let packet = question(0x0102_0304_0506_0708);
        assert_eq!(packet[0], 0x23);
        assert!(packet[1..40].iter().all(|byte| *byte == 0));
        assert_eq!(packet[40..], [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn times_are_those_of_the_standard() {
        // RFC 5905, figure 4: the Unix epoch, and the last day of the first era.
        assert_eq!(timestamp(0), 2_208_988_800 << 32);
        assert_eq!(unix_micros(1 << 32), (ERA - UNIX_EPOCH + 1) * 1_000_000, "2036-02-07 06:28:17");
        assert_eq!(unix_micros(4_294_944_000 << 32), 2_085_955_200 * 1_000_000, "2036-02-07");
    }

    #[test]
    fn what_is_no_answer_or_tells_no_time_is_not_taken() {
        let good = reply(&question(7), NOW).expect("a question");
        assert_eq!(answer(&good, 7), Some(Ok(Answer { received_micros: NOW, sent_micros: NOW })));
        assert_eq!(answer(&good, 8), None);
        assert_eq!(answer(&good[..47], 7), None);
        assert_eq!(answer(&question(7), 7), None);
        assert_eq!(reply(&good, NOW), None, "servers do not answer each other");
        let with = |at: usize, byte: u8| {
            let mut packet = good;
            packet[at] = byte;
            answer(&packet, 7)
        };
        assert_eq!(with(1, 0), Some(Err(NoTime::Unwilling)));
        assert_eq!(with(1, 16), Some(Err(NoTime::Unsynchronized)));
        assert_eq!(with(0, 0xe4), Some(Err(NoTime::Unsynchronized)));
    }

    proptest! {
        #[test]
        fn times_survive(unix_micros in 0i64..4_000_000_000_000_000) {
            prop_assert_eq!(super::unix_micros(timestamp(unix_micros)), unix_micros);
        }

        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..80), nonce: u64) {
            let _ = (answer(&bytes, nonce), reply(&bytes, NOW));
        }
    }
}
