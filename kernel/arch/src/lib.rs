//! The x86_64 machine: everything of the kernel that needs `unsafe` or assembly.
//!
//! The principles:
//!
//! 1. **Safe outside.** What leaves this crate is safe to call in the order `kernel-main` calls it in;
//!    a wrong order panics, it does not corrupt.
//! 2. **One address, one subtraction.** All RAM is mapped once, at [`memory::DIRECT_MAP`]; the heap lives
//!    there, so every heap buffer is physically contiguous and a device can be given its address.
//! 3. **Nothing is both writable and executable**, below every stack is a page that is never mapped, and
//!    so is page zero.
//! 4. **Interrupt handlers mark, tasks act.** A handler counts and sets a bit; wakers run when the core
//!    leaves its idle state, in task context. No lock is ever taken inside an interrupt.
//! 5. **Every vector has an IST stack**: compiled code uses the red zone.

#![no_std]

extern crate alloc;

pub mod acpi;
pub mod apic;
pub mod boot;
pub mod button;
pub mod clock;
pub mod console;
pub mod core_local;
pub mod descriptors;
pub mod entropy;
mod fatal;
pub mod fw_cfg;
pub mod interrupts;
pub mod ioapic;
pub mod memory;
pub mod pci_ports;
pub mod power;
mod time_sources;
mod traps;

pub use fatal::set_symbols;

core::arch::global_asm!(include_str!("asm/boot.s"), options(att_syntax));
core::arch::global_asm!(include_str!("asm/traps.s"), options(att_syntax));
core::arch::global_asm!(include_str!("asm/memory.s"), options(att_syntax));
