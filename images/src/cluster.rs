//! What a cluster was started with: kept beside its data, so that later commands agree with it.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use drivers_api::Mtu;
use serde::{Deserialize, Serialize};

use crate::cli::{Firmware, MachineType};
use crate::error::Failure;
use crate::layout::Layout;
use crate::links::FIRST_FABRIC;

/// The virtual network's prefix.
pub const PREFIX_LEN: u8 = 24;

/// That of its IPv6 addresses.
pub const PREFIX6_LEN: u8 = 64;

/// The MTU of the virtual network. Each frame is a few system calls on its way, however long it is.
pub const MTU: Mtu = Mtu::JUMBO;

/// Most nodes of a cluster here: up to seven vote, the others learn.
pub const NODES_MAX: u8 = 16;

/// From a node's port for SQL to that for HTTP.
const HTTP_PORT_OFFSET: u16 = 100;

/// The gateway's last byte in the virtual network.
const GATEWAY: u8 = 254;

/// What a host process's tables may take of memory, unless told otherwise: 1 GiB.
pub const HOST_TABLES_MIB: u64 = 1024;

/// That of a cluster which was founded before it could be told.
fn host_tables_mib() -> u64 {
    HOST_TABLES_MIB
}

/// That of a cluster which was founded before there could be more.
fn one_fabric() -> u8 {
    1
}

/// What runs a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Runner {
    /// A VM.
    Vm {
        kernel: PathBuf,
        symbols: PathBuf,
        machine: MachineType,
        kvm: bool,
        memory_mib: u32,
        cpus: u8,
        /// What it boots, if not the kernel: its disk is a copy of this image.
        #[serde(default)]
        image: Option<(PathBuf, Firmware)>,
    },
    /// A process.
    Host,
}

/// A cluster's constants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    pub name: String,
    /// How many nodes it was founded with; those behind have joined, or will.
    pub founders: u8,
    pub nodes: u8,
    pub base_port: u16,
    pub disk_mib: u64,
    /// Whether its machines find out themselves which nodes they are.
    #[serde(default)]
    pub discovers: bool,
    /// What the tables of each host process may take of memory.
    #[serde(default = "host_tables_mib")]
    pub host_tables_mib: u64,
    pub runner: Runner,
    /// Whether its nodes ask for their addresses.
    #[serde(default)]
    pub dhcp: bool,
    /// Whether its clients come to VMs by IPv6.
    #[serde(default)]
    pub ip6: bool,
    /// Whether its nodes ask the gateway for the time.
    #[serde(default)]
    pub ntp: bool,
    /// How many fabrics join its nodes: each has a network card on every one.
    #[serde(default = "one_fabric")]
    pub fabrics: u8,
}

impl Cluster {
    /// The one in `layout`, if any.
    pub fn load(layout: &Layout) -> Result<Option<Cluster>, Failure> {
        let path = layout.cluster();
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| Failure::file("understand", path)(error.into())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::file("read", path)(error)),
        }
    }

    /// The one in `layout`, which must be there.
    pub fn expect(layout: &Layout) -> Result<Cluster, Failure> {
        Cluster::load(layout)?.ok_or(Failure::NotRunning)
    }

    /// Keeps it.
    pub fn save(&self, layout: &Layout) -> Result<(), Failure> {
        let path = layout.cluster();
        let bytes =
            serde_json::to_vec(self).map_err(|error| Failure::file("describe", &path)(error.into()))?;
        std::fs::write(&path, bytes).map_err(Failure::file("write", path))
    }

    /// All fabrics.
    pub fn fabric_ids(&self) -> std::ops::RangeInclusive<u8> {
        FIRST_FABRIC..=self.fabrics
    }

    /// An error unless there is such a fabric.
    pub fn check_fabric(&self, fabric: u8) -> Result<(), Failure> {
        match self.fabric_ids().contains(&fabric) {
            true => Ok(()),
            false => Err(Failure::Argument(format!(
                "there is no fabric {fabric}: give one from {FIRST_FABRIC} to {}",
                self.fabrics
            ))),
        }
    }

    /// All nodes.
    pub fn node_ids(&self) -> std::ops::RangeInclusive<u8> {
        1..=self.nodes
    }

    /// What its disks are copies of, if they are not blank, and what boots them.
    pub fn image(&self) -> Option<&(PathBuf, Firmware)> {
        match &self.runner {
            Runner::Vm { image, .. } => image.as_ref(),
            Runner::Host => None,
        }
    }

    /// An error unless there is such a node.
    pub fn check_node(&self, node: u8) -> Result<(), Failure> {
        match self.node_ids().contains(&node) {
            true => Ok(()),
            false => Err(Failure::NoSuchNode { node, nodes: self.nodes }),
        }
    }

    /// The port of a node's SQL.
    pub fn sql_port(&self, node: u8) -> u16 {
        self.base_port + u16::from(node)
    }

    /// The port of a node's HTTP.
    pub fn http_port(&self, node: u8) -> u16 {
        self.sql_port(node) + HTTP_PORT_OFFSET
    }

    /// Both.
    pub fn ports(&self, node: u8) -> [u16; 2] {
        [self.sql_port(node), self.http_port(node)]
    }

    /// How a node is told who it is.
    pub fn settings(&self, node: u8) -> Vec<String> {
        let mut settings =
            vec![format!("relix.cluster={}", self.name), format!("relix.size={}", self.founders)];
        // Machines that find out the rest ask for their addresses, too.
        if !self.discovers {
            let address = if self.dhcp { "dhcp".into() } else { format!("{}/{PREFIX_LEN}", ip_of(node)) };
            settings.push(format!("relix.node={node}"));
            settings.push(format!("relix.ip={address}"));
            settings.push(format!("relix.ip6={}/{PREFIX6_LEN}", ip6_of(node)));
        }
        if self.ntp {
            settings.push(format!("relix.ntp={}", gateway_ip()));
        }
        settings
    }

    /// `tcg`, `kvm` or `host`.
    pub fn accel(&self) -> &'static str {
        match self.runner {
            Runner::Vm { kvm: true, .. } => "kvm",
            Runner::Vm { kvm: false, .. } => "tcg",
            Runner::Host => "host",
        }
    }
}

/// A node's address in the virtual network.
pub fn ip_of(node: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, node)
}

/// A node's IPv6 address there.
pub fn ip6_of(node: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, node.into())
}

/// The gateway's IPv6 address.
pub fn gateway_ip6() -> Ipv6Addr {
    ip6_of(GATEWAY)
}

/// The address of the virtual network itself, which nobody has.
pub fn network_ip() -> Ipv4Addr {
    ip_of(0)
}

/// The gateway's address.
pub fn gateway_ip() -> Ipv4Addr {
    ip_of(GATEWAY)
}

/// The MAC address of a node's first network card; locally administered.
pub fn hardware_address_of(node: u8) -> [u8; 6] {
    hardware_address_on(FIRST_FABRIC, node)
}

/// That of its card on a fabric.
pub fn hardware_address_on(fabric: u8, node: u8) -> [u8; 6] {
    [0x52, 0x54, 0x00, 0x77, fabric - FIRST_FABRIC, node]
}

/// A MAC address as QEMU and `sys.machines` have it: `52:54:00:77:00:01`.
pub fn hardware_address_text(address: [u8; 6]) -> String {
    address.map(|byte| format!("{byte:02x}")).join(":")
}

/// The gateway's.
pub fn gateway_hardware_address() -> [u8; 6] {
    hardware_address_of(GATEWAY)
}
