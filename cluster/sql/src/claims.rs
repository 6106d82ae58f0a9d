//! Claims: which of a node's transaction blocks has changed which rows, until it ends.
//!
//! A block that changes a row which another has changed already would meet a conflict at its commit. It waits for the other
//! instead, in the order in which they came, and then does its statements again on what the other has left. That is not what
//! keeps transactions apart (the check at the commit does), so a claim may be missed, or given up, without harm: where
//! waiting would close a circle, nobody waits.
//!
//! ```text
//!            take: nobody has it                take: another has it
//!   free ------------------------> held by A ------------------------> held by A, B waits
//!     ^                             |                                   |
//!     +-----------------------------+                                   | A ends
//!                A ends                            held by B <----------+
//! ```

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::Version;
use futures_channel::oneshot;
use spin::Mutex;

/// Most rows that a block claims: those of a larger change are left to the check at the commit.
const KEYS_MAX: usize = 64;

type Key = Arc<[u8]>;

/// What is claimed on a node.
#[derive(Debug, Default)]
pub struct Claims {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    blocks: u64,
    by_key: BTreeMap<Key, Claimed>,
    /// What blocks wait for.
    waits: BTreeMap<u64, Key>,
    /// The newest commit of a block that had claims.
    committed: Option<Version>,
}

/// A row that a block has claimed.
#[derive(Debug)]
struct Claimed {
    block: u64,
    waiting: VecDeque<(u64, oneshot::Sender<Held>)>,
}

/// One claim. Whoever waits for the row gets it when this is dropped.
#[derive(Debug)]
struct Held {
    claims: Arc<Claims>,
    key: Key,
    /// It is somebody else's now.
    handed_on: bool,
}

/// The claims of a block. They end when this is dropped.
#[derive(Debug)]
pub(crate) struct BlockClaims {
    claims: Arc<Claims>,
    block: u64,
    held: BTreeMap<Key, Held>,
}

/// What came of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Nobody had the row, or this block had it.
    Free,
    /// Another block had it, and has ended.
    Waited,
    /// There will be no claim: too many rows, or each would wait for the other.
    GivenUp,
}

enum Attempt {
    Done(Taken),
    Waiting(oneshot::Receiver<Held>),
}

impl BlockClaims {
    pub(crate) fn new(claims: &Arc<Claims>) -> BlockClaims {
        let block = {
            let mut state = claims.state.lock();
            state.blocks += 1;
            state.blocks
        };
        BlockClaims { claims: claims.clone(), block, held: BTreeMap::new() }
    }

    /// Claims the row at `key`; waits while another block has it.
    pub(crate) async fn take(&mut self, key: &Key) -> Taken {
        if self.held.contains_key(key) {
            return Taken::Free;
        }
        if self.held.len() >= KEYS_MAX {
            return Taken::GivenUp;
        }
        match self.attempt(key) {
            Attempt::Done(Taken::Free) => {
                self.hold(Held { claims: self.claims.clone(), key: key.clone(), handed_on: false });
                Taken::Free
            }
            Attempt::Done(taken) => taken,
            Attempt::Waiting(receiver) => {
                let waits = Waits { claims: &self.claims, block: self.block };
                let handed = receiver.await;
                drop(waits);
                match handed {
                    Ok(held) => {
                        self.hold(held);
                        Taken::Waited
                    }
                    Err(_) => Taken::GivenUp,
                }
            }
        }
    }

    fn hold(&mut self, held: Held) {
        self.held.insert(held.key.clone(), held);
    }

    fn attempt(&self, key: &Key) -> Attempt {
        let mut state = self.claims.state.lock();
        if state.would_close_a_circle(key, self.block) {
            return Attempt::Done(Taken::GivenUp);
        }
        let block = self.block;
        match state.by_key.get_mut(key) {
            None => {
                state.by_key.insert(key.clone(), Claimed { block, waiting: VecDeque::new() });
                Attempt::Done(Taken::Free)
            }
            Some(claimed) => {
                let (sender, receiver) = oneshot::channel();
                claimed.waiting.push_back((block, sender));
                state.waits.insert(block, key.clone());
                Attempt::Waiting(receiver)
            }
        }
    }

    /// The block has committed at `version`: whoever waits for it needs to see that.
    pub(crate) fn committed(&self, version: Version) {
        let mut state = self.claims.state.lock();
        state.committed = state.committed.max(Some(version));
    }

    /// The newest commit that those who waited must see.
    pub(crate) fn newest(&self) -> Option<Version> {
        self.claims.state.lock().committed
    }
}

/// A block that waits, until this is dropped.
struct Waits<'a> {
    claims: &'a Claims,
    block: u64,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let mut state = self.claims.state.lock();
        let key = state.waits.remove(&self.block);
        if let Some(claimed) = key.and_then(|key| state.by_key.get_mut(&key)) {
            claimed.waiting.retain(|(block, _)| *block != self.block);
        }
    }
}

impl State {
    /// Whether those who have the row at `key`, or wait for it, wait for `block`.
    fn would_close_a_circle(&self, key: &Key, block: u64) -> bool {
        let mut seen = BTreeSet::new();
        let mut keys = Vec::from([key]);
        while let Some(key) = keys.pop() {
            let Some(claimed) = self.by_key.get(key) else { continue };
            let waiting = claimed.waiting.iter().map(|(block, _)| *block);
            for other in waiting.chain([claimed.block]) {
                if other == block {
                    return true;
                }
                if seen.insert(other) {
                    keys.extend(self.waits.get(&other));
                }
            }
        }
        false
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.handed_on {
            return;
        }
        loop {
            let next = {
                let mut state = self.claims.state.lock();
                let Some(claimed) = state.by_key.get_mut(&self.key) else { return };
                let next = claimed.waiting.pop_front();
                match &next {
                    Some((block, _)) => claimed.block = *block,
                    None => _ = state.by_key.remove(&self.key),
                }
                next
            };
            let Some((_, sender)) = next else { return };
            let held = Held { claims: self.claims.clone(), key: self.key.clone(), handed_on: false };
            match sender.send(held) {
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

    fn key(byte: u8) -> Key {
        [byte][..].into()
    }

    #[test]
    fn rows_are_handed_on_in_the_order_of_asking() {
        let claims: Arc<Claims> = Arc::default();
        let [mut first, mut second, mut third] = [0; 3].map(|_| BlockClaims::new(&claims));
        assert_eq!(poll(pin!(first.take(&key(1)))), Poll::Ready(Taken::Free));
        assert_eq!(poll(pin!(first.take(&key(1)))), Poll::Ready(Taken::Free));
        let row = key(1);
        {
            let mut second_waits = pin!(second.take(&row));
            let mut third_waits = pin!(third.take(&row));
            assert_eq!(poll(second_waits.as_mut()), Poll::Pending);
            assert_eq!(poll(third_waits.as_mut()), Poll::Pending);
            first.committed(Version(7));
            drop(first);
            assert_eq!(poll(third_waits.as_mut()), Poll::Pending);
            assert_eq!(poll(second_waits.as_mut()), Poll::Ready(Taken::Waited));
        }
        assert_eq!(second.newest(), Some(Version(7)));
        drop(second);
        assert_eq!(poll(pin!(third.take(&key(1)))), Poll::Ready(Taken::Free));
        drop(third);
        assert!(claims.state.lock().by_key.is_empty());
        assert!(claims.state.lock().waits.is_empty());
    }

    #[test]
    fn nobody_waits_where_that_would_close_a_circle() {
        let claims: Arc<Claims> = Arc::default();
        let [mut first, mut second] = [0; 2].map(|_| BlockClaims::new(&claims));
        assert_eq!(poll(pin!(first.take(&key(1)))), Poll::Ready(Taken::Free));
        assert_eq!(poll(pin!(second.take(&key(2)))), Poll::Ready(Taken::Free));
        let row = key(2);
        let mut first_waits = pin!(first.take(&row));
        assert_eq!(poll(first_waits.as_mut()), Poll::Pending);
        assert_eq!(poll(pin!(second.take(&key(1)))), Poll::Ready(Taken::GivenUp));
        drop(second);
        assert_eq!(poll(first_waits.as_mut()), Poll::Ready(Taken::Waited));
    }

    #[test]
    fn whoever_gives_up_waiting_is_passed_over_and_leaves_nothing() {
        let claims: Arc<Claims> = Arc::default();
        let [mut first, mut second] = [0; 2].map(|_| BlockClaims::new(&claims));
        assert_eq!(poll(pin!(first.take(&key(1)))), Poll::Ready(Taken::Free));
        assert_eq!(poll(pin!(second.take(&key(1)))), Poll::Pending);
        drop(first);
        assert!(claims.state.lock().by_key.is_empty());
        assert!(claims.state.lock().waits.is_empty());
        assert_eq!(poll(pin!(second.take(&key(1)))), Poll::Ready(Taken::Free));
    }

    #[test]
    fn a_row_that_is_handed_to_one_who_has_gone_is_free() {
        let claims: Arc<Claims> = Arc::default();
        let [mut first, mut second] = [0; 2].map(|_| BlockClaims::new(&claims));
        assert_eq!(poll(pin!(first.take(&key(1)))), Poll::Ready(Taken::Free));
        {
            let row = key(1);
            let mut waits = pin!(second.take(&row));
            assert_eq!(poll(waits.as_mut()), Poll::Pending);
            drop(first);
        }
        assert!(claims.state.lock().by_key.is_empty());
    }
}
