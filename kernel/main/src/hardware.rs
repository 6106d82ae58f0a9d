//! Joins `kernel-arch` and `drivers-virtio`: the machine as the drivers see it.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ptr::NonNull;
use core::task::Waker;

use drivers_api::{Disk, Level};
use drivers_virtio::{CacheMode, Devices, Ecam, InterruptMessage, MmioSlot, Platform, discover};
use kernel_arch::acpi::{IoApicInfo, Tables};
use kernel_arch::button::{self, ButtonInfo};
use kernel_arch::interrupts::{self, Line};
use kernel_arch::{apic, clock, console, core_local, entropy, ioapic, memory, pci_ports};
use kernel_core::Region;
use kernel_core::command_line::MmioDevice;

use crate::root::Options;

/// Where a machine without tables has its I/O APIC.
const IO_APIC_ADDRESS: u64 = 0xfec0_0000;
/// microvm's virtio-mmio slots, which only its byte code would tell.
const MICROVM_SLOTS: u64 = 0xfeb0_0000;
const MICROVM_SLOT_LEN: u64 = 512;
/// Its event device, likewise.
const MICROVM_EVENTS: ButtonInfo = ButtonInfo::Events { gsi: 9, address: 0xfea0_0000 };
/// Inputs of an I/O APIC: microvm's slots begin at the second, if there is one.
const IO_APIC_INPUTS: u32 = 24;

/// The tables of a machine that has none (microvm with `acpi=off`).
pub fn without_tables() -> Tables {
    let io_apics = alloc::vec![IoApicInfo { address: IO_APIC_ADDRESS, first_gsi: 0 }];
    Tables { cores: 1, io_apics, ..Tables::default() }
}

/// Prints what the kernel runs on.
pub fn announce(tables: &Tables, time_source: &str, symbols: Option<usize>) {
    let log = |line: core::fmt::Arguments<'_>| console::log(Level::Info, line);
    let heap = memory::statistics();
    log(format_args!(
        "Relix {}: {} MiB of heap, {} cores (one used), {} symbols",
        env!("CARGO_PKG_VERSION"),
        heap.total_bytes >> 20,
        tables.cores,
        symbols.unwrap_or(0),
    ));
    log(format_args!(
        "TSC {} MHz by the {time_source}; {} with {}; wall clock {} s",
        clock::tsc_hz() / 1_000_000,
        if apic::is_x2apic() { "x2APIC" } else { "xAPIC" },
        if apic::has_tsc_deadline() { "TSC deadline" } else { "one-shot timer" },
        clock::both().wall.unix_micros / 1_000_000,
    ));
}

/// Lets the power button tell when it is pressed.
pub fn find_button(tables: &Tables) {
    let button = tables.button.or_else(|| tables.hardware_reduced.then_some(MICROVM_EVENTS));
    if !button.is_some_and(button::init) {
        console::log(Level::Info, format_args!("this machine has no power button that can be waited for"));
    }
}

/// Finds the devices and starts their drivers.
pub fn find_devices(tables: &Tables, options: &Options) -> Devices {
    let ecam = tables.ecam.map(|ecam| Ecam {
        address: ecam.address,
        first_bus: ecam.first_bus,
        last_bus: ecam.last_bus,
    });
    let slots = mmio_slots(tables, options);
    let has_pci_ports = !tables.hardware_reduced && slots.is_empty();
    let platform: &'static Hardware = Box::leak(Box::new(Hardware { ecam, has_pci_ports }));
    let cache = match options.line().get("relix.disk-cache") {
        Some("back") => CacheMode::WriteBack,
        _ => CacheMode::WriteThrough,
    };
    let devices = discover(platform, &slots, entropy::seed(), cache);
    for (place, error) in &devices.failures {
        console::log(Level::Warn, format_args!("the device at {place} {error}"));
    }
    for device in devices.list.list() {
        let (depth, vector) = device.queues.first().map_or((0, 0), |queue| (queue.depth, queue.vector));
        console::log(Level::Info, format_args!("{device}, depth {depth}, vector {vector:#x}"));
    }
    for (number, disk) in devices.disks.iter().enumerate() {
        let mebibytes = disk.geometry().sectors >> 11;
        let cache = disk.cache_mode();
        console::log(Level::Info, format_args!("disk{number}: {mebibytes} MiB, {cache:?}"));
    }
    devices
}

/// The places where virtio-mmio devices may be: those the command line names, else microvm's.
fn mmio_slots(tables: &Tables, options: &Options) -> Vec<MmioSlot> {
    let line = options.line();
    let named = line.get_all("virtio_mmio.device").filter_map(MmioDevice::parse);
    let named: Vec<_> = named.map(|device| MmioSlot { address: device.base, gsi: device.irq }).collect();
    if !named.is_empty() || !tables.hardware_reduced {
        return named;
    }
    let (first_gsi, count) = if tables.io_apics.len() > 1 { (IO_APIC_INPUTS, 24) } else { (16, 8) };
    let slot = |index: u32| MmioSlot {
        address: MICROVM_SLOTS + u64::from(index) * MICROVM_SLOT_LEN,
        gsi: first_gsi + index,
    };
    (0..count).map(slot).collect()
}

/// The machine as the drivers see it.
struct Hardware {
    ecam: Option<Ecam>,
    has_pci_ports: bool,
}

// SAFETY: the heap lies in the direct map, so a buffer is contiguous and `memory::physical` is its address;
// `memory::map_device` maps uncached and for ever.
unsafe impl Platform for Hardware {
    fn physical(&self, pointer: *const u8) -> u64 {
        memory::physical(pointer)
    }

    fn map_device(&self, address: u64, len: u64) -> NonNull<u8> {
        NonNull::new(memory::map_device(Region::sized(address, len))).expect("the direct map is not at zero")
    }

    fn allocate_interrupt(&self) -> Option<u8> {
        interrupts::allocate().map(Line::vector)
    }

    fn interrupt_message(&self, vector: u8) -> InterruptMessage {
        let address = 0xfee0_0000 | u64::from(core_local::current().apic_id()) << 12;
        InterruptMessage { address, data: u32::from(vector) }
    }

    fn route_wire(&self, gsi: u32, vector: u8) -> bool {
        ioapic::route(gsi, Line::of(vector))
    }

    fn interrupt_count(&self, vector: u8) -> u64 {
        Line::of(vector).count()
    }

    fn register_waker(&self, vector: u8, waker: &Waker) {
        Line::of(vector).register(waker);
    }

    fn ecam(&self) -> Option<Ecam> {
        self.ecam
    }

    fn has_pci_ports(&self) -> bool {
        self.has_pci_ports
    }

    fn read_pci_port(&self, selector: u32) -> u32 {
        pci_ports::read(selector)
    }

    fn write_pci_port(&self, selector: u32, value: u32) {
        pci_ports::write(selector, value);
    }
}
