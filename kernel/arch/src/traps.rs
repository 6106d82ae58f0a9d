//! Where every interrupt and exception arrives.

use x86_64::registers::control::Cr2;

use crate::{apic, descriptors, fatal, interrupts, memory};

/// The registers as the stub saved them.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct TrapFrame {
    /// r15, r14, r13, r12, r11, r10, r9, r8.
    pub high: [u64; 8],
    pub rbp: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub rcx: u64,
    pub rbx: u64,
    pub rax: u64,
    pub stub: u64,
    pub error: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

/// The first vector that is not an exception.
const EXCEPTIONS: u8 = 32;

/// Called by the stubs, on the vector's own stack, interrupts off.
#[unsafe(no_mangle)]
extern "C" fn trap_entry(frame: &TrapFrame) {
    let vector = descriptors::vector_of(frame.stub);
    if vector < EXCEPTIONS {
        exception(vector, frame);
    }
    if vector != interrupts::SPURIOUS {
        interrupts::mark(vector);
        apic::end_of_interrupt();
    }
}

fn exception(vector: u8, frame: &TrapFrame) -> ! {
    let address = Cr2::read_raw();
    let error = frame.error;
    match vector {
        14 | 8 if memory::guarded_stack(address).is_some() => {
            let stack = memory::guarded_stack(address).unwrap_or_default();
            fatal::exception(frame, format_args!("the {stack} stack overflowed (access at {address:#x})"))
        }
        14 => {
            let what = match error {
                error if error & 16 != 0 => "execution",
                error if error & 2 != 0 => "write",
                _ => "read",
            };
            let why = if error & 1 != 0 { "forbidden" } else { "unmapped" };
            fatal::exception(frame, format_args!("page fault: {what} at {address:#x}, which is {why}"))
        }
        _ => fatal::exception(
            frame,
            format_args!("exception {vector} ({}), error code {error:#x}", name(vector)),
        ),
    }
}

fn name(vector: u8) -> &'static str {
    match vector {
        0 => "division",
        1 => "debug",
        2 => "NMI",
        3 => "breakpoint",
        4 => "overflow",
        5 => "bound range",
        6 => "invalid opcode",
        7 => "no FPU",
        8 => "double fault",
        10 => "invalid TSS",
        11 => "segment not present",
        12 => "stack segment",
        13 => "general protection",
        16 => "x87",
        17 => "alignment",
        18 => "machine check",
        19 => "SIMD",
        _ => "reserved",
    }
}
