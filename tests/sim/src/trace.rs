//! The running hash of everything that happens.

use drivers_api::Instant;

/// What has happened. The numbers are part of the hash alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A frame has reached a NIC.
    Frame = 1,
    /// A disk has completed a request.
    Disk = 2,
    /// A node has printed a line.
    Line = 3,
    /// A client was answered.
    Answer = 4,
    /// Something was broken or mended.
    Fault = 5,
}

/// Two runs with equal traces were the same run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Hash of all events, their times and contents.
    pub hash: u64,
    /// How many there were.
    pub events: u64,
}

impl Trace {
    pub(crate) fn note(&mut self, event: Event, now: Instant, whose: usize, contents: &[u8]) {
        self.events += 1;
        let head = mix(self.hash, event as u64 ^ (whose as u64) << 8);
        self.hash = mix(mix(head, now.as_nanos()), digest(contents));
    }
}

/// Not for adversaries: it only tells two runs apart, and it costs next to nothing. Four sums at a time, as
/// none waits for another.
fn digest(bytes: &[u8]) -> u64 {
    let (blocks, rest) = bytes.as_chunks::<32>();
    let mut sums = [bytes.len() as u64, 1, 2, 3];
    for block in blocks {
        for (sum, word) in sums.iter_mut().zip(block.as_chunks::<8>().0) {
            *sum = mix(*sum, u64::from_le_bytes(*word));
        }
    }
    let tail = rest.iter().fold(0, |hash, byte| mix(hash, u64::from(*byte)));
    sums.into_iter().fold(tail, mix)
}

fn mix(hash: u64, word: u64) -> u64 {
    let product = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ product >> 29
}
