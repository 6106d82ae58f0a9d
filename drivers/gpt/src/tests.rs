//! A table against a disk in memory.

use alloc::vec;
use alloc::vec::Vec;

use drivers_api::SECTOR_SIZE;
use proptest::prelude::*;

use crate::*;

const OTHER: Guid = Guid::new(1, 2, 3, [4; 8]);
const SECTORS: u64 = 4096;

/// A disk in memory.
struct Memory(Vec<u8>);

impl Memory {
    fn write(&mut self, write: &Write) {
        let at = write.sector as usize * SECTOR_SIZE;
        self.0[at..at + write.bytes.len()].copy_from_slice(&write.bytes);
    }

    fn sectors(&self) -> u64 {
        (self.0.len() / SECTOR_SIZE) as u64
    }

    fn grow(&mut self, sectors: u64) {
        self.0.resize(sectors as usize * SECTOR_SIZE, 0);
    }

    fn find(&self) -> Result<Option<Found>, GptError> {
        self.find_where(|_| true)
    }

    /// Of a disk of which only such sectors can be read.
    fn find_where(&self, is_readable: impl Fn(u64) -> bool) -> Result<Option<Found>, GptError> {
        let mut search = Search::new(self.sectors());
        while let Some(Span { sector, sectors }) = search.wanted() {
            let at = sector as usize * SECTOR_SIZE;
            let bytes = self.0.get(at..at + sectors as usize * SECTOR_SIZE);
            search.arrived(bytes.filter(|_| (sector..sector + sectors).all(&is_readable)));
        }
        search.finish()
    }

    fn found(&self) -> Found {
        self.find().expect("no error").expect("a table")
    }

    fn settle(&mut self) -> Settled {
        let settled = self.found().settle(self.sectors(), RELIX_DATA);
        settled.writes.iter().for_each(|write| self.write(write));
        settled
    }
}

fn partitions() -> [NewPartition<'static>; 3] {
    let part =
        |kind, id, name, first, sectors| NewPartition { kind, id: Guid([id; 16]), name, first, sectors };
    [
        part(BIOS_BOOT, 1, "boot", 40, Some(100)),
        part(EFI_SYSTEM, 2, "EFI system partition", 200, Some(1000)),
        part(RELIX_DATA, 3, "Relix data", 2048, None),
    ]
}

/// A disk with three partitions.
fn formatted(sectors: u64) -> (Memory, Table) {
    let mut disk = Memory(vec![0; sectors as usize * SECTOR_SIZE]);
    let table = Table::new(sectors, Guid([9; 16]), &partitions()).expect("they fit");
    table.format(&[0x90; BOOT_CODE_LEN]).iter().for_each(|write| disk.write(write));
    (disk, table)
}

#[test]
fn guids_are_written_as_the_specification_does() {
    use alloc::string::ToString;
    assert_eq!(EFI_SYSTEM.to_string(), "C12A7328-F81F-11D2-BA4B-00A0C93EC93B");
    assert_eq!(BIOS_BOOT.0, *b"Hah!IdontNeedEFI");
    assert_eq!(RELIX_DATA.to_string(), "B1F1E7C4-5D2A-4D0E-9C1B-72656C697864");
}

#[test]
fn what_was_written_is_read() {
    let (disk, table) = formatted(SECTORS);
    let found = disk.found();
    assert_eq!((&found.table, found.damaged), (&table, None));
    let read: Vec<_> = found.table.partitions().map(|one| (one.first, one.last)).collect();
    assert_eq!(read, [(40, 139), (200, 1199), (2048, SECTORS - 34)]);
    assert_eq!(found.table.find(RELIX_DATA).expect("it is there").name, "Relix data");
    assert_eq!(found.table.find(OTHER), Err(GptError::NoPartition { kind: OTHER }));
    assert!(found.settle(SECTORS, RELIX_DATA).writes.is_empty(), "all is as it should be");
    assert!(disk.0.starts_with(&[0x90; BOOT_CODE_LEN]) && disk.0[510..512] == [0x55, 0xaa]);
    // As other tools write it: the checksum of "123456789" is that of the specification.
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
}

#[test]
fn a_disk_without_a_table_has_none() {
    for sectors in [0, 1, 2, 3, 100] {
        let disk = Memory(vec![0; sectors * SECTOR_SIZE]);
        assert!(disk.find().expect("no error").is_none(), "{sectors} sectors");
    }
    let mut disk = Memory(vec![0xa5; 100 * SECTOR_SIZE]);
    assert!(disk.find().expect("no error").is_none());
    // What an earlier life has left at the end does not make a table of a disk that holds something else by now.
    let (earlier, _) = formatted(SECTORS);
    disk = earlier;
    disk.0[..2048 * SECTOR_SIZE].fill(0xa5);
    assert!(disk.find().expect("no error").is_none());
    // But a table whose beginning was wiped away is one.
    disk.0[..34 * SECTOR_SIZE].fill(0);
    assert_eq!(disk.found().damaged, Some(Copy::Primary));
}

#[test]
fn what_does_not_fit_is_refused() {
    let new = |sectors, partitions: &[NewPartition<'_>]| Table::new(sectors, OTHER, partitions).err();
    assert_eq!(new(0, &[]), Some(GptError::NoRoom));
    assert_eq!(new(60, &partitions()), Some(GptError::NoRoom));
    assert_eq!(new(SECTORS, &[partitions()[1], partitions()[1]]), Some(GptError::NoRoom), "they overlap");
    let empty = NewPartition { sectors: Some(0), ..partitions()[0] };
    assert_eq!(new(SECTORS, &[empty]), Some(GptError::NoRoom));
    let over = NewPartition { sectors: Some(u64::MAX), ..partitions()[0] };
    assert_eq!(new(SECTORS, &[over]), Some(GptError::NoRoom));
}

#[test]
fn a_disk_that_was_cut_short_is_told_from_a_damaged_one() {
    let (mut disk, _) = formatted(SECTORS);
    disk.0.truncate(3000 * SECTOR_SIZE);
    let error = GptError::TooSmall { sectors: 3000, needed: SECTORS };
    assert_eq!(disk.find().err(), Some(error));
    disk.0[600] ^= 1;
    assert_eq!(disk.find().err(), Some(GptError::Damaged));
}

#[test]
fn a_partition_behind_the_data_keeps_it_from_growing() {
    let mut disk = Memory(vec![0; SECTORS as usize * SECTOR_SIZE]);
    let behind = NewPartition { kind: OTHER, first: 4000, sectors: Some(10), ..partitions()[0] };
    let data = NewPartition { sectors: Some(100), ..partitions()[2] };
    let table = Table::new(SECTORS, OTHER, &[behind, data]).expect("they fit");
    table.format(&[0; BOOT_CODE_LEN]).iter().for_each(|write| disk.write(write));
    disk.grow(SECTORS + 1000);
    let settled = disk.settle();
    assert_eq!(settled.table.find(RELIX_DATA).expect("it is there").last, 2147);
    assert_eq!(settled.table.sectors(), SECTORS + 1000, "but the backup is at the end");
}

#[test]
fn of_two_data_partitions_none_grows_over_the_other() {
    let mut disk = Memory(vec![0; SECTORS as usize * SECTOR_SIZE]);
    let data = NewPartition { sectors: Some(100), ..partitions()[2] };
    let behind = NewPartition { first: 3000, id: OTHER, ..data };
    let table = Table::new(SECTORS, OTHER, &[data, behind]).expect("they fit");
    table.format(&[0; BOOT_CODE_LEN]).iter().for_each(|write| disk.write(write));
    disk.grow(SECTORS + 1000);
    let ends = disk.settle().table.partitions().map(|partition| partition.last).collect::<Vec<_>>();
    assert_eq!(ends, [2147, 3099]);
    assert_eq!(disk.found().damaged, None);
}

#[test]
fn a_beginning_that_cannot_be_read_is_not_written_over() {
    let (mut disk, table) = formatted(SECTORS);
    disk.grow(2 * SECTORS);
    // The end of the table's disk is known only from its beginning.
    assert!(disk.find_where(|sector| sector > 1).expect("no error").is_none());
    let (disk, _) = formatted(SECTORS);
    let found = disk.find_where(|sector| sector > 1).expect("no error").expect("the backup");
    assert_eq!(found.damaged, Some(Copy::Primary));
    let settled = found.settle(2 * SECTORS, RELIX_DATA);
    assert_eq!((settled.writes, settled.table.sectors()), (vec![], SECTORS));
    assert_eq!(found.table.partitions().count(), table.partitions().count());
}

#[test]
fn huge_lists_of_entries_are_not_read() {
    let (mut disk, table) = formatted(SECTORS);
    for (count, len) in [(u32::MAX, 128), (513, 128), (1, 1 << 31), (4, 64), (4, 136), (0, 128)] {
        let mut header = table.header;
        (header.entry_count, header.entry_len) = (count, len);
        disk.write(&Write { sector: 1, bytes: header.to_bytes() });
        assert_eq!(disk.found().damaged, Some(Copy::Primary), "{count} entries of {len} bytes");
    }
}

#[test]
fn a_header_whose_partitions_may_reach_into_the_backup_does_not_count() {
    let (mut disk, table) = formatted(SECTORS);
    let places = [
        (34, SECTORS - 34, true),
        (34, SECTORS - 33, false),
        (33, SECTORS - 34, false),
        (34, SECTORS, false),
    ];
    for (first_usable, last_usable, counts) in places {
        let mut header = table.header;
        (header.first_usable, header.last_usable) = (first_usable, last_usable);
        disk.write(&Write { sector: 1, bytes: header.to_bytes() });
        assert_eq!(
            disk.found().damaged != Some(Copy::Primary),
            counts,
            "from {first_usable} to {last_usable}"
        );
    }
}

/// Every state that a crash amid `writes` can leave: between sectors, in any order of one write's sectors from the front or
/// from the back.
fn crashes(disk: &Memory, writes: &[Write], mut check: impl FnMut(&Memory)) {
    let mut before = Memory(disk.0.clone());
    for write in writes {
        let sectors = write.bytes.len() / SECTOR_SIZE;
        for torn in 0..=sectors {
            for keep_front in [true, false] {
                let mut now = Memory(before.0.clone());
                let range = if keep_front { 0..torn } else { torn..sectors };
                for index in range {
                    let bytes = write.bytes[index * SECTOR_SIZE..][..SECTOR_SIZE].to_vec();
                    now.write(&Write { sector: write.sector + index as u64, bytes });
                }
                check(&now);
            }
        }
        before.write(write);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A new table is read as it was made, whatever its partitions.
    #[test]
    fn tables_come_back(
        lens in prop::collection::vec((1u64..200, 1u64..50, "[a-zé]{0,40}"), 0..12),
        id in any::<[u8; 16]>(),
    ) {
        let mut first = 34;
        let mut partitions = Vec::new();
        for (gap, sectors, name) in &lens {
            first += gap;
            partitions.push(NewPartition { kind: OTHER, id: Guid(id), name, first, sectors: Some(*sectors) });
            first += sectors;
        }
        let mut disk = Memory(vec![0; SECTORS as usize * SECTOR_SIZE]);
        let table = Table::new(SECTORS, Guid::of_bytes(id), &partitions).expect("they fit");
        table.format(&[0; BOOT_CODE_LEN]).iter().for_each(|write| disk.write(write));
        let read = disk.found().table;
        prop_assert_eq!(&read, &table);
        for (partition, new) in read.partitions().zip(&partitions) {
            prop_assert_eq!((partition.first, partition.sectors()), (new.first, new.sectors.expect("a number")));
            prop_assert_eq!(partition.name, new.name.chars().take(36).collect::<alloc::string::String>());
        }
        prop_assert_eq!(read.partitions().count(), partitions.len());
    }

    /// Any damaged byte of one copy is noticed, the other one is used, and settling mends it.
    #[test]
    fn one_copy_is_enough(at in 0usize..(33 * SECTOR_SIZE), bit in 0u32..8, primary in any::<bool>()) {
        let (mut disk, table) = formatted(SECTORS);
        let (damaged, first) =
            if primary { (Copy::Primary, 1) } else { (Copy::Backup, SECTORS as usize - 33) };
        let in_header = if primary { at < SECTOR_SIZE } else { at >= 32 * SECTOR_SIZE };
        // What is behind a header, in its sector, has no meaning.
        prop_assume!(!in_header || at % SECTOR_SIZE < 92);
        disk.0[first * SECTOR_SIZE + at] ^= 1 << bit;
        let found = disk.found();
        prop_assert_eq!(found.damaged, Some(damaged));
        prop_assert_eq!(found.table.as_copy(true), table.clone());
        disk.settle();
        let mended = disk.found();
        prop_assert_eq!((mended.table, mended.damaged), (table, None));
    }

    /// A disk that grows has its data partition to the end, where it began; the others are as they were.
    #[test]
    fn growing_changes_one_end(by in 1u64..3000, again in 0u64..3000) {
        let (mut disk, table) = formatted(SECTORS);
        let (old, mut sectors) = (table.partitions().collect::<Vec<_>>(), SECTORS);
        for by in [by, again] {
            sectors += by;
            disk.grow(sectors);
            let settled = disk.settle();
            let found = disk.found();
            prop_assert_eq!((&found.table, found.damaged), (&settled.table, None));
            let new: Vec<_> = found.table.partitions().collect();
            prop_assert_eq!(&new[..2], &old[..2]);
            prop_assert_eq!((new[2].first, new[2].last), (2048, sectors - 34));
            prop_assert!(disk.found().settle(sectors, RELIX_DATA).writes.is_empty());
            let zeros = disk.0[2048 * SECTOR_SIZE..(sectors as usize - 33) * SECTOR_SIZE].iter().all(|byte| *byte == 0);
            prop_assert!(zeros, "nothing of the earlier backup is left in the partition");
        }
        prop_assert!(disk.0.starts_with(&[0x90; BOOT_CODE_LEN]));
    }

    /// Any bytes where tables are, with checksums that are right or not.
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 92), signed in any::<bool>()) {
        let (mut disk, _) = formatted(SECTORS);
        let mut sector = vec![0; SECTOR_SIZE];
        sector[..92].copy_from_slice(&bytes);
        if signed {
            sector[..16].copy_from_slice(b"EFI PART\0\0\x01\0\x5c\0\0\0");
            sector[16..20].fill(0);
            let sum = crc32(&sector[..92]);
            sector[16..20].copy_from_slice(&sum.to_le_bytes());
        }
        disk.write(&Write { sector: 1, bytes: sector });
        if let Ok(Some(found)) = disk.find() {
            found.settle(SECTORS, RELIX_DATA);
        }
    }
}

proptest! {
    // Each case is some hundred disks.
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whenever power fails, there is a table with all partitions where they begin, and the next start gets it right.
    #[test]
    fn a_crash_amid_growing_leaves_a_table(by in prop_oneof![1u64..70, 70u64..1500], damage in 0u8..3) {
        let (mut disk, table) = formatted(SECTORS);
        match damage {
            1 => disk.0[2 * SECTOR_SIZE] ^= 1,
            2 => disk.0[(SECTORS as usize - 33) * SECTOR_SIZE] ^= 1,
            _ => {}
        }
        disk.grow(SECTORS + by);
        let old: Vec<_> = table.partitions().map(|one| (one.kind, one.id, one.first)).collect();
        let settled = disk.found().settle(disk.sectors(), RELIX_DATA);
        crashes(&disk, &settled.writes, |now| {
            let found = now.found();
            let new: Vec<_> = found.table.partitions().map(|one| (one.kind, one.id, one.first)).collect();
            assert_eq!(new, old);
            let mut next = Memory(now.0.clone());
            next.settle();
            assert_eq!(next.found().table, settled.table);
        });
    }
}
