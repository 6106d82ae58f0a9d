//! Files in tables in memory.

mod contents;
mod model;
mod operations;
mod plans;
mod properties;
mod rows;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use cluster_calendar::Timestamptz;
use cluster_sql::Session;
use cluster_sql::database::Freshness;
use cluster_sql::memory::MemoryDatabase;

use super::*;
use crate::bench::{Bench, block_on};

const NEW: New<'_> = New { mode: 0o644, owner: "relix" };

/// Tables without files, and a session.
struct Disk {
    bench: Bench,
}

impl Disk {
    fn new() -> Disk {
        Disk { bench: Bench::new() }
    }

    /// What comes of `body`, in a transaction of its own.
    fn block<T>(
        &mut self,
        body: impl AsyncFnOnce(&mut Session<MemoryDatabase>) -> FileResult<T>,
    ) -> FileResult<T> {
        self.begin();
        let done = block_on(body(&mut self.bench.session));
        match done {
            Err(FileError::Sql(_)) => self.bench.session.abandon_block(),
            // What does not work has changed nothing; that it has not is to be seen afterwards.
            _ => self.commit(),
        }
        done
    }

    fn begin(&mut self) {
        block_on(self.bench.session.begin_on(Freshness::Local)).expect("a snapshot");
    }

    fn commit(&mut self) {
        block_on(self.bench.session.end_block()).expect("nobody is in the way");
    }

    /// Runs commands, each in a transaction of its own: what they say, a line each that says something.
    fn does(&mut self, script: &str) -> String {
        let mut said: Vec<String> = Vec::new();
        for line in script.lines() {
            said.push(self.tries(line.trim()));
        }
        assert_eq!(self.damage(), "");
        said.retain(|text| !text.is_empty());
        said.join("\n")
    }

    /// Runs one command, whatever the tables are like.
    fn tries(&mut self, line: &str) -> String {
        let done = self.block(async |session| command(session, line).await);
        done.unwrap_or_else(|error| error.to_string())
    }

    /// What of the tables does not go together.
    fn damage(&mut self) -> String {
        let mut found = Vec::new();
        for (what, sql) in INVARIANTS {
            let rows = self.bench.run(sql);
            if !rows.is_empty() {
                found.push(format!("{what}: {rows}"));
            }
        }
        found.join("\n")
    }
}

/// What is never to be found in the tables.
const INVARIANTS: [(&str, &str); 6] = [
    (
        "without a name",
        "SELECT id FROM sys.inodes i WHERE id <> 1 AND NOT EXISTS (SELECT FROM sys.entries e WHERE e.inode = i.id)",
    ),
    (
        "directories of two names",
        "SELECT id FROM sys.inodes i WHERE kind = 'directory' \
         AND (SELECT count(*) FROM sys.entries e WHERE e.inode = i.id) > 1",
    ),
    (
        "in what is no directory",
        "SELECT e.name FROM sys.entries e JOIN sys.inodes i ON i.id = e.directory WHERE i.kind <> 'directory'",
    ),
    (
        "beyond the end, or of no file",
        "SELECT b.inode, b.number FROM sys.blocks b LEFT JOIN sys.inodes i ON i.id = b.inode AND i.kind = 'file' \
         WHERE (b.number * 16384 + octet_length(b.data) <= i.size AND octet_length(b.data) > 0) IS NOT TRUE",
    ),
    (
        "out of reach",
        "SELECT i.id FROM sys.inodes i LEFT JOIN sys.files f ON f.inode = i.id WHERE f.path IS NULL",
    ),
    (
        "wrongly counted",
        "SELECT q.owner, q.bytes_used, q.files_used FROM sys.quotas q WHERE q.bytes_used IS NOT NULL AND (\
         q.bytes_used <> (SELECT coalesce(sum(size), 0) FROM sys.inodes i WHERE i.owner = q.owner) OR \
         q.files_used IS DISTINCT FROM (SELECT count(*) FROM sys.inodes i WHERE i.owner = q.owner))",
    ),
];

/// One line of a shell.
async fn command(session: &mut Session<MemoryDatabase>, line: &str) -> FileResult<String> {
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let words: Vec<&str> = line.split(' ').map(|word| if word == "''" { "" } else { word }).collect();
    match words[..] {
        [""] => {}
        ["stat", path] => return Ok(described(&stat(session, path).await?)),
        ["lstat", path] => return Ok(described(&stat_link(session, path).await?)),
        ["links", path] => return Ok(links(session, path).await?.to_string()),
        ["ls", path] => return Ok(listed(&list(session, path, "", usize::MAX).await?)),
        ["ls", path, after, most] => {
            return Ok(listed(&list(session, path, after, number(most) as usize).await?));
        }
        ["create", path] => drop(create(session, path, NEW, false).await?),
        ["create", path, "new"] => drop(create(session, path, NEW, true).await?),
        ["create", path, "of", owner] => drop(create(session, path, New { owner, ..NEW }, true).await?),
        ["mkdir", path] => drop(make_directory(session, path, New { mode: 0o755, ..NEW }).await?),
        ["mkdir", "-p", path] => drop(make_directories(session, path, New { mode: 0o755, ..NEW }).await?),
        ["ln", path, new] => link(session, path, new).await?,
        ["ln", "-s", target, path] => drop(symlink(session, target, path, "relix").await?),
        ["readlink", path] => return read_link(session, path).await,
        ["mv", path, new] => rename(session, path, new).await?,
        ["rm", path] => unlink(session, path).await?,
        ["rm", "-r", path] => remove_tree(session, path).await?,
        ["rmdir", path] => remove_directory(session, path).await?,
        ["chmod", mode, path] => {
            set_mode(session, path, u32::from_str_radix(mode, 8).expect("octal digits")).await?;
        }
        ["chown", owner, path] => set_owner(session, path, owner).await?,
        ["touch", path] => set_modified(session, path, Timestamptz::INFINITY).await?,
        ["cat", path] => return Ok(shown(&read(session, path, 0, usize::MAX).await?)),
        ["cat", path, offset, len] => {
            return Ok(shown(&read(session, path, number(offset), number(len) as usize).await?));
        }
        ["write", path, offset, text] => write(session, path, number(offset), text.as_bytes()).await?,
        ["append", path, text] => return Ok(append(session, path, text.as_bytes()).await?.to_string()),
        ["truncate", path, size] => truncate(session, path, number(size)).await?,
        _ => panic!("no such command: {line}"),
    }
    Ok(String::new())
}

fn described(inode: &Inode) -> String {
    format!("{} {:04o} {} {}", inode.kind.name(), inode.mode, inode.owner, inode.size)
}

fn listed(entries: &[(String, Inode)]) -> String {
    let entry = |(name, inode): &(String, Inode)| match (inode.kind, &inode.target) {
        (Kind::Directory, _) => format!("{name}/"),
        (_, Some(target)) => format!("{name}->{target}"),
        _ => name.clone(),
    };
    entries.iter().map(entry).collect::<Vec<_>>().join(" ")
}

/// Contents, with dots for zeros.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\0', ".")
}
