//! A file that has its name only once it is whole.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use rustix::io::Errno;

use crate::error::Failure;

/// A file that is being written, as `NAME.part`. It is removed if it does not come to its end.
pub struct PartFile {
    file: File,
    part: PathBuf,
    /// What it will be called.
    path: PathBuf,
    is_whole: bool,
}

impl PartFile {
    /// Begins it. Neither a file of its name nor another who writes it may be there; what someone has left of it may.
    pub fn create(path: &Path) -> Result<PartFile, Failure> {
        if path.symlink_metadata().is_ok() {
            return Err(Failure::Exists(path.into()));
        }
        let mut part = OsString::from(path);
        part.push(".part");
        let part = PathBuf::from(part);
        let opened = OpenOptions::new().write(true).create(true).truncate(false).open(&part);
        let file = opened.map_err(Failure::file("create", &part))?;
        // Where files cannot be locked, nobody is known to write it.
        if flock(&file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
            return Err(Failure::Argument(format!("another command writes {} just now", part.display())));
        }
        // Whoever had the lock may have been done with it, and given it its name.
        if path.symlink_metadata().is_ok() || !is_at(&file, &part) {
            return Err(Failure::Exists(path.into()));
        }
        file.set_len(0).map_err(Failure::file("write", &part))?;
        Ok(PartFile { file, part, path: path.into(), is_whole: false })
    }

    /// Appends `bytes`.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(Failure::file("write", &self.part))
    }

    /// Writes `bytes` where they belong; between such pieces, the file may have holes.
    pub fn write_at(&mut self, at: u64, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all_at(bytes, at).map_err(Failure::file("write", &self.part))
    }

    /// It has so many bytes, zeros where nothing is written.
    pub fn set_len(&mut self, len: u64) -> Result<(), Failure> {
        self.file.set_len(len).map_err(Failure::file("write", &self.part))
    }

    /// It is whole: it reaches the disk, and gets its name.
    pub fn finish(mut self) -> Result<(), Failure> {
        self.file.sync_all().map_err(Failure::file("write", &self.part))?;
        self.rename()?;
        self.is_whole = true;
        // The name is to last, too.
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(Failure::file("write", folder))
    }

    fn rename(&self) -> Result<(), Failure> {
        match renameat_with(CWD, &self.part, CWD, &self.path, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => Err(Failure::Exists(self.path.clone())),
            // The file system cannot rename and keep what is there in one step.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match self.path.symlink_metadata() {
                Ok(_) => Err(Failure::Exists(self.path.clone())),
                Err(_) => std::fs::rename(&self.part, &self.path).map_err(Failure::file("write", &self.path)),
            },
            Err(error) => Err(Failure::file("write", &self.path)(io::Error::from(error))),
        }
    }
}

/// Whether `path` still names this file.
fn is_at(file: &File, path: &Path) -> bool {
    let same = |one: std::fs::Metadata, other: std::fs::Metadata| {
        (one.dev(), one.ino()) == (other.dev(), other.ino())
    };
    file.metadata().and_then(|one| Ok(same(one, path.symlink_metadata()?))).unwrap_or(false)
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.is_whole {
            let _ = std::fs::remove_file(&self.part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_name_once_it_is_whole() {
        let path = std::env::temp_dir().join(format!("relix-part-file-{}", std::process::id()));
        let part = path.with_extension("part");
        let mut file = PartFile::create(&path).expect("a new file");
        file.write(b"half").expect("room");
        assert!(matches!(PartFile::create(&path), Err(Failure::Argument(_))), "somebody writes it");
        assert!(part.exists() && !path.exists());
        drop(file);
        assert!(!part.exists() && !path.exists());
        let mut file = PartFile::create(&path).expect("a new file");
        file.write(b"whole").expect("room");
        file.finish().expect("the end");
        assert_eq!(std::fs::read(&path).expect("it is there"), b"whole");
        assert!(matches!(PartFile::create(&path), Err(Failure::Exists(_))));
        std::fs::remove_file(&path).expect("it was there");
        assert!(!part.exists());
    }
}
