//! What the tests of the devices share.

use alloc::rc::Rc;
use alloc::vec;
use core::cell::RefCell;
use core::ptr::NonNull;
use core::task::Waker;

use crate::InitError;
use crate::platform::{Ecam, InterruptMessage, Platform};
use crate::registers::Registers;
use crate::transport::{Notifier, Transport};

/// A machine whose devices use the addresses the driver uses.
pub(crate) struct FakePlatform;

// SAFETY: the fake device runs in this process: an address is its own physical address. Nothing is mapped.
unsafe impl Platform for FakePlatform {
    fn physical(&self, pointer: *const u8) -> u64 {
        pointer as u64
    }
    fn map_device(&self, _: u64, _: u64) -> NonNull<u8> {
        unreachable!("the tests bring their own registers")
    }
    fn allocate_interrupt(&self) -> Option<u8> {
        Some(0x30)
    }
    fn interrupt_message(&self, _: u8) -> InterruptMessage {
        InterruptMessage { address: 0, data: 0 }
    }
    fn route_wire(&self, _: u32, _: u8) -> bool {
        true
    }
    fn interrupt_count(&self, _: u8) -> u64 {
        0
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
    pub(crate) queue_size_max: u16,
    /// The rings of its first queue, and how many descriptors they have.
    pub(crate) rings: [u64; 3],
    pub(crate) size: u16,
}

impl FakeDevice {
    /// One that no driver has met.
    pub(crate) fn new(offered: u64, config: &'static mut [u64], queue_size_max: u16) -> FakeDevice {
        let config = Registers::over(config);
        FakeDevice { offered, accepted: 0, status: 0, config, queue_size_max, rings: [0; 3], size: 0 }
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
        Ok((0x30, Notifier { registers: Registers::over(vec![0; 1].leak()), queue, wide: false }))
    }
    fn config(&self) -> Registers {
        self.with(|device| device.config)
    }
    fn config_generation(&self) -> u32 {
        0
    }
    fn acknowledge(&self) {}
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
