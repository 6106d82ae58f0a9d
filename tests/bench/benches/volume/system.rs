//! What the system says of processes and files, and what it is told to forget.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Bytes that a process (`self`, or its number) has given to `write` and its like: what it asks files and pipes to take.
pub fn written_by(process: &str) -> u64 {
    counted(process, "wchar: ")
}

/// Bytes of memory that a process has made differ from what is on a disk. A sector counts as the whole of what is cached
/// together with it, which may be hundreds of kibibytes: this tells that something was written, not how much.
pub fn made_dirty_by(process: &str) -> u64 {
    counted(process, "write_bytes: ")
}

fn counted(process: &str, name: &str) -> u64 {
    let io = fs::read_to_string(format!("/proc/{process}/io")).expect("the process, and the right to look");
    let line = io.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|bytes| bytes.parse().ok()).expect("a number of bytes")
}

/// Bytes of the disk that files take, wherever they have no holes.
pub fn size_of(files: &[PathBuf]) -> u64 {
    files.iter().map(|path| fs::metadata(path).map_or(0, |file| file.blocks() * 512)).sum()
}

/// All files in a directory.
pub fn files_in(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("the store's directory").flatten() {
        match entry.path() {
            path if path.is_dir() => files.extend(files_in(&path)),
            path => files.push(path),
        }
    }
    files
}

/// Drops what the system has cached of files that nobody has open, so that reading them means reading the disk.
pub fn forget(files: &[PathBuf]) {
    for path in files {
        let file = File::open(path).expect("the store's file");
        // What is not written yet would stay.
        file.sync_all().expect("the disk works");
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("advice is taken");
    }
}
