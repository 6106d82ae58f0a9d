//! The end: a panic or an exception prints what is known, then resets or halts as configured.
//!
//! The backtrace needs no frame pointers, which the precompiled libraries do not keep: it reads the stack
//! for return addresses, that is, for addresses in the text just after a call instruction. A line may
//! therefore be left over from an earlier call; none is missing.

use core::arch::asm;
use core::fmt;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use kernel_core::SymbolTable;
use spin::Once;
use x86_64::instructions::interrupts;
use x86_64::registers::control::{Cr2, Cr3};

use crate::console::log_fatal;
use crate::traps::TrapFrame;
use crate::{core_local, memory, power};

/// Lines of a backtrace.
const BACKTRACE_LINES_MAX: usize = 40;

static SYMBOLS: Once<SymbolTable<'static>> = Once::new();
static DYING: AtomicBool = AtomicBool::new(false);

/// Takes the table that backtraces are read with; how many symbols it has, if it is one.
pub fn set_symbols(bytes: &'static [u8]) -> Option<usize> {
    let table = SymbolTable::parse(bytes)?;
    Some(SYMBOLS.call_once(|| table).len())
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    begin();
    let (rsp, rbp): (u64, u64);
    // SAFETY: copies two registers.
    unsafe { asm!("mov {}, rsp", "mov {}, rbp", out(reg) rsp, out(reg) rbp, options(nomem, nostack)) };
    let core = core_local::current().number;
    match info.location() {
        Some(at) => log_fatal(format_args!("panic on core {core} at {}:{}", at.file(), at.line())),
        None => log_fatal(format_args!("panic on core {core}")),
    }
    // An allocation that failed arrives here too, as "memory allocation of N bytes failed".
    log_fatal(format_args!("{}", info.message()));
    let heap = memory::try_statistics();
    if let Some(heap) = heap {
        log_fatal(format_args!("heap: {} of {} bytes in use", heap.used_bytes, heap.total_bytes));
        let (pooled, free, longest) = (heap.pooled_bytes, heap.free_bytes, heap.longest_free_bytes);
        log_fatal(format_args!("heap: {pooled} bytes in pools, {free} free, {longest} of them in one piece"));
    }
    log_fatal(format_args!("rsp {rsp:016x} rbp {rbp:016x} cr3 {:016x}", cr3()));
    backtrace(rsp);
    power::after_panic()
}

/// An exception the kernel does not survive.
pub(crate) fn exception(frame: &TrapFrame, what: fmt::Arguments<'_>) -> ! {
    begin();
    log_fatal(format_args!("fatal on core {}: {what}", core_local::current().number));
    let [r15, r14, r13, r12, r11, r10, r9, r8] = frame.high;
    let f = frame;
    log_fatal(format_args!("rip {:016x} rsp {:016x} rflags {:08x} cs {:x}", f.rip, f.rsp, f.rflags, f.cs));
    log_fatal(format_args!("rax {:016x} rbx {:016x} rcx {:016x} rdx {:016x}", f.rax, f.rbx, f.rcx, f.rdx));
    log_fatal(format_args!("rsi {:016x} rdi {:016x} rbp {:016x} ss {:x}", f.rsi, f.rdi, f.rbp, f.ss));
    log_fatal(format_args!("r8  {r8:016x} r9  {r9:016x} r10 {r10:016x} r11 {r11:016x}"));
    log_fatal(format_args!("r12 {r12:016x} r13 {r13:016x} r14 {r14:016x} r15 {r15:016x}"));
    log_fatal(format_args!("cr2 {:016x} cr3 {:016x}", Cr2::read_raw(), cr3()));
    trace_line(frame.rip, frame.rip);
    // After an overflow the stack pointer is just below the stack: start at its lowest mapped page.
    let rsp = frame.rsp;
    let start = if memory::guarded_stack(rsp).is_some() { (rsp | (memory::PAGE_SIZE - 1)) + 1 } else { rsp };
    backtrace(start);
    power::after_panic()
}

/// A second failure while the first is being reported ends at once.
fn begin() {
    interrupts::disable();
    if DYING.swap(true, Ordering::AcqRel) {
        power::after_panic();
    }
}

fn cr3() -> u64 {
    Cr3::read().0.start_address().as_u64()
}

fn backtrace(rsp: u64) {
    let Some(stack) = memory::stack_around(rsp) else {
        return log_fatal(format_args!("no backtrace: {rsp:#x} is on no stack"));
    };
    let (mut lines, mut last, mut repeats) = (0, 0, 0);
    for word in (rsp.next_multiple_of(8)..stack.end).step_by(8) {
        // SAFETY: stack_around found the mapped stack this word lies on.
        let address = unsafe { (word as *const u64).read_volatile() };
        if !follows_call(address) {
            continue;
        }
        if address == last {
            repeats += 1;
            continue;
        }
        if repeats > 0 {
            log_fatal(format_args!("  ... {repeats} times more"));
        }
        if lines == BACKTRACE_LINES_MAX {
            return log_fatal(format_args!("  ..."));
        }
        // The call is what matters, and it may be the last instruction of its function.
        trace_line(address, address - 1);
        (lines, last, repeats) = (lines + 1, address, 0);
    }
}

/// Whether `address` is one a call could return to: in the text, after a near call (relative, or through a
/// register or memory).
fn follows_call(address: u64) -> bool {
    let text = memory::text();
    if !(text.start + 8..text.end).contains(&address) {
        return false;
    }
    // SAFETY: the eight bytes before an address in the text, which is mapped readable.
    let before = unsafe { ((address - 8) as *const [u8; 8]).read_unaligned() };
    let indirect = |len: usize| before[8 - len] == 0xff && before[9 - len] >> 3 & 7 == 2;
    before[3] == 0xe8 || [2, 3, 4, 6, 7].into_iter().any(indirect)
}

/// Prints `address`, by the name of the function that holds `inside`.
fn trace_line(address: u64, inside: u64) {
    match SYMBOLS.get().and_then(|table| table.lookup(inside)) {
        Some((name, offset)) => {
            let offset = offset + (address - inside);
            log_fatal(format_args!("  {address:08x} {name}+{offset:#x}"));
        }
        None => log_fatal(format_args!("  {address:08x}")),
    }
}
