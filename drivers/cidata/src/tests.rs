//! Drives in memory: of our own, of other tools, and of nobody.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use drivers_api::SECTOR_SIZE;
use proptest::prelude::*;

use crate::*;

const LEN_MAX: usize = 4096;
const WORDS: &[u8] = b"relix.node=2 relix.size=3\n";
/// What nobody may go beyond: descriptors, two directories and the file.
const READ_MAX: u64 = 16 * 4 + 2 * 128 + 8;

/// Volumes of other tools: each sector that is not zero, behind its number, which is little-endian in four bytes. Made from a
/// folder with `meta-data`, and `user-data` that is [`THEIR_WORDS`], by
/// `genisoimage -V cidata [-joliet -rock]`, `xorriso -as mkisofs -V cidata -joliet -rock` (what cloud-localds and others run) and
/// `xorriso -volid cidata -rockridge off -joliet off`.
const THEIRS: [(&str, &[u8]); 4] = [
    ("genisoimage, plain", include_bytes!("fixtures/genisoimage-plain.sectors")),
    ("genisoimage, Joliet and Rock Ridge", include_bytes!("fixtures/genisoimage-joliet-rock.sectors")),
    ("xorriso, plain", include_bytes!("fixtures/xorriso-plain.sectors")),
    ("xorriso, Joliet and Rock Ridge", include_bytes!("fixtures/xorriso-joliet-rock.sectors")),
];
const THEIR_WORDS: &[u8] = b"#relix\nrelix.node=2 relix.size=3\n";

fn unpacked(sectors: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, sector) in sectors.chunks(4 + SECTOR_SIZE).map(|chunk| chunk.split_at(4)) {
        let number = u32::from_le_bytes(number.try_into().expect("four bytes")) as usize;
        bytes.resize((number * SECTOR_SIZE).next_multiple_of(SECTOR_SIZE), 0);
        bytes.extend_from_slice(sector);
    }
    bytes
}

/// What a drive says of which only such sectors can be read.
fn found_where(drive: &[u8], is_readable: impl Fn(u64) -> bool) -> Result<Option<Vec<u8>>, CidataError> {
    let sectors = (drive.len() / SECTOR_SIZE) as u64;
    let mut search = Search::new(sectors, LEN_MAX);
    let mut read = 0;
    while let Some(wanted) = search.wanted() {
        assert!(wanted.start < wanted.end && wanted.end <= sectors, "it asks for what there is: {wanted:?}");
        read += wanted.end - wanted.start;
        assert!(read <= READ_MAX, "{read} sectors are too many");
        let bytes = &drive[wanted.start as usize * SECTOR_SIZE..wanted.end as usize * SECTOR_SIZE];
        search.arrived(wanted.clone().all(&is_readable).then_some(bytes));
    }
    search.finish()
}

fn found(drive: &[u8]) -> Result<Option<Vec<u8>>, CidataError> {
    found_where(drive, |_| true)
}

/// `drive` with all of `from` become `to`, which is as long.
fn replaced(drive: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut drive = drive.to_vec();
    let places: Vec<_> = drive.windows(from.len()).enumerate().filter(|(_, bytes)| *bytes == from).collect();
    let places: Vec<_> = places.into_iter().map(|(at, _)| at).collect();
    assert!(!places.is_empty() && from.len() == to.len());
    places.into_iter().for_each(|at| drive[at..at + to.len()].copy_from_slice(to));
    drive
}

fn joliet(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

#[test]
fn what_was_written_is_read() {
    let drive = volume(WORDS, b"instance-id: a\n");
    assert_eq!(drive, volume(WORDS, b"instance-id: a\n"), "the same bytes");
    assert_eq!(drive.len(), 27 * 2048);
    assert_eq!(found(&drive), Ok(Some(WORDS.to_vec())));
    assert_eq!(found(&volume(b"", b"")), Ok(Some(vec![])));
    let most = vec![b'a'; LEN_MAX];
    assert_eq!(found(&volume(&most, b"")), Ok(Some(most)));
}

#[test]
fn other_tools_write_what_is_read() {
    for (tool, sectors) in THEIRS {
        assert_eq!(found(&unpacked(sectors)), Ok(Some(THEIR_WORDS.to_vec())), "{tool}");
    }
}

#[test]
fn each_kind_of_name_is_enough() {
    // Rock Ridge's, where the plain one says something else; and that one where Rock Ridge's does.
    for (tool, sectors) in THEIRS.into_iter().filter(|(tool, _)| tool.contains("Rock Ridge")) {
        let drive = unpacked(sectors);
        let other = replaced(&drive, b"USER_DAT.;1", b"WHATEVER.;1");
        let other = replaced(&other, &joliet("user-data"), &joliet("whatever2"));
        assert_eq!(found(&other), Ok(Some(THEIR_WORDS.to_vec())), "{tool}: Rock Ridge");
        let neither = replaced(&other, b"user-data", b"whatever2");
        assert_eq!(found(&neither), Err(CidataError::NoUserData), "{tool}: none");
    }
    let drive = volume(WORDS, b"x");
    for plain in ["USER-DAT.;1", "USERDATA.;1", "user_dat.;1", "USER-DATA;1", "USER_DATA.1", "USER-DATA.;"] {
        let other = replaced(&drive, b"USER_DAT.;1", plain.as_bytes());
        let other = replaced(&other, &joliet("user-data"), &joliet("whatever2"));
        let is_known = !plain.ends_with(".1");
        assert_eq!(found(&other).is_ok(), is_known, "{plain}");
    }
    let other = replaced(&drive, b"USER_DAT.;1", b"WHATEVER.;1");
    assert_eq!(found(&other), Ok(Some(WORDS.to_vec())), "Joliet's");
    let neither = replaced(&other, &joliet("user-data"), &joliet("user-date"));
    assert_eq!(found(&neither), Err(CidataError::NoUserData));
}

#[test]
fn what_has_another_label_is_not_for_us() {
    let drive = volume(WORDS, b"x");
    for (label, is_ours) in
        [(b"cidata", true), (b"CiDaTa", true), (b"cidat\0", false), (b"config", false), (b" idata", false)]
    {
        let other = replaced(&drive, b"CIDATA", label);
        assert_eq!(found(&other), Ok(is_ours.then(|| WORDS.to_vec())), "{label:?}");
    }
    assert_eq!(found(&replaced(&drive, b"CIDATA ", b"CIDATA2")), Ok(None));
    assert_eq!(found(&replaced(&drive, b"CIDATA ", b"CIDATA\0")), Ok(Some(WORDS.to_vec())));
    for len in [0, 1, 64, 67, 68, 4096] {
        assert_eq!(found(&vec![0; len * SECTOR_SIZE]), Ok(None), "{len} sectors of zeros");
        assert_eq!(found(&vec![0xa5; len * SECTOR_SIZE]), Ok(None), "{len} sectors of anything");
    }
}

#[test]
fn a_drive_that_cannot_be_read_or_ends_early_is_told_from_none() {
    let drive = volume(WORDS, b"x");
    assert_eq!(found_where(&drive, |sector| sector != 66), Ok(None), "who knows what it is");
    // The second descriptor, the directory, the file.
    for unreadable in [68, 92, 104] {
        let error = CidataError::Unreadable { sector: unreadable };
        assert_eq!(found_where(&drive, |sector| sector != unreadable), Err(error));
    }
    for blocks in 17..27 {
        assert_eq!(found(&drive[..blocks * 2048]), Err(CidataError::Damaged), "{blocks} blocks");
    }
    let long = volume(&[b'a'; LEN_MAX + 1], b"");
    let error = found(&long).expect_err("it is too long");
    assert_eq!(error.to_string(), "its user-data has 4097 bytes, 4096 at most: make it shorter");
}

#[test]
fn lengths_and_places_are_checked() {
    let drive = volume(WORDS, b"x");
    // The root's place and length in the descriptor, then those of user-data, which is the last of its directory.
    let file = 23 * 2048 + 34 + 34 + 44;
    assert_eq!(drive[file + 33..file + 44], *b"USER_DAT.;1");
    let root = 16 * 2048 + 156;
    for (at, value) in [
        (root + 2, u32::MAX),
        (root + 2, 27),
        (root + 10, u32::MAX),
        (root + 10, (64 << 10) + 1),
        (root + 10, 0),
        (root + 10, 5 * 2048),
        (file + 2, u32::MAX),
        (file + 2, 27),
    ] {
        let mut other = drive.clone();
        other[at..at + 4].copy_from_slice(&value.to_le_bytes());
        assert_eq!(found(&other), Err(CidataError::Damaged), "{value} at {at}");
    }
    let with = |at: usize, byte: u8| {
        let mut other = drive.clone();
        other[at] = byte;
        found(&other)
    };
    assert_eq!(with(file, 33), Err(CidataError::Damaged), "shorter than its head");
    assert_eq!(with(file + 32, 200), Err(CidataError::Damaged), "a name longer than its record");
    assert_eq!(with(file + 25, 0x80), Err(CidataError::Damaged), "a file in pieces");
    assert_eq!(with(file + 26, 1), Err(CidataError::Damaged), "a file with gaps");
    assert_eq!(with(16 * 2048 + 129, 0), Err(CidataError::Damaged), "blocks of no bytes");
    assert_eq!(with(18 * 2048 + 1, 0), Err(CidataError::Damaged), "descriptors without an end");
    assert_eq!(with(file + 25, 2), Ok(Some(WORDS.to_vec())), "a directory: but Joliet's is a file");
    // Attributes stand before the bytes of a file.
    assert_eq!(with(file + 1, 1), Err(CidataError::Damaged), "behind the end");
    // A directory of nothing has no file.
    let mut other = drive.clone();
    other[23 * 2048..25 * 2048].fill(0);
    assert_eq!(found(&other), Err(CidataError::NoUserData));
}

proptest! {
    /// Any files come back.
    #[test]
    fn files_come_back(
        words in prop::collection::vec(any::<u8>(), 0..=LEN_MAX),
        other in prop::collection::vec(any::<u8>(), 0..5000),
    ) {
        let drive = volume(&words, &other);
        prop_assert_eq!(drive.len() % 2048, 0);
        prop_assert_eq!(found(&drive), Ok(Some(words)));
    }

    /// Any change of any drive is survived, and no more is read than there is, or than is worth it.
    #[test]
    fn any_changes_are_survived(
        which in 0..=THEIRS.len(),
        changes in prop::collection::vec((0..11usize, 0..2048usize, any::<u8>()), 0..8),
    ) {
        let mut drive = THEIRS.get(which).map_or_else(|| volume(WORDS, b"x"), |(_, sectors)| unpacked(sectors));
        for (block, at, byte) in changes {
            let at = (16 + block) * 2048 + at;
            if let Some(old) = drive.get_mut(at) {
                *old = byte;
            }
        }
        let _ = found(&drive);
    }

    /// Any bytes behind the head of a descriptor, and in directories.
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 1200..1300), from in 162..190usize) {
        let mut drive = volume(WORDS, b"x");
        drive[16 * 2048 + from..][..300].copy_from_slice(&bytes[..300]);
        drive[23 * 2048 + from..][..900].copy_from_slice(&bytes[300..1200]);
        let _ = found(&drive);
    }
}
