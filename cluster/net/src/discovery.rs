//! What machines say to find their cluster, before they know which of its nodes they are.
//!
//! ```text
//!   blank machine ── Looks ──────► everyone, again and again
//!   member        ── Exists ─────► it: the cluster is there, and will say more
//!   leader        ── Place ──────► it: you are node 4
//! ```
//!
//! A call is a UDP datagram, as short as this:
//!
//! ```text
//!   0  magic "RLXC"     4  version     5  kind     6  size, or node     7  1: founds
//!   8  cluster         16  a machine's address    22  zero             24  CRC-32C of all before
//! ```
//! Numbers are little-endian. A machine is known by the address of its first NIC.

use cluster_format::{ClusterId, NodeId, crc32c};
use drivers_api::Frame;
use smoltcp::wire::EthernetAddress;

use crate::wire::{Address, DISCOVERY_PORT, emit, parse};

const MAGIC: [u8; 4] = *b"RLXC";
const VERSION: u8 = 1;
const LEN: usize = 28;
const CHECKED_LEN: usize = 24;

/// The address of a machine's first NIC.
pub type MachineId = [u8; 6];

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// From a blank machine: it looks for the cluster, or for others to found it with.
    Looks {
        /// How many machines are expected.
        size: u8,
        /// Who should found it, of those that this machine hears.
        backs: MachineId,
        /// It is about to found it itself.
        founds: bool,
    },
    /// To a machine that looks: the cluster is there.
    Exists {
        /// Whom this is for.
        machine: MachineId,
    },
    /// To a machine that looks: which node it is.
    Place {
        /// Whom this is for.
        machine: MachineId,
        /// The node.
        node: NodeId,
    },
}

/// A frame in which machine `from` says `call`: to everyone, or to whom it concerns.
pub fn call(cluster: ClusterId, from: MachineId, call: &Call) -> Frame {
    let (kind, number, founds, machine, to) = match *call {
        Call::Looks { size, backs, founds } => (1, size, founds, backs, Address::BROADCAST.hardware),
        Call::Exists { machine } => (2, 0, false, machine, machine),
        Call::Place { machine, node } => (3, node.0, false, machine, machine),
    };
    let nowhere = core::net::Ipv4Addr::UNSPECIFIED;
    let (from, to) =
        (Address { hardware: from, ip: nowhere }, Address { hardware: to, ..Address::BROADCAST });
    emit(DISCOVERY_PORT, from, to, LEN, |bytes| {
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&[VERSION, kind, number, founds.into()]);
        bytes[8..16].copy_from_slice(&cluster.0.to_le_bytes());
        bytes[16..22].copy_from_slice(&machine);
        let sum = crc32c(&bytes[..CHECKED_LEN]);
        bytes[CHECKED_LEN..].copy_from_slice(&sum.to_le_bytes());
    })
}

/// The call in a frame, and who said it; none if it is something else, damaged, of another cluster or another version, or
/// of a sender that no machine can be.
pub fn heard(cluster: ClusterId, frame: &[u8]) -> Option<(MachineId, Call)> {
    let (from, bytes) = parse(DISCOVERY_PORT, frame)?;
    let (body, sum) = bytes.get(..LEN)?.split_at(CHECKED_LEN);
    let is_machine = EthernetAddress(from.hardware).is_unicast() && from.hardware != [0; 6];
    let is_ours = is_machine
        && body.starts_with(&MAGIC)
        && body[4] == VERSION
        && sum == crc32c(body).to_le_bytes()
        && body[8..16] == cluster.0.to_le_bytes();
    let machine = body[16..22].try_into().ok().filter(|_| is_ours)?;
    let call = match (body[5], body[6]) {
        (1, size) => Call::Looks { size, backs: machine, founds: body[7] == 1 },
        (2, _) => Call::Exists { machine },
        (3, node @ 1..=254) => Call::Place { machine, node: NodeId(node) },
        _ => return None,
    };
    Some((from.hardware, call))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CLUSTER: ClusterId = ClusterId(77);
    const ME: MachineId = [2, 0, 0, 0, 0, 1];

    fn any_call() -> impl Strategy<Value = Call> {
        let looks = (any::<u8>(), any::<MachineId>(), any::<bool>());
        let looks = looks.prop_map(|(size, backs, founds)| Call::Looks { size, backs, founds });
        let exists = any::<MachineId>().prop_map(|machine| Call::Exists { machine });
        let place = (any::<MachineId>(), 1..=254u8);
        let place = place.prop_map(|(machine, node)| Call::Place { machine, node: NodeId(node) });
        prop_oneof![looks, exists, place]
    }

    proptest! {
        #[test]
        fn what_is_said_is_heard(said in any_call()) {
            let frame = call(CLUSTER, ME, &said);
            prop_assert_eq!(heard(CLUSTER, frame.bytes()), Some((ME, said)));
            prop_assert_eq!(heard(ClusterId(78), frame.bytes()), None);
        }

        /// One byte that is wrong, behind the Ethernet addresses, and nothing was said.
        #[test]
        fn what_is_damaged_is_not_heard(said in any_call(), at in 42usize..70, with in 1..=255u8) {
            let mut frame = call(CLUSTER, ME, &said);
            frame.bytes_mut()[at] ^= with;
            prop_assert_eq!(heard(CLUSTER, frame.bytes()), None);
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            heard(CLUSTER, &bytes);
            let nobody = Address { hardware: ME, ip: core::net::Ipv4Addr::UNSPECIFIED };
            let frame = emit(DISCOVERY_PORT, nobody, nobody, bytes.len(), |to| to.copy_from_slice(&bytes));
            heard(CLUSTER, frame.bytes());
        }
    }
}
