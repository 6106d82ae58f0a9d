//! The paths to a peer: one over each NIC of this machine. Which of them datagrams take.
//!
//! ```text
//!   this machine          the peer
//!    nic0 ─── a fabric ─── nic0        each end says, in every datagram, whether it hears the other
//!    nic1 ─── another ──── nic1        over the path that it takes; an idle path is tried now and then
//! ```
//! A path is *good* if the peer was heard over it lately, and said there that it hears this end: frames pass both ways. Of good
//! paths the first NIC's is taken. When it fails, the next good one is taken at once; when it comes back, it is taken again
//! after it has been good for a while, so that one that comes and goes is left alone.
//!
//! A machine with one NIC has one path to each peer, which it takes, and nothing is tried.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use drivers_api::Instant;

use crate::wire::Address;

/// The peer was heard lately if it was within this.
const LATELY: Duration = Duration::from_millis(300);

/// A path over which nothing is sent is tried this often.
const TRIED_EVERY: Duration = Duration::from_millis(100);

/// A path over which the peer has not been heard for this long may lead to another MAC address by now.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(2);

/// Then it is looked for, by broadcast, this often.
const SOUGHT_EVERY: Duration = Duration::from_secs(1);

/// A path is taken again once it has been good for this long.
const SETTLED_AFTER: Duration = Duration::from_millis(500);

/// Over one NIC.
#[derive(Clone, Copy, Default)]
struct Path {
    /// The peer's MAC address there, since it was heard.
    hardware: Option<[u8; 6]>,
    heard_at: Option<Instant>,
    /// Whether the peer said there, when it was last heard, that it hears this end.
    is_heard: bool,
    /// Since when it has been good, unless it ceased to be meanwhile.
    good_since: Option<Instant>,
    sent_at: Option<Instant>,
    /// The NIC's own link is down.
    is_down: bool,
}

impl Path {
    /// Whether the peer was heard lately.
    fn hears(&self, now: Instant) -> bool {
        self.heard_at.is_some_and(|at| now.since(at) < LATELY)
    }

    fn is_good(&self, now: Instant) -> bool {
        !self.is_down && self.is_heard && self.hears(now)
    }

    /// When it is to be tried next.
    fn due(&self) -> Option<Instant> {
        let pause = if self.hardware.is_some() { TRIED_EVERY } else { SOUGHT_EVERY };
        (!self.is_down).then(|| self.sent_at.map_or(Instant::ZERO, |at| at + pause))
    }
}

/// All paths to one peer, by the numbers of this machine's NICs.
pub(crate) struct Paths {
    paths: Vec<Path>,
    taken: usize,
}

impl Paths {
    /// Over so many NICs, at least one. The peer has not been heard yet.
    pub(crate) fn new(nics: usize) -> Paths {
        Paths { paths: vec![Path::default(); nics.max(1)], taken: 0 }
    }

    /// The peer was heard over `nic`, from this address; `is_heard` is what it says of hearing this end there.
    pub(crate) fn heard(&mut self, now: Instant, nic: usize, hardware: [u8; 6], is_heard: bool) {
        let Some(path) = self.paths.get_mut(nic) else { return };
        let was_good = path.is_good(now);
        (path.hardware, path.heard_at, path.is_heard) = (Some(hardware), Some(now), is_heard);
        if !was_good {
            path.good_since = is_heard.then_some(now);
        }
    }

    /// Whether the peer was heard over `nic` lately, which it is told over that path.
    pub(crate) fn hears(&self, now: Instant, nic: usize) -> bool {
        self.paths.get(nic).is_some_and(|path| path.hears(now))
    }

    /// The link of `nic` is up, or down.
    pub(crate) fn set_down(&mut self, nic: usize, is_down: bool) {
        if let Some(path) = self.paths.get_mut(nic) {
            (path.is_down, path.good_since) = (is_down, None);
        }
    }

    /// The NIC of the path that is taken now, and whether it was another before.
    pub(crate) fn take(&mut self, now: Instant) -> (usize, bool) {
        let before = self.taken;
        let has_settled = |path: &Path| {
            path.is_good(now) && path.good_since.is_some_and(|at| now.since(at) >= SETTLED_AFTER)
        };
        let good = |path: &Path| path.is_good(now);
        self.taken = match self.paths[before].is_good(now) {
            true => self.paths[..before].iter().position(has_settled).unwrap_or(before),
            false => self.paths.iter().position(good).unwrap_or_else(|| self.least_bad()),
        };
        (self.taken, self.taken != before)
    }

    /// Of paths none of which is good: the one over which the peer was heard last.
    fn least_bad(&self) -> usize {
        let heard =
            self.paths.iter().enumerate().filter(|(_, path)| !path.is_down && path.heard_at.is_some());
        heard.max_by_key(|(nic, path)| (path.heard_at, usize::MAX - nic)).map_or(self.taken, |(nic, _)| nic)
    }

    /// The NIC of the path that was taken last.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    /// Where datagrams go over `nic`: to everyone, as long as the peer was not heard there.
    pub(crate) fn hardware(&self, nic: usize) -> [u8; 6] {
        self.known_hardware(nic).unwrap_or(Address::BROADCAST.hardware)
    }

    /// The peer's address there, if it was heard.
    pub(crate) fn known_hardware(&self, nic: usize) -> Option<[u8; 6]> {
        self.paths.get(nic)?.hardware
    }

    /// Whether the peer was heard at all.
    pub(crate) fn is_known(&self) -> bool {
        self.paths.iter().any(|path| path.hardware.is_some())
    }

    /// Something was sent over `nic`.
    pub(crate) fn sent(&mut self, now: Instant, nic: usize) {
        self.paths[nic].sent_at = Some(now);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.paths.len()
    }

    /// Whether the path over `nic` is to be tried now. Where the peer has been silent for long, it is looked for from now on.
    pub(crate) fn is_due(&mut self, now: Instant, nic: usize) -> bool {
        if self.paths.len() < 2 {
            return false;
        }
        let path = &mut self.paths[nic];
        path.hardware =
            path.hardware.filter(|_| path.heard_at.is_some_and(|at| now.since(at) < FORGOTTEN_AFTER));
        path.due().is_some_and(|due| now >= due)
    }

    /// When a path is to be tried, if ever.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let due = self.paths.iter().filter_map(Path::due).min();
        due.filter(|_| self.paths.len() > 1)
    }

    /// The peer may be anywhere.
    pub(crate) fn forget(&mut self) {
        for path in &mut self.paths {
            *path = Path { is_down: path.is_down, ..Path::default() };
        }
    }
}

#[cfg(test)]
mod tests;
