//! `relix restore`: a backup becomes the tables of a cluster that has none.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek};
use std::path::Path;
use std::pin::pin;
use std::time::Instant;

use bytes::Bytes;
use cluster_backup::BackupError;
use futures_util::SinkExt;
use indicatif::{HumanBytes, HumanCount};

use crate::checked::{Checked, Summary};
use crate::cli::RestoreOptions;
use crate::cluster::Cluster;
use crate::error::Failure;
use crate::layout::Layout;
use crate::progress::Progress;
use crate::session::{Session, connect};

/// So many bytes are read and sent at a time.
const PIECE_LEN: usize = 64 * 1024;

/// Runs it.
pub fn run(layout: &Layout, options: &RestoreOptions) -> Result<(), Failure> {
    let began = Instant::now();
    let cluster = Cluster::expect(layout)?;
    let path = &options.file;
    let mut file = File::open(path).map_err(Failure::file("read", path))?;
    let Summary { head, totals, bytes } = check(&mut file, path)?;
    let session = connect(layout, &cluster, options.node)?;
    file.rewind().map_err(Failure::file("read", path))?;
    session.runtime.block_on(send(&session, &mut file, path, bytes))?;
    println!(
        "Restored cluster '{}' as of version {}: {} rows from {}, {:.1} s.",
        head.cluster,
        head.version,
        HumanCount(totals.rows),
        HumanBytes(bytes),
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Reads all of the file: what is damaged is refused before the cluster has heard of it.
fn check(file: &mut File, path: &Path) -> Result<Summary, Failure> {
    let wrong = |error: BackupError| Failure::Backup { path: path.into(), error };
    let len = file.metadata().map_err(Failure::file("read", path))?.len();
    let mut progress = Progress::new("checked", Some(len));
    let mut checked = Checked::default();
    let mut piece = vec![0; PIECE_LEN];
    loop {
        let read = read(file, path, &mut piece)?;
        if read.is_empty() {
            return checked.finish().map_err(wrong);
        }
        checked.take(read).map_err(wrong)?;
        progress.show(checked.bytes, Some(checked.rows));
    }
}

/// Sends the file. The node checks it, too, and shows nothing of it before its end.
async fn send(session: &Session, file: &mut File, path: &Path, len: u64) -> Result<(), Failure> {
    let failed = |error: tokio_postgres::Error| Failure::sql(&error);
    let mut sink = pin!(session.client.copy_in("RESTORE").await.map_err(failed)?);
    let mut progress = Progress::new("sent", Some(len));
    let mut piece = vec![0; PIECE_LEN];
    let mut sent = 0;
    loop {
        let read = read(file, path, &mut piece)?;
        if read.is_empty() {
            break;
        }
        sink.send(Bytes::copy_from_slice(read)).await.map_err(failed)?;
        sent += read.len() as u64;
        progress.show(sent, None);
    }
    sink.finish().await.map(drop).map_err(failed)
}

/// The next piece; empty at the end.
fn read<'a>(file: &mut File, path: &Path, piece: &'a mut [u8]) -> Result<&'a [u8], Failure> {
    loop {
        match file.read(piece) {
            Ok(len) => return Ok(&piece[..len]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::file("read", path)(error)),
        }
    }
}
