//! The peer datagram.
//!
//! ```text
//!   0  magic "RLXP"      4  version    5  kind    6  from    7  to (0: whoever hears it)
//!   8  cluster          16  source session       24  destination session (0: not known yet)
//!  32  sequence (0: carries no fragment)         40  everything up to here was received
//!  48  which of the 64 behind that were, too     56  payload length    58  flags    59  MTU
//!  60  CRC-32C of all of it, this field zero     64  payload
//! ```
//! Numbers are little-endian. A session is one life of one end of a link: sequences begin anew with it. The MTU is that of
//! the sender's NIC, the least of several, in hundreds of bytes (0, which a node says that knows only one: 1500): no longer
//! packets are sent to it. What lies between two NICs must carry as much as the lesser of them takes, as all of one Ethernet
//! does. Flags, from the lowest bit: first, last, hears, leaves another than the sender's first NIC; other bits mean nothing.

use cluster_format::{ClusterId, Crc32c, NodeId};
use drivers_api::Mtu;

use crate::wire::{IPV4_LEN, UDP_LEN};

const MAGIC: [u8; 4] = *b"RLXP";
const VERSION: u8 = 2;

/// Bytes before the payload.
pub(crate) const HEADER_LEN: usize = 64;

const _: () = assert!(payload_len_max(Mtu::MIN) > 0 && Mtu::JUMBO.bytes() / MTU_UNIT <= 0xff);

/// What MTUs are counted in.
const MTU_UNIT: usize = 100;

/// Most payload of a datagram, in bytes: a packet less the IPv4, UDP and datagram headers.
pub(crate) const fn payload_len_max(mtu: Mtu) -> usize {
    mtu.bytes() - IPV4_LEN - UDP_LEN - HEADER_LEN
}

/// What a datagram is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Opens a session, or answers one that does.
    Hello,
    /// Carries a fragment of a message, or only an acknowledgement.
    Data,
}

/// A datagram's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) from: NodeId,
    /// Node 0: whoever hears it.
    pub(crate) to: NodeId,
    pub(crate) cluster: ClusterId,
    pub(crate) source_session: u64,
    pub(crate) destination_session: u64,
    pub(crate) sequence: u64,
    pub(crate) received: u64,
    pub(crate) received_behind: u64,
    /// The fragment begins a message.
    /// (Of a hello: the session was begun for the one that it is sent to.)
    pub(crate) first: bool,
    /// The fragment ends a message.
    pub(crate) last: bool,
    /// The sender has heard the receiver lately, over the NIC that this one leaves.
    pub(crate) hears: bool,
    /// It leaves the first of the sender's NICs, whose MAC address is its machine's name.
    pub(crate) leaves_first: bool,
    /// That of the sender's NIC, or a little less; of several, the least.
    pub(crate) mtu: Mtu,
}

/// Why bytes are no datagram of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// Not the magic number.
    Foreign,
    /// Another version of the protocol.
    OtherVersion(u8),
    /// Cut short, or damaged.
    Damaged,
}

impl Header {
    /// Writes header and payload to the front of `bytes`, which is just long enough.
    pub(crate) fn emit(&self, payload: &[u8], bytes: &mut [u8]) {
        bytes[0..4].copy_from_slice(&MAGIC);
        bytes[4] = VERSION;
        bytes[5] = match self.kind {
            Kind::Hello => 1,
            Kind::Data => 2,
        };
        bytes[6] = self.from.0;
        bytes[7] = self.to.0;
        let numbers = [
            self.cluster.0,
            self.source_session,
            self.destination_session,
            self.sequence,
            self.received,
            self.received_behind,
        ];
        for (slot, number) in bytes[8..56].chunks_exact_mut(8).zip(numbers) {
            slot.copy_from_slice(&number.to_le_bytes());
        }
        bytes[56..58].copy_from_slice(&(payload.len() as u16).to_le_bytes());
        bytes[58] = u8::from(self.first)
            | u8::from(self.last) << 1
            | u8::from(self.hears) << 2
            | u8::from(!self.leaves_first) << 3;
        bytes[59] = (self.mtu.bytes() / MTU_UNIT) as u8;
        bytes[HEADER_LEN..].copy_from_slice(payload);
        let sum = checksum(bytes);
        bytes[60..64].copy_from_slice(&sum.to_le_bytes());
    }

    /// Reads a datagram: its header and its payload.
    pub(crate) fn parse(bytes: &[u8]) -> Result<(Header, &[u8]), Malformed> {
        if bytes.get(..4) != Some(&MAGIC) {
            return Err(Malformed::Foreign);
        }
        if bytes.len() < HEADER_LEN {
            return Err(Malformed::Damaged);
        }
        if bytes[4] != VERSION {
            return Err(Malformed::OtherVersion(bytes[4]));
        }
        let kind = match bytes[5] {
            1 => Kind::Hello,
            2 => Kind::Data,
            _ => return Err(Malformed::Damaged),
        };
        let sum = u32::from_le_bytes([bytes[60], bytes[61], bytes[62], bytes[63]]);
        let len = usize::from(u16::from_le_bytes([bytes[56], bytes[57]]));
        let payload = bytes.get(HEADER_LEN..HEADER_LEN + len).ok_or(Malformed::Damaged)?;
        if checksum(&bytes[..HEADER_LEN + len]) != sum {
            return Err(Malformed::Damaged);
        }
        let mut numbers = [0; 6];
        for (number, slot) in numbers.iter_mut().zip(bytes[8..56].chunks_exact(8)) {
            *number = slot.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
        }
        let [cluster, source_session, destination_session, sequence, received, received_behind] = numbers;
        let header = Header {
            kind,
            from: NodeId(bytes[6]),
            to: NodeId(bytes[7]),
            cluster: ClusterId(cluster),
            source_session,
            destination_session,
            sequence,
            received,
            received_behind,
            first: bytes[58] & 1 != 0,
            last: bytes[58] & 2 != 0,
            hears: bytes[58] & 4 != 0,
            leaves_first: bytes[58] & 8 == 0,
            mtu: match bytes[59] {
                0 => Mtu::ETHERNET,
                units => Mtu::nearest(u16::from(units) * MTU_UNIT as u16),
            },
        };
        Ok((header, payload))
    }
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut sum = Crc32c::new();
    sum.update(&bytes[..60]);
    sum.update(&[0; 4]);
    sum.update(&bytes[HEADER_LEN..]);
    sum.finish()
}
