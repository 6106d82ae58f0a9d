//! Page tables.

use core::arch::x86_64::__cpuid;

use kernel_core::Region;
use x86_64::PhysAddr;
use x86_64::registers::control::{Cr3, Cr3Flags};
use x86_64::structures::paging::page_table::{PageTable, PageTableEntry};
use x86_64::structures::paging::{PageTableFlags as Flags, PhysFrame};

/// What may be done with a page. None is both writable and executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Tables and constants.
    Read,
    /// Code.
    ReadExecute,
    /// Data.
    ReadWrite,
    /// Device registers: read-write, uncached.
    Device,
}

impl Rights {
    fn flags(self) -> Flags {
        let base = Flags::PRESENT | Flags::GLOBAL | Flags::ACCESSED;
        match self {
            Rights::Read => base | Flags::NO_EXECUTE,
            Rights::ReadExecute => base,
            Rights::ReadWrite => base | Flags::NO_EXECUTE | Flags::WRITABLE | Flags::DIRTY,
            Rights::Device => {
                base | Flags::NO_EXECUTE
                    | Flags::WRITABLE
                    | Flags::DIRTY
                    | Flags::NO_CACHE
                    | Flags::WRITE_THROUGH
            }
        }
    }
}

/// A four-level tree. Physical addresses are reached by adding `window`: zero under the boot tables, the
/// direct map's start afterwards.
pub struct PageTables {
    root: u64,
    window: u64,
    /// Whether the processor has 1 GiB pages.
    huge: bool,
}

const PAGE_SIZES: [u64; 3] = [1 << 12, 1 << 21, 1 << 30];

impl PageTables {
    /// An empty tree whose frames come from `take` (physical addresses of unused pages).
    pub fn new(window: u64, take: &mut impl FnMut() -> u64) -> PageTables {
        let huge = __cpuid(0x8000_0000).eax >= 0x8000_0001 && __cpuid(0x8000_0001).edx & 1 << 26 != 0;
        let root = take();
        let mut tables = PageTables { root, window, huge };
        tables.clear(root);
        tables
    }

    /// Maps `region` (whole pages) from `virt` on, by the largest pages that fit. A page that is mapped
    /// already keeps its mapping.
    pub fn map(&mut self, virt: u64, region: Region, rights: Rights, take: &mut impl FnMut() -> u64) {
        let mut at = region.start;
        while at < region.end {
            let virt = virt + (at - region.start);
            let left = region.end - at;
            let level = (0..if self.huge { 3 } else { 2 })
                .rev()
                .find(|&level| {
                    let size = PAGE_SIZES[level];
                    at.is_multiple_of(size) && virt.is_multiple_of(size) && left >= size
                })
                .expect("regions are whole pages");
            at += self.map_page(virt, at, level, rights, take);
        }
    }

    /// Maps one page of size `PAGE_SIZES[level]`, or finds it mapped; returns how far it reaches.
    fn map_page(
        &mut self,
        virt: u64,
        physical: u64,
        level: usize,
        rights: Rights,
        take: &mut impl FnMut() -> u64,
    ) -> u64 {
        let mut table = self.root;
        for depth in (level + 1..4).rev() {
            let entry = self.entry(table, virt, depth);
            if entry.flags().contains(Flags::HUGE_PAGE) {
                let size = PAGE_SIZES[depth];
                return size - virt % size;
            }
            if entry.is_unused() {
                let frame = take();
                let flags = Flags::PRESENT | Flags::WRITABLE | Flags::ACCESSED;
                self.clear(frame);
                self.entry(table, virt, depth).set_addr(PhysAddr::new(frame), flags);
                table = frame;
            } else {
                table = entry.addr().as_u64();
            }
        }
        let entry = self.entry(table, virt, level);
        if entry.is_unused() {
            let size_flag = if level > 0 { Flags::HUGE_PAGE } else { Flags::empty() };
            entry.set_addr(PhysAddr::new(physical), rights.flags() | size_flag);
        } else if level > 0 && !entry.flags().contains(Flags::HUGE_PAGE) {
            // Smaller pages are mapped inside: fill the gaps one step further down.
            return self.map_page(virt, physical, level - 1, rights, take);
        }
        PAGE_SIZES[level]
    }

    /// Makes this tree the processor's; from now on it is reached through the direct map at `window`.
    pub fn activate(&mut self, window: u64) {
        let frame = PhysFrame::containing_address(PhysAddr::new(self.root));
        // SAFETY: the tree maps the running code, its data and the current stack as they were.
        unsafe { Cr3::write(frame, Cr3Flags::empty()) };
        self.window = window;
    }

    fn clear(&mut self, table: u64) {
        // SAFETY: `table` is an unused frame of RAM, writable at this address.
        unsafe { core::ptr::write_bytes((self.window + table) as *mut PageTable, 0, 1) };
    }

    fn entry(&mut self, table: u64, virt: u64, depth: usize) -> &mut PageTableEntry {
        let index = (virt >> (12 + 9 * depth)) as usize & 511;
        // SAFETY: `table` is a frame of this tree, writable at this address; &mut self keeps the
        // reference unique.
        let table = unsafe { &mut *((self.window + table) as *mut PageTable) };
        &mut table[index]
    }
}
