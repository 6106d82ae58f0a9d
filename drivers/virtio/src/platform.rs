//! What the drivers ask of the kernel.

use core::ptr::NonNull;
use core::task::Waker;

/// A PCI segment whose configuration space is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ecam {
    /// Where bus 0's would be.
    pub address: u64,
    /// The first bus.
    pub first_bus: u8,
    /// The last bus.
    pub last_bus: u8,
}

/// What a device writes where to raise an interrupt (MSI-X).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterruptMessage {
    /// Where.
    pub address: u64,
    /// What.
    pub data: u32,
}

/// The machine beneath the drivers.
///
/// # Safety
///
/// `physical` must answer the address at which a device finds the memory, for every heap buffer, and heap
/// buffers must be physically contiguous. `map_device` must return memory that is mapped, uncached, for ever.
pub unsafe trait Platform: Sync {
    /// The physical address of heap memory.
    fn physical(&self, pointer: *const u8) -> u64;

    /// Maps `len` bytes of device registers at physical `address`.
    fn map_device(&self, address: u64, len: u64) -> NonNull<u8>;

    /// A vector nobody else uses; `None` when there is none left.
    fn allocate_interrupt(&self) -> Option<u8>;

    /// What raises `vector`.
    fn interrupt_message(&self, vector: u8) -> InterruptMessage;

    /// Routes the wire of global system interrupt `gsi` to `vector`, edge-triggered; whether there is one.
    fn route_wire(&self, gsi: u32, vector: u8) -> bool;

    /// How many interrupts arrived on `vector`.
    fn interrupt_count(&self, vector: u8) -> u64;

    /// Has `waker` woken by every interrupt on `vector`, in place of the one before.
    fn register_waker(&self, vector: u8, waker: &Waker);

    /// PCI configuration space in memory, if there is one.
    fn ecam(&self) -> Option<Ecam>;

    /// Whether PCI configuration by the ports 0xcf8 and 0xcfc may be tried.
    fn has_pci_ports(&self) -> bool;

    /// Writes `selector` to port 0xcf8 and reads port 0xcfc.
    fn read_pci_port(&self, selector: u32) -> u32;

    /// Writes `selector` to port 0xcf8 and `value` to port 0xcfc.
    fn write_pci_port(&self, selector: u32, value: u32);
}

/// The platform as the drivers keep it.
pub(crate) type PlatformRef = &'static dyn Platform;
