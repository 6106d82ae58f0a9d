//! Config drives: any bytes in the blocks that say where their file is.

use drivers_api::SECTOR_SIZE;
use drivers_cidata::{Search, volume};

use crate::input::{Input, Output};

/// The longest file that is taken.
const LEN_MAX: usize = 4096;
/// What may be read at most: sixteen descriptors, two directories of 64 KiB, and the file.
const READ_MAX: u64 = 16 * 4 + 2 * 128 + 8;
const BLOCK_LEN: usize = 2048;
/// The blocks that are changed: descriptors and directories. Tables of paths, between them, are not read.
const BLOCKS: [usize; 5] = [16, 17, 18, 23, 24];

/// A drive of our own making, then changed: a block, how many bytes are passed over there, which ones follow.
pub fn drive(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let extra = usize::from(input.byte());
    let mut drive = volume(b"relix.node=2 relix.size=3\n", b"instance-id: a\n");
    drive.resize(drive.len() + extra * SECTOR_SIZE, b'a');
    while !input.is_empty() {
        let block = BLOCKS[usize::from(input.byte()) % BLOCKS.len()];
        let at = usize::from(u16::from_le_bytes([input.byte(), input.byte()])) % BLOCK_LEN;
        let change = input.short();
        let place = &mut drive[block * BLOCK_LEN + at..(block + 1) * BLOCK_LEN];
        let len = change.len().min(place.len());
        place[..len].copy_from_slice(&change[..len]);
    }
    let sectors = (drive.len() / SECTOR_SIZE) as u64;
    let mut search = Search::new(sectors, LEN_MAX);
    let mut read = 0;
    while let Some(wanted) = search.wanted() {
        assert!(wanted.start < wanted.end && wanted.end <= sectors, "it asks for what there is");
        read += wanted.end - wanted.start;
        assert!(read <= READ_MAX, "it asks for no more than is worth it");
        let range = wanted.start as usize * SECTOR_SIZE..wanted.end as usize * SECTOR_SIZE;
        search.arrived(Some(&drive[range]));
    }
    if let Ok(Some(file)) = search.finish() {
        assert!(file.len() <= LEN_MAX);
        if let Ok(line) = kernel_core::settings::late(&file) {
            let _ = cluster_node::NodeConfig::parse(&line, kernel_core::settings::KERNEL_KEYS);
        }
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let seed = |extra: u8, changes: &[(u8, u16, &[u8])]| {
        let mut seed = Output::default();
        seed.byte(extra);
        for (block, at, change) in changes {
            seed.byte(*block).bytes(&at.to_le_bytes()).short(change);
        }
        seed.0
    };
    // The root's place in the primary descriptor, and the record of user-data in the primary directory.
    let (root, file) = (156, 34 + 34 + 44);
    vec![
        seed(0, &[]),
        seed(0, &[(0, root + 2, &[24]), (1, 88, b"%/@")]),
        seed(200, &[(0, root + 10, &[0, 0, 1])]),
        // Only Joliet's name is left, or a Rock Ridge one behind the plain one.
        seed(0, &[(3, file + 33, b"WHATEVER.;1")]),
        seed(
            0,
            &[(3, file, &[58]), (3, file + 33, b"WHATEVER.;1"), (3, file + 44, b"NM\x0e\x01\0user-data")],
        ),
        seed(9, &[(3, file + 10, &[0, 16])]),
        seed(0, &[(0, 128, &[0, 2]), (2, 0, &[1])]),
    ]
}
