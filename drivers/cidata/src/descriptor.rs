//! What a volume says of itself (ECMA-119, section 8): one block for each of its trees.

use crate::record::{Extent, Record};
use crate::{BLOCK_LEN, Names};

/// What each begins with, behind its kind; the last byte is a version.
pub(crate) const IDENTIFIER: [u8; 6] = *b"CD001\x01";
pub(crate) const PRIMARY: u8 = 1;
pub(crate) const SUPPLEMENTARY: u8 = 2;
pub(crate) const END: u8 = 255;

/// Where a descriptor has what counts.
pub(crate) const LABEL_AT: usize = 40;
pub(crate) const LABEL_LEN: usize = 32;
pub(crate) const ESCAPES_AT: usize = 88;
pub(crate) const BLOCK_LEN_AT: usize = 128;
pub(crate) const ROOT_AT: usize = 156;
/// UCS-2 of level 1, 2 and 3: the last is what is written.
pub(crate) const JOLIET_ESCAPES: [[u8; 3]; 3] = [*b"%/@", *b"%/C", *b"%/E"];

/// A tree of directories.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tree {
    pub(crate) names: Names,
    /// Where its root is.
    pub(crate) root: Extent,
    /// Sectors of one of its blocks.
    pub(crate) block_sectors: u64,
}

/// A descriptor.
pub(crate) enum Descriptor {
    /// The volume's own. Without a tree, it makes no sense.
    Primary {
        /// Whether it is labelled `cidata`, in whatever case.
        is_cidata: bool,
        tree: Option<Tree>,
    },
    /// Of the same files by other names.
    Joliet(Option<Tree>),
    /// Of something else.
    Other,
    /// There are no more.
    End,
}

impl Descriptor {
    /// Reads a block; `None` if it is no descriptor.
    pub(crate) fn parse(block: &[u8]) -> Option<Descriptor> {
        let block: &[u8; BLOCK_LEN] = block.first_chunk()?;
        if block[1..7] != IDENTIFIER {
            return None;
        }
        let tree = |names| {
            let block_len = usize::from(u16::from_le_bytes([block[BLOCK_LEN_AT], block[BLOCK_LEN_AT + 1]]));
            let is_known = block_len.is_power_of_two() && (512..=BLOCK_LEN).contains(&block_len);
            let root = Record::parse(&block[ROOT_AT..])?.extent;
            is_known.then_some(Tree { names, root, block_sectors: block_len as u64 / 512 })
        };
        let is_joliet = || JOLIET_ESCAPES.iter().any(|escape| block[ESCAPES_AT..].starts_with(escape));
        Some(match block[0] {
            PRIMARY => {
                let label = block[LABEL_AT..LABEL_AT + LABEL_LEN].trim_ascii_end();
                // Some tools end it as a string of C.
                let label = label.split(|byte| *byte == 0).next().unwrap_or_default();
                let is_cidata = label.eq_ignore_ascii_case(b"cidata");
                Descriptor::Primary { is_cidata, tree: tree(Names::Plain) }
            }
            SUPPLEMENTARY if is_joliet() => Descriptor::Joliet(tree(Names::Joliet)),
            END => Descriptor::End,
            _ => Descriptor::Other,
        })
    }
}
