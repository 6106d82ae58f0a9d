//! The peer: one PostgreSQL with its defaults, fsync on, on the same disk.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tests_vm::{free_base_port, run, scratch_dir};

/// A server that ends when it goes out of scope.
pub struct Postgres {
    bin: PathBuf,
    dir: PathBuf,
    /// Where it listens on 127.0.0.1.
    pub port: u16,
}

impl Postgres {
    /// Makes a database in a directory of its own and serves it; none if there is no PostgreSQL here.
    ///
    /// # Panics
    /// If there is one and it does not start.
    pub fn start() -> Option<Postgres> {
        let bin = programs()?;
        let dir = scratch_dir("postgres");
        std::fs::create_dir_all(&dir).expect("a directory");
        let server = Postgres { bin, dir, port: free_base_port() };
        if let Some(user) = unprivileged() {
            run(Command::new("chown").arg(user).arg(&server.dir)).expect_success("chown");
        }
        let data = server.data();
        let words = ["-D", &data, "-U", "relix", "-A", "trust", "-E", "UTF8"];
        run(&mut server.command("initdb", &words)).expect_success("initdb");
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=on \
             -c synchronous_commit=on -c max_connections=300",
            server.port
        );
        let log = format!("{data}.log");
        assert!(
            server.control(&["-w", "-l", &log, "-o", &options, "start"]),
            "pg_ctl start failed: see {log}"
        );
        let port = server.port.to_string();
        let words = ["-h", "127.0.0.1", "-p", &port, "-U", "relix", "relix"];
        run(&mut server.command("createdb", &words)).expect_success("createdb");
        Some(server)
    }

    /// Its version.
    pub fn version(&self) -> String {
        run(Command::new(self.bin.join("postgres")).arg("--version")).out.trim().to_string()
    }

    fn data(&self) -> String {
        self.dir.join("data").to_string_lossy().into_owned()
    }

    fn command(&self, program: &str, words: &[&str]) -> Command {
        let path = self.bin.join(program);
        let mut command = match unprivileged() {
            // It refuses to run as root.
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", user, "--regid", user, "--clear-groups"]).arg(path);
                command
            }
            None => Command::new(path),
        };
        command.args(words).current_dir(&self.dir);
        command
    }

    /// Starts or stops the server. What it leaves behind must not hold a pipe of ours.
    fn control(&self, words: &[&str]) -> bool {
        let data = self.data();
        let mut command = self.command("pg_ctl", &[&["-D", &data], words].concat());
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if !self.control(&["-m", "immediate", "stop"]) {
            eprintln!("PostgreSQL did not stop: see {}", self.data());
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// The user to run it as, if we are root.
fn unprivileged() -> Option<&'static str> {
    let root = run(Command::new("id").arg("-u")).out.trim() == "0";
    let there = |user: &&str| run(Command::new("id").arg(*user)).success;
    if root { ["postgres", "nobody"].into_iter().find(there) } else { None }
}

/// The `pgbench` that comes with it, if it is installed.
pub fn pgbench() -> Option<PathBuf> {
    programs().map(|bin| bin.join("pgbench")).filter(|path| path.is_file())
}

/// The folder of its programs: the newest that the system's packages have installed.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.map(|entry| entry.path()).max_by_key(|path| version(path))?;
    let bin = newest.join("bin");
    bin.join("initdb").is_file().then_some(bin)
}
