//! Numbers of sequences that a node has taken, and not given to a session yet.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::future::poll_fn;
use core::mem;
use core::task::{Poll, Waker};

use spin::Mutex;

/// The numbers of a node, by sequence. Of the sessions that find none, one gets more and the others wait for it: those that all
/// went for some would meet conflicts with each other.
#[derive(Debug, Default)]
pub struct SequenceNumbers {
    by_id: Mutex<BTreeMap<u32, Numbers>>,
}

#[derive(Debug, Default)]
struct Numbers {
    left: VecDeque<i64>,
    is_fetched: bool,
    waiting: Vec<Waker>,
}

/// A session that gets more numbers. When it is dropped, with some or without, the others go on.
pub(crate) struct Fetch<'a> {
    numbers: &'a SequenceNumbers,
    id: u32,
}

impl SequenceNumbers {
    /// The next number of the sequence called `id`, or the turn to get more.
    pub(crate) async fn next(&self, id: u32) -> Result<i64, Fetch<'_>> {
        poll_fn(|context| {
            let mut by_id = self.by_id.lock();
            let numbers = by_id.entry(id).or_default();
            if let Some(number) = numbers.left.pop_front() {
                return Poll::Ready(Ok(number));
            }
            if !mem::replace(&mut numbers.is_fetched, true) {
                return Poll::Ready(Err(Fetch { numbers: self, id }));
            }
            if !numbers.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                numbers.waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await
    }

    /// Gives up the numbers of the sequence called `id`.
    pub fn forget(&self, id: u32) {
        let mut by_id = self.by_id.lock();
        if let Some(numbers) = by_id.get_mut(&id) {
            numbers.left.clear();
            if !numbers.is_fetched {
                by_id.remove(&id);
            }
        }
    }
}

impl Fetch<'_> {
    /// How many sessions wait.
    pub(crate) fn waiting(&self) -> usize {
        self.numbers.by_id.lock().get(&self.id).map_or(0, |numbers| numbers.waiting.len())
    }

    /// Keeps numbers for those that wait, and those that come.
    pub(crate) fn keep(self, numbers: impl IntoIterator<Item = i64>) {
        self.numbers.by_id.lock().entry(self.id).or_default().left.extend(numbers);
    }
}

impl Drop for Fetch<'_> {
    fn drop(&mut self) {
        let waiting = {
            let mut by_id = self.numbers.by_id.lock();
            let Some(numbers) = by_id.get_mut(&self.id) else { return };
            numbers.is_fetched = false;
            mem::take(&mut numbers.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use core::future::Future;
    use core::pin::pin;
    use core::task::Context;

    use super::*;

    fn poll<T>(future: core::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn one_gets_more_and_the_others_wait_for_it() {
        let numbers = SequenceNumbers::default();
        let Poll::Ready(Err(fetch)) = poll(pin!(numbers.next(7))) else { panic!("its turn") };
        let (mut second, mut third) = (pin!(numbers.next(7)), pin!(numbers.next(7)));
        assert!(poll(second.as_mut()).is_pending() && poll(third.as_mut()).is_pending());
        assert!(
            matches!(poll(pin!(numbers.next(8))), Poll::Ready(Err(_))),
            "another sequence is nothing to it"
        );
        assert!(fetch.waiting() > 0);
        fetch.keep([5]);
        assert!(matches!(poll(second.as_mut()), Poll::Ready(Ok(5))));
        // It has failed, and the next one tries.
        let Poll::Ready(Err(fetch)) = poll(third.as_mut()) else { panic!("its turn") };
        let mut fourth = pin!(numbers.next(7));
        assert!(poll(fourth.as_mut()).is_pending());
        drop(fetch);
        assert!(matches!(poll(fourth.as_mut()), Poll::Ready(Err(_))));
    }

    #[test]
    fn what_is_given_up_is_given_to_nobody() {
        let numbers = SequenceNumbers::default();
        let Poll::Ready(Err(fetch)) = poll(pin!(numbers.next(7))) else { panic!("its turn") };
        numbers.forget(7);
        assert!(poll(pin!(numbers.next(7))).is_pending(), "one gets more still");
        fetch.keep([1, 2]);
        numbers.forget(7);
        assert!(matches!(poll(pin!(numbers.next(7))), Poll::Ready(Err(_))));
    }
}
