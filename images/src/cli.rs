//! The command line. Scripts rely on it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::cluster::HOST_TABLES_MIB;
use crate::disks::{DISK_MIB_RANGE, IMAGE_MIB_RANGE};
use crate::fault::FaultCommand;

/// A database-oriented operating system for virtual clusters.
#[derive(Debug, Parser)]
#[command(name = "relix", version, about, max_term_width = 100)]
pub struct Cli {
    /// Where the cluster's state is kept.
    #[arg(long, global = true, default_value = ".relix")]
    pub dir: PathBuf,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Starts the cluster, and opens the SQL shell on a terminal.
    Up(UpOptions),
    /// Shows every node.
    Status {
        /// As JSON, for scripts.
        #[arg(long)]
        json: bool,
    },
    /// Opens the SQL shell, or runs SQL.
    Sql(SqlOptions),
    /// Writes all tables, as they are at one version, to a file, while the cluster goes on.
    Backup(BackupOptions),
    /// Brings the tables of a backup into a cluster that has none: all of them, or nothing.
    Restore(RestoreOptions),
    /// Programs that tasks run.
    #[command(subcommand)]
    Program(ProgramCommand),
    /// Files of the cluster.
    Fs {
        /// Asks this node; else the first that is up.
        #[arg(long, global = true)]
        node: Option<u8>,
        #[command(subcommand)]
        command: FsCommand,
    },
    /// Shows what Relix does, on a cluster of its own.
    #[command(subcommand)]
    Demo(DemoCommand),
    /// Disk images that boot on any hypervisor.
    #[command(subcommand)]
    Image(ImageCommand),
    /// Breaks something, or mends it.
    #[command(subcommand)]
    Fault(FaultCommand),
    /// Shows what the nodes print on their consoles.
    Logs {
        /// Only this node.
        node: Option<u8>,
        /// Goes on as lines are added.
        #[arg(short, long)]
        follow: bool,
    },
    /// Runs whole clusters in this process, from a seed, and breaks them; needs no cluster.
    Sim(SimOptions),
    /// Stops the cluster. Its data stays.
    Down {
        /// Removes the data too.
        #[arg(long)]
        wipe: bool,
    },
    /// The background process behind `up`.
    #[command(hide = true)]
    Fabric,
    /// One node as a host process.
    #[command(hide = true)]
    HostNode {
        /// Whose disk and wire it has.
        #[arg(long)]
        machine: u8,
        /// Bytes the tables may take.
        #[arg(long)]
        tables_len_max: usize,
        /// Where it listens for SQL, on this machine only.
        #[arg(long)]
        sql_port: u16,
        /// Where it listens for HTTP, on this machine only.
        #[arg(long)]
        http_port: u16,
        /// How far its wall clock is ahead of this machine's.
        #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
        clock_ahead_s: i64,
        /// `relix.KEY=VALUE` settings.
        words: Vec<String>,
    },
}

impl Default for Command {
    fn default() -> Self {
        Command::Up(UpOptions::default())
    }
}

/// How the virtual CPUs run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Accel {
    /// KVM where it works, TCG elsewhere.
    #[default]
    Auto,
    /// The host's virtualisation extensions.
    Kvm,
    /// QEMU's translator.
    Tcg,
}

/// QEMU's machine type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MachineType {
    /// A PC with PCI Express.
    #[default]
    Q35,
    /// A minimal machine with virtio-mmio.
    Microvm,
}

/// What starts a machine from its disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Firmware {
    /// SeaBIOS, which QEMU has with it.
    #[default]
    Bios,
    /// OVMF.
    Uefi,
}

#[derive(Clone, Debug, Args)]
pub struct UpOptions {
    /// How many nodes, 1 to 16; more than a running cluster has: the new ones join it. Without: those it has,
    /// or 3.
    #[arg(long)]
    pub nodes: Option<u8>,
    /// Memory of each VM, in MiB.
    #[arg(long, default_value_t = 128)]
    pub memory: u32,
    /// Cores of each VM.
    #[arg(long, default_value_t = 1)]
    pub cpus: u8,
    /// How the virtual CPUs run.
    #[arg(long, value_enum, default_value_t = Accel::Auto)]
    pub accel: Accel,
    /// QEMU's machine type.
    #[arg(long, value_enum, default_value_t = MachineType::Q35)]
    pub machine: MachineType,
    /// Boots each VM of a new cluster from a copy of this disk image, which 'relix image build' has made; its data is on the
    /// same disk.
    #[arg(long, value_name = "FILE", conflicts_with = "host")]
    pub image: Option<PathBuf>,
    /// What boots an image.
    #[arg(long, value_enum, default_value_t = Firmware::Bios, requires = "image")]
    pub firmware: Firmware,
    /// Node K serves SQL on port BASE+K of 127.0.0.1, and HTTP on BASE+100+K.
    #[arg(long, default_value_t = 55430)]
    pub base_port: u16,
    /// Returns when the cluster serves, without the shell.
    #[arg(long)]
    pub detach: bool,
    /// Removes the data of an earlier cluster first.
    #[arg(long)]
    pub fresh: bool,
    /// Runs the nodes as host processes, without VMs.
    #[arg(long)]
    pub host: bool,
    /// Lets the nodes ask for their addresses by DHCP, as the fabric grants them; else they are told.
    #[arg(long)]
    pub dhcp: bool,
    /// Lets the nodes take the time from this machine's clock, by NTP; else they have their machines'.
    #[arg(long)]
    pub ntp: bool,
    /// Lets clients come to VMs by IPv6.
    #[arg(long)]
    pub ip6: bool,
    /// How many fabrics join a new cluster's VMs, 1 to 4: each VM has a network card on every one. Clients come by the first.
    #[arg(long, value_name = "N", conflicts_with = "host", value_parser = clap::value_parser!(u8).range(1..=4))]
    pub fabrics: Option<u8>,
    /// The size of each data disk, in MiB; more than those of a cluster have: they grow, and the nodes use what is
    /// new at once. Without: what they have, or 4096. They take space as they are written.
    #[arg(long, value_parser = clap::value_parser!(u64).range(DISK_MIB_RANGE))]
    pub disk_mib: Option<u64>,
    /// What the tables of a new cluster's host processes may take of memory, in MiB.
    #[arg(long, hide = true, default_value_t = HOST_TABLES_MIB, value_parser = clap::value_parser!(u64).range(1..))]
    pub host_tables_mib: u64,
    /// Tells the machines of a new cluster its name and how many there are, and nothing else: they find each other, and out
    /// which node each one is. Elsewhere, 'node K' is the K-th machine then.
    #[arg(long, conflicts_with = "ip6")]
    pub discover: bool,
    /// Where the dice of 'relix fault link' begin, so that a run can be repeated.
    #[arg(long, value_name = "SEED")]
    pub fault_seed: Option<u64>,
}

impl Default for UpOptions {
    fn default() -> Self {
        let words = ["relix", "up"];
        match Cli::parse_from(words).command {
            Some(Command::Up(options)) => options,
            _ => unreachable!("'relix up' parses as Up"),
        }
    }
}

#[derive(Debug, Args)]
pub struct SqlOptions {
    /// Asks this node; else the first that answers.
    #[arg(long)]
    pub node: Option<u8>,
    /// Runs this, prints the result, ends.
    #[arg(short, long, conflicts_with = "file")]
    pub command: Option<String>,
    /// Runs what this file holds.
    #[arg(short, long)]
    pub file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum ProgramCommand {
    /// Adds a program, or a new version of one, which tasks run from then on.
    Add(ProgramOptions),
}

#[derive(Debug, Args)]
pub struct ProgramOptions {
    /// What tasks call it.
    pub name: String,
    /// A WebAssembly module: FILE.wasm, or FILE.wat in the text format.
    pub file: PathBuf,
    /// What it may ask for, of sql, log, time, random, sleep and files; all of it if nothing is said.
    #[arg(long, value_name = "LIST")]
    pub privileges: Option<String>,
    /// Bytes of memory that a run of it may take [default: 16777216]
    #[arg(long, value_name = "BYTES")]
    pub memory_max: Option<i64>,
    /// Units of work, about one for each instruction, that a run of it may take [default: 10000000000]
    #[arg(long, value_name = "UNITS")]
    pub fuel_max: Option<i64>,
    /// Asks this node; else the first that answers.
    #[arg(long)]
    pub node: Option<u8>,
}

#[derive(Debug, Subcommand)]
pub enum FsCommand {
    /// Lists a directory.
    Ls {
        #[arg(default_value = "/")]
        path: String,
    },
    /// Prints files.
    Cat {
        #[arg(required = true)]
        paths: Vec<String>,
    },
    /// Copies a file to the cluster, from it, or within: paths of the cluster begin with a colon, as :/notes.txt.
    Cp {
        /// Directories, with all that is below of them.
        #[arg(short, long)]
        recursive: bool,
        from: String,
        to: String,
    },
    /// Gives a file or a directory another path.
    Mv { from: String, to: String },
    /// Removes files and empty directories.
    Rm {
        /// Directories, with all that is below of them.
        #[arg(short, long)]
        recursive: bool,
        #[arg(required = true)]
        paths: Vec<String>,
    },
    /// Makes directories.
    Mkdir {
        #[arg(required = true)]
        paths: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum DemoCommand {
    /// A small shop, whose nodes are killed while it takes orders: each is handled exactly once.
    Orders(DemoOptions),
}

#[derive(Debug, Args)]
pub struct DemoOptions {
    /// How many nodes are killed, one after the other.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub kills: u8,
    /// How many nodes the cluster has.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(3..=7))]
    pub nodes: u8,
    /// Runs the nodes as host processes, without VMs.
    #[arg(long)]
    pub host: bool,
    /// As in 'relix up': the cluster is another than that one.
    #[arg(long, default_value_t = 56430)]
    pub base_port: u16,
    /// Lets the cluster run when it is over, to be looked at.
    #[arg(long)]
    pub keep: bool,
}

#[derive(Debug, Args)]
pub struct BackupOptions {
    /// The file to write. It must not be there yet; until it is whole, it is called FILE.part.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Asks this node; else the first that answers.
    #[arg(long)]
    pub node: Option<u8>,
}

#[derive(Debug, Args)]
pub struct RestoreOptions {
    /// What 'relix backup' has written. It is read once before anything of it is sent.
    pub file: PathBuf,
    /// Sends it to this node; else to the first that answers.
    #[arg(long)]
    pub node: Option<u8>,
}

#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// Makes a disk that boots, by BIOS and by EFI, with a blank partition for data, which grows to the end of whatever disk
    /// the image is copied to.
    Build(ImageBuildOptions),
    /// Makes a config drive, a small disk that tells a machine its settings where neither the image nor QEMU's fw_cfg does.
    Config(ImageConfigOptions),
    /// Shows what is on an image, or on the data disk of a node that is down.
    Inspect {
        /// A disk image, raw or qcow2.
        file: PathBuf,
    },
}

/// How an image is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ImageFormat {
    /// The bytes of the disk.
    #[default]
    Raw,
    /// QEMU's format, without what is zero.
    Qcow2,
}

#[derive(Debug, Args)]
pub struct ImageBuildOptions {
    /// The file to write. It must not be there yet; until it is whole, it is called FILE.part.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = ImageFormat::Raw)]
    pub format: ImageFormat,
    /// The size of the disk, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(IMAGE_MIB_RANGE))]
    pub size: u64,
    /// Settings of its node, as 'relix.node=1 relix.size=3 relix.ip=10.77.0.1/24'. QEMU's fw_cfg may give those that are
    /// not here, in a file opt/relix/settings, and so may a config drive.
    #[arg(long, value_name = "WORDS", default_value = "")]
    pub settings: String,
}

#[derive(Debug, Args)]
pub struct ImageConfigOptions {
    /// The file to write. It must not be there yet; until it is whole, it is called FILE.part.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Settings, as relix.node=2 relix.size=3 relix.ip=10.77.0.2/24.
    #[arg(required = true, value_name = "relix.KEY=VALUE")]
    pub words: Vec<String>,
}

#[derive(Debug, Args)]
pub struct SimOptions {
    /// The first seed; alone, it is run twice and compared. Random if not given.
    #[arg(long)]
    pub seed: Option<u64>,
    /// How many seeds, on all cores.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: Option<u64>,
    /// As many seeds as fit into so many hours.
    #[arg(long)]
    pub hours: Option<f64>,
    /// How many nodes; else as the seed says.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=7))]
    pub nodes: Option<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
        assert_eq!(UpOptions::default().nodes, None);
    }
}
