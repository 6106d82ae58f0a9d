//! The power button: ACPI's fixed hardware (ACPI 6.5, section 4.8.3), or the generic event device of machines
//! without it (section 5.6.9).

use core::sync::atomic::{AtomicU64, Ordering};
use core::task::Waker;

use kernel_core::Region;
use spin::Once;
use x86_64::instructions::port::Port;

use crate::interrupts::{self, Line};
use crate::{ioapic, memory};

/// Bits of the PM1 event registers.
const PM1_BUTTON: u16 = 1 << 8;
/// Of the PM1 control register: events interrupt, rather than enter the firmware.
const SCI_ENABLED: u16 = 1;
/// What QEMU's event device says of the button.
const EVENT_BUTTON: u32 = 1 << 1;

/// Where the button's events are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ButtonInfo {
    /// In the PM1 event registers.
    Fixed {
        /// The global system interrupt that tells of them.
        gsi: u32,
        /// The port of the status register; a bit is cleared by writing it.
        status: u16,
        /// The port of the enable register.
        enable: u16,
        /// The port of the control register.
        control: u16,
        /// The port and the value that give the registers to the kernel, if the firmware still has them.
        take: Option<(u16, u8)>,
    },
    /// In a register in memory, which is cleared by reading it.
    Events {
        /// The global system interrupt that tells of them.
        gsi: u32,
        /// Where the register is.
        address: u64,
    },
}

static BUTTON: Once<Button> = Once::new();

struct Button {
    info: ButtonInfo,
    line: Line,
    /// Interrupts after which the registers were read.
    seen: AtomicU64,
}

/// Lets the button interrupt from now on. Whether it does.
pub fn init(info: ButtonInfo) -> bool {
    let (ButtonInfo::Fixed { gsi, .. } | ButtonInfo::Events { gsi, .. }) = info;
    let Some(line) = interrupts::allocate().filter(|line| ioapic::route(gsi, *line)) else { return false };
    match info {
        // SAFETY: registers that the firmware names, for this use.
        ButtonInfo::Fixed { status, enable, control, take, .. } => unsafe {
            if let Some((port, value)) = take
                && Port::<u16>::new(control).read() & SCI_ENABLED == 0
            {
                Port::<u8>::new(port).write(value);
            }
            // What the firmware left is not meant for us; nothing but the button interrupts.
            Port::<u16>::new(status).write(u16::MAX);
            Port::<u16>::new(enable).write(PM1_BUTTON);
        },
        ButtonInfo::Events { address, .. } => drop(memory::map_device(Region::sized(address, 4))),
    }
    BUTTON.call_once(|| Button { info, line, seen: AtomicU64::new(0) });
    true
}

/// Whether it was pressed since the last call; `waker` is woken when it is pressed again.
pub fn was_pressed(waker: &Waker) -> bool {
    let Some(Button { info, line, seen }) = BUTTON.get() else { return false };
    line.register(waker);
    // Each reading leaves the virtual machine, and this is asked at every turn.
    let count = line.count();
    if seen.swap(count, Ordering::Relaxed) == count {
        return false;
    }
    match *info {
        // SAFETY: as in init.
        ButtonInfo::Fixed { status, .. } => unsafe {
            let mut status = Port::<u16>::new(status);
            let pressed = status.read() & PM1_BUTTON != 0;
            if pressed {
                status.write(PM1_BUTTON);
            }
            pressed
        },
        // SAFETY: init mapped it in the direct map.
        ButtonInfo::Events { address, .. } => unsafe {
            let events = ((memory::DIRECT_MAP + address) as *const u32).read_volatile();
            // All ones are what is read where there is no device.
            events != u32::MAX && events & EVENT_BUTTON != 0
        },
    }
}
