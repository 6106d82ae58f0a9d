//! Sleeping until something happens.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use crate::HostNic;
use crate::streams::Streams;

const BELL: Token = Token(0);
const WIRE: Token = Token(1);
/// Addresses that are listened at have one of these each, and streams those behind.
pub(crate) const LISTENERS: std::ops::Range<usize> = 2..10;

/// What is looked at in one go, at most; the rest keeps until the next.
const EVENTS_MAX: usize = 256;

/// Wakes the root from another thread.
struct Doorbell(mio::Waker);

impl Wake for Doorbell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Fails only when the counter is full, and then the root is awake already.
        let _ = self.0.wake();
    }
}

/// What a root sleeps in. Tells of changes only: whoever is told reads until there is nothing more.
pub struct Waiter {
    poll: Poll,
    events: Events,
    doorbell: Arc<Doorbell>,
    /// What of the wire is waited for.
    wire: Option<Interest>,
}

impl Waiter {
    /// A new one. Fails where the system has no descriptors left.
    pub fn new() -> io::Result<Waiter> {
        let poll = Poll::new()?;
        let doorbell = Arc::new(Doorbell(mio::Waker::new(poll.registry(), BELL)?));
        Ok(Waiter { poll, events: Events::with_capacity(EVENTS_MAX), doorbell, wire: None })
    }

    /// Ends the sleep, from any thread.
    pub fn waker(&self) -> Waker {
        Waker::from(self.doorbell.clone())
    }

    pub(crate) fn registry(&self) -> &mio::Registry {
        self.poll.registry()
    }

    /// Sleeps until the waker is woken, frames arrive at `nic` (or, if some wait there, it has room for them), a client
    /// of `streams` has come, said something or listened, or `timeout` has passed.
    pub fn wait(&mut self, nic: &mut HostNic, streams: &mut Streams, timeout: Duration) -> io::Result<()> {
        let wire =
            if nic.wants_to_write() { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        if self.wire != Some(wire) {
            let descriptor = nic.descriptor().as_raw_fd();
            let mut source = SourceFd(&descriptor);
            match self.wire {
                None => self.poll.registry().register(&mut source, WIRE, wire)?,
                Some(_) => self.poll.registry().reregister(&mut source, WIRE, wire)?,
            }
            self.wire = Some(wire);
        }
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        streams.woken();
        for event in &self.events {
            match event.token() {
                BELL => {}
                WIRE => nic.set_readable(),
                _ => streams.ready(event),
            }
        }
        Ok(())
    }
}
