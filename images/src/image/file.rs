//! A file that holds a disk: raw, or as qcow2. It is only read.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use drivers_gpt::{Found, Search};

use crate::error::Failure;
use crate::image::SECTOR_LEN;
use crate::image::qcow2::{Place, Qcow2, Qcow2Error};

/// A disk.
pub struct DiskFile {
    file: File,
    path: PathBuf,
    len: u64,
    qcow2: Option<Qcow2>,
}

impl DiskFile {
    /// Opens it.
    pub fn open(path: &Path) -> Result<DiskFile, Failure> {
        let mut file = File::open(path).map_err(Failure::file("open", path))?;
        // A device says how long it is in this way alone.
        let len = file.seek(SeekFrom::End(0)).map_err(Failure::file("read", path))?;
        let mut head = vec![0; Qcow2::HEAD_LEN.min(usize::try_from(len).unwrap_or(usize::MAX))];
        file.read_exact_at(&mut head, 0).map_err(Failure::file("read", path))?;
        let qcow2 = Qcow2::is_it(&head).then(|| Qcow2::new(&head)).transpose();
        let qcow2 = qcow2.map_err(|error| wrong(path, error))?;
        let len = qcow2.as_ref().map_or(len, Qcow2::len);
        Ok(DiskFile { file, path: path.into(), len, qcow2 })
    }

    /// What kind of file it is.
    pub fn format(&self) -> &'static str {
        if self.qcow2.is_some() { "qcow2" } else { "raw" }
    }

    /// How many sectors the disk has.
    pub fn sectors(&self) -> u64 {
        self.len / SECTOR_LEN
    }

    /// Its partition table, if it has one.
    pub fn table(&self) -> Result<Option<Found>, Failure> {
        let mut search = Search::new(self.sectors());
        while let Some(span) = search.wanted() {
            let mut bytes = vec![0; (span.sectors * SECTOR_LEN) as usize];
            self.read(span.sector, &mut bytes)?;
            search.arrived(Some(&bytes));
        }
        search.finish().map_err(|error| Failure::Argument(format!("{}: {error}", self.path.display())))
    }

    /// Fills `bytes` from `sector` on; they lie within the disk.
    pub fn read(&self, sector: u64, bytes: &mut [u8]) -> Result<(), Failure> {
        let Some(image) = &self.qcow2 else { return self.read_file(sector * SECTOR_LEN, bytes) };
        let mut done = 0;
        while done < bytes.len() {
            let at = sector * SECTOR_LEN + done as u64;
            let run = usize::try_from(image.run(at)).unwrap_or(usize::MAX).min(bytes.len() - done);
            if run == 0 {
                return Err(wrong(&self.path, Qcow2Error::Truncated));
            }
            let part = &mut bytes[done..done + run];
            let entry = |place| {
                let mut entry = [0; 8];
                self.file.read_exact_at(&mut entry, place).ok().map(|()| entry)
            };
            match image.place(at, entry).map_err(|error| wrong(&self.path, error))? {
                Place::Zero => part.fill(0),
                Place::At(place) => self.read_file(place, part)?,
            }
            done += run;
        }
        Ok(())
    }

    fn read_file(&self, at: u64, bytes: &mut [u8]) -> Result<(), Failure> {
        self.file.read_exact_at(bytes, at).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof if self.qcow2.is_some() => wrong(&self.path, Qcow2Error::Truncated),
            _ => Failure::file("read", &self.path)(error),
        })
    }
}

fn wrong(path: &Path, error: Qcow2Error) -> Failure {
    Failure::Argument(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::qcow2;
    use crate::image::sparse::{CLUSTER_LEN, SparseDisk};
    use proptest::prelude::*;

    /// A file of these bytes, removed with it.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str, bytes: &[u8]) -> Scratch {
            let path = std::env::temp_dir().join(format!("relix-{name}-{}", std::process::id()));
            std::fs::write(&path, bytes).expect("room");
            Scratch(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn qcow2_of(disk: &SparseDisk) -> Vec<u8> {
        let mut file = Vec::new();
        let written = qcow2::write(disk, |bytes| {
            file.extend_from_slice(bytes);
            Ok::<(), ()>(())
        });
        written.expect("memory takes it");
        file
    }

    /// What `qcow2::write` makes, with what a checker of QEMU's looks at: each cluster counted once.
    fn check_counts(file: &[u8]) {
        let u64_at = |at: usize| u64::from_be_bytes(*file[at..].first_chunk().expect("eight bytes"));
        let clusters = file.len() / CLUSTER_LEN;
        let table = u64_at(48) as usize;
        for cluster in 0..clusters {
            let block = u64_at(table + cluster / (CLUSTER_LEN / 2) * 8) as usize;
            let at = block + cluster % (CLUSTER_LEN / 2) * 2;
            assert_eq!(file[at..at + 2], [0, 1], "cluster {cluster} of {clusters}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// What is written as qcow2 is read as the disk that it was, in any pieces.
        #[test]
        fn a_qcow2_image_is_the_disk(
            writes in prop::collection::vec((0u64..1_300_000, 1usize..200_000, any::<u8>()), 0..5),
            reads in prop::collection::vec((0u64..1_300_000, 1usize..300), 1..8),
        ) {
            // Long enough for several tables of the second level.
            let sectors: u64 = 1_400_000;
            let mut disk = SparseDisk::new(sectors * SECTOR_LEN);
            for (sector, len, byte) in &writes {
                let room = ((sectors - sector) * SECTOR_LEN) as usize;
                disk.write_at(sector * SECTOR_LEN, &vec![*byte; (*len).min(room)]);
            }
            let file = qcow2_of(&disk);
            check_counts(&file);
            let scratch = Scratch::new("qcow2", &file);
            let image = DiskFile::open(&scratch.0).expect("an image");
            prop_assert_eq!((image.format(), image.sectors()), ("qcow2", sectors));
            let places = writes.iter().map(|(sector, ..)| (*sector, 200)).chain(reads);
            for (sector, count) in places {
                let mut bytes = vec![7; count * SECTOR_LEN as usize];
                image.read(sector, &mut bytes).expect("it is whole");
                let mut expected = vec![9; bytes.len()];
                let mut window = disk.window(0, sectors * SECTOR_LEN);
                window.seek(SeekFrom::Start(sector * SECTOR_LEN)).expect("a place");
                io::Read::read_exact(&mut window, &mut expected).expect("bytes");
                prop_assert!(bytes == expected, "sectors from {sector} on differ");
            }
        }

        /// Any bytes behind the magic give an image or an error, and so does reading it.
        #[test]
        fn any_bytes_are_survived(at in 0usize..400, byte in any::<u8>(), cut in 0usize..400_000) {
            let mut disk = SparseDisk::new(1 << 20);
            disk.write_at(70_000, &[5; 1000]);
            let mut file = qcow2_of(&disk);
            // The header, and the tables.
            let at = if at < 120 { at } else { (at - 119) * 1024 % file.len() };
            file[at] = byte;
            file.truncate(cut.max(4));
            let scratch = Scratch::new("qcow2-any", &file);
            if let Ok(image) = DiskFile::open(&scratch.0) {
                let _ = image.read(0, &mut [0; 512 * 200]);
            }
        }
    }

    #[test]
    fn what_is_not_read_is_said() {
        let mut disk = SparseDisk::new(1 << 20);
        disk.write_at(0, &[5; 1000]);
        let file = qcow2_of(&disk);
        let error = |at: usize, byte: u8| {
            let mut file = file.clone();
            file[at] = byte;
            let scratch = Scratch::new("qcow2-errors", &file);
            let mut bytes = [0; 512];
            let read = DiskFile::open(&scratch.0).and_then(|image| image.read(0, &mut bytes));
            read.expect_err("it cannot be read").to_string()
        };
        assert!(
            error(7, 4)
                .ends_with("it is a qcow2 image of version 4, and 2 and 3 are read: convert it to raw")
        );
        assert!(error(15, 1).ends_with("it is a qcow2 image with a backing file: convert it to raw"));
        assert!(error(35, 1).ends_with("it is a qcow2 image with encryption: convert it to raw"));
        assert!(error(23, 40).ends_with("it is a damaged qcow2 image: copy it again"));
        let l2 = 4 * CLUSTER_LEN;
        assert!(error(l2, 0x40).ends_with("it is a qcow2 image with compressed clusters: convert it to raw"));
        assert!(error(l2 + 4, 0x40).ends_with("it is a qcow2 image that was cut short: copy it again"));
    }
}
