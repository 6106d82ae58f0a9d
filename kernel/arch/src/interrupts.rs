//! Interrupt lines: allocation of vectors, marks set by handlers, wakes done by tasks, and the idle state.
//!
//! ```text
//!   device ---> handler: count += 1, mark ---> idle ends ---> dispatch: wake the registered waker
//! ```
//!
//! A handler takes no lock and wakes nobody; a mark set at any moment ends the idle state, because marks
//! are checked with interrupts off before the core halts.

use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use core::task::Waker;

use spin::Mutex;
use x86_64::instructions::interrupts as processor;

use crate::core_local;

/// The local APIC's timer.
pub const TIMER: u8 = 0x20;
/// Where the local APIC sends what it withdrew; never acknowledged.
pub const SPURIOUS: u8 = 0xff;
/// The first vector given to a device.
const DEVICES_FIRST: u8 = 0x30;
/// The last vector given to a device.
const DEVICES_LAST: u8 = 0xef;

/// What is kept of a vector.
struct State {
    count: AtomicU64,
    marked: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

static STATES: [State; 256] =
    [const { State { count: AtomicU64::new(0), marked: AtomicBool::new(false), waker: Mutex::new(None) } };
        256];
static ANY_MARKED: AtomicBool = AtomicBool::new(false);
static NEXT_DEVICE: AtomicU8 = AtomicU8::new(DEVICES_FIRST);

/// An interrupt line: a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    vector: u8,
}

impl Line {
    /// The line of `vector`.
    pub const fn of(vector: u8) -> Line {
        Line { vector }
    }

    /// Its vector.
    pub const fn vector(self) -> u8 {
        self.vector
    }

    /// How many interrupts arrived.
    pub fn count(self) -> u64 {
        self.state().count.load(Ordering::Relaxed)
    }

    /// Has `waker` woken by every interrupt from now on, in place of the one before.
    pub fn register(self, waker: &Waker) {
        let mut registered = self.state().waker.lock();
        match &mut *registered {
            Some(before) => before.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    fn state(self) -> &'static State {
        &STATES[usize::from(self.vector)]
    }
}

/// A vector for a device, used by nobody else; `None` when all are given.
pub fn allocate() -> Option<Line> {
    let take = |next: u8| (next <= DEVICES_LAST).then_some(next + 1);
    NEXT_DEVICE.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok().map(Line::of)
}

/// The vectors that interrupts have arrived at, and how many.
pub fn counts() -> impl Iterator<Item = (u8, u64)> {
    (0..=u8::MAX).map(|vector| (vector, Line::of(vector).count())).filter(|(_, count)| *count > 0)
}

/// Called by the handler.
pub(crate) fn mark(vector: u8) {
    let line = Line::of(vector).state();
    line.count.fetch_add(1, Ordering::Relaxed);
    line.marked.store(true, Ordering::Release);
    ANY_MARKED.store(true, Ordering::Release);
}

/// Wakes whoever waits for an interrupt that arrived since the last call. In task context only.
pub fn dispatch() {
    if !ANY_MARKED.swap(false, Ordering::AcqRel) {
        return;
    }
    for line in &STATES[usize::from(TIMER)..] {
        if line.marked.load(Ordering::Relaxed) && line.marked.swap(false, Ordering::AcqRel) {
            let waker = line.waker.lock().clone();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

/// Halts the core until an interrupt arrives; returns at once if one has arrived since the last
/// [`dispatch`]. Leaves interrupts on.
pub fn idle() {
    processor::disable();
    if ANY_MARKED.load(Ordering::Acquire) {
        processor::enable();
    } else {
        // The instruction after `sti` is still shielded: no interrupt slips in before the halt.
        processor::enable_and_hlt();
    }
    core_local::current().wakeups.fetch_add(1, Ordering::Relaxed);
}

/// Lets interrupts arrive. Call it once devices and clock are set up.
pub fn enable() {
    processor::enable();
}
