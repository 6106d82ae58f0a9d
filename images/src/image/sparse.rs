//! A disk in memory, of which only what is not zero takes space.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

/// Bytes that are kept, or not, together: those of a cluster of a qcow2 file, too.
pub const CLUSTER_LEN: usize = 64 << 10;

/// A disk.
pub struct SparseDisk {
    len: u64,
    clusters: BTreeMap<u64, Box<[u8]>>,
}

/// Where a range lies: for each cluster, its number, the part of it, and the part of the range.
fn parts(at: u64, len: usize) -> impl Iterator<Item = (u64, Range<usize>, Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == len {
            return None;
        }
        let place = at + done as u64;
        let start = (place % CLUSTER_LEN as u64) as usize;
        let part = (len - done).min(CLUSTER_LEN - start);
        let found = (place / CLUSTER_LEN as u64, start..start + part, done..done + part);
        done += part;
        Some(found)
    })
}

impl SparseDisk {
    /// A disk of `len` zeros.
    pub fn new(len: u64) -> SparseDisk {
        SparseDisk { len, clusters: BTreeMap::new() }
    }

    /// How many bytes it has.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Writes `bytes` from `at` on; they must lie within the disk.
    pub fn write_at(&mut self, at: u64, bytes: &[u8]) {
        assert!(at + bytes.len() as u64 <= self.len, "a write beyond the end of the disk that is made");
        for (number, inside, of_bytes) in parts(at, bytes.len()) {
            let bytes = &bytes[of_bytes];
            if bytes.iter().any(|byte| *byte != 0) || self.clusters.contains_key(&number) {
                let cluster = self.clusters.entry(number).or_insert_with(|| vec![0; CLUSTER_LEN].into());
                cluster[inside].copy_from_slice(bytes);
            }
        }
    }

    fn read_at(&self, at: u64, bytes: &mut [u8]) {
        for (number, inside, of_bytes) in parts(at, bytes.len()) {
            match self.clusters.get(&number) {
                Some(cluster) => bytes[of_bytes].copy_from_slice(&cluster[inside]),
                None => bytes[of_bytes].fill(0),
            }
        }
    }

    /// The clusters that are not zero, by their numbers: the last may reach beyond the disk's end, with zeros.
    pub fn clusters(&self) -> impl Iterator<Item = (u64, &[u8])> + Clone {
        let clusters = self.clusters.iter().map(|(number, bytes)| (*number, &**bytes));
        clusters.filter(|(_, bytes)| bytes.iter().any(|byte| *byte != 0))
    }

    /// `len` bytes of it from `start` on, as a file.
    pub fn window(&mut self, start: u64, len: u64) -> Window<'_> {
        Window { disk: self, start, len, at: 0 }
    }
}

/// A part of a disk as a file of constant length.
pub struct Window<'a> {
    disk: &'a mut SparseDisk,
    start: u64,
    len: u64,
    at: u64,
}

impl Window<'_> {
    /// How many of `len` bytes there are from here on.
    fn room(&self, len: usize) -> usize {
        len.min(usize::try_from(self.len.saturating_sub(self.at)).unwrap_or(usize::MAX))
    }
}

impl Read for Window<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let len = self.room(bytes.len());
        self.disk.read_at(self.start + self.at, &mut bytes[..len]);
        self.at += len as u64;
        Ok(len)
    }
}

impl Write for Window<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.room(bytes.len());
        self.disk.write_at(self.start + self.at, &bytes[..len]);
        self.at += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Window<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// A window is a file of the bytes below it, and what is zero takes no space.
        #[test]
        fn a_window_is_a_file(writes in prop::collection::vec((0u64..250_000, 0usize..100_000, any::<u8>()), 0..8)) {
            let (start, len) = (70_000, 250_000);
            let mut disk = SparseDisk::new(400_000);
            let mut model = io::Cursor::new(vec![0; len as usize]);
            for (at, size, byte) in writes {
                let bytes = vec![byte; size];
                let mut window = disk.window(start, len);
                for file in [&mut window as &mut dyn Seekable, &mut model] {
                    file.seek(SeekFrom::Start(at)).expect("a place");
                    let room = ((len - at) as usize).min(size);
                    file.write_all(&bytes[..room]).expect("room");
                }
            }
            let mut read = Vec::new();
            disk.window(start, len).read_to_end(&mut read).expect("bytes");
            prop_assert!(&read == model.get_ref(), "a window reads differently");
            let total: usize = disk.clusters().map(|(_, bytes)| bytes.iter().filter(|byte| **byte != 0).count()).sum();
            prop_assert_eq!(total, read.iter().filter(|byte| **byte != 0).count());
        }
    }

    trait Seekable: Write + Seek {}
    impl<T: Write + Seek> Seekable for T {}
}
