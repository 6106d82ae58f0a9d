//! One cluster of its own directory and ports.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::client::Client;
use crate::program::{Outcome, relix, run};

/// How long anything may take before a story gives up on it.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a connection may take to open.
const CONNECTED_WITHIN: Duration = Duration::from_secs(5);

/// Last lines of each node's console that are shown where a story fails: a backtrace and a boot after it.
const LINES_SHOWN: usize = 80;

/// The machine has few cores: stories run one at a time.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its process runs.
    Up,
    /// It has none.
    Down,
    /// It is stopped in its tracks.
    Paused,
}

/// A line of `relix status --json`.
#[derive(Clone, Debug, Deserialize)]
pub struct NodeStatus {
    /// The node.
    pub id: u8,
    /// How its machine is.
    pub state: State,
    /// What it says it is.
    pub role: Option<String>,
    /// The newest version in its tables.
    pub applied: Option<u64>,
    /// Its process.
    pub pid: Option<u32>,
    /// What runs it.
    pub accel: String,
}

/// `relix status --json`.
#[derive(Clone, Debug, Deserialize)]
pub struct Status {
    /// The leader, if there is one.
    pub leader: Option<u8>,
    /// All nodes.
    pub nodes: Vec<NodeStatus>,
}

/// A cluster, wiped when it goes out of scope.
pub struct Cluster {
    dir: PathBuf,
    base_port: u16,
    up_options: Vec<String>,
}

impl Cluster {
    /// A directory and ports; nothing runs yet. `up_options` are for `relix up`.
    pub fn new(name: &str, up_options: &[&str]) -> Cluster {
        let up_options = up_options.iter().map(|option| option.to_string()).collect();
        Cluster { dir: scratch_dir(name), base_port: free_base_port(), up_options }
    }

    /// A cluster that serves.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn start(name: &str, up_options: &[&str]) -> Cluster {
        let cluster = Cluster::new(name, up_options);
        let said = cluster.up();
        println!("{name}: {}", said.lines().next().unwrap_or_default());
        cluster
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The port of a node's SQL.
    pub fn port(&self, node: u8) -> u16 {
        self.base_port + u16::from(node)
    }

    /// The port of a node's HTTP.
    pub fn http_port(&self, node: u8) -> u16 {
        self.port(node) + 100
    }

    /// Runs `relix` on this cluster.
    pub fn relix(&self, words: &[&str]) -> Outcome {
        run(Command::new(relix()).arg("--dir").arg(&self.dir).args(words))
    }

    /// Runs `relix up --detach` with the cluster's options and `more`.
    pub fn try_up(&self, more: &[&str]) -> Outcome {
        let port = self.base_port.to_string();
        let mut words = vec!["up", "--detach", "--base-port", &port];
        words.extend(self.up_options.iter().map(String::as_str));
        words.extend(more);
        self.relix(&words)
    }

    /// Starts what is down; what the command printed.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn up(&self) -> String {
        self.try_up(&[]).expect_success("relix up")
    }

    /// Runs `relix fault`.
    ///
    /// # Panics
    /// If it fails.
    pub fn fault(&self, words: &[&str]) {
        let words = [&["fault"], words].concat();
        self.relix(&words).expect_success(&words.join(" "));
    }

    /// Asks how it is.
    ///
    /// # Panics
    /// If the command fails, or says something else than it should.
    pub fn status(&self) -> Status {
        let text = self.relix(&["status", "--json"]).expect_success("relix status");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("status gave {text}: {error}"))
    }

    /// The leader, waited for.
    pub fn leader(&self) -> u8 {
        self.wait("a leader", || self.status().leader)
    }

    /// All nodes but this one.
    pub fn others(&self, node: u8) -> Vec<u8> {
        self.status().nodes.iter().map(|status| status.id).filter(|id| *id != node).collect()
    }

    /// What a node says it is, if it answers.
    pub fn role(&self, node: u8) -> Option<String> {
        self.status().nodes.into_iter().find(|status| status.id == node)?.role
    }

    /// Ends a node, puts a blank disk in place of its own, and starts it again.
    ///
    /// # Panics
    /// If it has no disk, or does not start.
    pub fn wipe(&self, node: u8) {
        self.fault(&["kill", &node.to_string()]);
        std::fs::remove_file(self.dir.join(format!("node{node}.disk"))).expect("the node has a disk");
        self.fault(&["restart", &node.to_string()]);
    }

    /// The process of the fabric and of each node that runs.
    pub fn pids(&self) -> Vec<u32> {
        let fabric = std::fs::read_to_string(self.dir.join("fabric.pid")).ok();
        let fabric = fabric.and_then(|text| text.trim().parse().ok());
        fabric.into_iter().chain(self.status().nodes.iter().filter_map(|node| node.pid)).collect()
    }

    /// A session with a node.
    ///
    /// # Panics
    /// If it does not take one.
    pub fn client(&self, node: u8) -> Client {
        self.wait(&format!("node {node} takes a client"), || self.try_client(node).ok())
    }

    /// A session with a node, tried once.
    pub fn try_client(&self, node: u8) -> Result<Client, crate::SqlFailure> {
        Client::connect(self.port(node), CONNECTED_WITHIN)
    }

    /// Waits until a node has applied what the others have now, each by its own word.
    ///
    /// # Panics
    /// If it does not for a minute.
    pub fn catches_up(&self, node: u8) {
        let applied = |node: u8| self.status().nodes.iter().find(|status| status.id == node)?.applied;
        let others = self.others(node);
        let target =
            self.wait("the others' position", || others.iter().filter_map(|other| applied(*other)).max());
        self.wait("the node catches up", || applied(node).filter(|applied| *applied >= target));
    }

    /// What a node has printed.
    pub fn log(&self, node: u8) -> String {
        let bytes = std::fs::read(self.dir.join(format!("node{node}.log"))).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until `look` sees something.
    ///
    /// # Panics
    /// If it does not for a minute.
    pub fn wait<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            assert!(started.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for node in 1..=7 {
                let log = self.log(node);
                let lines: Vec<&str> = log.lines().collect();
                lines[lines.len().saturating_sub(LINES_SHOWN)..]
                    .iter()
                    .for_each(|line| eprintln!("node {node}: {line}"));
            }
        }
        let outcome = self.relix(&["down", "--wipe"]);
        if !outcome.success {
            eprintln!("relix down --wipe: {}", outcome.err);
        }
    }
}

/// A directory that does not exist yet, on the disk of the build.
///
/// # Panics
/// If this program has no path.
pub fn scratch_dir(name: &str) -> PathBuf {
    let program = std::env::current_exe().expect("the path of this program");
    let target = program.ancestors().find(|dir| dir.ends_with("target"));
    let base = target.map_or_else(std::env::temp_dir, |target| target.join("tmp"));
    let dir = base.join(format!("{name}-{}", free_base_port()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&base).expect("a directory for scratch");
    dir
}

/// A base port whose next seven are free, not given out before by this process.
///
/// # Panics
/// If there is none.
pub fn free_base_port() -> u16 {
    // Below the ephemeral ports, so that no client's own port takes one.
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 600;
    // HTTP is a hundred ports beyond SQL: of each two hundred, ten clusters have the first half for the one, and the second
    // for the other.
    let base = |index: u16| FIRST + index / 10 * 200 + index % 10 * 10;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = (std::process::id() % u32::from(COUNT)) as u16;
    let bases = (0..COUNT).map(|_| NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(offset) % COUNT);
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let free = |at: &u16| (1..=7).all(|node| is_free(at + node) && is_free(at + 100 + node));
    bases.map(base).find(free).expect("some free ports")
}
