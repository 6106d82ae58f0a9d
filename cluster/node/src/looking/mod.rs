//! Before a machine is a node: it finds out which.
//!
//! ```text
//!   ┌───────────────────┐ blank ┌─────────────────────────┐ told by the leader ──► node 4, which joins
//!   │ reads superblocks │ ────► │ calls, again and again  │
//!   └───────────────────┘       └─────────────────────────┘ backed by enough ────► node 1, which founds the cluster
//!        │ the disk is a node's ────────────────────────────────────────────────► that node
//! ```

mod convening;

use alloc::boxed::Box;
use alloc::vec;
use core::task::{Context, Poll};
use core::time::Duration;

use cluster_format::{ClusterId, NodeId};
use cluster_journal::{COPIES, JournalError, SUPERBLOCK_LEN, heading};
use cluster_net::discovery::{self, Call};
use cluster_net::is_of_cluster;
use drivers_api::{DiskCompletion, DiskOperation, DiskRequest, Instant, Level, Machine, Now};

use crate::config::{NodeConfig, Seeker};
use convening::Convening;

/// Between two calls.
const CALLS_EVERY: Duration = Duration::from_millis(250);

/// What has not changed is said again this often.
const SAYS_EVERY: Duration = Duration::from_secs(10);

/// Frames taken in one turn, at most.
const FRAMES_MAX: usize = 256;

/// A machine that looks for its place.
pub struct Looking {
    seeker: Seeker,
    cluster: ClusterId,
    copies: [Option<Box<[u8]>>; COPIES.len()],
    /// The copy of the superblock that is read next, and whether the disk was asked for it.
    reading: (usize, bool),
    convening: Convening,
    calls_at: Instant,
    /// What was said last, and when.
    said: Option<(Said, Instant)>,
    said_other_size: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Waits { present: usize },
    Exists,
}

/// What has come of it so far.
#[derive(Debug, PartialEq, Eq)]
pub enum Looked {
    /// Nothing: call again when a device wakes, or at this time.
    Waits(Instant),
    /// The machine is this node.
    Found(NodeConfig),
    /// The disk is not the cluster's.
    Failed(JournalError),
}

impl Looking {
    /// Starts to look.
    pub fn new(seeker: Seeker, machine: &mut Machine<'_>) -> Looking {
        Looking {
            cluster: ClusterId::of_name(seeker.cluster_name()),
            copies: [const { None }; COPIES.len()],
            reading: (0, false),
            convening: Convening::new(machine.nic().hardware_address(), seeker.size()),
            calls_at: Instant::ZERO,
            said: None,
            said_other_size: false,
            seeker,
        }
    }

    /// One turn.
    pub fn poll(&mut self, now: Now, machine: &mut Machine<'_>, context: &mut Context<'_>) -> Looked {
        if self.reading.0 < COPIES.len() {
            if !self.read(machine, context) {
                return Looked::Waits(now.monotonic + SAYS_EVERY);
            }
            match self.owner() {
                Ok(Some((node, founders))) => return Looked::Found(self.seeker.found(node, founders)),
                Ok(None) => {}
                Err(error) => return Looked::Failed(error),
            }
        }
        if let Some(node) = self.listen(now, machine, context) {
            return Looked::Found(self.seeker.found(node, 0));
        }
        if self.convening.founds(now.monotonic) {
            let name = self.seeker.cluster_name();
            machine.console.log(Level::Info, format_args!("founds the cluster '{name}', as node 1"));
            return Looked::Found(self.seeker.found(NodeId(1), 1));
        }
        if now.monotonic >= self.calls_at {
            self.calls_at = now.monotonic + CALLS_EVERY;
            self.say(now, machine);
            let looks = Call::Looks {
                size: self.seeker.size(),
                backs: self.convening.backs(now.monotonic),
                founds: self.convening.is_about_to_found(now.monotonic),
            };
            let own = machine.nic().hardware_address();
            // A frame that a full queue loses is made up for by the next.
            if machine.nic().transmit(discovery::call(self.cluster, own, &looks)).is_ok() {
                machine.nic().kick();
            }
        }
        Looked::Waits(self.calls_at)
    }

    /// Reads the superblock's copies, one after the other; whether it has them all.
    fn read(&mut self, machine: &mut Machine<'_>, context: &mut Context<'_>) -> bool {
        while self.reading.0 < COPIES.len() {
            let (copy, is_asked) = self.reading;
            if !is_asked {
                let buffer = vec![0; SUPERBLOCK_LEN].into();
                let operation = DiskOperation::Read { sector: COPIES[copy], buffer };
                if machine.disk.submit(DiskRequest { id: copy as u64, operation }).is_ok() {
                    machine.disk.kick();
                    self.reading.1 = true;
                } else {
                    // A disk that takes nothing cannot be read.
                    self.reading = (copy + 1, false);
                    continue;
                }
            }
            let Poll::Ready(done) = machine.disk.poll_completion(context) else { return false };
            if let DiskCompletion { operation: DiskOperation::Read { buffer, .. }, result: Ok(()), .. } = done
            {
                self.copies[copy] = Some(buffer);
            }
            self.reading = (copy + 1, false);
        }
        true
    }

    /// Whose the disk is, and with how many it was to found the cluster; none if it is blank.
    fn owner(&mut self) -> Result<Option<(NodeId, u8)>, JournalError> {
        let copies = &mut self.copies;
        let copy_at = |sector| COPIES.iter().position(|copy| *copy == sector);
        let found = heading(|sector| copies[copy_at(sector)?].take())?;
        match found.map(|heading| heading.identity) {
            Some(identity) if identity.cluster_name != self.seeker.cluster_name() => {
                Err(JournalError::OtherCluster { name: identity.cluster_name })
            }
            // An earlier release knew only nodes that found it together.
            identity => Ok(identity.map(|it| (it.node, it.founders.unwrap_or(self.seeker.size())))),
        }
    }

    /// Hears what is said; the machine's node, if that is among it.
    fn listen(&mut self, now: Now, machine: &mut Machine<'_>, context: &mut Context<'_>) -> Option<NodeId> {
        let own = machine.nic().hardware_address();
        for _ in 0..FRAMES_MAX {
            let Poll::Ready(frame) = machine.nic().poll_receive(context) else { return None };
            match discovery::heard(self.cluster, frame.bytes()) {
                Some((from, Call::Looks { size, backs, founds })) if from != own => {
                    let expects_as_many = self.convening.hear(now.monotonic, from, size, backs, founds);
                    if !expects_as_many && !core::mem::replace(&mut self.said_other_size, true) {
                        let ours = self.seeker.size();
                        machine.console.log(
                            Level::Warn,
                            format_args!(
                                "another machine expects {size} of them, this one {ours}: give all the same relix.size"
                            ),
                        );
                    }
                }
                Some((_, Call::Exists { machine })) if machine == own => self.convening.exists(now.monotonic),
                // Nodes speak with each other, or look for those that they know.
                None if is_of_cluster(self.cluster, frame.bytes()) => self.convening.exists(now.monotonic),
                Some((_, Call::Place { machine: told, node })) if told == own => {
                    machine.console.log(Level::Info, format_args!("is node {node} of the cluster"));
                    return Some(node);
                }
                _ => {}
            }
        }
        context.waker().wake_by_ref();
        None
    }

    /// Says how things stand, when that has changed, and now and then.
    fn say(&mut self, now: Now, machine: &mut Machine<'_>) {
        let stands = match self.convening.knows_a_member(now.monotonic) {
            true => Said::Exists,
            false => Said::Waits { present: self.convening.count(now.monotonic) },
        };
        let is_news = |(said, at): (Said, Instant)| said != stands || now.monotonic.since(at) >= SAYS_EVERY;
        if !self.said.is_none_or(is_news) {
            return;
        }
        self.said = Some((stands, now.monotonic));
        let (name, size) = (self.seeker.cluster_name(), self.seeker.size());
        match stands {
            Said::Waits { present } => machine.console.log(
                Level::Info,
                format_args!(
                    "looks for the cluster '{name}', or for others to found it with: {present} of {size} are here"
                ),
            ),
            Said::Exists => machine.console.log(
                Level::Info,
                format_args!("the cluster '{name}' is there: waits for its leader's word"),
            ),
        }
    }
}
