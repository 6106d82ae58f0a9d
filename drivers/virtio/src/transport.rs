//! How a device is set up, whatever bus it is on.

use core::fmt;

use crate::platform::PlatformRef;
use crate::registers::Registers;
use crate::ring::Ring;

const STATUS_ACKNOWLEDGE: u8 = 1;
const STATUS_DRIVER: u8 = 2;
const STATUS_DRIVER_OK: u8 = 4;
const STATUS_FEATURES_OK: u8 = 8;
const STATUS_FAILED: u8 = 128;

/// How often a resetting device is asked whether it is done.
const RESET_READS_MAX: u32 = 100_000;

/// The features every driver here understands.
pub(crate) fn common_features() -> u64 {
    let common = virtio_spec::F::VERSION_1 | virtio_spec::F::EVENT_IDX | virtio_spec::F::INDIRECT_DESC;
    common.bits().to_ne() as u64
}

/// Whether `features` include a device-independent one.
pub(crate) fn has(features: u64, feature: virtio_spec::F) -> bool {
    features & feature.bits().to_ne() as u64 != 0
}

/// Why a device is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitError {
    /// It only speaks the protocol of before version 1.
    Legacy,
    /// It refused the features chosen.
    FeaturesRefused,
    /// It lacks a queue or registers it must have.
    Incomplete,
    /// There was no vector or wire for its interrupts.
    NoInterrupt,
    /// It did not come out of reset.
    Stuck,
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InitError::Legacy => "offers only the legacy interface (virtio-mmio: set force-legacy=false)",
            InitError::FeaturesRefused => "refused the features chosen",
            InitError::Incomplete => "lacks a queue or registers",
            InitError::NoInterrupt => "got no interrupt",
            InitError::Stuck => "does not come out of reset",
        })
    }
}

/// Where a queue is notified.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notifier {
    pub registers: Registers,
    pub queue: u16,
    pub wide: bool,
}

impl Notifier {
    /// Tells the device that its queue holds something new.
    pub fn notify(&self) {
        if self.wide {
            self.registers.write(0, u32::from(self.queue));
        } else {
            self.registers.write(0, self.queue);
        }
    }
}

/// A device's registers on its bus.
pub(crate) trait Transport {
    fn status(&self) -> u8;
    fn set_status(&self, status: u8);
    fn device_features(&self) -> u64;
    fn set_driver_features(&self, features: u64);
    /// Selects a queue and answers the most descriptors it may have; zero if there is no such queue.
    fn queue_size_max(&self, queue: u16) -> u16;
    /// Gives a queue its rings and enables it; answers the vector of its interrupts and its notifier.
    fn enable_queue(&mut self, queue: u16, size: u16, rings: [u64; 3]) -> Result<(u8, Notifier), InitError>;
    /// The registers of the device's own configuration.
    fn config(&self) -> Registers;
    /// Changes whenever the configuration does.
    fn config_generation(&self) -> u32;
    /// Has a changed configuration raise an interrupt of its own, by the device's interrupt `entry`, which no queue has;
    /// answers its vector. None where all interrupts share one wire, or there is no such entry.
    fn enable_config_interrupt(&mut self, entry: u16) -> Option<u8>;
    /// Takes back the interrupt's wire, where there is one; whether it told of a changed configuration.
    fn acknowledge(&self) -> bool;
}

/// Resets a device and agrees on features: those of `supported` it offers.
pub(crate) fn negotiate(transport: &dyn Transport, supported: u64) -> Result<u64, InitError> {
    reset(transport)?;
    transport.set_status(STATUS_ACKNOWLEDGE | STATUS_DRIVER);
    let features = transport.device_features() & supported;
    if !has(features, virtio_spec::F::VERSION_1) {
        transport.set_status(STATUS_FAILED);
        return Err(InitError::Legacy);
    }
    transport.set_driver_features(features);
    transport.set_status(STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
    if transport.status() & STATUS_FEATURES_OK == 0 {
        transport.set_status(STATUS_FAILED);
        return Err(InitError::FeaturesRefused);
    }
    Ok(features)
}

/// Lets the device work.
pub(crate) fn start(transport: &dyn Transport) {
    transport.set_status(STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
}

/// Stops the device: afterwards it touches no memory.
pub(crate) fn reset(transport: &dyn Transport) -> Result<(), InitError> {
    transport.set_status(0);
    let done = (0..RESET_READS_MAX).any(|_| transport.status() == 0);
    if done { Ok(()) } else { Err(InitError::Stuck) }
}

/// Interrupts of one vector.
pub(crate) struct Interrupts {
    pub vector: u8,
    platform: PlatformRef,
    seen: u64,
}

impl Interrupts {
    /// None of them has been seen yet.
    pub fn of(platform: PlatformRef, vector: u8) -> Interrupts {
        Interrupts { vector, platform, seen: 0 }
    }

    /// Those of a changed configuration, by the device's interrupt `entry`, where they do not share the queues'.
    pub fn of_config(platform: PlatformRef, transport: &mut dyn Transport, entry: u16) -> Option<Interrupts> {
        transport.enable_config_interrupt(entry).map(|vector| Interrupts::of(platform, vector))
    }

    /// Has `waker` woken by them.
    pub fn register(&self, waker: &core::task::Waker) {
        self.platform.register_waker(self.vector, waker);
    }

    /// Whether any has arrived since the last call.
    pub fn take_new(&mut self) -> bool {
        let count = self.platform.interrupt_count(self.vector);
        core::mem::replace(&mut self.seen, count) != count
    }
}

/// A queue ready for use.
pub(crate) struct Queue {
    pub ring: Ring,
    pub interrupts: Interrupts,
    notifier: Notifier,
}

impl Queue {
    /// Sets up queue `index` with as many descriptors as it may have, at most `size_max`.
    pub fn new(
        platform: PlatformRef,
        transport: &mut dyn Transport,
        index: u16,
        size_max: u16,
        features: u64,
    ) -> Result<Queue, InitError> {
        let offered = transport.queue_size_max(index);
        if offered == 0 {
            return Err(InitError::Incomplete);
        }
        let size = 1 << offered.min(size_max).ilog2();
        let ring = Ring::new(size, has(features, virtio_spec::F::EVENT_IDX));
        let rings = ring.addresses().map(|pointer| platform.physical(pointer));
        let (vector, notifier) = transport.enable_queue(index, size, rings)?;
        Ok(Queue { ring, interrupts: Interrupts::of(platform, vector), notifier })
    }

    /// Shows the device what was pushed, and notifies it if it wishes so.
    pub fn kick(&mut self) {
        if self.ring.publish() {
            self.notifier.notify();
        }
    }

    /// Takes back the wire if an interrupt has arrived since the last call, and says whether that told of a changed
    /// configuration. To be called before popping.
    pub fn acknowledge(&mut self, transport: &dyn Transport) -> bool {
        self.interrupts.take_new() && transport.acknowledge()
    }

    /// Has `waker` woken by the queue and by a changed configuration, and takes back the wire; whether the configuration has
    /// changed since the last call. To be called before popping.
    pub fn take_interrupts(
        &mut self,
        transport: &dyn Transport,
        config: &mut Option<Interrupts>,
        waker: &core::task::Waker,
    ) -> bool {
        self.interrupts.register(waker);
        let mut has_changed = self.acknowledge(transport);
        if let Some(interrupts) = config {
            interrupts.register(waker);
            has_changed |= interrupts.take_new();
        }
        has_changed
    }
}

/// Reads configuration with `read` until it did not change meanwhile.
pub(crate) fn read_config<T>(transport: &dyn Transport, read: impl Fn(&Registers) -> T) -> T {
    loop {
        let before = transport.config_generation();
        let value = read(&transport.config());
        if transport.config_generation() == before {
            return value;
        }
    }
}

/// A 64-bit configuration field, in halves.
pub(crate) fn read_u64(registers: &Registers, offset: usize) -> u64 {
    let half = |at| u64::from(registers.read::<u32>(at));
    half(offset) | half(offset + 4) << 32
}

/// A 64-bit register, written in halves.
pub(crate) fn write_u64(registers: &Registers, offset: usize, value: u64) {
    registers.write(offset, value as u32);
    registers.write(offset + 4, (value >> 32) as u32);
}
