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
//! All fabrics have to carry packets as long as the NICs take: that a path is good is found out by short ones.
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
const SILENT_AFTER: Duration = Duration::from_secs(2);

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
        let pause = match (self.heard_at, self.sent_at) {
            (Some(heard_at), Some(sent_at)) if sent_at.since(heard_at) < SILENT_AFTER => TRIED_EVERY,
            _ => SOUGHT_EVERY,
        };
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
        let good_since = path.good_since.filter(|_| path.is_good(now));
        (path.hardware, path.heard_at, path.is_heard) = (Some(hardware), Some(now), is_heard);
        path.good_since = good_since.or(is_heard.then_some(now));
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

    /// Decides which path is taken from now on; whether it is another because the one before has failed.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let before = self.taken;
        let has_settled = |path: &Path| {
            path.is_good(now) && path.good_since.is_some_and(|at| now.since(at) >= SETTLED_AFTER)
        };
        let good = |path: &Path| path.is_good(now);
        let was_good = self.paths[before].is_good(now);
        self.taken = match was_good {
            true => self.paths[..before].iter().position(has_settled).unwrap_or(before),
            false => self.paths.iter().position(good).unwrap_or_else(|| self.least_bad()),
        };
        self.taken != before && !was_good && self.paths[self.taken].is_good(now)
    }

    /// Of paths none of which is good: the one over which the peer was heard last.
    fn least_bad(&self) -> usize {
        let heard =
            self.paths.iter().enumerate().filter(|(_, path)| !path.is_down && path.heard_at.is_some());
        heard.max_by_key(|(nic, path)| (path.heard_at, usize::MAX - nic)).map_or(self.taken, |(nic, _)| nic)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.paths.len()
    }

    /// Whether datagrams leave over `nic`. Over that of the path that is taken, if it is good; else over all where the peer was
    /// heard: where each end hears the other over another fabric only, the last one heard would be the wrong one.
    pub(crate) fn is_outlet(&self, now: Instant, nic: usize) -> bool {
        let (taken, path) = (&self.paths[self.taken], &self.paths[nic]);
        let may_do = !taken.is_good(now) && !path.is_down && path.hardware.is_some();
        nic == self.taken || may_do
    }

    /// Whether the link of `nic` is up, as far as is known: then greetings leave over it.
    pub(crate) fn is_up(&self, nic: usize) -> bool {
        !self.paths[nic].is_down
    }

    /// The NIC of the path that was taken last.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    /// Where datagrams go over `nic`: to everyone, as long as the peer was not heard there.
    pub(crate) fn hardware(&self, nic: usize) -> [u8; 6] {
        self.paths[nic].hardware.unwrap_or(Address::BROADCAST.hardware)
    }

    /// Something was sent over `nic`.
    pub(crate) fn sent(&mut self, now: Instant, nic: usize) {
        self.paths[nic].sent_at = Some(now);
    }

    /// Where the path over `nic` is to be tried, if it is to be now: with everyone, if the peer has been silent there for long.
    pub(crate) fn trial(&self, now: Instant, nic: usize) -> Option<[u8; 6]> {
        let path = &self.paths[nic];
        if self.paths.len() < 2 || path.due().is_none_or(|due| now < due) {
            return None;
        }
        Some(match path.heard_at {
            Some(at) if now.since(at) < SILENT_AFTER => self.hardware(nic),
            _ => Address::BROADCAST.hardware,
        })
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
