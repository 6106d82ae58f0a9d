//! PCI configuration space by ports, where the firmware names no memory for it.

use spin::Mutex;
use x86_64::instructions::port::Port;

/// Selecting and accessing are two steps: one core at a time.
static PORTS: Mutex<(Port<u32>, Port<u32>)> = Mutex::new((Port::new(0xcf8), Port::new(0xcfc)));

/// Reads what `selector` (enable bit, bus, device, function, register) selects.
pub fn read(selector: u32) -> u32 {
    let mut ports = PORTS.lock();
    // SAFETY: the configuration ports; reading configuration space touches no memory.
    unsafe {
        ports.0.write(selector);
        ports.1.read()
    }
}

/// Writes what `selector` selects.
pub fn write(selector: u32, value: u32) {
    let mut ports = PORTS.lock();
    // SAFETY: as above; what devices do with it is their driver's contract.
    unsafe {
        ports.0.write(selector);
        ports.1.write(value);
    }
}
