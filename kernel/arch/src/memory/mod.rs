//! Memory: page tables of our own, all RAM mapped once, the rest of it given to the heap.
//!
//! ```text
//!   0                      never mapped (null)
//!   2 MiB ...              the kernel's image, at its physical address: text RX, rodata R, data RW
//!   DIRECT_MAP + p         physical address p: RAM (RW), device registers and ACPI tables on request.
//!                          The kernel's image is left out: text has no writable alias.
//! ```

mod heap;
mod paging;

use core::mem::size_of;

use kernel_core::handover::{RAM_REGIONS_MAX, RESERVED_MAX};
use kernel_core::{Handover, Region, RegionSet};
use spin::Mutex;

use crate::boot::BOOT_MAP_END;
use paging::{PageTables, Rights};

pub(crate) use heap::try_statistics;
pub use heap::{HeapStatistics, statistics};

/// Where the direct map begins: virtual = physical + this.
pub const DIRECT_MAP: u64 = 0xffff_8000_0000_0000;
/// The largest physical address the direct map has room for.
pub const PHYSICAL_LIMIT: u64 = 1 << 46;
/// Bytes in a page.
pub const PAGE_SIZE: u64 = 4096;
/// RAM below is left alone: firmware, and later the other cores' first instructions.
const LOW_MEMORY_END: u64 = 1 << 20;
/// The most pieces RAM is in once what is in use is taken out: each of those makes one more. The image and low
/// memory are two.
const REGIONS_MAX: usize = RAM_REGIONS_MAX + RESERVED_MAX + 2;

static TABLES: Mutex<Option<PageTables>> = Mutex::new(None);

unsafe extern "C" {
    static __image_start: u8;
    static __text_start: u8;
    static __text_end: u8;
    static __rodata_start: u8;
    static __rodata_end: u8;
    static __data_start: u8;
    static __stacks_start: u8;
    static __main_stack_top: u8;
    static __interrupt_stack_top: u8;
    static __exception_stack_top: u8;
    static __double_fault_stack_top: u8;
    static __nmi_stack_top: u8;
    static __machine_check_stack_top: u8;
    static __image_end: u8;
}

/// The address of a symbol of the linker script.
macro_rules! symbol {
    ($name:ident) => {
        (&raw const $name) as u64
    };
}

/// The stacks of the boot core: their tops.
pub(crate) struct Stacks {
    /// Where `kernel_main` runs.
    pub main: u64,
    /// One for each use of an IST entry: interrupts, exceptions, double fault, NMI, machine check.
    pub traps: [u64; 5],
}

/// Where the stacks of the boot core begin.
pub(crate) fn stacks() -> Stacks {
    Stacks {
        main: symbol!(__main_stack_top),
        traps: [
            symbol!(__interrupt_stack_top),
            symbol!(__exception_stack_top),
            symbol!(__double_fault_stack_top),
            symbol!(__nmi_stack_top),
            symbol!(__machine_check_stack_top),
        ],
    }
}

/// The guard page of each stack and the stack's name, lowest first.
fn guards() -> [(u64, &'static str); 6] {
    let stacks = stacks();
    [
        (symbol!(__stacks_start), "main"),
        (stacks.main, "interrupt"),
        (stacks.traps[0], "exception"),
        (stacks.traps[1], "double fault"),
        (stacks.traps[2], "NMI"),
        (stacks.traps[3], "machine check"),
    ]
}

/// The name of the stack whose guard page holds `address`.
pub(crate) fn guarded_stack(address: u64) -> Option<&'static str> {
    guards().iter().find(|(guard, _)| (*guard..*guard + PAGE_SIZE).contains(&address)).map(|(_, name)| *name)
}

/// The kernel's code.
pub(crate) fn text() -> Region {
    Region::new(symbol!(__text_start), symbol!(__text_end))
}

/// The stack that holds `address`, up to its top: what a backtrace may read.
pub(crate) fn stack_around(address: u64) -> Option<Region> {
    let guards = guards();
    let end = symbol!(__image_end);
    let tops = guards.iter().skip(1).map(|(guard, _)| *guard).chain([end]);
    let stacks = guards.iter().zip(tops).map(|((guard, _), top)| Region::new(guard + PAGE_SIZE, top));
    stacks.into_iter().find(|stack| (stack.start..stack.end).contains(&address))
}

/// Builds the kernel's page tables, switches to them and gives the free RAM to the heap. Call it once,
/// right after [`boot::read`](crate::boot::read).
pub fn init(handover: &Handover) {
    let image = Region::new(symbol!(__image_start), symbol!(__image_end)).grow_to(PAGE_SIZE);
    let mut free = RegionSet::<REGIONS_MAX>::new();
    for region in handover.ram.as_slice() {
        let usable = Region::new(region.start, region.end.min(PHYSICAL_LIMIT));
        free.insert(usable.shrink_to(PAGE_SIZE)).expect("as many regions as RAM has");
    }
    let mut mapped = free.clone();
    let reserved = handover.reserved().map(|region| region.grow_to(PAGE_SIZE));
    for region in reserved.chain([image, Region::new(0, LOW_MEMORY_END)]) {
        free.remove(region).expect("memory map of too many pieces");
    }
    mapped.remove(image).expect("memory map of too many pieces");

    let mut take = || free.take(PAGE_SIZE, PAGE_SIZE, BOOT_MAP_END).expect("no RAM for page tables");
    let mut tables = PageTables::new(0, &mut take);
    for region in mapped.as_slice() {
        tables.map(DIRECT_MAP + region.start, *region, Rights::ReadWrite, &mut take);
    }
    for region in handover.reserved().map(|region| region.grow_to(PAGE_SIZE)) {
        tables.map(DIRECT_MAP + region.start, region, Rights::Read, &mut take);
    }
    map_image(&mut tables, &mut take);
    tables.activate(DIRECT_MAP);
    *TABLES.lock() = Some(tables);

    // SAFETY: it is RAM that nothing else uses (image, modules and page tables were taken out), it is mapped
    // read-write in the direct map, and it is given away once.
    unsafe { heap::init(free) };
}

fn map_image(tables: &mut PageTables, take: &mut impl FnMut() -> u64) {
    let mut map = |start: u64, end: u64, rights| tables.map(start, Region::new(start, end), rights, take);
    map(symbol!(__text_start), symbol!(__text_end), Rights::ReadExecute);
    map(symbol!(__rodata_start), symbol!(__rodata_end), Rights::Read);
    map(symbol!(__data_start), symbol!(__stacks_start), Rights::ReadWrite);
    let guards = guards();
    for (index, (guard, _)) in guards.iter().enumerate() {
        let top = guards.get(index + 1).map_or(symbol!(__image_end), |(next, _)| *next);
        map(guard + PAGE_SIZE, top, Rights::ReadWrite);
    }
}

/// The physical address of a heap buffer.
///
/// Panics if `pointer` is not in the direct map: a device must never be given such an address.
pub fn physical(pointer: *const u8) -> u64 {
    let address = pointer as u64;
    assert!((DIRECT_MAP..DIRECT_MAP + PHYSICAL_LIMIT).contains(&address), "{address:#x} is not heap memory");
    address - DIRECT_MAP
}

/// Maps `region` of device registers, uncached, and returns where it is.
pub fn map_device(region: Region) -> *mut u8 {
    map_physical(region, Rights::Device)
}

/// Maps `region` of firmware tables, read-only, and returns where it is. RAM is mapped already.
pub fn map_table(region: Region) -> *const u8 {
    map_physical(region, Rights::Read)
}

fn map_physical(region: Region, rights: Rights) -> *mut u8 {
    assert!(region.end <= PHYSICAL_LIMIT && !region.is_empty(), "no such physical memory");
    let pages = region.grow_to(PAGE_SIZE);
    let mut tables = TABLES.lock();
    let tables = tables.as_mut().expect("memory::init comes first");
    tables.map(DIRECT_MAP + pages.start, pages, rights, &mut heap::page_table_frame);
    (DIRECT_MAP + region.start) as *mut u8
}

/// Reads a byte of RAM or of a boot module.
pub(crate) fn read_ram(address: u64) -> u8 {
    let pages = Region::sized(address, size_of::<u8>() as u64);
    // SAFETY: map_table makes the byte readable; u8 has no invalid values.
    unsafe { map_table(pages).read() }
}

/// A boot module's contents.
pub fn module_bytes(module: Region) -> &'static [u8] {
    if module.is_empty() {
        return &[];
    }
    // SAFETY: init mapped the modules read-only and kept them out of the heap, for ever.
    unsafe { core::slice::from_raw_parts(map_table(module), module.len() as usize) }
}
