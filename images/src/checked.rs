//! A backup that goes by on its way to a file or to a node: checked and counted.

use cluster_backup::{BackupError, Decoder, Head, Part, Section, Totals};

/// How far it is.
#[derive(Default)]
pub struct Checked {
    decoder: Decoder,
    head: Option<Head>,
    /// So far.
    pub rows: u64,
    /// So far.
    pub bytes: u64,
}

/// A whole backup.
pub struct Summary {
    pub head: Head,
    pub totals: Totals,
    /// Its length.
    pub bytes: u64,
}

impl Checked {
    /// The next bytes.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        self.bytes += bytes.len() as u64;
        self.decoder.push(bytes);
        while let Some(part) = self.decoder.part()? {
            match part {
                Part::Head(head) => self.head = Some(head),
                Part::Rows(rows) if rows.section == Section::Rows => self.rows += rows.iter().count() as u64,
                Part::Rows(_) | Part::End(_) => {}
            }
        }
        Ok(())
    }

    /// There are no more bytes.
    pub fn finish(self) -> Result<Summary, BackupError> {
        let totals = self.decoder.finish()?;
        let head = self.head.ok_or(BackupError::Truncated)?;
        Ok(Summary { head, totals, bytes: self.bytes })
    }
}
