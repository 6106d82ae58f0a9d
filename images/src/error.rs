//! Why a command failed: one line that says what to do.

use std::fmt;
use std::io;
use std::path::PathBuf;

use cluster_backup::BackupError;

use crate::cluster::NODES_MAX;

/// A command's failure.
#[derive(Debug)]
pub enum Failure {
    /// There is no cluster to talk to.
    NotRunning,
    /// One runs already, and was asked to be something else.
    AlreadyRunning,
    /// A port is taken.
    PortInUse(u16),
    /// Too little memory for a VM.
    TooLittleMemory { asked: u32, least: u32 },
    /// Too few or too many nodes.
    NodeCount(u8),
    /// No such node.
    NoSuchNode { node: u8, nodes: u8 },
    /// A file or directory could not be used.
    File { what: &'static str, path: PathBuf, error: io::Error },
    /// A program could not be run, or failed.
    Program { program: String, problem: String },
    /// The fabric refused an order.
    Refused(String),
    /// The cluster did not come up in time.
    NotServing { seconds: u64, detail: String },
    /// A node could not be asked in SQL.
    Sql(String),
    /// A node could not be asked over HTTP, or has refused.
    Http(String),
    /// A file is there already.
    Exists(PathBuf),
    /// A file is no whole backup.
    Backup { path: PathBuf, error: BackupError },
    /// An argument is wrong in a way that clap cannot see.
    Argument(String),
}

impl Failure {
    /// For a file that could not be used.
    pub fn file(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Failure {
        let path = path.into();
        move |error| Failure::File { what, path, error }
    }

    /// For a statement that failed: what the node says, in one line.
    pub fn sql(error: &tokio_postgres::Error) -> Failure {
        Failure::Sql(match error.as_db_error() {
            Some(said) => {
                let hint = said.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
                format!("{}{hint}", said.message())
            }
            None => format!("the connection to the node has failed ({error}): run the command again"),
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NotRunning => write!(f, "no cluster is running here: start one with 'relix up'"),
            Failure::AlreadyRunning => {
                write!(f, "a cluster is running here with other options: stop it first with 'relix down'")
            }
            Failure::PortInUse(port) => {
                write!(f, "port {port} on 127.0.0.1 is in use: choose others with --base-port")
            }
            Failure::TooLittleMemory { asked, least } => {
                write!(f, "{asked} MiB are too little for a node: give it --memory {least} or more")
            }
            Failure::NodeCount(count) => write!(f, "a cluster has 1 to {NODES_MAX} nodes, not {count}"),
            Failure::NoSuchNode { node, nodes } => {
                write!(f, "there is no node {node}: this cluster has nodes 1 to {nodes}")
            }
            Failure::File { what, path, error } => write!(f, "cannot {what} {}: {error}", path.display()),
            Failure::Exists(path) => {
                write!(f, "{} is there already: remove it, or name another file", path.display())
            }
            Failure::Backup { path, error } => write!(f, "{}: {error}", path.display()),
            Failure::Program { program, problem } => write!(f, "{program}: {problem}"),
            Failure::Refused(why) | Failure::Sql(why) | Failure::Http(why) | Failure::Argument(why) => {
                f.write_str(why)
            }
            Failure::NotServing { seconds, detail } => {
                write!(f, "the cluster does not serve after {seconds} s: {detail} (see 'relix logs')")
            }
        }
    }
}
