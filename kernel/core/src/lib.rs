//! What a kernel decides without touching the machine.
//!
//! Everything here runs, and is tested, on the host: the hardware is in `kernel-arch`. The principles:
//!
//! 1. **No machine.** No port, no register, no clock: time and memory maps are arguments.
//! 2. **No unsafe.** Futures are boxed, wakers are `Arc`s, tables are slices.
//! 3. **Wakers run in task context only.** An interrupt handler marks a line; whoever leaves the idle state
//!    turns marks into wakes. So nothing here must be safe against interruption by itself.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod command_line;
pub mod executor;
pub mod frames;
pub mod fw_cfg;
pub mod handover;
pub mod lines;
pub mod multiboot2;
pub mod regions;
pub mod settings;
pub mod symbols;
pub mod timers;

pub use command_line::CommandLine;
pub use executor::Executor;
pub use frames::Frames;
pub use handover::Handover;
pub use lines::Lines;
pub use regions::{Region, RegionSet};
pub use symbols::SymbolTable;
pub use timers::{TimerKey, Timers};
