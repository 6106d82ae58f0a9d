//! A table as it should be: both copies whole, and reaching to the end of a disk that has grown.

use alloc::vec;
use alloc::vec::Vec;

use drivers_api::SECTOR_SIZE;

use crate::header::PRIMARY;
use crate::{Copy, Found, Guid, Table, Write, mbr};

/// A table as it should be, and how it becomes so.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The table once all is written.
    pub table: Table,
    /// What is to be written, one after the other, each durable before the next. Whichever of them is the last that is
    /// written, or written in part, one copy of the table is valid, and has every partition where it begins.
    pub writes: Vec<Write>,
}

impl Found {
    /// The table of a disk that has `sectors` sectors by now. If the last partition is of type `kind`, it reaches to the
    /// new end; the others stay as they are. Where the disk's beginning cannot be read, all stays as it is: what boots may
    /// be there, and be read the next time.
    pub fn settle(&self, sectors: u64, kind: Guid) -> Settled {
        let mut writes = Vec::new();
        let now = self.table.as_copy(true);
        let Some(earlier_front) = &self.front else { return Settled { table: now, writes } };
        // Both copies are to be right before either changes.
        if self.damaged == Some(Copy::Primary) {
            writes.extend(now.writes());
        }
        let then = grown(&now, sectors, kind);
        if then != now || self.damaged == Some(Copy::Backup) {
            writes.extend(then.as_copy(false).writes());
        }
        if then != now {
            writes.extend(then.writes());
        }
        let front = mbr::protecting(then.sectors(), earlier_front);
        if front != *earlier_front {
            writes.push(Write { sector: 0, bytes: front });
        }
        writes.extend(erasure(&now, &then));
        Settled { table: then, writes }
    }
}

/// `table`, on a disk of so many sectors.
fn grown(table: &Table, sectors: u64, kind: Guid) -> Table {
    let mut grown = table.clone();
    let header = &mut grown.header;
    header.other = header.other.max(sectors.saturating_sub(1));
    header.last_usable = header.other - header.entries_sectors() - 1;
    let last_usable = header.last_usable;
    let nothing_behind = |place: u64| table.partitions().all(|other| other.first <= place);
    if table.find(kind).is_ok_and(|used| used.last < last_usable && nothing_behind(used.first)) {
        grown.set_last(kind, last_usable);
    }
    grown
}

/// What erases the backup that has moved, where that is not in the way of the new one: it would be found by whoever
/// reads the disk at its earlier length.
fn erasure(now: &Table, then: &Table) -> Option<Write> {
    let earlier = now.as_copy(false).header;
    let later = then.as_copy(false).header;
    let end = (earlier.place + 1).min(later.entries);
    let moved = earlier.place != later.place && earlier.entries > PRIMARY && earlier.entries < end;
    let sectors = if moved { (end - earlier.entries) as usize } else { 0 };
    (sectors > 0 && sectors <= 256)
        .then(|| Write { sector: earlier.entries, bytes: vec![0; sectors * SECTOR_SIZE] })
}
