//! What leaves memory: identifiers, ledger entries, checksums, and the limits every queue and value obeys.
//!
//! Bytes on disk and between peers are [`postcard`] inside frames that carry a length, a format version
//! and a CRC-32C; whoever reads them treats them as untrusted until the checksum and the limits hold.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod bounded;
mod checksum;
mod digest;
mod id;
mod ledger;
pub mod limits;
mod marks;
mod membership;
mod mistake;
pub mod shared_bytes;
mod snapshot;

pub use checksum::{Crc32c, crc32c};
pub use digest::{Digest, StateHash};
pub use id::{ClusterId, NodeId, RequestId, Version};
pub use ledger::{
    Commit, Entry, FormatError, KeyRange, Origin, Payload, Write, decode, decode_prefix, encode,
    encode_behind,
};
pub use marks::Marks;
pub use membership::{Incarnation, Member, Membership, REMOVED_MAX};
pub use mistake::{Mistake, Planted};
pub use snapshot::{LogPosition, SnapshotChunk, SnapshotHead};
