//! A config drive of one's own: two trees of the same two files, the same bytes from the same files.
//!
//! ```text
//!  block 16   17      18   19 20   21 22   23         24         25          ..
//!  primary    Joliet  end  primary Joliet  primary    Joliet     meta-data   user-data
//!  descriptor descr.       path tables     directory  directory
//! ```

use alloc::vec;
use alloc::vec::Vec;

use crate::descriptor::{
    BLOCK_LEN_AT, END, ESCAPES_AT, IDENTIFIER, JOLIET_ESCAPES, LABEL_AT, LABEL_LEN, PRIMARY, ROOT_AT,
    SUPPLEMENTARY,
};
use crate::record::HEAD_LEN;
use crate::{BLOCK_LEN, DESCRIPTORS_START, Names};

const LABEL: &str = "CIDATA";
/// Its names, as both kinds of trees have them, in the order in which they are listed.
const META_DATA: [&str; 2] = ["META_DAT.;1", "meta-data"];
const USER_DATA: [&str; 2] = ["USER_DAT.;1", "user-data"];

const END_BLOCK: usize = DESCRIPTORS_START as usize + 2;
const FILES_START: usize = END_BLOCK + 7;
/// Bytes of a path table with nothing but the root.
const PATH_TABLE_LEN: u32 = 10;
const IS_DIRECTORY: u8 = 1 << 1;

/// Where a tree has its parts, in blocks.
struct Places {
    names: Names,
    descriptor: usize,
    /// For little-endian and for big-endian machines.
    path_tables: [usize; 2],
    directory: usize,
}

const TREES: [Places; 2] = [
    Places {
        names: Names::Plain,
        descriptor: END_BLOCK - 2,
        path_tables: [END_BLOCK + 1, END_BLOCK + 2],
        directory: END_BLOCK + 5,
    },
    Places {
        names: Names::Joliet,
        descriptor: END_BLOCK - 1,
        path_tables: [END_BLOCK + 3, END_BLOCK + 4],
        directory: END_BLOCK + 6,
    },
];

/// The bytes of a config drive with these files: whole blocks of 2048. Without dates.
///
/// # Panics
/// If the files have 4 GiB.
pub fn volume(user_data: &[u8], meta_data: &[u8]) -> Vec<u8> {
    let mut blocks = vec![0; FILES_START * BLOCK_LEN];
    let files = [(META_DATA, meta_data), (USER_DATA, user_data)].map(|(names, bytes)| {
        let block = blocks.len() / BLOCK_LEN;
        blocks.extend_from_slice(bytes);
        blocks.resize(blocks.len().next_multiple_of(BLOCK_LEN), 0);
        (names, block, bytes.len())
    });
    let count = blocks.len() / BLOCK_LEN;
    let mut put =
        |block: usize, bytes: &[u8]| blocks[block * BLOCK_LEN..][..bytes.len()].copy_from_slice(bytes);
    for tree in &TREES {
        put(tree.descriptor, &descriptor(tree, count));
        let place = number(tree.directory);
        for (block, place) in tree.path_tables.into_iter().zip([place.to_le_bytes(), place.to_be_bytes()]) {
            let parent = if block == tree.path_tables[0] { [1, 0] } else { [0, 1] };
            put(block, &[&[1, 0][..], &place, &parent, &[0, 0]].concat());
        }
        let itself = |identifier| record(tree.directory, BLOCK_LEN, IS_DIRECTORY, &[identifier]);
        let files = files.map(|(names, block, len)| record(block, len, 0, &tree.names.identifier(names)));
        put(tree.directory, &[&itself(0)[..], &itself(1), &files.concat()].concat());
    }
    put(END_BLOCK, &[&[END][..], &IDENTIFIER].concat());
    blocks
}

fn number(value: usize) -> u32 {
    u32::try_from(value).expect("files are shorter than 4 GiB")
}

/// In both orders of bytes, as most numbers are.
fn both(value: usize) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&number(value).to_le_bytes());
    bytes[4..].copy_from_slice(&number(value).to_be_bytes());
    bytes
}

/// The same for 16 bits.
fn both_short(value: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (value.to_le_bytes(), value.to_be_bytes());
    [a, b, c, d]
}

impl Names {
    fn identifier(self, names: [&str; 2]) -> Vec<u8> {
        match self {
            Names::Plain => names[0].into(),
            Names::Joliet => names[1].encode_utf16().flat_map(u16::to_be_bytes).collect(),
        }
    }

    /// `text`, padded with spaces.
    fn field(self, text: &str, len: usize) -> Vec<u8> {
        let mut bytes = self.identifier([text; 2]);
        let space = self.identifier([" "; 2]);
        while bytes.len() + space.len() <= len {
            bytes.extend_from_slice(&space);
        }
        bytes
    }
}

fn record(block: usize, len: usize, flags: u8, identifier: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; (HEAD_LEN + identifier.len()).next_multiple_of(2)];
    bytes[0] = bytes.len() as u8;
    bytes[2..10].copy_from_slice(&both(block));
    bytes[10..18].copy_from_slice(&both(len));
    bytes[25] = flags;
    bytes[28..32].copy_from_slice(&both_short(1));
    bytes[32] = identifier.len() as u8;
    bytes[HEAD_LEN..HEAD_LEN + identifier.len()].copy_from_slice(identifier);
    bytes
}

/// A tree's descriptor (sections 8.4 and 8.5) of a volume of so many blocks.
fn descriptor(tree: &Places, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; BLOCK_LEN];
    let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
    let blank = |len| tree.names.field("", len);
    match tree.names {
        Names::Plain => put(0, &[PRIMARY]),
        Names::Joliet => {
            put(0, &[SUPPLEMENTARY]);
            put(ESCAPES_AT, &JOLIET_ESCAPES[2]);
        }
    }
    put(1, &IDENTIFIER);
    put(8, &blank(32));
    put(LABEL_AT, &tree.names.field(LABEL, LABEL_LEN));
    put(80, &both(count));
    // One volume of one.
    put(120, &[both_short(1), both_short(1)].concat());
    put(BLOCK_LEN_AT, &both_short(BLOCK_LEN as u16));
    put(132, &both(PATH_TABLE_LEN as usize));
    put(140, &number(tree.path_tables[0]).to_le_bytes());
    put(148, &number(tree.path_tables[1]).to_be_bytes());
    put(ROOT_AT, &record(tree.directory, BLOCK_LEN, IS_DIRECTORY, &[0]));
    // Who has made it and with what, and files that would say more.
    [(190, 128), (318, 128), (446, 128), (574, 128), (702, 37), (739, 37), (776, 37)]
        .into_iter()
        .for_each(|(at, len)| put(at, &blank(len)));
    // Dates that are not given.
    [813, 830, 847, 864].into_iter().for_each(|at| put(at, &[b'0'; 16]));
    put(881, &[1]);
    bytes
}
