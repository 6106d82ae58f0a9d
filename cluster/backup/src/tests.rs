use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use cluster_format::Version;
use cluster_format::limits::{KEY_LEN_MAX, ROW_LEN_MAX};
use proptest::collection::{btree_map, vec as bytes};
use proptest::prelude::*;

use crate::{BackupError, Decoder, Encoder, Head, PAYLOAD_LEN_MAX, Part, Section, Totals};

/// A backup of the first format, as it was written when that was the newest.
const FORMAT_1: &[u8] = include_bytes!("../tests/format1.backup");

type Row = (Vec<u8>, Vec<u8>);

/// Rows whose keys begin with a zero say which tables there are, here as in SQL.
fn section(key: &[u8]) -> Section {
    if key.first() == Some(&0) { Section::Tables } else { Section::Rows }
}

fn rows_of_tables(rows: &[Row]) -> u64 {
    rows.iter().filter(|(key, _)| section(key) == Section::Rows).count() as u64
}

fn head() -> Head {
    Head { version: Version(812), wall_micros: 1_700_000_000_000_000, cluster: "relix".into() }
}

fn write(rows: &[Row]) -> Vec<u8> {
    let mut encoder = Encoder::new(&head());
    let mut written = encoder.take();
    for (key, value) in rows {
        encoder.add(section(key), key, value);
        written.extend(encoder.take());
    }
    let (last, totals) = encoder.finish();
    assert_eq!(totals.rows, rows_of_tables(rows));
    written.extend(last);
    written
}

/// What is in `backup`, which comes in pieces of `piece` bytes.
fn read(backup: &[u8], piece: usize) -> Result<(Head, Vec<Row>, Totals), BackupError> {
    let mut decoder = Decoder::new();
    let (mut head, mut rows) = (None, Vec::new());
    for piece in backup.chunks(piece) {
        decoder.push(piece);
        while let Some(part) = decoder.part()? {
            match part {
                Part::Head(first) => assert_eq!(head.replace(first), None),
                Part::Rows(some) => {
                    assert!(some.iter().all(|(key, _)| section(key) == some.section));
                    rows.extend(some.iter().map(|(key, value)| (key.into(), value.into())));
                }
                Part::End(totals) => assert_eq!(totals.rows, rows_of_tables(&rows)),
            }
        }
    }
    let totals = decoder.finish()?;
    Ok((head.expect("a whole backup has a head"), rows, totals))
}

/// Three frames of rows.
fn long() -> Vec<Row> {
    (1..10u8).map(|id| (vec![id], vec![id.wrapping_mul(37); 100_000 + usize::from(id)])).collect()
}

/// Where the frames of a backup begin and end; the first piece is what comes before them.
fn pieces(backup: &[u8]) -> Vec<&[u8]> {
    let (first, mut rest) = backup.split_at(12);
    let mut pieces = vec![first];
    while !rest.is_empty() {
        let len = 12 + u32::from_le_bytes(rest[4..8].try_into().expect("four bytes")) as usize + 32;
        let (frame, behind) = rest.split_at(len);
        pieces.push(frame);
        rest = behind;
    }
    pieces
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        rows in btree_map(bytes(prop_oneof![Just(0), any::<u8>()], 1..20), bytes(any::<u8>(), 0..60), 0..30),
        piece in 1..200usize,
    ) {
        let rows: Vec<Row> = rows.into_iter().collect();
        let bytes = rows.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum();
        let totals = Totals { rows: rows_of_tables(&rows), bytes };
        prop_assert_eq!(read(&write(&rows), piece), Ok((head(), rows, totals)));
    }

    #[test]
    fn any_bytes_are_a_backup_or_an_error(bytes in bytes(any::<u8>(), 0..300), keep in 0..60usize) {
        let mut bytes = bytes;
        // Behind the beginning of a real one, they are looked at more closely.
        let keep = keep.min(bytes.len());
        bytes[..keep].copy_from_slice(&FORMAT_1[..keep]);
        prop_assert!(read(&bytes, 64).is_err());
    }

    #[test]
    fn frames_that_are_intact_may_say_anything(payload in bytes(any::<u8>(), 0..80), kind in 0..4usize) {
        use crate::frame::{Kind, Sum, write};
        let kind = [Kind::Head, Kind::Tables, Kind::Rows, Kind::End][kind];
        let mut backup = FORMAT_1[..12].to_vec();
        let mut sum = Sum::of(&backup);
        write(Kind::Head, &cluster_format::encode(&head()), &mut sum, &mut backup);
        write(kind, &payload, &mut sum, &mut backup);
        // There is no end.
        prop_assert!(read(&backup, 64).is_err());
    }
}

#[test]
fn a_bit_that_has_changed_is_noticed_wherever_it_is() {
    for at in 0..FORMAT_1.len() {
        for bit in 0..8 {
            let mut backup = FORMAT_1.to_vec();
            backup[at] ^= 1 << bit;
            let error = read(&backup, backup.len()).expect_err("it has changed");
            let is_told = match at {
                0..8 => error == BackupError::NotABackup,
                8..12 => matches!(error, BackupError::Newer { .. } | BackupError::Damaged { at: 0 }),
                // A length that has grown may be more than there is.
                _ => matches!(error, BackupError::Damaged { .. } | BackupError::Truncated),
            };
            assert!(is_told, "bit {bit} of byte {at}: {error}");
        }
    }
}

#[test]
fn a_backup_that_ends_too_early_is_noticed_wherever_it_ends() {
    for len in 0..FORMAT_1.len() {
        assert_eq!(read(&FORMAT_1[..len], 64), Err(BackupError::Truncated), "after {len} bytes");
    }
}

#[test]
fn a_frame_that_is_missing_repeated_or_swapped_is_noticed() {
    let backup = write(&long());
    let pieces = pieces(&backup);
    assert_eq!(pieces.len(), 1 + 1 + 3 + 1, "three frames of rows");
    for at in 1..pieces.len() {
        let (mut missing, mut repeated) = (pieces.clone(), pieces.clone());
        missing.remove(at);
        repeated.insert(at, pieces[at]);
        for wrong in [missing, repeated] {
            assert!(read(&wrong.concat(), 1000).is_err(), "frame {at}");
        }
        for other in at + 1..pieces.len() {
            let mut swapped = pieces.clone();
            swapped.swap(at, other);
            assert!(matches!(read(&swapped.concat(), 1000), Err(BackupError::Damaged { .. })));
        }
    }
    let behind = [&backup[..], b"x"].concat();
    assert_eq!(read(&behind, 1000), Err(BackupError::Damaged { at: backup.len() as u64 }));
}

#[test]
fn rows_are_in_their_order_and_sections_in_theirs() {
    for rows in [[(Section::Rows, 2), (Section::Rows, 1)], [(Section::Rows, 1), (Section::Tables, 2)]] {
        let mut encoder = Encoder::new(&head());
        let mut backup = encoder.take();
        rows.iter().for_each(|(section, key)| encoder.add(*section, &[*key], b"value"));
        backup.extend(encoder.finish().0);
        assert!(matches!(read(&backup, 64), Err(BackupError::Malformed { .. })), "{rows:?}");
    }
}

#[test]
fn the_longest_rows_fit() {
    let small = (vec![1], vec![7; crate::FRAME_LEN - 10]);
    let rows: Vec<Row> = vec![small, (vec![1; KEY_LEN_MAX], vec![2; ROW_LEN_MAX])];
    let (_, found, totals) = read(&write(&rows), 1 << 16).expect("a backup");
    assert!(found == rows);
    assert_eq!(totals.rows, 2);
}

#[test]
fn no_frame_is_waited_for_that_cannot_be() {
    let mut backup = FORMAT_1[..12].to_vec();
    backup.extend_from_slice(&[3, 0, 0, 0]);
    backup.extend_from_slice(&(PAYLOAD_LEN_MAX as u32 + 1).to_le_bytes());
    backup.extend_from_slice(&[0; 4]);
    let mut decoder = Decoder::new();
    decoder.push(&backup);
    assert_eq!(decoder.part(), Err(BackupError::Damaged { at: 12 }));
}

#[test]
fn other_files_and_newer_formats_are_told_apart() {
    assert_eq!(read(b"PK\x03\x04", 1), Err(BackupError::NotABackup));
    let mut newer = FORMAT_1.to_vec();
    newer[8] = 2;
    assert_eq!(read(&newer, 64), Err(BackupError::Newer { format: 2 }));
    let said = alloc::format!("{}", BackupError::Newer { format: 2 });
    assert_eq!(
        said,
        "the backup is of format 2, and this Relix reads formats up to 1: restore it with a newer Relix"
    );
}

#[test]
fn a_backup_of_the_first_format_is_still_read() {
    let (head, rows, totals) = read(FORMAT_1, 64).expect("a backup");
    assert_eq!((head.cluster.as_str(), rows.len(), totals.rows), ("memory", 8, 5));
    let keys: Vec<String> = rows.iter().map(|(key, _)| alloc::format!("{key:02x?}")).collect();
    assert!(keys.is_sorted(), "{keys:?}");
}
