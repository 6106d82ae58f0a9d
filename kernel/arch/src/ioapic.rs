//! The I/O APICs: route a wire to a vector. Devices with MSI-X do not need them.

use alloc::vec::Vec;

use kernel_core::Region;
use spin::Mutex;

use crate::acpi::IoApicInfo;
use crate::interrupts::Line;
use crate::{core_local, memory};

struct IoApic {
    registers: usize,
    first_gsi: u32,
    inputs: u32,
}

static CONTROLLERS: Mutex<Vec<IoApic>> = Mutex::new(Vec::new());

const REGISTER_VERSION: u32 = 0x01;
const REGISTER_REDIRECTION: u32 = 0x10;
const MASKED: u32 = 1 << 16;

impl IoApic {
    fn read(&self, register: u32) -> u32 {
        // SAFETY: init mapped the registers: an index at 0, the value it selects at 16.
        unsafe {
            (self.registers as *mut u32).write_volatile(register);
            ((self.registers + 16) as *const u32).read_volatile()
        }
    }

    fn write(&self, register: u32, value: u32) {
        // SAFETY: as in read.
        unsafe {
            (self.registers as *mut u32).write_volatile(register);
            ((self.registers + 16) as *mut u32).write_volatile(value);
        }
    }
}

/// Masks every input of every controller.
pub fn init(controllers: &[IoApicInfo]) {
    for info in controllers {
        let registers = memory::map_device(Region::sized(info.address, 32)) as usize;
        let mut controller = IoApic { registers, first_gsi: info.first_gsi, inputs: 0 };
        controller.inputs = (controller.read(REGISTER_VERSION) >> 16 & 0xff) + 1;
        for input in 0..controller.inputs {
            controller.write(REGISTER_REDIRECTION + 2 * input, MASKED);
        }
        CONTROLLERS.lock().push(controller);
    }
}

/// Routes global system interrupt `gsi`, edge-triggered, to `line` on the running core. Whether any
/// controller has that input.
pub fn route(gsi: u32, line: Line) -> bool {
    let controllers = CONTROLLERS.lock();
    let Some(controller) = controllers.iter().find(|c| (c.first_gsi..c.first_gsi + c.inputs).contains(&gsi))
    else {
        return false;
    };
    let register = REGISTER_REDIRECTION + 2 * (gsi - controller.first_gsi);
    controller.write(register + 1, core_local::current().apic_id() << 24);
    controller.write(register, u32::from(line.vector()));
    true
}
