//! Files that tasks write: each job is one file and one line of a journal that all append to, and the tree stays one.

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::expected::WatchedConnection;
use crate::jobs::Jobs;
use crate::programs::{add_program, wait_until_done};
use crate::transaction::single;
use crate::workload::{Step, Table, Task, Workload, column, query_anywhere, rows};
use crate::world::World;

/// What the tree of files must not show: no rows are what is well.
const DAMAGE: [(&str, &str); 5] = [
    (
        "an inode that nothing names",
        "SELECT id FROM sys.inodes WHERE id <> 1 AND NOT EXISTS (SELECT FROM sys.entries e WHERE e.inode = sys.inodes.id)",
    ),
    (
        "a name in what is no directory",
        "SELECT e.directory FROM sys.entries e JOIN sys.inodes i ON i.id = e.directory WHERE i.kind <> 'directory'",
    ),
    (
        "a block behind the end of its file",
        "SELECT b.inode FROM sys.blocks b JOIN sys.inodes i ON i.id = b.inode \
         WHERE b.number * 16384 + octet_length(b.data) > i.size",
    ),
    ("a file under the name that it was made with", "SELECT inode FROM sys.entries WHERE name LIKE 'new.%'"),
    (
        "a file of a job that is not what it wrote",
        "SELECT i.id FROM sys.inodes i JOIN sys.entries e ON e.inode = i.id JOIN sys.entries d ON d.inode = e.directory \
         LEFT JOIN sys.blocks b ON b.inode = i.id \
         WHERE d.name = 'jobs' AND convert_from(b.data, 'UTF8') IS DISTINCT FROM e.name || chr(10)",
    ),
];

/// The workload.
#[derive(Debug, Default)]
pub struct Files {
    jobs: Mutex<Jobs>,
}

impl Files {
    /// What adds the program "keeper" and the directory that it writes to.
    pub fn set_up() -> [String; 2] {
        let directory = "WITH i AS (INSERT INTO sys.inodes (kind, mode, owner) VALUES ('directory', 493, 'jobs') RETURNING id) \
                         INSERT INTO sys.entries (directory, name, inode) SELECT 1, 'jobs', id FROM i";
        [add_program("keeper", include_str!("keeper.wat")), directory.into()]
    }

    fn jobs(&self) -> std::sync::MutexGuard<'_, Jobs> {
        self.jobs.lock().expect("no client panics with it")
    }
}

impl<W: World> Workload<W> for Files {
    fn name(&self) -> &'static str {
        "files"
    }

    fn tables(&self) -> &'static [Table] {
        &[
            Table { name: "sys.inodes", order: "id" },
            Table { name: "sys.entries", order: "directory, name" },
            Table { name: "sys.blocks", order: "inode, number" },
        ]
    }

    fn setup<'a>(&'a self, world: &'a W) -> Task<'a, ()> {
        Box::pin(async move {
            for statement in Files::set_up() {
                query_anywhere(world, &statement).await;
            }
        })
    }

    fn step<'a>(&'a self, _: &'a W, connection: &'a mut WatchedConnection<W>, _: u64) -> Task<'a, Step> {
        Box::pin(async move {
            let job = self.jobs().number();
            // All of them meet at the end of the journal, perhaps on disks that take long: patience is not what is tested.
            let add = format!(
                "INSERT INTO sys.tasks (program, arguments, attempts_max, timeout) \
                 VALUES ('keeper', '\"{job:06}\"', 1000, '20 min')"
            );
            let fate = single(connection, &add).await;
            self.jobs().note(job, fate)
        })
    }

    fn check<'a>(&'a self, world: &'a W, connection: &'a mut W::Connection) -> Task<'a, Result<(), String>> {
        Box::pin(async move {
            wait_until_done(world, connection, "keeper").await?;
            for (what, query) in DAMAGE {
                if let Some(row) = rows(connection, query).await?.first() {
                    return Err(format!("{what}: {row:?}"));
                }
            }
            let files = "SELECT e.name::bigint FROM sys.entries e JOIN sys.entries d ON d.inode = e.directory \
                         WHERE d.name = 'jobs'";
            let files = column(connection, files).await?;
            let journal = "SELECT convert_from(string_agg(b.data, ''::bytea ORDER BY b.number), 'UTF8') \
                           FROM sys.blocks b JOIN sys.entries e ON e.inode = b.inode WHERE e.name = 'journal'";
            let journal = rows(connection, journal).await?.into_iter().flatten().next().flatten();
            let lines: Result<Vec<i64>, _> = journal.unwrap_or_default().lines().map(str::parse).collect();
            let lines = lines.map_err(|error| format!("a line of the journal is none: {error}"))?;
            self.jobs().check_done(&files, "file")?;
            self.jobs().check_done(&lines, "line")?;
            let [files, lines] = [files, lines].map(BTreeSet::from_iter);
            match files.symmetric_difference(&lines).next() {
                Some(job) => Err(format!("of job {job} there is a file or a line, and not the other")),
                None => Ok(()),
            }
        })
    }
}
