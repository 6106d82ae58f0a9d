//! What the firmware's tables tell: interrupt controllers, PCI configuration space, timer, power.

use alloc::vec::Vec;
use core::ptr::NonNull;

use ::acpi::address::{AddressSpace, GenericAddress};
use ::acpi::fadt::Fadt;
use ::acpi::madt::{Madt, MadtEntry};
use ::acpi::mcfg::Mcfg;
use ::acpi::{AcpiHandler, AcpiTables, PhysicalMapping};
use kernel_core::Region;

use crate::button::ButtonInfo;
use crate::memory;

/// An I/O APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoApicInfo {
    /// Where its registers are.
    pub address: u64,
    /// The global system interrupt of its first input.
    pub first_gsi: u32,
}

/// A PCI segment whose configuration space is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EcamInfo {
    /// Where bus 0's would be.
    pub address: u64,
    /// The first bus.
    pub first_bus: u8,
    /// The last bus.
    pub last_bus: u8,
}

/// A register, in memory or among the ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// At a port.
    Port(u16),
    /// At a physical address.
    Memory(u64),
}

/// How the machine is switched off and reset.
#[derive(Clone, Copy, Debug, Default)]
pub struct PowerInfo {
    /// Takes `reset_value`.
    pub reset: Option<Register>,
    /// What resets it.
    pub reset_value: u8,
    /// PM1a control: takes a sleep type.
    pub sleep: Option<Register>,
    /// The sleep control register of a machine without PM1a.
    pub sleep_reduced: Option<Register>,
    /// The sleep type of "off".
    pub sleep_type_off: u8,
}

/// The tables, read once.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// Processors that may run.
    pub cores: usize,
    /// The I/O APICs.
    pub io_apics: Vec<IoApicInfo>,
    /// Configuration space of PCI segment 0.
    pub ecam: Option<EcamInfo>,
    /// Whether it is a machine of the reduced-hardware kind (microvm).
    pub hardware_reduced: bool,
    /// Power control.
    pub power: PowerInfo,
    /// The power button, where it is fixed hardware.
    pub button: Option<ButtonInfo>,
    /// The port of the ACPI timer.
    pub pm_timer: Option<u16>,
}

/// Maps tables for the `acpi` crate.
#[derive(Clone, Copy)]
struct Mapper;

impl AcpiHandler for Mapper {
    unsafe fn map_physical_region<T>(&self, address: usize, size: usize) -> PhysicalMapping<Self, T> {
        let virt = memory::map_table(Region::sized(address as u64, size as u64));
        let virt = NonNull::new(virt.cast_mut().cast()).expect("the direct map is not at zero");
        // SAFETY: the region is mapped, readable, for ever.
        unsafe { PhysicalMapping::new(address, virt, size, size, *self) }
    }

    fn unmap_physical_region<T>(_: &PhysicalMapping<Self, T>) {}
}

/// Reads the tables. `None` if there are none; what a damaged or missing table would tell stays empty.
pub fn read(rsdp: Option<u64>) -> Option<Tables> {
    // SAFETY: the address is the loader's, or that of the BIOS area, which is searched by signature; the
    // crate checks signatures and sums.
    let acpi = unsafe {
        match rsdp {
            Some(address) => AcpiTables::from_rsdp(Mapper, address as usize),
            None => AcpiTables::search_for_rsdp_bios(Mapper),
        }
    };
    let acpi = acpi.ok()?;
    let mut tables = Tables::default();
    let mut overrides = Vec::new();
    if let Ok(madt) = acpi.find_table::<Madt>() {
        for entry in madt.get().entries() {
            match entry {
                MadtEntry::LocalApic(core) if core.flags & 1 != 0 => tables.cores += 1,
                MadtEntry::IoApic(entry) => tables.io_apics.push(IoApicInfo {
                    address: u64::from(entry.io_apic_address),
                    first_gsi: entry.global_system_interrupt_base,
                }),
                MadtEntry::InterruptSourceOverride(entry) => {
                    overrides.push((entry.irq, entry.global_system_interrupt));
                }
                _ => {}
            }
        }
    }
    if let Ok(mcfg) = acpi.find_table::<Mcfg>() {
        let segment = mcfg.entries().iter().find(|entry| { entry.pci_segment_group } == 0);
        tables.ecam = segment.map(|entry| EcamInfo {
            address: entry.base_address,
            first_bus: entry.bus_number_start,
            last_bus: entry.bus_number_end,
        });
    }
    if let Ok(fadt) = acpi.find_table::<Fadt>() {
        read_fadt(&fadt, &overrides, &mut tables);
    }
    if let Ok(dsdt) = acpi.dsdt() {
        let region = Region::sized(dsdt.address as u64, u64::from(dsdt.length));
        tables.power.sleep_type_off = sleep_type_off(memory::module_bytes(region)).unwrap_or(0);
    }
    Some(tables)
}

/// `overrides` are the interrupts of old whose global numbers are others.
fn read_fadt(fadt: &Fadt, overrides: &[(u8, u32)], tables: &mut Tables) {
    let flags = fadt.flags;
    tables.hardware_reduced = flags.system_is_hw_reduced_acpi();
    let power = &mut tables.power;
    power.reset_value = fadt.reset_value;
    if flags.supports_system_reset_via_fadt() {
        power.reset = fadt.reset_register().ok().and_then(register);
    }
    if tables.hardware_reduced {
        power.sleep_reduced = fadt.sleep_control_register().ok().flatten().and_then(register);
        return;
    }
    power.sleep = fadt.pm1a_control_block().ok().and_then(register);
    let timer = fadt.pm_timer_block().ok().flatten().and_then(register);
    if let Some(Register::Port(port)) = timer {
        tables.pm_timer = Some(port);
    }
    if !flags.power_button_is_control_method() {
        tables.button = button(fadt, overrides);
    }
}

/// The status register is the first half of the event block, the enable register the second.
fn button(fadt: &Fadt, overrides: &[(u8, u32)]) -> Option<ButtonInfo> {
    let events = fadt.pm1a_event_block().ok()?;
    let half = u16::from(events.bit_width) / 8 / 2;
    let (Register::Port(status), Register::Port(control)) =
        (register(events)?, register(fadt.pm1a_control_block().ok()?)?)
    else {
        return None;
    };
    let interrupt = fadt.sci_interrupt;
    let gsi = overrides.iter().find(|(irq, _)| u16::from(*irq) == interrupt).map(|(_, gsi)| *gsi);
    let gsi = gsi.unwrap_or_else(|| interrupt.into());
    let take = u16::try_from(fadt.smi_cmd_port).ok().filter(|port| *port != 0);
    let take = take.map(|port| (port, fadt.acpi_enable));
    (half >= 2).then_some(ButtonInfo::Fixed { gsi, status, enable: status.checked_add(half)?, control, take })
}

fn register(address: GenericAddress) -> Option<Register> {
    match address.address_space {
        _ if address.address == 0 => None,
        AddressSpace::SystemIo => u16::try_from(address.address).ok().map(Register::Port),
        AddressSpace::SystemMemory => Some(Register::Memory(address.address)),
        _ => None,
    }
}

/// The sleep type of state S5, from its package in the byte code: `_S5_`, package, length, count, then a
/// constant (0, 1, or a byte with prefix 0x0a).
fn sleep_type_off(code: &[u8]) -> Option<u8> {
    let at = code.windows(5).position(|bytes| bytes == b"_S5_\x12")?;
    match *code.get(at + 7..at + 9)? {
        [0x0a, value] => Some(value),
        [value @ 0..=1, _] => Some(value),
        _ => None,
    }
}
