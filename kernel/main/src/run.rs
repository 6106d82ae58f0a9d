//! The core's loop: wakes, polls, sleeps.

use core::task::Waker;

use drivers_api::Instant;
use kernel_arch::interrupts::{self, Line, TIMER};
use kernel_arch::{apic, clock};
use kernel_core::{Executor, TimerKey, Timers};
use spin::Mutex;

/// Who waits for which time. Of the boot core, for now the only one that runs tasks.
static TIMERS: Mutex<Timers> = Mutex::new(Timers::new());

/// Runs `future` as the core's first task, and whatever wakes it, for ever. The core halts whenever there is
/// nothing to do.
pub fn forever(future: impl Future<Output = ()> + 'static) -> ! {
    let mut executor = Executor::new();
    executor.spawn(future);
    let mut alarm = Alarm { armed: None, fired: 0 };
    loop {
        interrupts::dispatch();
        TIMERS.lock().expire(clock::now());
        if executor.run() == 0 {
            let next = TIMERS.lock().next_deadline();
            alarm.set(next);
            interrupts::idle();
        }
    }
}

/// The timer interrupt; set only when it must be, for setting it leaves the virtual machine.
struct Alarm {
    armed: Option<Instant>,
    fired: u64,
}

impl Alarm {
    fn set(&mut self, deadline: Option<Instant>) {
        let fired = Line::of(TIMER).count();
        if deadline != self.armed || fired != self.fired {
            apic::arm(deadline);
            (self.armed, self.fired) = (deadline, fired);
        }
    }
}

/// A deadline of one task, replaced as often as it likes.
#[derive(Default)]
pub struct Deadline {
    pending: Option<TimerKey>,
}

impl Deadline {
    /// Has `waker` woken at `deadline` instead of the one before.
    pub fn set(&mut self, deadline: Option<Instant>, waker: &Waker) {
        let mut timers = TIMERS.lock();
        if let Some(key) = self.pending.take() {
            timers.cancel(key);
        }
        self.pending = deadline.map(|deadline| timers.insert(deadline, waker.clone()));
    }
}
