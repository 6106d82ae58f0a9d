//! The command line of `relix fault`. Scripts rely on it.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};

use crate::control::{DhcpMode, NetworkOrder};
use crate::error::Failure;
use crate::links::{FIRST_FABRIC, FaultChange, LinkSelection, Port};

/// How wrong a clock may be: ten years.
const AHEAD_S_RANGE: RangeInclusive<i64> = -315_360_000..=315_360_000;

#[derive(Debug, Subcommand)]
pub enum FaultCommand {
    /// Ends a node at once, as a power failure does.
    Kill { node: u8 },
    /// Starts a node again. One that runs is asked to stop before, by its power button: a leader hands over.
    Restart { node: u8 },
    /// Stops a node in its tracks.
    Pause { node: u8 },
    /// Lets a paused node go on.
    Resume { node: u8 },
    /// Slows a VM's disk down, until it is told otherwise.
    Disk {
        node: u8,
        /// How many operations it does per second, reads and writes together; 0: as many as it can.
        #[arg(long)]
        iops: u32,
    },
    /// Ends a node as a power failure does, and starts it with a wall clock that is wrong, until it is told otherwise.
    Clock {
        node: u8,
        /// How far ahead of this machine's it is, in seconds; behind, if negative.
        #[arg(long, allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(AHEAD_S_RANGE))]
        ahead_s: i64,
    },
    /// Shows how all links are, and what has come of their frames: 0 is the gateway.
    Links {
        /// As JSON, for scripts.
        #[arg(long)]
        json: bool,
    },
    #[command(flatten)]
    Network(NetworkCommand),
}

#[derive(Debug, Subcommand)]
pub enum NetworkCommand {
    /// Cuts the network into groups, as 1,2/3; nodes in none are alone. An earlier partition ends.
    Partition {
        groups: Groups,
        /// Only what the first group sends to the others is lost. Nodes in none hear and are heard.
        #[arg(long)]
        one_way: bool,
        /// Only this fabric, of several; else all.
        #[arg(long, value_name = "N")]
        fabric: Option<u8>,
    },
    /// Ends every partition and link fault, plugs all network cards in, and mends the DHCP server. What is on its way arrives
    /// at once.
    Heal,
    /// Makes links bad, each direction on its own.
    ///
    /// Only what is given changes; 'relix fault heal' and --up end what is no longer wanted. What is on its way arrives at
    /// once. Links of the gateway, by which clients come to VMs, are meant only where they are named: it is 0. Clients of
    /// 'relix up --host' do not come by the gateway.
    Link(LinkOptions),
    /// Unplugs a node's network card, or plugs it in: a VM is told, and all frames are lost.
    Nic {
        node: u8,
        #[arg(value_enum)]
        state: NicState,
        /// That on this fabric, of several.
        #[arg(long, value_name = "N", default_value_t = FIRST_FABRIC)]
        fabric: u8,
    },
    /// Lets the DHCP server of 'relix up --dhcp' fall silent or lie, or mends it. Addresses that nodes have last for an hour.
    Dhcp {
        #[arg(value_enum)]
        mode: DhcpMode,
    },
    /// Captures frames as they arrive in a file for tcpdump or Wireshark; one capture at a time.
    Capture(CaptureOptions),
    /// Lets the dice of all links begin anew: the same frames then meet the same.
    Seed { seed: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NicState {
    Down,
    Up,
}

#[derive(Debug, Args)]
pub struct CaptureOptions {
    #[command(flatten)]
    pub links: LinkArguments,
    /// The file to write. It must not be there yet.
    #[arg(long, value_name = "FILE", required_unless_present = "stop")]
    pub out: Option<PathBuf>,
    /// Ends the capture, and says how many frames are in the file; 'relix down' does the same.
    #[arg(long, conflicts_with_all = ["out", "between", "from", "to", "fabric"])]
    pub stop: bool,
}

impl TryFrom<NetworkCommand> for NetworkOrder {
    type Error = Failure;

    /// The order, checked as far as nobody must be asked for it.
    fn try_from(command: NetworkCommand) -> Result<NetworkOrder, Failure> {
        Ok(match command {
            NetworkCommand::Partition { groups, one_way, fabric } => {
                NetworkOrder::Partition { groups: groups.0, one_way, fabric }
            }
            NetworkCommand::Heal => NetworkOrder::Heal,
            NetworkCommand::Link(options) => {
                let (links, change) = (LinkSelection::from(options.links), FaultChange::from(options));
                links.check()?;
                change.check()?;
                NetworkOrder::Link { links, change }
            }
            NetworkCommand::Nic { node, state, fabric } => {
                NetworkOrder::Nic { node, fabric, up: state == NicState::Up }
            }
            NetworkCommand::Dhcp { mode } => NetworkOrder::Dhcp { mode },
            NetworkCommand::Capture(CaptureOptions { links, out: Some(out), .. }) => {
                let links = LinkSelection::from(links);
                links.check()?;
                // The fabric has a working directory of its own.
                let path = std::path::absolute(&out).map_err(Failure::file("use", out))?;
                NetworkOrder::Capture { links, path }
            }
            NetworkCommand::Capture(CaptureOptions { out: None, .. }) => NetworkOrder::StopCapture,
            NetworkCommand::Seed { seed } => NetworkOrder::Seed { seed },
        })
    }
}

/// Groups of nodes that can hear each other.
#[derive(Clone, Debug)]
pub struct Groups(pub Vec<Vec<u8>>);

impl FromStr for Groups {
    type Err = String;

    fn from_str(text: &str) -> Result<Groups, String> {
        let node = |word: &str| word.trim().parse::<u8>().map_err(|_| format!("'{word}' is not a node"));
        let group = |part: &str| part.split(',').map(node).collect();
        text.split('/').map(group).collect::<Result<_, _>>().map(Groups)
    }
}

/// Two ports.
#[derive(Clone, Copy, Debug)]
pub struct Pair(Port, Port);

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Pair, String> {
        let ends = text.split_once(',').map(|(a, b)| (a.trim().parse(), b.trim().parse()));
        match ends {
            Some((Ok(a), Ok(b))) => Ok(Pair(a, b)),
            _ => Err("it takes two nodes, as 1,2".into()),
        }
    }
}

/// Which links.
#[derive(Clone, Copy, Debug, Args)]
pub struct LinkArguments {
    /// Only between these two, in both directions; else between all nodes.
    #[arg(long, value_name = "A,B", conflicts_with_all = ["from", "to"])]
    between: Option<Pair>,
    /// Only what this one sends.
    #[arg(long, value_name = "A")]
    from: Option<Port>,
    /// Only what is sent to this one.
    #[arg(long, value_name = "B")]
    to: Option<Port>,
    /// Only on this fabric, of several.
    #[arg(long, value_name = "N")]
    fabric: Option<u8>,
}

impl From<LinkArguments> for LinkSelection {
    fn from(arguments: LinkArguments) -> LinkSelection {
        let LinkArguments { between, from, to, fabric } = arguments;
        match between {
            Some(Pair(a, b)) => LinkSelection { fabric, ..LinkSelection::between(a, b) },
            None => LinkSelection { fabric, from, to, both_ways: false },
        }
    }
}

#[derive(Clone, Copy, Debug, Args)]
pub struct LinkOptions {
    #[command(flatten)]
    pub links: LinkArguments,
    #[command(flatten)]
    pub change: FaultChange,
    /// Loses everything.
    #[arg(long, conflicts_with = "up")]
    pub down: bool,
    /// Mends the link: it has no faults but those given with this.
    #[arg(long)]
    pub up: bool,
}

impl From<LinkOptions> for FaultChange {
    fn from(options: LinkOptions) -> FaultChange {
        FaultChange { up: (options.up || options.down).then_some(options.up), ..options.change }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parse(line: &str) -> Result<NetworkOrder, String> {
        let words = ["relix", "fault"].into_iter().chain(line.split(' '));
        match Cli::try_parse_from(words).map_err(|error| error.to_string())?.command {
            Some(Command::Fault(FaultCommand::Network(command))) => {
                command.try_into().map_err(|failure: Failure| failure.to_string())
            }
            other => panic!("{line} is {other:?}"),
        }
    }

    fn link(line: &str) -> (LinkSelection, FaultChange) {
        match parse(line) {
            Ok(NetworkOrder::Link { links, change }) => (links, change),
            other => panic!("{line} is {other:?}"),
        }
    }

    #[test]
    fn groups_are_read() {
        assert_eq!("1,2/3".parse::<Groups>().unwrap().0, [vec![1, 2], vec![3]]);
        assert!("1,x".parse::<Groups>().is_err());
    }

    #[test]
    fn a_link_is_named_in_one_direction_or_in_both() {
        let (links, change) = link("link --between 1,2 --loss 0.05 --delay-ms 10 --down");
        assert_eq!(links, LinkSelection::between(1, 2));
        let down =
            FaultChange { up: Some(false), loss: Some(0.05), delay_ms: Some(10), ..Default::default() };
        assert_eq!(change, down);
        let (links, change) = link("link --from 1 --to 3 --rate-kbit 64 --reorder 0.1");
        assert_eq!(links, LinkSelection { from: Some(1), to: Some(3), ..Default::default() });
        let (links, _) = link("link --fabric 2 --down");
        assert_eq!(links, LinkSelection { fabric: Some(2), ..Default::default() });
        assert_eq!((change.rate_kbit, change.reorder, change.up), (Some(64), Some(0.1), None));
        assert_eq!(link("link --up").1, FaultChange { up: Some(true), ..Default::default() });
        for wrong in ["link --between 1,2 --from 1 --down", "link --between 1 --down", "link --up --down"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(parse("link --from 1").expect_err("nothing changes").contains("--loss"));
        assert!(parse("link --between 2,2 --down").expect_err("one end").contains("two ends"));
    }

    #[test]
    fn a_capture_has_a_file_until_it_ends() {
        match parse("capture --from 2 --out some.pcap") {
            Ok(NetworkOrder::Capture { links, path }) => {
                assert_eq!(links, LinkSelection { from: Some(2), ..Default::default() });
                assert!(path.is_absolute() && path.ends_with("some.pcap"));
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(parse("capture --stop"), Ok(NetworkOrder::StopCapture)));
        assert!(matches!(parse("nic 2 down"), Ok(NetworkOrder::Nic { node: 2, fabric: 1, up: false })));
        assert!(matches!(parse("dhcp lying"), Ok(NetworkOrder::Dhcp { mode: DhcpMode::Lying })));
        for wrong in ["capture", "capture --stop --out x", "capture --stop --from 1", "nic 2 off", "dhcp off"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
