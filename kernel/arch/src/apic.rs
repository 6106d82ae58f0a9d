//! The local APIC: acknowledges interrupts, and is the timer that ends the idle state.

use core::arch::x86_64::{__cpuid, _rdtsc};
use core::sync::atomic::{AtomicU64, Ordering};

use drivers_api::Instant;
use kernel_core::Region;
use x86_64::instructions::port::Port;
use x86_64::registers::model_specific::Msr;

use crate::{clock, core_local, interrupts, memory};

const MSR_APIC_BASE: u32 = 0x1b;
const MSR_TSC_DEADLINE: u32 = 0x6e0;
const MSR_X2APIC_FIRST: u32 = 0x800;

const REGISTER_ID: u32 = 0x02;
const REGISTER_PRIORITY: u32 = 0x08;
const REGISTER_END_OF_INTERRUPT: u32 = 0x0b;
const REGISTER_SPURIOUS: u32 = 0x0f;
const REGISTER_TIMER: u32 = 0x32;
const REGISTER_LINT0: u32 = 0x35;
const REGISTER_LINT1: u32 = 0x36;
const REGISTER_ERROR: u32 = 0x37;
const REGISTER_INITIAL_COUNT: u32 = 0x38;
const REGISTER_CURRENT_COUNT: u32 = 0x39;
const REGISTER_DIVIDE: u32 = 0x3e;

const MASKED: u32 = 1 << 16;
const TSC_DEADLINE_MODE: u32 = 2 << 17;
const DIVIDE_BY_1: u32 = 0xb;

/// Whether the processor has x2APIC: bit 0; whether the timer compares with the TSC: bit 1; the address of
/// the registers otherwise: the rest (it is page-aligned).
static STATE: AtomicU64 = AtomicU64::new(0);
const X2APIC: u64 = 1;
const TSC_DEADLINE: u64 = 2;

/// Ticks of the timer per second, when it does not compare with the TSC.
static TIMER_HZ: AtomicU64 = AtomicU64::new(0);

fn read(register: u32) -> u32 {
    let state = STATE.load(Ordering::Relaxed);
    if state & X2APIC != 0 {
        // SAFETY: a register of the x2APIC, which is on.
        return unsafe { Msr::new(MSR_X2APIC_FIRST + register).read() } as u32;
    }
    // SAFETY: init mapped the page of registers, which are 16 bytes apart.
    unsafe { (((state & !0xfff) + u64::from(register) * 16) as *const u32).read_volatile() }
}

fn write(register: u32, value: u32) {
    let state = STATE.load(Ordering::Relaxed);
    if state & X2APIC != 0 {
        // SAFETY: a register of the x2APIC, which is on; none of those written here affects memory.
        return unsafe { Msr::new(MSR_X2APIC_FIRST + register).write(u64::from(value)) };
    }
    // SAFETY: as in read.
    unsafe { (((state & !0xfff) + u64::from(register) * 16) as *mut u32).write_volatile(value) }
}

/// Switches the running core's APIC on, with its timer stopped, and silences the old controller.
pub fn init() {
    silence_legacy_controller();
    let features = __cpuid(1).ecx;
    let mut base = Msr::new(MSR_APIC_BASE);
    // SAFETY: reading the APIC base has no effect.
    let value = unsafe { base.read() } | 1 << 11;
    if features & 1 << 21 != 0 {
        // SAFETY: the processor has x2APIC mode; it is enabled by these two bits.
        unsafe { base.write(value | 1 << 10) };
        STATE.fetch_or(X2APIC, Ordering::Relaxed);
    } else {
        // SAFETY: enables the APIC where it is.
        unsafe { base.write(value) };
        let registers = Region::sized(value & 0xf_ffff_f000, memory::PAGE_SIZE);
        STATE.fetch_or(memory::map_device(registers) as u64, Ordering::Relaxed);
    }
    if features & 1 << 24 != 0 {
        STATE.fetch_or(TSC_DEADLINE, Ordering::Relaxed);
    }
    let id = if is_x2apic() { read(REGISTER_ID) } else { read(REGISTER_ID) >> 24 };
    core_local::current().apic_id.store(id, Ordering::Relaxed);
    write(REGISTER_PRIORITY, 0);
    for register in [REGISTER_TIMER, REGISTER_LINT0, REGISTER_LINT1, REGISTER_ERROR] {
        write(register, MASKED);
    }
    write(REGISTER_SPURIOUS, 1 << 8 | u32::from(interrupts::SPURIOUS));
}

/// Whether the registers are MSRs.
pub fn is_x2apic() -> bool {
    STATE.load(Ordering::Relaxed) & X2APIC != 0
}

/// Whether the timer compares with the TSC.
pub fn has_tsc_deadline() -> bool {
    STATE.load(Ordering::Relaxed) & TSC_DEADLINE != 0
}

/// Masks every input of the two 8259 controllers, after moving them away from the exceptions.
fn silence_legacy_controller() {
    for (port, value) in
        [(0x20, 0x11), (0xa0, 0x11), (0x21, 0xf0), (0xa1, 0xf8), (0x21, 4), (0xa1, 2), (0x21, 1), (0xa1, 1)]
    {
        // SAFETY: initialisation words of the 8259s; they touch no memory.
        unsafe { Port::<u8>::new(port).write(value) };
    }
    for port in [0x21, 0xa1] {
        // SAFETY: masks all inputs.
        unsafe { Port::<u8>::new(port).write(0xff) };
    }
}

/// Tells the APIC that the interrupt being served is done.
pub(crate) fn end_of_interrupt() {
    write(REGISTER_END_OF_INTERRUPT, 0);
}

/// Starts the timer counting down from its maximum, silently: the reference or the subject of calibration.
pub(crate) fn start_counting() {
    write(REGISTER_TIMER, MASKED);
    write(REGISTER_DIVIDE, DIVIDE_BY_1);
    write(REGISTER_INITIAL_COUNT, u32::MAX);
}

/// Ticks since [`start_counting`].
pub(crate) fn counted() -> u32 {
    u32::MAX - read(REGISTER_CURRENT_COUNT)
}

/// Ends calibration: the timer runs at `hz` and interrupts from now on when [`arm`]ed.
pub(crate) fn start_timer(hz: u64) {
    write(REGISTER_INITIAL_COUNT, 0);
    TIMER_HZ.store(hz, Ordering::Relaxed);
    let mode = if has_tsc_deadline() { TSC_DEADLINE_MODE } else { 0 };
    write(REGISTER_TIMER, mode | u32::from(interrupts::TIMER));
    // The deadline's MSR must not be written before the mode is seen.
    core::sync::atomic::fence(Ordering::SeqCst);
}

/// Interrupts the core at `deadline`, at once if it has passed, or not at all. May interrupt earlier: the
/// counter is 32 bits wide.
pub fn arm(deadline: Option<Instant>) {
    if has_tsc_deadline() {
        let value = deadline.map_or(0, |deadline| clock::tsc_at(deadline).max(1));
        // SAFETY: the processor has this MSR; zero disarms.
        return unsafe { Msr::new(MSR_TSC_DEADLINE).write(value) };
    }
    let count = deadline.map_or(0, |deadline| {
        let nanos = deadline.since(clock::now()).as_nanos();
        let ticks = nanos * u128::from(TIMER_HZ.load(Ordering::Relaxed)) / 1_000_000_000;
        ticks.clamp(1, u128::from(u32::MAX)) as u32
    });
    write(REGISTER_INITIAL_COUNT, count);
}

/// The time-stamp counter.
pub(crate) fn tsc() -> u64 {
    // SAFETY: every x86_64 processor has it.
    unsafe { _rdtsc() }
}
