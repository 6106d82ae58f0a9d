//! Switching off, starting again, and what a panic does.

use core::sync::atomic::{AtomicU8, AtomicU16, Ordering};

use kernel_core::Region;
use spin::Once;
use x86_64::VirtAddr;
use x86_64::instructions::port::Port;
use x86_64::instructions::tables::lidt;
use x86_64::instructions::{hlt, interrupts};
use x86_64::structures::DescriptorTablePointer;

use crate::acpi::{PowerInfo, Register};
use crate::memory;

/// What follows a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PanicAction {
    /// Start again: a node that lost its memory recovers from its disk.
    Reset = 0,
    /// Stop, for whoever looks.
    Halt = 1,
    /// Switch the machine off.
    Off = 2,
}

static POWER: Once<PowerInfo> = Once::new();
static PANIC_ACTION: AtomicU8 = AtomicU8::new(PanicAction::Reset as u8);
static EXIT_PORT: AtomicU16 = AtomicU16::new(0);

/// Remembers how the machine is switched off. Registers in memory are mapped here, so that a dying kernel
/// need not.
pub fn init(info: &PowerInfo) {
    for register in [info.reset, info.sleep, info.sleep_reduced] {
        if let Some(Register::Memory(address)) = register {
            memory::map_device(Region::sized(address, 4));
        }
    }
    POWER.call_once(|| *info);
}

/// What a panic does from now on; `exit_port` is that of QEMU's isa-debug-exit device, 0 without one.
pub fn configure(action: PanicAction, exit_port: u16) {
    PANIC_ACTION.store(action as u8, Ordering::Relaxed);
    EXIT_PORT.store(exit_port, Ordering::Relaxed);
}

fn write(register: Register, value: u16, wide: bool) {
    match register {
        // SAFETY: a power register the firmware names; writing it stops or resets the machine.
        Register::Port(port) if wide => unsafe { Port::<u16>::new(port).write(value) },
        // SAFETY: as above.
        Register::Port(port) => unsafe { Port::<u8>::new(port).write(value as u8) },
        // SAFETY: as above; init mapped it in the direct map.
        Register::Memory(address) => unsafe {
            ((memory::DIRECT_MAP + address) as *mut u8).write_volatile(value as u8);
        },
    }
}

/// Switches the machine off. `status` is told to the isa-debug-exit device, if there is one: QEMU then
/// exits with `2 * status + 1`.
pub fn off(status: u8) -> ! {
    interrupts::disable();
    let exit_port = EXIT_PORT.load(Ordering::Relaxed);
    if exit_port != 0 {
        // SAFETY: the port of isa-debug-exit, by configuration.
        unsafe { Port::<u8>::new(exit_port).write(status) };
    }
    if let Some(info) = POWER.get() {
        let kind = info.sleep_type_off;
        if let Some(register) = info.sleep {
            write(register, u16::from(kind) << 10 | 1 << 13, true);
        }
        if let Some(register) = info.sleep_reduced {
            write(register, u16::from(kind) << 2 | 1 << 5, false);
        }
    }
    stop()
}

/// Starts the machine again: by the firmware's register, the chipset's, the keyboard controller's, or by a
/// triple fault.
pub fn reset() -> ! {
    interrupts::disable();
    if let Some(info) = POWER.get()
        && let Some(register) = info.reset
    {
        write(register, u16::from(info.reset_value), false);
    }
    for (port, value) in [(0xcf9, 0x06_u8), (0x64, 0xfe)] {
        // SAFETY: the reset controls of the chipset and of the keyboard controller.
        unsafe { Port::<u8>::new(port).write(value) };
    }
    // SAFETY: without gates the breakpoint cannot be delivered, nor the faults that follow.
    unsafe { lidt(&DescriptorTablePointer { limit: 0, base: VirtAddr::new(0) }) };
    interrupts::int3();
    stop()
}

/// Halts this core for ever.
pub fn stop() -> ! {
    loop {
        interrupts::disable();
        hlt();
    }
}

/// Ends a panic as configured.
pub(crate) fn after_panic() -> ! {
    match PANIC_ACTION.load(Ordering::Relaxed) {
        action if action == PanicAction::Halt as u8 => stop(),
        action if action == PanicAction::Off as u8 => off(PANIC_STATUS),
        _ => reset(),
    }
}

/// What isa-debug-exit is told by a panic.
const PANIC_STATUS: u8 = 0x7f;
