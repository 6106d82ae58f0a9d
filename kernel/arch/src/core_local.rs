//! What each core has for itself, reached through the GS base.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use x86_64::VirtAddr;
use x86_64::registers::model_specific::GsBase;

/// One core's own data. Shared state is elsewhere, behind locks.
#[derive(Debug)]
#[repr(C)]
pub struct CoreLocal {
    /// Its number, from 0 (the boot core).
    pub number: u32,
    /// Its local APIC's identifier: where interrupts are sent.
    pub apic_id: AtomicU32,
    /// How often it left the idle state.
    pub wakeups: AtomicU64,
}

static BOOT_CORE: CoreLocal = CoreLocal { number: 0, apic_id: AtomicU32::new(0), wakeups: AtomicU64::new(0) };

/// Points the running core at its data. Call it once per core, before its traps are set up.
pub fn init() {
    GsBase::write(VirtAddr::from_ptr(&raw const BOOT_CORE));
}

/// The running core's data.
pub fn current() -> &'static CoreLocal {
    let base = GsBase::read().as_ptr::<CoreLocal>();
    if base.is_null() {
        return &BOOT_CORE;
    }
    // SAFETY: init stored the address of a static in this register, and nothing else writes it.
    unsafe { &*base }
}

impl CoreLocal {
    /// Its local APIC's identifier.
    pub fn apic_id(&self) -> u32 {
        self.apic_id.load(Ordering::Relaxed)
    }
}
