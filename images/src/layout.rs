//! Where things are below the state directory.

use std::path::{Path, PathBuf};

use crate::error::Failure;

/// The state directory, absolute.
#[derive(Clone, Debug)]
pub struct Layout {
    dir: PathBuf,
}

impl Layout {
    /// The layout of `dir`, which need not exist.
    pub fn new(dir: &Path) -> Result<Layout, Failure> {
        let dir = std::path::absolute(dir).map_err(Failure::file("use", dir))?;
        Ok(Layout { dir })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the cluster was started with.
    pub fn cluster(&self) -> PathBuf {
        self.dir.join("cluster.json")
    }

    /// The fabric's log.
    pub fn fabric_log(&self) -> PathBuf {
        self.dir.join("fabric.log")
    }

    /// The fabric's process id.
    pub fn fabric_pid(&self) -> PathBuf {
        self.dir.join("fabric.pid")
    }

    /// The kernel's symbols, for its backtraces.
    pub fn symbols(&self) -> PathBuf {
        self.dir.join("symbols")
    }

    /// A node's data disk.
    pub fn disk(&self, node: u8) -> PathBuf {
        self.dir.join(format!("node{node}.disk"))
    }

    /// What a node prints.
    pub fn node_log(&self, node: u8) -> PathBuf {
        self.dir.join(format!("node{node}.log"))
    }

    /// The shell's history.
    pub fn history(&self) -> PathBuf {
        self.dir.join("history")
    }

    /// Sockets have short paths: they are kept apart when the directory's is long.
    fn sockets(&self) -> PathBuf {
        const PATH_LEN_MAX: usize = 80;
        if self.dir.as_os_str().len() <= PATH_LEN_MAX {
            return self.dir.join("net");
        }
        let name = cluster_format::crc32c(self.dir.as_os_str().as_encoded_bytes());
        std::env::temp_dir().join(format!("relix-{name:08x}"))
    }

    /// Makes the directory and the one for sockets.
    pub fn create(&self) -> Result<(), Failure> {
        for dir in [self.dir.clone(), self.sockets()] {
            std::fs::create_dir_all(&dir).map_err(Failure::file("create", dir))?;
        }
        Ok(())
    }

    /// Where the fabric takes orders.
    pub fn control_socket(&self) -> PathBuf {
        self.sockets().join("control")
    }

    /// A switch's end of a node's wire on a fabric.
    pub fn switch_socket(&self, fabric: u8, node: u8) -> PathBuf {
        self.sockets().join(format!("switch{fabric}-{node}"))
    }

    /// The node's end of that wire.
    pub fn node_socket(&self, fabric: u8, node: u8) -> PathBuf {
        self.sockets().join(format!("node{fabric}-{node}"))
    }

    /// Where a VM's QEMU takes commands.
    pub fn monitor_socket(&self, node: u8) -> PathBuf {
        self.sockets().join(format!("monitor{node}"))
    }

    /// Removes all of it.
    pub fn wipe(&self) -> Result<(), Failure> {
        for dir in [self.sockets(), self.dir.clone()] {
            match std::fs::remove_dir_all(&dir) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Failure::file("remove", dir)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
