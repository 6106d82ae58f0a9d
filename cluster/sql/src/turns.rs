//! Turns: those of a node's sessions whose commits keep meeting conflicts go on one after the other, in the order in
//! which they came.
//!
//! A commit is checked against others that are under way. The leader keeps the keys of one that was refused from changing
//! until it comes again; but not the ranges that it has read, so sessions that read what others write would undo each other's
//! work again and again. The first of them is let through; the rest wait for their turn.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use futures_channel::oneshot;
use spin::Mutex;

/// Whose turn it is.
#[derive(Debug, Default)]
pub struct Turns {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    taken: bool,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

/// A turn. The next one begins when it is dropped.
#[derive(Debug)]
pub struct Turn {
    turns: Arc<Turns>,
    /// It is somebody else's now.
    handed_on: bool,
}

impl Turn {
    fn new(turns: &Arc<Turns>) -> Turn {
        Turn { turns: turns.clone(), handed_on: false }
    }
}

impl Turns {
    /// Waits for a turn.
    pub async fn take(self: &Arc<Turns>) -> Turn {
        let waiting = {
            let mut state = self.state.lock();
            if !core::mem::replace(&mut state.taken, true) {
                return Turn::new(self);
            }
            let (sender, waiting) = oneshot::channel();
            state.waiting.push_back(sender);
            waiting
        };
        // Whoever has the turn hands it on, and never forgets to.
        waiting.await.unwrap_or_else(|_| Turn::new(self))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.handed_on {
            return;
        }
        loop {
            let next = {
                let mut state = self.turns.state.lock();
                let next = state.waiting.pop_front();
                state.taken = next.is_some();
                next
            };
            let Some(next) = next else { return };
            match next.send(Turn::new(&self.turns)) {
                Ok(()) => return,
                // Whoever waits no longer is passed over; what came back must not hand it on, too.
                Err(mut back) => back.handed_on = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::future::Future;
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};

    fn poll<F: Future>(future: core::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn turns_come_in_order_and_those_that_left_are_passed_over() {
        let turns = Arc::new(Turns::default());
        let Poll::Ready(first) = poll(pin!(turns.take())) else { panic!("nobody has the turn") };
        let mut third = pin!(turns.take());
        {
            let mut second = pin!(turns.take());
            assert!(poll(second.as_mut()).is_pending());
            assert!(poll(third.as_mut()).is_pending());
        }
        drop(first);
        let Poll::Ready(third) = poll(third) else { panic!("the second has left") };
        drop(third);
        assert!(poll(pin!(turns.take())).is_ready());
    }
}
