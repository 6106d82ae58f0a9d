//! GDT, TSS and IDT of the boot core: every vector enters on a stack of its own.

use spin::Once;
use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::instructions::tables::{lidt, load_tss};
use x86_64::structures::DescriptorTablePointer;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable, SegmentSelector};
use x86_64::structures::tss::TaskStateSegment;

use crate::memory;

/// The IST entries, as the gates count them (from 1), in the order of [`memory::stacks`].
const IST_INTERRUPT: u64 = 1;
const IST_EXCEPTION: u64 = 2;
const IST_DOUBLE_FAULT: u64 = 3;
const IST_NMI: u64 = 4;
const IST_MACHINE_CHECK: u64 = 5;

const VECTORS: usize = 256;
const STUB_LEN: u64 = 16;

static TSS: Once<TaskStateSegment> = Once::new();
static GDT: Once<(GlobalDescriptorTable, SegmentSelector, SegmentSelector, SegmentSelector)> = Once::new();
static IDT: Once<[[u64; 2]; VECTORS]> = Once::new();

unsafe extern "C" {
    static trap_stubs: u8;
}

/// The address of the first stub.
pub(crate) fn stubs() -> u64 {
    (&raw const trap_stubs) as u64
}

/// The vector whose stub pushed `return_address`.
pub(crate) fn vector_of(return_address: u64) -> u8 {
    (return_address.wrapping_sub(stubs()) / STUB_LEN) as u8
}

/// Loads the tables on the running core. Call it once, after [`memory::init`].
pub fn init() {
    let tss = TSS.call_once(|| {
        let mut tss = TaskStateSegment::new();
        let mut stacks = [VirtAddr::zero(); 7];
        for (slot, top) in stacks.iter_mut().zip(memory::stacks().traps) {
            *slot = VirtAddr::new(top);
        }
        tss.interrupt_stack_table = stacks;
        tss
    });
    let (gdt, code, data, task) = GDT.call_once(|| {
        let mut gdt = GlobalDescriptorTable::new();
        let code = gdt.append(Descriptor::kernel_code_segment());
        let data = gdt.append(Descriptor::kernel_data_segment());
        let task = gdt.append(Descriptor::tss_segment(tss));
        (gdt, code, data, task)
    });
    gdt.load();
    // SAFETY: the selectors are of the table just loaded: flat 64-bit code, flat data, the TSS.
    unsafe {
        CS::set_reg(*code);
        DS::set_reg(*data);
        ES::set_reg(*data);
        SS::set_reg(*data);
        load_tss(*task);
    }
    let idt = IDT.call_once(|| {
        let mut gates = [[0; 2]; VECTORS];
        for (vector, gate) in gates.iter_mut().enumerate() {
            *gate = interrupt_gate(stubs() + STUB_LEN * vector as u64, *code, stack_of(vector));
        }
        gates
    });
    let pointer =
        DescriptorTablePointer { limit: (size_of_val(idt) - 1) as u16, base: VirtAddr::from_ptr(idt) };
    // SAFETY: the table is a static of 256 valid gates.
    unsafe { lidt(&pointer) };
}

fn stack_of(vector: usize) -> u64 {
    match vector {
        2 => IST_NMI,
        8 => IST_DOUBLE_FAULT,
        18 => IST_MACHINE_CHECK,
        0..32 => IST_EXCEPTION,
        _ => IST_INTERRUPT,
    }
}

/// A present 64-bit interrupt gate (interrupts off on entry) to `handler` on IST entry `stack`.
fn interrupt_gate(handler: u64, code: SegmentSelector, stack: u64) -> [u64; 2] {
    const PRESENT_INTERRUPT_GATE: u64 = 0x8e00;
    let low = (handler & 0xffff)
        | u64::from(code.0) << 16
        | stack << 32
        | PRESENT_INTERRUPT_GATE << 32
        | (handler >> 16 & 0xffff) << 48;
    [low, handler >> 32]
}
