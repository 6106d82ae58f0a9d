//! The executor: runs what is ready, then returns, so that its root can halt the core.
//!
//! ```text
//!            spawn                    poll -> Pending
//!   (new) ----------> READY ---------------------------> WAITING
//!                       ^                                   |
//!                       +-----------------------------------+
//!                                  wake (once per poll)
//! ```
//!
//! One executor belongs to one core and its tasks stay there, so they need not be `Send`; wakers may be
//! used from any core.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Waker};

use spin::Mutex;

/// The tasks of one core.
#[derive(Default)]
pub struct Executor {
    tasks: Vec<Option<Task>>,
    vacant: Vec<usize>,
    ready: Arc<ReadyQueue>,
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    handle: Arc<TaskHandle>,
}

/// Which tasks wait to be polled, in order of their wakes.
#[derive(Default)]
struct ReadyQueue {
    queue: Mutex<VecDeque<Arc<TaskHandle>>>,
}

/// What a waker holds. `queued` keeps a task in the queue at most once.
struct TaskHandle {
    slot: usize,
    queued: AtomicBool,
    ready: Arc<ReadyQueue>,
}

impl Wake for TaskHandle {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            let ready = Arc::clone(&self.ready);
            ready.queue.lock().push_back(self);
        }
    }
}

impl Executor {
    /// An executor without tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a task; it is first polled by the next [`Executor::run`].
    pub fn spawn(&mut self, future: impl Future<Output = ()> + 'static) {
        let slot = self.vacant.pop().unwrap_or(self.tasks.len());
        let ready = Arc::clone(&self.ready);
        let handle = Arc::new(TaskHandle { slot, queued: AtomicBool::new(false), ready });
        let task = Task { future: Box::pin(future), handle: Arc::clone(&handle) };
        if slot == self.tasks.len() {
            self.tasks.push(Some(task));
        } else {
            self.tasks[slot] = Some(task);
        }
        handle.wake();
    }

    /// Tasks that have not finished.
    pub fn len(&self) -> usize {
        self.tasks.len() - self.vacant.len()
    }

    /// Whether every task has finished.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether [`Executor::run`] would poll anything.
    pub fn is_ready(&self) -> bool {
        !self.ready.queue.lock().is_empty()
    }

    /// Polls every task that is ready now. Those woken meanwhile wait for the next call, so that the root
    /// serves interrupts and timers in between. Returns how many were polled.
    pub fn run(&mut self) -> usize {
        let batch = self.ready.queue.lock().len();
        (0..batch).map_while(|_| self.run_one()).count()
    }

    fn run_one(&mut self) -> Option<()> {
        let handle = self.ready.queue.lock().pop_front()?;
        handle.queued.store(false, Ordering::Release);
        // A waker may outlive its task and its slot may have a new tenant: only the task's own handle counts.
        let Some(Some(task)) = self.tasks.get_mut(handle.slot) else { return Some(()) };
        if !Arc::ptr_eq(&task.handle, &handle) {
            return Some(());
        }
        let slot = handle.slot;
        let waker = Waker::from(handle);
        if task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            self.tasks[slot] = None;
            self.vacant.push(slot);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::rc::Rc;
    use core::cell::{Cell, RefCell};
    use core::future::poll_fn;
    use core::task::Poll;

    #[test]
    fn runs_until_idle_and_again_when_woken() {
        let mut executor = Executor::new();
        let polls = Rc::new(Cell::new(0));
        let kept: Rc<RefCell<Option<Waker>>> = Rc::default();
        let (polls_in, kept_in) = (Rc::clone(&polls), Rc::clone(&kept));
        executor.spawn(poll_fn(move |context| {
            polls_in.set(polls_in.get() + 1);
            *kept_in.borrow_mut() = Some(context.waker().clone());
            if polls_in.get() < 3 { Poll::Pending } else { Poll::Ready(()) }
        }));
        assert_eq!((executor.run(), executor.run(), polls.get()), (1, 0, 1));
        let waker = kept.borrow().clone().unwrap();
        waker.wake_by_ref();
        waker.wake_by_ref();
        assert!(executor.is_ready());
        assert_eq!((executor.run(), executor.run(), polls.get()), (1, 0, 2));
        waker.wake_by_ref();
        executor.run();
        assert!(executor.is_empty());
        waker.wake(); // a stale waker polls nobody
        executor.run();
        assert_eq!(polls.get(), 3);
    }

    #[test]
    fn a_slot_has_new_tenants_and_old_wakers_do_not_reach_them() {
        let mut executor = Executor::new();
        let kept: Rc<RefCell<Option<Waker>>> = Rc::default();
        let kept_in = Rc::clone(&kept);
        executor.spawn(poll_fn(move |context| {
            *kept_in.borrow_mut() = Some(context.waker().clone());
            Poll::Ready(())
        }));
        executor.run();
        let polls = Rc::new(Cell::new(0));
        let polls_in = Rc::clone(&polls);
        executor.spawn(poll_fn(move |_| {
            polls_in.set(polls_in.get() + 1);
            Poll::<()>::Pending
        }));
        executor.run();
        kept.borrow_mut().take().unwrap().wake();
        executor.run();
        assert_eq!((polls.get(), executor.len()), (1, 1));
    }

    #[test]
    fn a_task_that_wakes_itself_does_not_keep_run_from_returning() {
        let mut executor = Executor::new();
        executor.spawn(poll_fn(|context| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        assert_eq!(executor.run(), 1);
        assert!(executor.is_ready());
    }
}
