//! `relix backup`: all tables at one version, to a file. The file is what the node sends, byte for byte.

use std::pin::pin;
use std::time::Instant;

use cluster_backup::BackupError;
use futures_util::StreamExt;
use indicatif::{HumanBytes, HumanCount};

use crate::checked::{Checked, Summary};
use crate::cli::BackupOptions;
use crate::cluster::Cluster;
use crate::error::Failure;
use crate::layout::Layout;
use crate::part_file::PartFile;
use crate::progress::Progress;
use crate::session::{Session, connect};

/// Runs it.
pub fn run(layout: &Layout, options: &BackupOptions) -> Result<(), Failure> {
    let began = Instant::now();
    let cluster = Cluster::expect(layout)?;
    let mut file = PartFile::create(&options.out)?;
    let session = connect(layout, &cluster, options.node)?;
    let Summary { head, totals, bytes } = session.runtime.block_on(fetch(&session, &mut file))?;
    file.finish()?;
    println!(
        "Backed up cluster '{}' at version {}: {} rows in {}, {:.1} s.",
        head.cluster,
        head.version,
        HumanCount(totals.rows),
        HumanBytes(bytes),
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Writes what the node sends, and checks that it is a whole backup.
async fn fetch(session: &Session, file: &mut PartFile) -> Result<Summary, Failure> {
    let wrong =
        |error: BackupError| Failure::Sql(format!("what node {} sends is wrong: {error}", session.node));
    let failed = |error: tokio_postgres::Error| Failure::sql(&error);
    let mut stream = pin!(session.client.copy_out("BACKUP").await.map_err(failed)?);
    let mut progress = Progress::new("fetched", None);
    let mut checked = Checked::default();
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.map_err(failed)?;
        checked.take(&bytes).map_err(wrong)?;
        file.write(&bytes)?;
        progress.show(checked.bytes, Some(checked.rows));
    }
    checked.finish().map_err(wrong)
}
