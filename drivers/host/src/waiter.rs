//! Sleeping until something happens.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// Wakes the root from another thread.
struct Doorbell(OwnedFd);

impl Wake for Doorbell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Fails only when the counter is full, and then the root is awake already.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }
}

/// What a root sleeps in.
pub struct Waiter {
    doorbell: Arc<Doorbell>,
}

impl Waiter {
    /// A new one.
    pub fn new() -> io::Result<Waiter> {
        let descriptor = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Waiter { doorbell: Arc::new(Doorbell(descriptor)) })
    }

    /// Ends the sleep, from any thread.
    pub fn waker(&self) -> Waker {
        Waker::from(self.doorbell.clone())
    }

    /// Sleeps until the waker is woken, `readable` has something to read (or, if `also_writable`, room to
    /// write), or `timeout` has passed.
    pub fn wait(&self, readable: BorrowedFd<'_>, also_writable: bool, timeout: Duration) -> io::Result<()> {
        let wire = if also_writable { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        let bell = self.doorbell.0.as_fd();
        let mut descriptors =
            [PollFd::from_borrowed_fd(bell, PollFlags::IN), PollFd::from_borrowed_fd(readable, wire)];
        let timeout = Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        match poll(&mut descriptors, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if descriptors[0].revents().contains(PollFlags::IN) {
            let mut count = [0; 8];
            let _ = rustix::io::read(&self.doorbell.0, &mut count);
        }
        Ok(())
    }
}
