//! Finding the settings of a disk, if it is a config drive.
//!
//! ```text
//!  DESCRIPTORS from block 16 on ──► DIRECTORY of the primary tree ──► DIRECTORY of Joliet's ──► FILE ──► done
//!    │ none, or another label          └────────── it has the file ──────────────────────────────▲
//!    └──► done: no config drive
//! ```

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::Range;

use drivers_api::SECTOR_SIZE;

use crate::descriptor::{Descriptor, Tree};
use crate::record::{Extent, find_user_data};
use crate::{BLOCK_LEN, CidataError, DESCRIPTORS_START, Names};

/// Where descriptors that nobody ends are given up.
const DESCRIPTORS_END: u64 = DESCRIPTORS_START + 16;
const BLOCK_SECTORS: u64 = (BLOCK_LEN / SECTOR_SIZE) as u64;
/// The longest directory that is read, in bytes: some hundred files.
const DIRECTORY_LEN_MAX: usize = 64 << 10;

enum Step {
    /// A descriptor is to be read.
    Descriptor { block: u64 },
    /// A tree's root is to be read.
    Directory { tree: Tree, sectors: Range<u64> },
    /// The file is to be read.
    File { len: usize, sectors: Range<u64> },
    /// All is known.
    Done(Option<Vec<u8>>),
}

/// The search: say what is wanted, take what was read, until nothing is wanted any more.
pub struct Search {
    sectors: u64,
    len_max: usize,
    /// Trees that have not been looked into. Empty as long as no volume is known to be there.
    trees: VecDeque<Tree>,
    step: Result<Step, CidataError>,
}

impl Search {
    /// On a disk of so many sectors, for a file of at most `len_max` bytes.
    pub fn new(sectors: u64, len_max: usize) -> Search {
        let step = match sectors < (DESCRIPTORS_START + 1) * BLOCK_SECTORS {
            true => Step::Done(None),
            false => Step::Descriptor { block: DESCRIPTORS_START },
        };
        Search { sectors, len_max, trees: VecDeque::new(), step: Ok(step) }
    }

    /// The sectors that are to be read next, within the disk: at least one, at most 128, unless the file may be longer than
    /// that. `None` when all is known.
    pub fn wanted(&self) -> Option<Range<u64>> {
        match self.step.as_ref().ok()? {
            Step::Descriptor { block } => Some(block * BLOCK_SECTORS..(block + 1) * BLOCK_SECTORS),
            Step::Directory { sectors, .. } | Step::File { sectors, .. } => Some(sectors.clone()),
            Step::Done(_) => None,
        }
    }

    /// What was wanted: `bytes` are those sectors, or `None` if they cannot be read.
    pub fn arrived(&mut self, bytes: Option<&[u8]>) {
        let Some(wanted) = self.wanted() else { return };
        let len = (wanted.end - wanted.start) as usize * SECTOR_SIZE;
        let bytes =
            bytes.filter(|bytes| bytes.len() == len).ok_or(CidataError::Unreadable { sector: wanted.start });
        let step = core::mem::replace(&mut self.step, Ok(Step::Done(None)));
        self.step = step.and_then(|step| self.after(step, bytes));
    }

    /// What follows a step whose bytes have arrived, or cannot be read.
    fn after(&mut self, step: Step, bytes: Result<&[u8], CidataError>) -> Result<Step, CidataError> {
        match step {
            // Who knows what it is: not for us to say.
            Step::Descriptor { block: DESCRIPTORS_START } if bytes.is_err() => Ok(Step::Done(None)),
            Step::Descriptor { block } => self.after_descriptor(block, Descriptor::parse(bytes?)),
            Step::Directory { tree, .. } => match find_user_data(bytes?, tree.names)? {
                Some(extent) => self.file(&tree, extent),
                None => self.next_directory(),
            },
            Step::File { len, .. } => {
                Ok(Step::Done(Some(bytes?.get(..len).ok_or(CidataError::Damaged)?.to_vec())))
            }
            Step::Done(_) => Ok(step),
        }
    }

    fn after_descriptor(&mut self, block: u64, found: Option<Descriptor>) -> Result<Step, CidataError> {
        match (block, found) {
            (DESCRIPTORS_START, Some(Descriptor::Primary { is_cidata: true, tree })) => {
                self.trees.push_back(tree.ok_or(CidataError::Damaged)?);
            }
            (DESCRIPTORS_START, _) => return Ok(Step::Done(None)),
            (_, Some(Descriptor::End)) => return self.next_directory(),
            (_, Some(Descriptor::Joliet(tree))) => self.trees.push_back(tree.ok_or(CidataError::Damaged)?),
            (_, Some(_)) => {}
            (_, None) => return Err(CidataError::Damaged),
        }
        let block = block + 1;
        match block < DESCRIPTORS_END && (block + 1) * BLOCK_SECTORS <= self.sectors {
            true => Ok(Step::Descriptor { block }),
            false => Err(CidataError::Damaged),
        }
    }

    /// The primary tree comes first: most tools write no other.
    fn next_directory(&mut self) -> Result<Step, CidataError> {
        let tree = self.trees.pop_front().ok_or(CidataError::NoUserData)?;
        if tree.names == Names::Joliet {
            // One of each is enough.
            self.trees.clear();
        }
        match tree.root.len as usize {
            1..=DIRECTORY_LEN_MAX => {
                Ok(Step::Directory { tree, sectors: self.sectors_of(&tree, tree.root)? })
            }
            _ => Err(CidataError::Damaged),
        }
    }

    fn file(&self, tree: &Tree, extent: Extent) -> Result<Step, CidataError> {
        let len = extent.len as usize;
        if len > self.len_max {
            return Err(CidataError::TooLong { len: extent.len, most: self.len_max });
        }
        match len {
            // Nowhere, as a rule.
            0 => Ok(Step::Done(Some(Vec::new()))),
            _ => Ok(Step::File { len, sectors: self.sectors_of(tree, extent)? }),
        }
    }

    /// Where it lies, if it is on the disk.
    fn sectors_of(&self, tree: &Tree, extent: Extent) -> Result<Range<u64>, CidataError> {
        let first = extent.block * tree.block_sectors;
        let end = first + u64::from(extent.len).div_ceil(SECTOR_SIZE as u64);
        (end <= self.sectors).then_some(first..end).ok_or(CidataError::Damaged)
    }

    /// The bytes of `user-data`; `None` if the disk is no config drive. Once nothing is wanted any more.
    pub fn finish(self) -> Result<Option<Vec<u8>>, CidataError> {
        match self.step? {
            Step::Done(found) => Ok(found),
            _ => Ok(None),
        }
    }
}
