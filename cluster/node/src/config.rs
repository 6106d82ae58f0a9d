//! What a node is told: `relix.KEY=VALUE` words, from the kernel's command line or the host's.
//!
//! | key | meaning | default |
//! |---|---|---|
//! | `relix.cluster` | the cluster's name | `relix` |
//! | `relix.node` | this node, from 1 | what its disk says; a blank one's machine finds its cluster, and is told |
//! | `relix.size` | how many nodes the cluster is founded with, 1 to 7; a node beyond joins it | 1; without `relix.node`, required |
//! | `relix.ip` | this node's IPv4 address and prefix, `10.77.0.1/24`, or `dhcp`: it asks the network's servers | `dhcp` |
//! | `relix.ip6` | this node's IPv6 address and prefix, `fd77::1/64`, for clients; its link-local one there is always | none |
//! | `relix.peers` | addresses of others, `2@10.77.0.2,3@10.77.0.3`; the rest are found by broadcast | none |
//! | `relix.ntp` | addresses of up to four time servers, `10.0.0.1,10.0.0.2`: this node's clock follows them | none: the machine's clock counts |
//! | `relix.priority` | the node with the highest leads, when it can; 0 to 255 | 0 |
//! | `relix.lease` | `on`: the leader serves reads without asking a quorum, for up to 270 ms after one has heard from it. Only where no node's clock ever stands still: not where VMs are paused or migrated | `off` |
//! | `relix.log` | the least severe log level shown: `error`, `warn`, `info` or `debug` | `info` |

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use cluster_format::NodeId;
use cluster_format::limits::VOTERS_MAX;
use cluster_net::{Addressing, TIME_SERVERS_MAX, is_host_address, is_host_address6};
use drivers_api::Level;

const PREFIX: &str = "relix.";

/// Half of the shortest election timeout; a tenth of it is never used, for clocks that differ.
const LEASE: Duration = Duration::from_millis(300);

/// A node's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// The cluster's name.
    pub cluster_name: String,
    /// This node.
    pub node: NodeId,
    /// With a blank disk, the nodes from 1 to this found the cluster; with 0, it joins one.
    pub founders: u8,
    /// How many nodes the cluster is expected to have, at least.
    pub size: u8,
    /// Whether its machine has found out which node it is: then one founds the cluster, and waits for the others.
    pub is_discovered: bool,
    /// Where it has its address from.
    pub addressing: Addressing,
    /// Its IPv6 address and the bits of its network's prefix, beside the link-local one.
    pub ip6: Option<(Ipv6Addr, u8)>,
    /// Addresses of others that are known beforehand.
    pub peers: Vec<(NodeId, Ipv4Addr)>,
    /// Whom it asks for the time.
    pub ntp: Vec<IpAddr>,
    /// How much this node is to be preferred as leader.
    pub priority: u8,
    /// How long a leader serves reads without asking a quorum; zero: never.
    pub lease: Duration,
    /// The least severe level to log.
    pub log_level: Level,
}

/// What a node is told of which it is not said which one it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeker {
    /// All the rest.
    config: NodeConfig,
}

impl Seeker {
    /// The cluster that it belongs to.
    pub fn cluster_name(&self) -> &str {
        &self.config.cluster_name
    }

    /// How many nodes are expected, at least.
    pub fn size(&self) -> u8 {
        self.config.size
    }

    /// What it is told, now that it is known to be `node`, and to found the cluster with so many, or to join it.
    pub fn found(&self, node: NodeId, founders: u8) -> NodeConfig {
        NodeConfig { node, founders, is_discovered: true, ..self.config.clone() }
    }
}

/// What a machine is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Which node it is, among the rest.
    Node(NodeConfig),
    /// All but that.
    Seeker(Seeker),
}

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// No such key.
    Unknown(String),
    /// A key that must be given is missing.
    Missing(&'static str),
    /// A value that cannot be.
    Invalid {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Unknown(key) => {
                write!(f, "unknown setting '{PREFIX}{key}': remove it or correct its name")
            }
            ConfigError::Missing(key) => write!(f, "setting '{PREFIX}{key}' is missing: add it"),
            ConfigError::Invalid { key, value, expected } => {
                write!(f, "setting '{PREFIX}{key}={value}' is invalid: it should be {expected}")
            }
        }
    }
}

impl NodeConfig {
    /// What is wrong with a part of what a node is told: what is missing may be told elsewhere. `others` are as in
    /// [`NodeConfig::parse`].
    pub fn check_part(line: &str, others: &[&str]) -> Result<(), ConfigError> {
        match NodeConfig::parse(line, others) {
            Ok(_) | Err(ConfigError::Missing(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Reads the `relix.` words of `line`. Those in `others` belong to whoever hosts the node and are
    /// passed over; any other is an error.
    pub fn parse(line: &str, others: &[&str]) -> Result<Told, ConfigError> {
        let mut cluster_name = "relix".to_string();
        let (mut node, mut size, mut peers) = (None, None, Vec::new());
        let (mut addressing, mut ip6, mut ntp) = (Addressing::Dhcp, None, Vec::new());
        let (mut priority, mut lease, mut log_level) = (0, Duration::ZERO, Level::Info);
        for word in line.split_whitespace() {
            let Some(setting) = word.strip_prefix(PREFIX) else { continue };
            let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
            match key {
                "cluster" => cluster_name = parse_name(value)?,
                "node" => node = Some(parse_node("node", value)?),
                "size" => size = Some(parse_size(value)?),
                "ip" => addressing = parse_addressing(value)?,
                "ip6" => ip6 = Some(parse_ip6(value)?),
                "peers" => peers = parse_peers(value)?,
                "ntp" => ntp = parse_ntp(value)?,
                "priority" => priority = parse_priority(value)?,
                "lease" => lease = parse_lease(value)?,
                "log" => log_level = parse_level(value)?,
                _ if others.contains(&key) => {}
                _ => return Err(ConfigError::Unknown(key.to_string())),
            }
        }
        let with = |node, size| {
            let founders = size;
            NodeConfig {
                cluster_name,
                node,
                founders,
                size,
                is_discovered: false,
                addressing,
                ip6,
                peers,
                ntp,
                priority,
                lease,
                log_level,
            }
        };
        match (node, size) {
            (Some(node), size) => Ok(Told::Node(with(node, size.unwrap_or(1)))),
            (None, Some(size)) => Ok(Told::Seeker(Seeker { config: with(NodeId::EVERYONE, size) })),
            // It would found a cluster of its own, beside the one that it was to join.
            (None, None) => Err(ConfigError::Missing("size")),
        }
    }
}

fn invalid(key: &'static str, value: &str, expected: &'static str) -> ConfigError {
    ConfigError::Invalid { key, value: value.to_string(), expected }
}

fn parse_name(value: &str) -> Result<String, ConfigError> {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if value.is_empty() || value.len() > 64 || !value.chars().all(valid) {
        return Err(invalid("cluster", value, "1 to 64 letters, digits, '-' or '_'"));
    }
    Ok(value.to_string())
}

fn parse_node(key: &'static str, value: &str) -> Result<NodeId, ConfigError> {
    match value.parse() {
        Ok(number @ 1..=254) => Ok(NodeId(number)),
        _ => Err(invalid(key, value, "a number from 1 on")),
    }
}

fn parse_size(value: &str) -> Result<u8, ConfigError> {
    match value.parse::<u8>() {
        Ok(size) if size >= 1 && usize::from(size) <= VOTERS_MAX => Ok(size),
        _ => Err(invalid("size", value, "a number from 1 to 7")),
    }
}

fn parse_priority(value: &str) -> Result<u8, ConfigError> {
    value.parse().map_err(|_| invalid("priority", value, "a number from 0 to 255"))
}

fn parse_lease(value: &str) -> Result<Duration, ConfigError> {
    match value {
        "on" => Ok(LEASE),
        "off" => Ok(Duration::ZERO),
        _ => Err(invalid("lease", value, "on or off")),
    }
}

fn parse_addressing(value: &str) -> Result<Addressing, ConfigError> {
    if value == "dhcp" {
        return Ok(Addressing::Dhcp);
    }
    let parse = |value: &str| {
        let (ip, prefix_len) = value.split_once('/')?;
        let prefix_len = prefix_len.parse().ok().filter(|len| *len <= 30)?;
        let ip = ip.parse().ok().filter(|ip| is_host_address(*ip))?;
        Some(Addressing::Static { ip, prefix_len })
    };
    parse(value)
        .ok_or_else(|| invalid("ip", value, "a node's address and its prefix, as 10.77.0.1/24, or dhcp"))
}

fn parse_ip6(value: &str) -> Result<(Ipv6Addr, u8), ConfigError> {
    let parse = |value: &str| {
        let (ip, prefix_len) = value.split_once('/')?;
        let prefix_len = prefix_len.parse().ok().filter(|len| (1..=126).contains(len))?;
        Some((ip.parse().ok().filter(|ip| is_host_address6(*ip))?, prefix_len))
    };
    parse(value).ok_or_else(|| invalid("ip6", value, "a node's IPv6 address and its prefix, as fd77::1/64"))
}

fn parse_peers(value: &str) -> Result<Vec<(NodeId, Ipv4Addr)>, ConfigError> {
    let expected = "nodes and addresses, as 2@10.77.0.2,3@10.77.0.3";
    let peers = value.split(',').filter(|peer| !peer.is_empty()).map(|peer| {
        let (node, ip) = peer.split_once('@').ok_or_else(|| invalid("peers", value, expected))?;
        let ip = ip.parse().map_err(|_| invalid("peers", value, expected))?;
        Ok((parse_node("peers", node)?, ip))
    });
    peers.collect()
}

fn parse_ntp(value: &str) -> Result<Vec<IpAddr>, ConfigError> {
    let expected = "one to four addresses of time servers, as 10.0.0.1,fd00::1";
    let is_host = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => is_host_address(*ip),
        IpAddr::V6(ip) => is_host_address6(*ip),
    };
    let servers = value.split(',').map(|server| server.parse().ok().filter(is_host));
    let servers: Option<Vec<IpAddr>> = servers.collect();
    servers.filter(|servers| servers.len() <= TIME_SERVERS_MAX).ok_or_else(|| invalid("ntp", value, expected))
}

fn parse_level(value: &str) -> Result<Level, ConfigError> {
    match value {
        "error" => Ok(Level::Error),
        "warn" => Ok(Level::Warn),
        "info" => Ok(Level::Info),
        "debug" => Ok(Level::Debug),
        _ => Err(invalid("log", value, "error, warn, info or debug")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn a_full_line_is_understood() {
        let line = "console=ttyS0 relix.cluster=lab relix.node=2 relix.size=3 relix.ip=10.77.0.2/24 relix.ip6=fd77::2/64 \
                    relix.peers=1@10.77.0.1 relix.ntp=10.77.0.254,fd77::fe relix.panic=halt relix.priority=7 relix.lease=on";
        let Ok(Told::Node(config)) = NodeConfig::parse(line, &["panic"]) else { panic!("a node") };
        assert_eq!((config.founders, config.priority, config.lease), (3, 7, LEASE));
        let (ip, prefix_len) = (Ipv4Addr::new(10, 77, 0, 2), 24);
        assert_eq!(config.addressing, Addressing::Static { ip, prefix_len });
        assert_eq!(config.ip6, Some((Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 2), 64)));
        assert_eq!(config.peers, vec![(NodeId(1), Ipv4Addr::new(10, 77, 0, 1))]);
        let servers = [
            IpAddr::from(Ipv4Addr::new(10, 77, 0, 254)),
            Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0xfe).into(),
        ];
        assert_eq!(config.ntp, servers);
    }

    #[test]
    fn who_is_not_told_its_number_is_to_find_it() {
        let line = "relix.cluster=lab relix.size=3";
        let Ok(Told::Seeker(seeker)) = NodeConfig::parse(line, &[]) else { panic!("a seeker") };
        assert_eq!((seeker.cluster_name(), seeker.size()), ("lab", 3));
        let config = seeker.found(NodeId(4), 0);
        assert_eq!((config.node, config.founders, config.size), (NodeId(4), 0, 3));
        assert_eq!(config.addressing, Addressing::Dhcp);
    }

    #[test]
    fn the_last_word_counts() {
        let line = "relix.node=1 relix.ip=10.77.0.2/24 relix.ip=dhcp";
        let Ok(Told::Node(config)) = NodeConfig::parse(line, &[]) else { panic!("a node") };
        assert_eq!(config.addressing, Addressing::Dhcp);
    }

    #[test]
    fn mistakes_are_named() {
        let error = |line: &str| NodeConfig::parse(line, &[]).unwrap_err().to_string();
        assert_eq!(error("relix.nod=1"), "unknown setting 'relix.nod': remove it or correct its name");
        assert_eq!(error("relix.cluster=lab"), "setting 'relix.size' is missing: add it");
        for wrong in
            ["10.77.0.1", "10.77.0.1/31", "dhcp/24", "255.255.255.255/24", "224.0.0.1/24", "0.0.0.0/24", ""]
        {
            let should_be = "it should be a node's address and its prefix, as 10.77.0.1/24, or dhcp";
            let said = error(&alloc::format!("relix.node=1 relix.ip={wrong}"));
            assert_eq!(said, alloc::format!("setting 'relix.ip={wrong}' is invalid: {should_be}"));
        }
        for wrong in ["fd77::1", "fd77::1/128", "ff02::1/64", "::/64", "::1/64", "10.77.0.1/24", ""] {
            let said = error(&alloc::format!("relix.node=1 relix.ip6={wrong}"));
            let should_be = "it should be a node's IPv6 address and its prefix, as fd77::1/64";
            assert_eq!(said, alloc::format!("setting 'relix.ip6={wrong}' is invalid: {should_be}"));
        }
        for wrong in ["time.example", "10.0.0.1,", "0.0.0.0", "1.1.1.1,1.1.1.2,1.1.1.3,1.1.1.4,1.1.1.5", ""] {
            let said = error(&alloc::format!("relix.node=1 relix.ntp={wrong}"));
            assert!(said.contains("one to four addresses of time servers"), "{said}");
        }
        assert_eq!(
            error("relix.node=1 relix.size=9"),
            "setting 'relix.size=9' is invalid: it should be a number from 1 to 7"
        );
        assert_eq!(
            error("relix.node=1 relix.lease=maybe"),
            "setting 'relix.lease=maybe' is invalid: it should be on or off"
        );
    }
}
