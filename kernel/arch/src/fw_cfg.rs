//! QEMU's firmware configuration device, by its ports.

use alloc::vec;
use alloc::vec::Vec;

use kernel_core::fw_cfg::{ENTRY_LEN, FILES_MAX, ITEM_DIRECTORY, ITEM_SIGNATURE, SIGNATURE, file};
use x86_64::instructions::port::Port;

/// Takes the item that is to be read.
const SELECTOR: u16 = 0x510;
/// Gives the item's bytes, one after the other.
const DATA: u16 = 0x511;

/// The file called `name`, or what it has beyond `len_max` bytes left out: one byte more than that, then. `None` where
/// there is no such file, or no such device.
pub fn read(name: &str, len_max: usize) -> Option<Vec<u8>> {
    if select(ITEM_SIGNATURE).take() != SIGNATURE {
        return None;
    }
    let mut directory = select(ITEM_DIRECTORY);
    let count = u32::from_be_bytes(directory.take());
    let mut entries = (0..count.min(FILES_MAX)).map(|_| directory.take::<ENTRY_LEN>());
    let found = entries.find_map(|entry| file(&entry, name))?;
    let mut bytes = vec![0; (found.len as usize).min(len_max + 1)];
    select(found.item).fill(&mut bytes);
    Some(bytes)
}

/// An item that is being read.
struct Item(Port<u8>);

fn select(item: u16) -> Item {
    // SAFETY: the device's selector, which touches no memory; where there is no such device, nothing takes it.
    unsafe { Port::new(SELECTOR).write(item) };
    Item(Port::new(DATA))
}

impl Item {
    fn fill(&mut self, bytes: &mut [u8]) {
        // SAFETY: the device's data, whose reading touches no memory; all ones where there is no such device.
        bytes.iter_mut().for_each(|byte| *byte = unsafe { self.0.read() });
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}
