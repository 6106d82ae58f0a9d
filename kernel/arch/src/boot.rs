//! What the loader hands over: the PVH start info.

use alloc::string::String;
use alloc::vec::Vec;
use core::mem::size_of;

use kernel_core::{Region, RegionSet};

/// The most pieces the machine's memory may come in.
pub const REGIONS_MAX: usize = 64;
/// The most boot modules that are looked at.
pub const MODULES_MAX: usize = 8;

const START_MAGIC: u32 = 0x336e_c578;
const TYPE_RAM: u32 = 1;
/// The boot page tables map this much, so the start info must lie below.
const BOOT_MAP_END: u64 = 1 << 30;

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

/// The loader's hand-over, copied out of its memory.
pub struct BootInfo {
    /// All RAM.
    pub ram: RegionSet<REGIONS_MAX>,
    /// The boot modules' places, in order.
    pub modules: [Region; MODULES_MAX],
    /// How many of them there are.
    pub module_count: usize,
    /// Where the ACPI tables start, if the loader knows.
    pub rsdp: Option<u64>,
    command_line: Region,
}

impl BootInfo {
    /// Reads the start info at physical address `start_info`. Call it first, while the boot page tables
    /// are active.
    ///
    /// Panics if it is not a PVH start info: then nothing about the machine is known.
    pub fn read(start_info: u32) -> BootInfo {
        let info: StartInfo = read_physical(u64::from(start_info));
        assert_eq!(info.magic, START_MAGIC, "not started by the PVH protocol");
        assert!(info.version >= 1 && info.memory_map_entries > 0, "the loader gave no memory map");
        let mut ram = RegionSet::new();
        for index in 0..u64::from(info.memory_map_entries) {
            let at = info.memory_map + index * size_of::<MemoryMapEntry>() as u64;
            let entry: MemoryMapEntry = read_physical(at);
            if entry.kind == TYPE_RAM {
                ram.insert(Region::sized(entry.address, entry.size)).expect("memory map of too many pieces");
            }
        }
        let mut modules = [Region::default(); MODULES_MAX];
        let module_count = MODULES_MAX.min(info.module_count as usize);
        for (index, module) in modules.iter_mut().enumerate().take(module_count) {
            let entry: Module = read_physical(info.modules + (index * size_of::<Module>()) as u64);
            *module = Region::sized(entry.address, entry.size);
        }
        let length = (0..4096).take_while(|&at| read_physical::<u8>(info.command_line + at) != 0).count();
        let length = if info.command_line == 0 { 0 } else { length as u64 };
        BootInfo {
            ram,
            modules,
            module_count,
            rsdp: (info.rsdp != 0).then_some(info.rsdp),
            command_line: Region::sized(info.command_line, length),
        }
    }

    /// The command line. Needs the heap.
    pub fn command_line(&self) -> String {
        let bytes: Vec<u8> =
            (self.command_line.start..self.command_line.end).map(super::memory::read_ram).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The memory that holds what the loader left and the kernel still reads.
    pub fn reserved(&self) -> impl Iterator<Item = Region> {
        self.modules.iter().copied().take(self.module_count).chain([self.command_line])
    }

    /// The first module: the symbol table, by convention.
    pub fn symbols(&self) -> Option<Region> {
        self.modules.first().copied().filter(|_| self.module_count > 0)
    }
}

/// Reads a `T` of plain integers through the identity map of the boot page tables.
fn read_physical<T: Copy>(address: u64) -> T {
    assert!(address + size_of::<T>() as u64 <= BOOT_MAP_END, "boot data at {address:#x} is out of reach");
    // SAFETY: the boot page tables map the first GiB at its physical address, readable; T is one of the
    // plain structures above, for which every bit pattern is a value.
    unsafe { core::ptr::read_unaligned(address as *const T) }
}
