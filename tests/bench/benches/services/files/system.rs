//! The peer: the file system of the host, with fsync.

use std::fs::{self, File, OpenOptions};
use std::io::{Result, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{LONG, Operation, READ, SHORT, WRITTEN_NAME, contents, read_name};

/// What kind of file system a directory is in, as the system says.
pub fn kind(directory: &Path) -> String {
    let directory = directory.canonicalize().unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let holds = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let (point, kind) = (words.next()?, words.next()?);
        directory.starts_with(point).then(|| (point.len(), kind.to_string()))
    };
    mounts
        .lines()
        .filter_map(holds)
        .max_by_key(|(length, _)| *length)
        .map_or("files".into(), |(_, kind)| kind)
}

/// Who works in a directory.
pub struct Worker {
    path: PathBuf,
    /// The directory itself, whose names are flushed through it.
    directory: File,
    written: File,
}

impl super::Worker for Worker {
    type Place = PathBuf;

    fn open(place: &PathBuf, number: u64) -> std::result::Result<Worker, String> {
        Worker::make(place.join(number.to_string())).map_err(|error| error.to_string())
    }

    fn perform(
        &mut self,
        operation: Operation,
        number: u64,
        bytes: &[u8],
    ) -> std::result::Result<Vec<u8>, String> {
        let done = match operation {
            Operation::Create => {
                self.create(&number.to_string(), &[]).and_then(|()| self.directory.sync_all())
            }
            Operation::Write(_) => self.write(bytes),
            Operation::Read(length) => {
                return fs::read(self.path.join(read_name(length))).map_err(|error| error.to_string());
            }
            Operation::Remove => {
                fs::remove_file(self.path.join(number.to_string())).and_then(|()| self.directory.sync_all())
            }
            Operation::CreateMany => self.create_many(number, bytes),
        };
        done.map(|()| Vec::new()).map_err(|error| error.to_string())
    }

    fn written(&mut self) -> std::result::Result<Vec<u8>, String> {
        fs::read(self.path.join(WRITTEN_NAME)).map_err(|error| error.to_string())
    }
}

impl Worker {
    fn make(path: PathBuf) -> Result<Worker> {
        fs::create_dir_all(&path)?;
        let written =
            OpenOptions::new().create(true).truncate(false).write(true).open(path.join(WRITTEN_NAME))?;
        for length in [SHORT, LONG] {
            fs::write(path.join(read_name(length)), contents(READ, length))?;
        }
        let directory = File::open(&path)?;
        directory.sync_all()?;
        Ok(Worker { path, directory, written })
    }

    /// Makes a file, and flushes it.
    fn create(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let mut file = OpenOptions::new().create_new(true).write(true).open(self.path.join(name))?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn write(&self, bytes: &[u8]) -> Result<()> {
        self.written.write_all_at(bytes, 0)?;
        self.written.sync_all()
    }

    /// Makes many files, each of which is flushed, and the directory once: without it all are there, or some.
    fn create_many(&self, number: u64, bytes: &[u8]) -> Result<()> {
        for (file, bytes) in bytes.chunks(SHORT).enumerate() {
            self.create(&format!("{number}-{file}"), bytes)?;
        }
        self.directory.sync_all()
    }
}
