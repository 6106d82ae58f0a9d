//! Giving way: long work lets the rest of the node run.

use core::future::poll_fn;
use core::task::Poll;

/// Resolves at the second poll: everything else that is ready runs in between.
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
