//! Writing a backup.

use alloc::vec::Vec;

use crate::frame::{self, Kind, Sum};
use crate::{FORMAT, FRAME_LEN, Head, MAGIC, Section, Totals};

/// A backup that is being written: rows go in, bytes come out.
pub struct Encoder {
    sum: Sum,
    totals: Totals,
    /// The payload of the next frame, and what it is about.
    rows: Vec<u8>,
    section: Section,
    out: Vec<u8>,
}

impl Encoder {
    /// A backup without rows yet.
    pub fn new(head: &Head) -> Encoder {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&FORMAT.to_le_bytes());
        let mut sum = Sum::of(&out);
        frame::write(Kind::Head, &cluster_format::encode(head), &mut sum, &mut out);
        Encoder { sum, totals: Totals::default(), rows: Vec::new(), section: Section::Tables, out }
    }

    /// Adds a key and its value. Sections come in order, keys ascend, and none is longer than the store has them.
    pub fn add(&mut self, section: Section, key: &[u8], value: &[u8]) {
        if section != self.section {
            self.end_frame();
            self.section = section;
        }
        self.totals.add(section, key, value);
        for part in [key, value] {
            self.rows.extend_from_slice(&(part.len() as u32).to_le_bytes());
        }
        self.rows.extend_from_slice(key);
        self.rows.extend_from_slice(value);
        if self.rows.len() >= FRAME_LEN {
            self.end_frame();
        }
    }

    fn end_frame(&mut self) {
        let kind = match self.section {
            _ if self.rows.is_empty() => return,
            Section::Tables => Kind::Tables,
            Section::Rows => Kind::Rows,
        };
        frame::write(kind, &self.rows, &mut self.sum, &mut self.out);
        self.rows.clear();
    }

    /// The bytes since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.out)
    }

    /// The last bytes, and what the backup amounts to.
    pub fn finish(mut self) -> (Vec<u8>, Totals) {
        self.end_frame();
        frame::write(Kind::End, &cluster_format::encode(&self.totals), &mut self.sum, &mut self.out);
        (self.out, self.totals)
    }
}
