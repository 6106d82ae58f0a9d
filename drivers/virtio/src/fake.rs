//! What the tests of the devices share.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec;
use core::cell::{Cell, RefCell};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::Waker;

use crate::InitError;
use crate::platform::{Ecam, InterruptMessage, Platform};
use crate::registers::Registers;
use crate::transport::{Notifier, Transport};

/// The vector of all queues.
pub(crate) const QUEUE_VECTOR: u8 = 0x30;

/// That of a device's changed configuration, if it has one of its own.
pub(crate) const CONFIG_VECTOR: u8 = 0x31;

/// A machine whose devices use the addresses the driver uses.
pub(crate) struct FakePlatform {
    /// How many interrupts have arrived on each vector.
    interrupts: [AtomicU64; 256],
}

impl FakePlatform {
    /// One for a test alone.
    pub(crate) fn leaked() -> &'static FakePlatform {
        Box::leak(Box::new(FakePlatform { interrupts: [const { AtomicU64::new(0) }; 256] }))
    }

    /// An interrupt arrives.
    pub(crate) fn interrupt(&self, vector: u8) {
        self.interrupts[usize::from(vector)].fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: the fake device runs in this process: an address is its own physical address. Nothing is mapped.
unsafe impl Platform for FakePlatform {
    fn physical(&self, pointer: *const u8) -> u64 {
        pointer as u64
    }
    fn map_device(&self, _: u64, _: u64) -> NonNull<u8> {
        unreachable!("the tests bring their own registers")
    }
    fn allocate_interrupt(&self) -> Option<u8> {
        Some(QUEUE_VECTOR)
    }
    fn interrupt_message(&self, _: u8) -> InterruptMessage {
        InterruptMessage { address: 0, data: 0 }
    }
    fn route_wire(&self, _: u32, _: u8) -> bool {
        true
    }
    fn interrupt_count(&self, vector: u8) -> u64 {
        self.interrupts[usize::from(vector)].load(Ordering::Relaxed)
    }
    fn register_waker(&self, _: u8, _: &Waker) {}
    fn ecam(&self) -> Option<Ecam> {
        None
    }
    fn has_pci_ports(&self) -> bool {
        false
    }
    fn read_pci_port(&self, _: u32) -> u32 {
        0
    }
    fn write_pci_port(&self, _: u32, _: u32) {}
}

/// What a device of any kind offers, and what its driver has made of it.
pub(crate) struct FakeDevice {
    pub(crate) offered: u64,
    pub(crate) accepted: u64,
    pub(crate) status: u8,
    pub(crate) config: Registers,
    pub(crate) config_generation: u32,
    /// Once its generation has been read so many times more, this register of the configuration is to be this.
    pub(crate) next_config: Option<(u32, usize, u32)>,
    /// Whether a changed configuration has a vector of its own; else the wire tells, if it does now.
    pub(crate) has_config_vector: bool,
    pub(crate) wire_tells_config: Cell<bool>,
    pub(crate) queue_size_max: u16,
    /// The rings of its first queue, and how many descriptors they have.
    pub(crate) rings: [u64; 3],
    pub(crate) size: u16,
}

impl FakeDevice {
    /// One that no driver has met.
    pub(crate) fn new(offered: u64, config: &'static mut [u64], queue_size_max: u16) -> FakeDevice {
        let config = Registers::over(config);
        FakeDevice {
            offered,
            accepted: 0,
            status: 0,
            config,
            config_generation: 0,
            next_config: None,
            has_config_vector: false,
            wire_tells_config: Cell::new(false),
            queue_size_max,
            rings: [0; 3],
            size: 0,
        }
    }
}

/// A fake of one kind, whose driver sees it as a device.
pub(crate) struct FakeTransport<T>(pub(crate) Rc<RefCell<T>>);

impl<T: AsMut<FakeDevice>> FakeTransport<T> {
    fn with<R>(&self, act: impl FnOnce(&mut FakeDevice) -> R) -> R {
        act(self.0.borrow_mut().as_mut())
    }
}

impl<T: AsMut<FakeDevice>> Transport for FakeTransport<T> {
    fn status(&self) -> u8 {
        self.with(|device| device.status)
    }
    fn set_status(&self, status: u8) {
        self.with(|device| device.status = status);
    }
    fn device_features(&self) -> u64 {
        self.with(|device| device.offered)
    }
    fn set_driver_features(&self, features: u64) {
        self.with(|device| device.accepted = features);
    }
    fn queue_size_max(&self, _: u16) -> u16 {
        self.with(|device| device.queue_size_max)
    }
    fn enable_queue(&mut self, queue: u16, size: u16, rings: [u64; 3]) -> Result<(u8, Notifier), InitError> {
        if queue == 0 {
            self.with(|device| (device.rings, device.size) = (rings, size));
        }
        Ok((QUEUE_VECTOR, Notifier { registers: Registers::over(vec![0; 1].leak()), queue, wide: false }))
    }
    fn config(&self) -> Registers {
        self.with(|device| device.config)
    }
    fn config_generation(&self) -> u32 {
        self.with(|device| {
            match device.next_config.take() {
                Some((0, offset, value)) => {
                    device.config.write(offset, value);
                    device.config_generation += 1;
                }
                Some((reads, offset, value)) => device.next_config = Some((reads - 1, offset, value)),
                None => {}
            }
            device.config_generation
        })
    }
    fn enable_config_interrupt(&mut self, _: u16) -> Option<u8> {
        self.with(|device| device.has_config_vector.then_some(CONFIG_VECTOR))
    }
    fn acknowledge(&self) -> bool {
        self.with(|device| device.wire_tells_config.take())
    }
}

/// Reads what the driver shows its device.
pub(crate) fn peek<T: Copy>(address: u64) -> T {
    // SAFETY: addresses the driver gave to its device, alive while the request is.
    unsafe { (address as *const T).read() }
}

/// Writes as the device does.
pub(crate) fn poke<T>(address: u64, value: T) {
    // SAFETY: as above.
    unsafe { (address as *mut T).write(value) }
}
