//! The symbol table a backtrace is read with: written by the host from the linked kernel, handed to it as
//! the first boot module.
//!
//! ```text
//!   "RLXSYM01" | count: u32 | base: u64 | count x (offset: u32, name: u32) | names
//!                                             from base    from names      u16 length, UTF-8
//! ```
//!
//! Little endian throughout; entries ascend by offset; a symbol reaches to the next one. Nothing read is
//! trusted: a damaged table yields no name, never a fault.

use alloc::vec::Vec;

const MAGIC: &[u8; 8] = b"RLXSYM01";
const HEADER_LEN: usize = 8 + 4 + 8;
const ENTRY_LEN: usize = 8;
/// Longer names are cut: a backtrace line is to be read.
const NAME_LEN_MAX: usize = 160;

/// Encodes `symbols` (address, name; any order, names already demangled) into the table's format. Symbols
/// further than 4 GiB from the lowest are left out, as is all but the first name of one address.
pub fn encode<'a>(symbols: impl IntoIterator<Item = (u64, &'a str)>) -> Vec<u8> {
    let mut sorted: Vec<(u64, &str)> = symbols.into_iter().collect();
    sorted.sort_by_key(|&(address, _)| address);
    sorted.dedup_by_key(|&mut (address, _)| address);
    let base = sorted.first().map_or(0, |&(address, _)| address);
    sorted.retain(|&(address, _)| address - base <= u64::from(u32::MAX));

    let mut entries = Vec::with_capacity(sorted.len() * ENTRY_LEN);
    let mut names: Vec<u8> = Vec::new();
    for &(address, name) in &sorted {
        let name = &name[..name.floor_char_boundary(NAME_LEN_MAX)];
        entries.extend_from_slice(&((address - base) as u32).to_le_bytes());
        entries.extend_from_slice(&(names.len() as u32).to_le_bytes());
        names.extend_from_slice(&(name.len() as u16).to_le_bytes());
        names.extend_from_slice(name.as_bytes());
    }
    let mut table = Vec::with_capacity(HEADER_LEN + entries.len() + names.len());
    table.extend_from_slice(MAGIC);
    table.extend_from_slice(&(sorted.len() as u32).to_le_bytes());
    table.extend_from_slice(&base.to_le_bytes());
    table.extend_from_slice(&entries);
    table.extend_from_slice(&names);
    table
}

/// A checked view of an encoded table.
#[derive(Clone, Copy, Debug)]
pub struct SymbolTable<'a> {
    base: u64,
    entries: &'a [[u8; ENTRY_LEN]],
    names: &'a [u8],
}

impl<'a> SymbolTable<'a> {
    /// A view of `bytes`, if they begin like a table and hold as many entries as they say.
    pub fn parse(bytes: &'a [u8]) -> Option<SymbolTable<'a>> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (count, rest) = rest.split_first_chunk::<4>()?;
        let (base, rest) = rest.split_first_chunk::<8>()?;
        let (entries, names) =
            rest.split_at_checked((u32::from_le_bytes(*count) as usize).checked_mul(ENTRY_LEN)?)?;
        let (entries, _) = entries.as_chunks();
        Some(SymbolTable { base: u64::from_le_bytes(*base), entries, names })
    }

    /// Symbols in it.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it names nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The symbol that `address` lies in, and how far in.
    pub fn lookup(&self, address: u64) -> Option<(&'a str, u64)> {
        let wanted = address.checked_sub(self.base)?;
        let after = self.entries.partition_point(|entry| offset_of(entry) <= wanted);
        let entry = self.entries.get(after.checked_sub(1)?)?;
        let at = u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]) as usize;
        let (len, text) = self.names.get(at..)?.split_first_chunk::<2>()?;
        let name = text.get(..usize::from(u16::from_le_bytes(*len)))?;
        Some((core::str::from_utf8(name).ok()?, wanted - offset_of(entry)))
    }
}

fn offset_of(entry: &[u8; ENTRY_LEN]) -> u64 {
    u64::from(u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use proptest::prelude::*;

    #[test]
    fn looks_up_what_was_encoded() {
        let bytes = encode([(0x3000, "c"), (0x1000, "a"), (0x2000, "b"), (0x2000, "alias")]);
        let table = SymbolTable::parse(&bytes).unwrap();
        assert_eq!(table.len(), 3);
        assert_eq!(table.lookup(0xfff), None);
        assert_eq!(table.lookup(0x1000), Some(("a", 0)));
        assert_eq!(table.lookup(0x2fff), Some(("b", 0xfff)));
        assert_eq!(table.lookup(0x9000), Some(("c", 0x6000)));
        assert!(SymbolTable::parse(&encode([])).unwrap().lookup(1).is_none());
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let name: String = "\u{e9}".repeat(NAME_LEN_MAX);
        let bytes = encode([(1, name.as_str())]);
        assert_eq!(SymbolTable::parse(&bytes).unwrap().lookup(1).unwrap().0.len(), NAME_LEN_MAX);
    }

    proptest! {
        #[test]
        fn damage_is_harmless(at in 0usize..64, value: u8, cut in 0usize..64, address: u64) {
            let mut bytes = encode([(0x1000, "first"), (0x2000, "second")]);
            let len = bytes.len();
            bytes[at % len] = value;
            if let Some(table) = SymbolTable::parse(&bytes[..cut.min(len)]) {
                let _ = table.lookup(address);
                let _ = table.lookup(0x1800);
            }
        }
    }
}
