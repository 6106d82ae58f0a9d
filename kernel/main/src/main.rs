//! The root of the kernel: boots on one screen, then runs one node until the machine is switched off.
//!
//! Options on the kernel's command line, in the file `opt/relix/settings` of QEMU's `fw_cfg`, or in the file `user-data` of a
//! config drive, where the first of these that says anything of a key counts (see `relix.` settings of the node in
//! `cluster/node/src/config.rs`, too). What counts before there are disks cannot come from there: that is `relix.disk-cache`
//! and `relix.crash`.
//!
//! ```text
//! relix.node=K               the node's number, in every log line
//! relix.log=error|warn|info|debug
//! relix.panic=reset|halt|off what follows a panic (default: reset)
//! relix.exit-port=0xf4       QEMU's isa-debug-exit device: its status is 2 * status + 1
//! relix.disk-cache=back      leave the disk's cache on; a durable write is then a write and a flush
//! relix.selftest=1           try disk and wire, print what was found, switch off
//! relix.wire=serve|ask@IP    no node: one end of a measurement of the network (cluster/throughput), at relix.ip
//! relix.crash=panic|stack|null|code|oom   fail in this way, to see what it looks like
//! virtio_mmio.device=512@0xfeb00000:24    a virtio-mmio device (as QEMU and Linux write it)
//! ```

#![no_std]
#![no_main]

extern crate alloc;

mod config_drive;
mod crash;
mod data_disk;
mod hardware;
mod memory_check;
mod root;
mod run;
mod sectors;
mod selftest;
mod wire;

use drivers_api::Level;
use kernel_arch::{
    acpi, apic, boot, clock, console, core_local, descriptors, interrupts, ioapic, memory, power,
};

/// Entered from the boot assembly, on the main stack, interrupts off.
// SAFETY: the boot assembly calls this symbol, and no other is named like it.
#[unsafe(no_mangle)]
extern "C" fn kernel_main(handover: u32, magic: u32) -> ! {
    // Time starts now, and from here on everything can be read about.
    clock::start();
    console::init();

    // What the loader left, before its memory is used; then page tables and heap.
    let handover = boot::read(handover, magic);
    memory::init(&handover);

    // Faults are reported from here on: by the core's own data, on stacks of their own.
    core_local::init();
    descriptors::init();
    let symbols = handover.symbols();
    let symbols = symbols.and_then(|module| kernel_arch::set_symbols(memory::module_bytes(module)));

    // What the machine is made of, how it is switched off, who interrupts whom.
    let tables = acpi::read(handover.rsdp).unwrap_or_else(hardware::without_tables);
    power::init(&tables.power);
    apic::init();
    ioapic::init(&tables.io_apics);
    let time_source = clock::init(&tables);

    // The user's wishes; before the devices, which some of them concern.
    let options = root::Options::read(&handover);
    options.apply();
    hardware::announce(&tables, time_source, symbols);

    // The devices; then interrupts may arrive, for there is someone to mark them for.
    let devices = hardware::find_devices(&tables, &options);
    hardware::find_button(&tables);
    interrupts::enable();
    console::log(Level::Info, format_args!("machine ready"));

    // The node, and nothing else, for ever.
    crash::if_wished(&options);
    run::forever(root::root(devices, options))
}
