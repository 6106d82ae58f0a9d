//! Partition tables: any bytes where they are, behind checksums that are right or not.

use drivers_api::SECTOR_SIZE;
use drivers_gpt::{
    BIOS_BOOT, BOOT_CODE_LEN, EFI_SYSTEM, Guid, NewPartition, RELIX_DATA, Search, Span, Table,
};

use crate::disk::SparseDisk;
use crate::input::{Input, Output};

/// Where a header is, beside that at the disk's end, and where its checksum lies and how many bytes that is of.
const PRIMARY: u64 = 1;
const SUM_AT: usize = 16;
const HEADER_LEN: usize = 92;
/// Where the header has the checksum of entries, whose first sector is behind it.
const ENTRIES_SUM_AT: usize = 88;
const ENTRIES_LEN: usize = 128 * 128;
const SECTORS: u64 = 4096;

/// CRC-32, bit by bit.
fn crc32(bytes: &[u8]) -> [u8; 4] {
    let step = |sum: u32, _| (sum >> 1) ^ (0xedb8_8320 * (sum & 1));
    let sum = bytes.iter().fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), step));
    (!sum).to_le_bytes()
}

fn formatted() -> SparseDisk {
    let mut disk = SparseDisk::new(SECTORS);
    let part = |kind, first, sectors| NewPartition { kind, id: Guid([7; 16]), name: "x", first, sectors };
    let partitions =
        [part(BIOS_BOOT, 40, Some(9)), part(EFI_SYSTEM, 64, Some(64)), part(RELIX_DATA, 2048, None)];
    let table = Table::new(SECTORS, Guid([9; 16]), &partitions).expect("they fit");
    table.format(&[0; BOOT_CODE_LEN]).iter().for_each(|write| disk.write(write.sector, &write.bytes));
    disk
}

/// A disk whose tables are written over: a flag for each copy says whether its checksums are made right again.
pub fn table(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let sectors = SECTORS - 100 + u64::from(input.byte());
    let mut disk = formatted();
    for (header, entries) in [(PRIMARY, PRIMARY + 1), (SECTORS - 1, SECTORS - 33)] {
        let signed = input.bit();
        let mut head = vec![0; SECTOR_SIZE];
        let mut list = vec![0; ENTRIES_LEN];
        disk.read(header, &mut head);
        disk.read(entries, &mut list);
        for sector in [&mut head, &mut list] {
            for (at, byte) in input.short().chunks_exact(3).map(|change| (change, change[2])) {
                let at = usize::from(u16::from_le_bytes([at[0], at[1]])) % sector.len();
                sector[at] = byte;
            }
        }
        if signed {
            head[ENTRIES_SUM_AT..ENTRIES_SUM_AT + 4].copy_from_slice(&crc32(&list));
            head[SUM_AT..SUM_AT + 4].fill(0);
            let sum = crc32(&head[..HEADER_LEN]);
            head[SUM_AT..SUM_AT + 4].copy_from_slice(&sum);
        }
        disk.write(header, &head);
        disk.write(entries, &list);
    }
    let mut search = Search::new(sectors);
    while let Some(Span { sector, sectors: count }) = search.wanted() {
        assert!(count <= 128 && sector + count <= sectors, "it asks for what there is");
        let mut read = vec![0; count as usize * SECTOR_SIZE];
        disk.read(sector, &mut read);
        search.arrived(Some(&read));
    }
    let Ok(Some(found)) = search.finish() else { return };
    let settled = found.settle(sectors, RELIX_DATA);
    let places =
        |table: &Table| table.partitions().map(|part| (part.kind, part.id, part.first)).collect::<Vec<_>>();
    assert_eq!(places(&settled.table), places(&found.table), "partitions begin where they did");
    for write in &settled.writes {
        let end = write.sector + (write.bytes.len() / SECTOR_SIZE) as u64;
        assert!(end <= sectors, "what is written lies within the disk");
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let seed = |sectors: u8, changes: [&[u8]; 4]| {
        let mut seed = Output::default();
        seed.byte(sectors);
        for changes in changes.chunks(2) {
            seed.byte(1).short(changes[0]).short(changes[1]);
        }
        seed.0
    };
    vec![
        seed(100, [&[]; 4]),
        seed(200, [&[40, 0, 9], &[], &[], &[32, 1, 1]]),
        // Without the signature, the first copy does not count.
        seed(150, [&[0, 0, 0], &[], &[], &[]]),
        seed(0, [&[], &[0, 0, 1], &[48, 0, 1], &[]]),
    ]
}
