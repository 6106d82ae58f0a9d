//! What the tests of the devices share.

use core::ptr::NonNull;
use core::task::Waker;

use crate::platform::{Ecam, InterruptMessage, Platform};

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
