//! Device registers: a bounds-checked window of volatile memory.

use core::ptr::NonNull;

use crate::platform::PlatformRef;

/// Registers of a device, mapped for ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registers {
    base: NonNull<u8>,
    len: usize,
}

/// Register widths.
pub(crate) trait Width: Copy {}
impl Width for u8 {}
impl Width for u16 {}
impl Width for u32 {}

impl Registers {
    /// Maps `len` bytes at physical `address`, which must be registers and no RAM.
    pub fn map(platform: PlatformRef, address: u64, len: usize) -> Registers {
        Registers { base: platform.map_device(address, len as u64), len }
    }

    /// A window over leaked memory, for tests.
    #[cfg(test)]
    pub fn over(memory: &'static mut [u64]) -> Registers {
        Registers { len: size_of_val(memory), base: NonNull::from(memory).cast() }
    }

    /// The part from `offset` on.
    pub fn part(&self, offset: usize, len: usize) -> Option<Registers> {
        let end = offset.checked_add(len)?;
        // SAFETY: the offset lies within the window.
        (end <= self.len).then(|| Registers { base: unsafe { self.base.add(offset) }, len })
    }

    /// Where they are mapped.
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Reads the register at `offset`.
    pub fn read<T: Width>(&self, offset: usize) -> T {
        self.check::<T>(offset);
        // SAFETY: within the window, which is mapped for ever; aligned; T is an integer.
        unsafe { self.base.add(offset).cast::<T>().read_volatile() }
    }

    /// Writes the register at `offset`.
    pub fn write<T: Width>(&self, offset: usize, value: T) {
        self.check::<T>(offset);
        // SAFETY: as in read; registers are no memory of ours.
        unsafe { self.base.add(offset).cast::<T>().write_volatile(value) }
    }

    fn check<T: Width>(&self, offset: usize) {
        let size = size_of::<T>();
        assert!(offset + size <= self.len && offset.is_multiple_of(size), "no register at {offset:#x}");
    }
}
