//! What all tests of sessions need.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// Nothing here waits for anything but its turn.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
}
