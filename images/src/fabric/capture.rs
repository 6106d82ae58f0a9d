//! A capture of frames as they arrive. A thread of its own writes the file, so that no frame waits for the disk: those that
//! come faster than it writes are counted, and not in the file.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

use drivers_api::WallTime;
use tokio::task::JoinHandle;

use crate::control::Captured;
use crate::error::Failure;
use crate::fabric::pcap;
use crate::links::{LinkSelection, Port};

/// Frames that wait to be written, at most.
const WAITING_MAX: usize = 4096;

struct Seen {
    at: WallTime,
    frame: Box<[u8]>,
}

/// A capture that runs.
pub struct Capture {
    links: LinkSelection,
    path: PathBuf,
    waiting: SyncSender<Seen>,
    /// Frames that did not get into the file.
    lost: Cell<u64>,
    /// How many did.
    writer: JoinHandle<io::Result<u64>>,
}

impl Capture {
    /// Begins to write to a file that must not be there.
    pub fn start(links: LinkSelection, path: &Path) -> Result<Capture, Failure> {
        let file = File::create_new(path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Failure::Exists(path.into()),
            _ => Failure::file("create", path)(error),
        })?;
        let (waiting, seen) = sync_channel(WAITING_MAX);
        let writer = tokio::task::spawn_blocking(move || write(file, &seen));
        Ok(Capture { links, path: path.into(), waiting, lost: Cell::new(0), writer })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A frame has arrived.
    pub fn see(&self, fabric: u8, from: Port, to: Port, at: WallTime, frame: &[u8]) {
        let is_meant = self.links.is_on(fabric) && self.links.has(from, to);
        if is_meant && self.waiting.try_send(Seen { at, frame: frame.into() }).is_err() {
            self.lost.set(self.lost.get() + 1);
        }
    }

    /// Ends it; the file has all that it will have. An error if it could not be written.
    pub async fn stop(self) -> Result<Captured, Failure> {
        let Capture { path, waiting, lost, writer, .. } = self;
        // The thread writes what waits, and ends.
        drop(waiting);
        let written = writer.await.map_err(io::Error::other).flatten();
        let frames = written.map_err(Failure::file("write", &path))?;
        Ok(Captured { path, frames, lost: lost.get() })
    }
}

/// Writes frames until there will be no more; how many. Whoever reads the file meanwhile finds what has been seen a moment
/// ago.
fn write(file: File, seen: &Receiver<Seen>) -> io::Result<u64> {
    let mut file = BufWriter::new(file);
    file.write_all(&pcap::header())?;
    let mut frames = 0;
    loop {
        let next = match seen.try_recv() {
            Err(TryRecvError::Empty) => {
                file.flush()?;
                seen.recv().ok()
            }
            other => other.ok(),
        };
        let Some(Seen { at, frame }) = next else { break };
        file.write_all(&pcap::record_header(at, frame.len()))?;
        file.write_all(&frame)?;
        frames += 1;
    }
    file.flush()?;
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_on_its_links_is_in_the_file_and_no_file_is_overwritten() {
        let path = std::env::temp_dir().join(format!("relix-capture-{}", std::process::id()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let links = LinkSelection { from: Some(1), to: Some(2), ..LinkSelection::default() };
        let captured = runtime.block_on(async {
            let capture = Capture::start(links, &path).expect("a new file");
            for (micros, from, to) in [(1_000_001, 1, 2), (1_000_002, 2, 1), (1_000_003, 1, 2)] {
                capture.see(1, from, to, WallTime { unix_micros: micros }, &[from, to, 7]);
            }
            assert!(matches!(Capture::start(links, &path), Err(Failure::Exists(_))));
            capture.stop().await.expect("it is written")
        });
        let file = std::fs::read(&path).expect("it is there");
        std::fs::remove_file(&path).expect("it is removed");
        assert_eq!((captured.frames, captured.lost), (2, 0));
        let record = |micros| pcap::record_header(WallTime { unix_micros: micros }, 3);
        let expected = [&pcap::header()[..], &record(1_000_001), &[1, 2, 7], &record(1_000_003), &[1, 2, 7]];
        assert_eq!(file, expected.concat());
    }

    #[test]
    fn a_disk_that_is_full_ends_it_with_an_error_and_frames_go_on() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let file = File::options().write(true).open("/dev/full").expect("Linux has it");
        let (waiting, seen) = sync_channel(1);
        let said = runtime.block_on(async {
            let writer = tokio::task::spawn_blocking(move || write(file, &seen));
            let links = LinkSelection::default();
            let capture = Capture { links, path: "full.pcap".into(), waiting, lost: Cell::new(0), writer };
            for _ in 0..1_000 {
                capture.see(1, 1, 2, WallTime { unix_micros: 0 }, &[0; 9_000]);
            }
            capture.stop().await.expect_err("nothing fits").to_string()
        });
        assert!(said.contains("cannot write full.pcap"), "{said}");
    }
}
