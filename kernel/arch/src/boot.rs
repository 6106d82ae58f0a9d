//! What the loader hands over: the PVH start info of QEMU's `-kernel`, or the tags of a Multiboot2 loader, as GRUB.

use alloc::string::String;
use alloc::vec::Vec;
use core::mem::size_of;

use kernel_core::multiboot2::{self, LOADER_MAGIC};
use kernel_core::{Handover, Region};

const START_MAGIC: u32 = 0x336e_c578;
const TYPE_RAM: u32 = 1;
/// The boot page tables map this much: what is handed over must lie below, and so must the first tables of the kernel's own.
pub(crate) const BOOT_MAP_END: u64 = 1 << 32;
/// The most bytes of a command line that are read.
const COMMAND_LINE_LEN_MAX: u64 = 4096;

/// `struct hvm_start_info`, version 1.
#[repr(C)]
#[derive(Clone, Copy)]
struct StartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    module_count: u32,
    modules: u64,
    command_line: u64,
    rsdp: u64,
    memory_map: u64,
    memory_map_entries: u32,
    reserved: u32,
}

/// `struct hvm_modlist_entry`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Module {
    address: u64,
    size: u64,
    command_line: u64,
    reserved: u64,
}

/// `struct hvm_memmap_table_entry`.
#[repr(C)]
#[derive(Clone, Copy)]
struct MemoryMapEntry {
    address: u64,
    size: u64,
    kind: u32,
    reserved: u32,
}

/// Reads what is handed over at physical address `address`, by the protocol that `magic` tells. Call it first, while
/// the boot page tables are active.
///
/// Panics if it is nothing of the kind: then nothing about the machine is known.
pub fn read(address: u32, magic: u32) -> Handover {
    match magic {
        LOADER_MAGIC => read_multiboot2(address.into()),
        _ => read_pvh(address.into()),
    }
}

fn read_multiboot2(address: u64) -> Handover {
    let len = multiboot2::len(read_physical(address));
    let handover = len.and_then(|len| {
        assert!(address + len as u64 <= BOOT_MAP_END, "boot data at {address:#x} is out of reach");
        // SAFETY: the boot page tables map it at its physical address, readable, and nobody writes it.
        let bytes = unsafe { core::slice::from_raw_parts(address as *const u8, len) };
        multiboot2::read(address, bytes)
    });
    handover.unwrap_or_else(|error| panic!("{error}"))
}

fn read_pvh(start_info: u64) -> Handover {
    let info: StartInfo = read_physical(start_info);
    assert_eq!(info.magic, START_MAGIC, "started neither by PVH nor by Multiboot2");
    assert!(info.version >= 1 && info.memory_map_entries > 0, "the loader gave no memory map");
    let mut handover = Handover::default();
    for index in 0..u64::from(info.memory_map_entries) {
        let entry: MemoryMapEntry =
            read_physical(info.memory_map + index * size_of::<MemoryMapEntry>() as u64);
        if entry.kind == TYPE_RAM {
            // A piece too many is memory that stays unused.
            let _ = handover.ram.insert(Region::sized(entry.address, entry.size));
        }
    }
    for index in 0..u64::from(info.module_count) {
        let module: Module = read_physical(info.modules + index * size_of::<Module>() as u64);
        if handover.modules.push(Region::sized(module.address, module.size)).is_err() {
            break;
        }
    }
    if info.command_line != 0 {
        let is_text = |at: &u64| read_physical::<u8>(info.command_line + at) != 0;
        let len = (0..COMMAND_LINE_LEN_MAX).take_while(is_text).count();
        handover.command_line = Region::sized(info.command_line, len as u64);
    }
    handover.rsdp = (info.rsdp != 0).then_some(info.rsdp);
    handover
}

/// The command line. Needs the heap.
pub fn command_line(handover: &Handover) -> String {
    let Region { start, end } = handover.command_line;
    let bytes: Vec<u8> = (start..end).map(super::memory::read_ram).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads a `T` of plain integers through the identity map of the boot page tables.
fn read_physical<T: Copy>(address: u64) -> T {
    assert!(address + size_of::<T>() as u64 <= BOOT_MAP_END, "boot data at {address:#x} is out of reach");
    // SAFETY: the boot page tables map the first 4 GiB at their physical addresses, readable; T is an integer, an array
    // of bytes or one of the plain structures above, for which every bit pattern is a value.
    unsafe { core::ptr::read_unaligned(address as *const T) }
}
