//! The self-test: proves memory functions, heap, disk, wire and clock of the machine it boots on, then switches it off.
//!
//! ```text
//!   ONE BY ONE (durable) -> WRITE (durable, all at once) -> READ -> FLUSH -> WIRE (half a second) -> off
//! ```

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::task::{Context, Poll};
use core::time::Duration;

use drivers_api::{
    DiskError, DiskOperation, DiskRequest, Entropy, Frame, Instant, Level, Machine, Now, SECTOR_SIZE,
};
use drivers_virtio::ChaChaEntropy;
use kernel_arch::{memory, power};

use crate::memory_check;

/// Requests of each kind, together: more than any queue holds.
const REQUESTS: u64 = 600;
/// Frames sent: likewise.
const FRAMES: u32 = 1000;
/// Durable writes, one after another.
const ONE_BY_ONE: u64 = 50;
/// Frames printed.
const FRAMES_SHOWN: u32 = 2;
const REQUEST_LEN: usize = 4096;
/// How long frames are waited for.
const WIRE_TIME: Duration = Duration::from_millis(500);

/// What is being tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Nothing yet.
    Start,
    /// This many durable writes have completed, each submitted when the one before had.
    OneByOne(u64),
    /// This many durable writes have completed, submitted together.
    Writing(u64),
    /// This many reads have completed and held what was written.
    Reading(u64),
    /// A flush and a request beyond the disk's end are under way; this many have completed.
    Ending(u64),
    /// Frames are counted until then.
    Wire(Instant),
}

/// The self-test as a member.
pub struct SelfTest {
    step: Step,
    since: Instant,
    pattern: Vec<u8>,
    entropy: ChaChaEntropy,
    /// What the disk's queue had no room for yet.
    waiting: VecDeque<DiskRequest>,
    unsent: u32,
    frames: u32,
}

/// What `id`'s sectors hold.
fn contents(pattern: &[u8], id: u64) -> Vec<u8> {
    pattern.iter().map(|byte| byte.wrapping_add(id as u8)).collect()
}

fn sector_of(id: u64) -> u64 {
    8 + id * (REQUEST_LEN / SECTOR_SIZE) as u64
}

impl SelfTest {
    /// A test whose pattern `entropy` chooses.
    pub fn new(mut entropy: ChaChaEntropy) -> SelfTest {
        let mut pattern = vec![0; REQUEST_LEN];
        entropy.fill(&mut pattern);
        SelfTest {
            step: Step::Start,
            since: Instant::ZERO,
            pattern,
            entropy,
            waiting: VecDeque::new(),
            unsent: FRAMES,
            frames: 0,
        }
    }

    fn fail(&self, machine: &mut Machine<'_>, what: &str) -> ! {
        machine.console.log(Level::Error, format_args!("selftest FAILED at {:?}: {what}", self.step));
        power::off(1)
    }

    fn begin(&mut self, now: Instant, machine: &mut Machine<'_>, step: Step) {
        let took = now.since(self.since).as_micros();
        machine
            .console
            .log(Level::Info, format_args!("selftest {:?} -> {step:?} after {took} us", self.step));
        (self.step, self.since) = (step, now);
        let requests: Vec<DiskOperation> = match step {
            Step::OneByOne(_) => vec![self.write(0)],
            Step::Writing(_) => (0..REQUESTS).map(|id| self.write(id)).collect(),
            Step::Reading(_) => (0..REQUESTS).map(read).collect(),
            Step::Ending(_) => {
                let sector = machine.disk.geometry().sectors;
                vec![DiskOperation::Flush, DiskOperation::Read { sector, buffer: vec![0; 512].into() }]
            }
            Step::Start | Step::Wire(_) => Vec::new(),
        };
        self.waiting = (0..).zip(requests).map(|(id, operation)| DiskRequest { id, operation }).collect();
        self.submit(machine);
    }

    /// Hands over what the disk's queue has room for.
    fn submit(&mut self, machine: &mut Machine<'_>) {
        while let Some(request) = self.waiting.pop_front() {
            if let Err(request) = machine.disk.submit(request) {
                self.waiting.push_front(request);
                break;
            }
        }
        machine.disk.kick();
    }

    fn write(&self, id: u64) -> DiskOperation {
        let buffer = contents(&self.pattern, id).into();
        DiskOperation::Write { sector: sector_of(id), buffer, durable: true }
    }

    /// Collects completions; true if a step has ended.
    fn collect(&mut self, machine: &mut Machine<'_>, context: &mut Context<'_>) -> bool {
        let (mut done, wanted) = match self.step {
            Step::Writing(done) | Step::Reading(done) => (done, REQUESTS),
            Step::Ending(done) => (done, 2),
            Step::OneByOne(done) => (done, ONE_BY_ONE),
            Step::Start | Step::Wire(_) => return false,
        };
        while let Poll::Ready(completion) = machine.disk.poll_completion(context) {
            let ok = match (&completion.operation, completion.result) {
                (DiskOperation::Read { buffer, .. }, Ok(())) => {
                    **buffer == contents(&self.pattern, completion.id)[..]
                }
                (DiskOperation::Read { .. }, Err(DiskError::OutOfRange)) => {
                    matches!(self.step, Step::Ending(_))
                }
                (_, result) => result.is_ok(),
            };
            if !ok {
                self.fail(machine, "a request failed, or read what was not written");
            }
            done += 1;
            if let Step::OneByOne(_) = self.step
                && done < ONE_BY_ONE
            {
                self.waiting.push_back(DiskRequest { id: done, operation: self.write(done) });
                self.submit(machine);
            }
        }
        self.submit(machine);
        match &mut self.step {
            Step::OneByOne(count) | Step::Writing(count) | Step::Reading(count) | Step::Ending(count) => {
                *count = done;
            }
            Step::Start | Step::Wire(_) => {}
        }
        done == wanted
    }

    /// Asks who has 10.0.2.2, as a node at 10.0.2.15, again and again while the NIC's queue has room.
    fn send(&mut self, machine: &mut Machine<'_>) {
        let mac = machine.nic().hardware_address();
        let mut arp = Vec::from([0xff; 6]);
        arp.extend_from_slice(&mac);
        arp.extend_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        arp.extend_from_slice(&mac);
        arp.extend_from_slice(&[10, 0, 2, 15, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2]);
        arp.resize(60, 0);
        while self.unsent > 0 && machine.nic().can_transmit() {
            if machine.nic().transmit(Frame::copy_of(&arp)).is_err() {
                self.fail(machine, "the NIC's queue had room and has none");
            }
            self.unsent -= 1;
            if self.unsent == 0 {
                machine.console.log(Level::Info, format_args!("{FRAMES} frames sent"));
            }
        }
        machine.nic().kick();
    }

    fn receive(&mut self, now: Instant, machine: &mut Machine<'_>, context: &mut Context<'_>) {
        while let Poll::Ready(frame) = machine.nic().poll_receive(context) {
            self.frames += 1;
            if self.frames <= FRAMES_SHOWN {
                let bytes = frame.bytes();
                let head = &bytes[..bytes.len().min(20)];
                let after = now.since(self.since).as_micros();
                let console = &mut machine.console;
                let len = bytes.len();
                console.log(Level::Info, format_args!("frame of {len} after {after} us: {head:02x?}"));
            }
        }
    }

    fn finish(&mut self, machine: &mut Machine<'_>) -> ! {
        let console = &mut machine.console;
        console.log(Level::Info, format_args!("{:?}", memory::statistics()));
        for device in machine.inventory.devices() {
            console.log(Level::Info, format_args!("{device:?}"));
        }
        let seeded = self.entropy.has_device_seed();
        let frames = self.frames;
        console.log(Level::Info, format_args!("selftest passed: {frames} frames, device seed: {seeded}"));
        power::off(0)
    }
}

impl super::root::Member for SelfTest {
    /// It stops by itself.
    fn leave(&mut self, _: Now) {}

    fn has_left(&self) -> bool {
        false
    }

    fn poll(&mut self, now: Now, machine: &mut Machine<'_>, context: &mut Context<'_>) -> Option<Instant> {
        let now = now.monotonic;
        let ended = self.collect(machine, context);
        if let Step::Wire(_) = self.step {
            self.send(machine);
        }
        self.receive(now, machine, context);
        let next = match self.step {
            Step::Start if !memory_check::functions_pass() => {
                self.fail(machine, "a memory function does something else")
            }
            Step::Start if !memory_check::heap_passes() => self.fail(
                machine,
                "the heap leaves itself in pieces, loses something, or does not move it whole",
            ),
            Step::Start => Some(Step::OneByOne(0)),
            Step::OneByOne(_) if ended => Some(Step::Writing(0)),
            Step::Writing(_) if ended => Some(Step::Reading(0)),
            Step::Reading(_) if ended => Some(Step::Ending(0)),
            Step::Ending(_) if ended => Some(Step::Wire(now + WIRE_TIME)),
            Step::Wire(end) if now >= end && self.unsent > 0 => {
                self.fail(machine, "the NIC did not send all frames")
            }
            Step::Wire(end) if now >= end => self.finish(machine),
            _ => None,
        };
        if let Some(step) = next {
            self.begin(now, machine, step);
            context.waker().wake_by_ref();
        }
        match self.step {
            Step::Wire(end) => Some(end),
            _ => None,
        }
    }
}

fn read(id: u64) -> DiskOperation {
    DiskOperation::Read { sector: sector_of(id), buffer: vec![0; REQUEST_LEN].into() }
}
