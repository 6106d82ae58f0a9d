//! What a Multiboot2 loader hands over: a list of tags (Multiboot2 Specification 2.0, section 3.6).
//!
//! ```text
//!  0           4          8
//!  ┌───────────┬──────────┬──────┬──────┬──────────┬───────┬──────┬─────┐
//!  │ all bytes │ reserved │ type │ size │ contents │ 0 ... │ type │ ... │   little-endian; tags begin at multiples of 8
//!  └───────────┴──────────┴──────┴──────┴──────────┴───────┴──────┴─────┘
//!                         └──── size ───────────┘
//! ```

use core::fmt;

use crate::{Handover, Region};

/// What the loader leaves in register `eax`.
pub const LOADER_MAGIC: u32 = 0x36d7_6289;
/// Bytes before the first tag.
pub const HEAD_LEN: usize = 8;
/// Bytes that may be handed over, at most: loaders need some KiB.
const LEN_MAX: usize = 1 << 20;
const TAG_HEAD_LEN: usize = 8;

const TAG_END: u32 = 0;
const TAG_COMMAND_LINE: u32 = 1;
const TAG_MODULE: u32 = 3;
const TAG_MEMORY_MAP: u32 = 6;
const TAG_ACPI_OLD: u32 = 14;
const TAG_ACPI_NEW: u32 = 15;

/// Bytes of a memory map before its entries: how long each is, and a version.
const MAP_HEAD_LEN: usize = 8;
/// Bytes of an entry that have a meaning: start, length, type.
const MAP_ENTRY_LEN: usize = 20;
const TYPE_RAM: u32 = 1;

/// Why nothing is known of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Multiboot2Error {
    /// The length that is given cannot be.
    Length,
    /// A tag reaches beyond the end.
    Tag,
    /// There is no memory map.
    NoMemoryMap,
}

impl fmt::Display for Multiboot2Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Multiboot2Error::Length => "the loader's information has no length that can be",
            Multiboot2Error::Tag => "a tag of the loader's information reaches beyond its end",
            Multiboot2Error::NoMemoryMap => "the loader gave no memory map",
        })
    }
}

/// How many bytes are handed over, by the first [`HEAD_LEN`] of them.
pub fn len(head: [u8; HEAD_LEN]) -> Result<usize, Multiboot2Error> {
    let [a, b, c, d, ..] = head;
    let len = u32::from_le_bytes([a, b, c, d]) as usize;
    if (HEAD_LEN..=LEN_MAX).contains(&len) { Ok(len) } else { Err(Multiboot2Error::Length) }
}

/// Understands `bytes`, which are at physical address `address`: what is told of places in them is told as a place
/// in memory.
pub fn read(address: u64, bytes: &[u8]) -> Result<Handover, Multiboot2Error> {
    let information = Region::sized(address, bytes.len() as u64);
    let mut handover = Handover { information, ..Handover::default() };
    let mut has_map = false;
    let mut new_rsdp = None;
    let mut at = HEAD_LEN;
    while let Some((kind, contents)) = tag(bytes, at)? {
        let contents_at = address + (at + TAG_HEAD_LEN) as u64;
        match kind {
            TAG_COMMAND_LINE => {
                let len = contents.iter().position(|byte| *byte == 0).unwrap_or(contents.len());
                handover.command_line = Region::sized(contents_at, len as u64);
            }
            TAG_MODULE => {
                if let (Some(start), Some(end)) = (u32_at(contents, 0), u32_at(contents, 4)) {
                    // Modules beyond the most that are looked at are not.
                    let _ = handover.modules.push(Region::new(start.into(), end.into()));
                }
            }
            TAG_MEMORY_MAP => {
                has_map = true;
                for region in ram(contents) {
                    // A piece too many is memory that stays unused.
                    let _ = handover.ram.insert(region);
                }
            }
            TAG_ACPI_OLD => handover.rsdp = Some(contents_at),
            TAG_ACPI_NEW => new_rsdp = Some(contents_at),
            _ => {}
        }
        at = (at + TAG_HEAD_LEN + contents.len()).next_multiple_of(8);
    }
    handover.rsdp = new_rsdp.or(handover.rsdp);
    if has_map { Ok(handover) } else { Err(Multiboot2Error::NoMemoryMap) }
}

/// The tag at `at`: its type and its contents; none at the end.
fn tag(bytes: &[u8], at: usize) -> Result<Option<(u32, &[u8])>, Multiboot2Error> {
    let head = u32_at(bytes, at).zip(u32_at(bytes, at + 4));
    let (kind, size) = match head {
        // Some loaders do not write the last tag.
        None if at >= bytes.len() => return Ok(None),
        None => return Err(Multiboot2Error::Tag),
        Some((kind, size)) => (kind, size as usize),
    };
    if kind == TAG_END {
        return Ok(None);
    }
    let contents = at.checked_add(size).and_then(|end| bytes.get(at + TAG_HEAD_LEN..end));
    contents.map(|contents| Some((kind, contents))).ok_or(Multiboot2Error::Tag)
}

/// The RAM among the entries of a memory map.
fn ram(contents: &[u8]) -> impl Iterator<Item = Region> {
    let entry_len = u32_at(contents, 0).map_or(0, |len| len as usize);
    let entries = contents.get(MAP_HEAD_LEN..).filter(|_| entry_len >= MAP_ENTRY_LEN).unwrap_or(&[]);
    let entries = entries.chunks_exact(entry_len.max(MAP_ENTRY_LEN));
    entries.filter_map(|entry| {
        let is_ram = u32_at(entry, 16) == Some(TYPE_RAM);
        let region = Region::sized(u64_at(entry, 0)?, u64_at(entry, 8)?);
        is_ram.then_some(region)
    })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const ADDRESS: u64 = 0x7000_0000;

    /// What a loader writes that has these tags to tell.
    fn written(tags: &[(u32, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = alloc::vec![0; HEAD_LEN];
        for (kind, contents) in tags {
            bytes.extend(kind.to_le_bytes());
            bytes.extend(((contents.len() + TAG_HEAD_LEN) as u32).to_le_bytes());
            bytes.extend(contents);
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        bytes.extend([0, 0, 0, 0, 8, 0, 0, 0]);
        let len = bytes.len() as u32;
        bytes[..4].copy_from_slice(&len.to_le_bytes());
        bytes
    }

    fn map(entries: &[(u64, u64, u32)]) -> Vec<u8> {
        let mut bytes = Vec::from([24, 0, 0, 0, 0, 0, 0, 0]);
        for (start, len, kind) in entries {
            bytes.extend(start.to_le_bytes());
            bytes.extend(len.to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend([0; 4]);
        }
        bytes
    }

    fn module(start: u32, end: u32) -> Vec<u8> {
        [&start.to_le_bytes()[..], &end.to_le_bytes(), b"symbols\0"].concat()
    }

    #[test]
    fn what_grub_tells_is_understood() {
        let entries =
            [(0, 0x9_fc00, 1), (0xf_0000, 0x1_0000, 2), (0x10_0000, 0x700_0000, 1), (0x8000_0000, 9, 3)];
        let bytes = written(&[
            (TAG_COMMAND_LINE, b"relix.node=1 relix.size=3\0".to_vec()),
            (2, b"GRUB 2.06\0".to_vec()),
            (TAG_MODULE, module(0x200_0000, 0x210_0123)),
            (TAG_ACPI_NEW, b"RSD PTR new".to_vec()),
            (TAG_ACPI_OLD, b"RSD PTR old".to_vec()),
            (TAG_MEMORY_MAP, map(&entries)),
        ]);
        assert_eq!(len(*bytes.first_chunk().expect("a head")), Ok(bytes.len()));
        let handover = read(ADDRESS, &bytes).expect("it is whole");
        let of = |region: Region| &bytes[(region.start - ADDRESS) as usize..(region.end - ADDRESS) as usize];
        assert_eq!(of(handover.command_line), b"relix.node=1 relix.size=3");
        assert_eq!(handover.symbols(), Some(Region::new(0x200_0000, 0x210_0123)));
        let rsdp = handover.rsdp.expect("there are two");
        assert_eq!(of(Region::sized(rsdp, 11)), b"RSD PTR new");
        let ram = [Region::new(0, 0x9_fc00), Region::new(0x10_0000, 0x710_0000)];
        assert_eq!(handover.ram.as_slice(), ram);
        assert!(handover.reserved().any(|region| region == Region::sized(ADDRESS, bytes.len() as u64)));
    }

    #[test]
    fn an_old_table_is_taken_where_there_is_no_new_one() {
        let bytes = written(&[(TAG_ACPI_OLD, b"RSD PTR ".to_vec()), (TAG_MEMORY_MAP, map(&[]))]);
        assert_eq!(read(0, &bytes).expect("it is whole").rsdp, Some((HEAD_LEN + TAG_HEAD_LEN) as u64));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert_eq!(len([7, 0, 0, 0, 0, 0, 0, 0]), Err(Multiboot2Error::Length));
        assert_eq!(len([0xff; HEAD_LEN]), Err(Multiboot2Error::Length));
        assert_eq!(read(0, &written(&[])).err(), Some(Multiboot2Error::NoMemoryMap));
        let bytes = written(&[(TAG_MEMORY_MAP, map(&[(0, 1 << 20, 1)]))]);
        assert_eq!(read(0, &bytes[..bytes.len() - 20]).err(), Some(Multiboot2Error::Tag));
        let modules: Vec<_> = (0..20).map(|at| (TAG_MODULE, module(at, at + 1))).collect();
        let bytes = written(&[modules, Vec::from([(TAG_MEMORY_MAP, map(&[]))])].concat());
        assert_eq!(read(0, &bytes).expect("it is whole").modules.len(), crate::handover::MODULES_MAX);
    }

    proptest! {
        /// Any bytes give something or an error, and no place outside of them.
        #[test]
        fn any_bytes_are_survived(
            bytes in prop::collection::vec(any::<u8>(), 0..256),
            tags in prop::collection::vec((0u32..20, prop::collection::vec(any::<u8>(), 0..64)), 0..8),
        ) {
            let _ = read(ADDRESS, &bytes);
            let bytes = written(&tags);
            if let Ok(handover) = read(ADDRESS, &bytes) {
                let end = ADDRESS + bytes.len() as u64;
                prop_assert!(handover.command_line.is_empty() || (ADDRESS..end).contains(&handover.command_line.start));
                prop_assert!(handover.command_line.is_empty() || handover.command_line.end <= end);
                prop_assert!(handover.rsdp.is_none_or(|at| (ADDRESS..=end).contains(&at)));
            }
        }
    }
}
