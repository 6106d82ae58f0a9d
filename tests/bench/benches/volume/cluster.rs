//! Three nodes as host processes.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tests_bench::load::connect;
use tests_vm::{Client, Cluster, State};
use tokio::runtime::Runtime;
use tokio_postgres::types::ToSql;

use super::system::{forget, made_dirty_by, size_of, written_by};
use super::{MEMORY_MIB, READS_FOR, Row, Subject, list_condition, list_of};

/// Longer than any of its statements takes.
const PATIENCE: Duration = Duration::from_secs(3600);

/// It has settled once no node has written anything for so long.
const QUIET: Duration = Duration::from_secs(3);

pub struct Relix {
    cluster: Cluster,
    runtime: Runtime,
    loader: Option<Client>,
    writer: Option<Client>,
}

impl Relix {
    pub fn start() -> Relix {
        let memory = MEMORY_MIB.to_string();
        let options = ["--host", "--host-tables-mib", &memory, "--disk-mib", "16384"];
        let cluster = Cluster::new("volume", &options);
        cluster.up();
        let client = || Some(cluster.client(1).with_patience(PATIENCE));
        let (loader, writer) = (client(), client());
        let tables = "CREATE TABLE rows (id bigint PRIMARY KEY, body text); \
                      CREATE TABLE small (id bigint PRIMARY KEY, body text)";
        loader.as_ref().expect("a client").query(tables).expect("two tables");
        Relix { cluster, runtime: Runtime::new().expect("a runtime"), loader, writer }
    }

    fn processes(&self) -> Vec<String> {
        self.cluster.status().nodes.iter().filter_map(|node| Some(node.pid?.to_string())).collect()
    }

    fn disks(&self) -> Vec<PathBuf> {
        (1..=3).map(|node| self.cluster.dir().join(format!("node{node}.disk"))).collect()
    }

    fn made_dirty(&self) -> u64 {
        self.processes().iter().map(|process| made_dirty_by(process)).sum()
    }
}

impl Relix {
    /// Rows a second that clients of the first so many nodes read: those with `condition`, whose parameters `list` gives for
    /// the number of each statement.
    fn read_by(&self, clients: usize, nodes: u8, condition: &str, list: &dyn Fn(u64) -> Vec<i64>) -> f64 {
        let select = &format!("SELECT body FROM rows WHERE {condition}");
        let reading = (0..clients).map(|client| async move {
            let connection =
                connect(self.cluster.port(client as u8 % nodes + 1)).await.expect("a connection");
            let statement = connection.prepare(select).await.expect("a statement");
            let started = Instant::now();
            let (mut count, mut rows) = (0, 0);
            while started.elapsed() < READS_FOR {
                let list = list(count * clients as u64 + client as u64);
                let list: Vec<&(dyn ToSql + Sync)> =
                    list.iter().map(|key| key as &(dyn ToSql + Sync)).collect();
                let found = connection.query(&statement, &list).await.expect("rows");
                assert!(!found.is_empty(), "the rows are there");
                rows += found.iter().filter(|row| row.get::<_, &str>(0).len() == 200).count();
                count += 1;
            }
            rows as f64 / started.elapsed().as_secs_f64()
        });
        self.runtime.block_on(futures_util::future::join_all(reading)).iter().sum()
    }
}

impl Subject for Relix {
    fn name(&self) -> &'static str {
        "relix"
    }

    fn load(&self, rows: &[Row]) {
        let mut text = String::with_capacity(rows.len() * 220);
        for (key, body) in rows {
            let _ = writeln!(text, "{key}\t{body}");
        }
        let loader = self.loader.as_ref().expect("a client");
        let copied = loader.copy_in("COPY rows FROM STDIN", text.as_bytes());
        assert_eq!(copied, Ok(rows.len() as u64), "every row of a batch is taken");
    }

    fn write_one(&self, number: i64) {
        let writer = self.writer.as_ref().expect("a client");
        writer.query(&format!("INSERT INTO small VALUES ({number}, 'some words')")).expect("a commit");
    }

    fn settle(&self) {
        let mut before = (self.made_dirty(), Instant::now());
        while before.1.elapsed() < QUIET {
            std::thread::sleep(Duration::from_millis(200));
            let written = self.made_dirty();
            if written != before.0 {
                before = (written, Instant::now());
            }
        }
    }

    fn written(&self) -> u64 {
        // All write the same; what a node sends counts as well, and one of them has neither clients nor followers.
        self.processes().iter().map(|process| written_by(process)).min().unwrap_or(0)
    }

    fn size(&self) -> (u64, Option<u64>) {
        let client = self.cluster.client(1);
        let in_use = client.row("SELECT max(disk_total - disk_free) FROM sys.nodes").expect("sys.nodes");
        (size_of(&self.disks()) / 3, in_use.parse().ok())
    }

    fn restart(&mut self, key: i64) -> Duration {
        (self.loader, self.writer) = (None, None);
        for node in ["1", "2", "3"] {
            self.cluster.fault(&["kill", node]);
        }
        forget(&self.disks());
        let started = Instant::now();
        self.cluster.up();
        let found = self.cluster.client(1).row(&format!("SELECT id FROM rows WHERE id = {key}"));
        assert_eq!(found, Ok(key.to_string()), "the row is there");
        let took = started.elapsed();
        self.cluster.wait("all are up", || {
            let nodes = self.cluster.status().nodes;
            nodes.iter().all(|node| node.state == State::Up && node.role.is_some()).then_some(())
        });
        took
    }

    fn read(&self, clients: usize, keys: &(dyn Fn(u64) -> i64 + Sync)) -> f64 {
        self.read_by(clients, 1, "id = $1", &|number| vec![keys(number)])
    }

    fn read_lists(&self, clients: usize, keys: &(dyn Fn(u64) -> i64 + Sync)) -> f64 {
        self.read_by(clients, 3, &list_condition('$'), &|number| list_of(keys, number))
    }

    fn scan(&self) -> (u64, u64) {
        let client = self.cluster.client(1).with_patience(PATIENCE);
        let answer = client.row("SELECT count(*), sum(length(body)) FROM rows").expect("a scan");
        let (rows, bytes) = answer.split_once('|').expect("two figures");
        (rows.parse().expect("a count"), bytes.parse().expect("a sum"))
    }
}
