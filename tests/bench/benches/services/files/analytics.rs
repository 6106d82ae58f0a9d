//! What DBOS calls analytics: the sum of the sizes of all files, by owner. One statement on one side; on the other a walk
//! through a directory of each owner, all of which the system has in memory.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::time::Instant;

use tests_bench::load::connect;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, Error};

use super::{Effort, Figures};
use crate::session::run;
use crate::subject::Subject;

const OWNERS: i64 = 10;

/// Files that one transaction makes.
const BATCH: i64 = 5000;

const SUMS: &str = "SELECT owner, sum(size)::bigint FROM sys.inodes WHERE kind = 'file' GROUP BY owner";

/// The sizes, by owner.
type Sums = BTreeMap<String, i64>;

/// Ours, and the file system's.
pub fn measure(subject: &Subject, directory: &Path, effort: &Effort) -> Result<(Figures, Figures), String> {
    let root = directory.join("owners");
    make_tree(&root, effort.summed).map_err(|error| error.to_string())?;
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    let client =
        runtime.block_on(make_rows(subject.leader(), effort.summed)).map_err(|error| format!("{error:?}"))?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..effort.sums {
        let started = Instant::now();
        let asked = runtime.block_on(ask(&client)).map_err(|error| format!("{error:?}"))?;
        ours.push(started.elapsed());
        let started = Instant::now();
        let walked = walk(&root).map_err(|error| error.to_string())?;
        theirs.push(started.elapsed());
        if asked != walked || asked.len() as i64 != OWNERS {
            return Err(format!("the sums differ: {asked:?} and {walked:?}"));
        }
    }
    let clear = "DELETE FROM sys.entries; DELETE FROM sys.inodes WHERE id <> 1";
    runtime.block_on(run(subject.leader(), clear)).map_err(|error| format!("{error:?}"))?;
    let figures = |durations: Vec<_>| Figures { one: durations.into_iter().collect(), per_second: f64::NAN };
    Ok((figures(ours), figures(theirs)))
}

fn size_of(file: i64) -> i64 {
    file * 7_919 % 100_003
}

/// Directories of owners with empty files that are as long as they are said to be.
fn make_tree(root: &Path, files: i64) -> std::io::Result<()> {
    for owner in 0..OWNERS {
        fs::create_dir_all(root.join(format!("owner-{owner}")))?;
    }
    for file in 0..files {
        let path = root.join(format!("owner-{}", file % OWNERS)).join(file.to_string());
        File::create(path)?.set_len(size_of(file).unsigned_abs())?;
    }
    Ok(())
}

/// The same in tables.
async fn make_rows(port: u16, files: i64) -> Result<Client, Error> {
    let client = connect(port).await?;
    for first in (0..files).step_by(BATCH as usize) {
        let last = (first + BATCH).min(files) - 1;
        client
            .batch_execute(&format!(
                "WITH i AS (INSERT INTO sys.inodes (kind, mode, owner, size) \
                   SELECT 'file', 420, 'owner-' || n % {OWNERS}, n::bigint * 7919 % 100003 \
                   FROM generate_series({first}, {last}) n RETURNING id) \
                 INSERT INTO sys.entries (directory, name, inode) SELECT 1, id::text, id FROM i"
            ))
            .await?;
    }
    Ok(client)
}

async fn ask(client: &Client) -> Result<Sums, Error> {
    let rows = client.query(SUMS, &[]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

fn walk(root: &Path) -> std::io::Result<Sums> {
    let mut sums = Sums::new();
    for owner in fs::read_dir(root)? {
        let owner = owner?;
        let mut sum = 0;
        for file in fs::read_dir(owner.path())? {
            sum += file?.metadata()?.len().cast_signed();
        }
        sums.insert(owner.file_name().to_string_lossy().into_owned(), sum);
    }
    Ok(sums)
}
