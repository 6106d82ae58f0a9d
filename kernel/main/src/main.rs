//! The root of the kernel.

#![no_std]
#![no_main]

use drivers_api::Level;
use kernel_arch::{acpi, apic, boot, clock, console, core_local, descriptors, interrupts, ioapic, memory, power};

/// Entered from the boot assembly.
#[unsafe(no_mangle)]
extern "C" fn kernel_main(start_info: u32) -> ! {
    clock::start();
    console::init();
    let info = boot::BootInfo::read(start_info);
    memory::init(&info);
    core_local::init();
    descriptors::init();
    let tables = acpi::read(info.rsdp);
    apic::init();
    if let Some(tables) = &tables {
        ioapic::init(&tables.io_apics);
        power::init(&tables.power);
    }
    let source = clock::init(tables.as_ref());
    console::log(Level::Info, format_args!("up; {source} {} Hz; {:?}; {:?}", clock::tsc_hz(), memory::statistics(), clock::both()));
    console::log(Level::Info, format_args!("{} {tables:?}", info.command_line()));
    apic::arm(Some(clock::now() + core::time::Duration::from_millis(50)));
    interrupts::enable();
    interrupts::idle();
    console::log(Level::Info, format_args!("woke {:?}", interrupts::Line::of(0x20).count()));
    panic!("done");
}
