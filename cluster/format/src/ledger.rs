//! The ledger: one entry for each committed transaction.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::limits::{RANGE_DELETES_MAX, READ_RANGES_MAX, WRITES_MAX};
use crate::{Digest, LogPosition, Membership, NodeId, RequestId, Version, bounded, shared_bytes};

/// A half-open range of keys, `start <= key < end`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyRange {
    /// The first key in the range.
    #[serde(with = "shared_bytes")]
    pub start: Arc<[u8]>,
    /// The first key behind it.
    #[serde(with = "shared_bytes")]
    pub end: Arc<[u8]>,
}

impl KeyRange {
    /// The range of just `key`.
    pub fn single(key: &[u8]) -> KeyRange {
        let mut end = Vec::with_capacity(key.len() + 1);
        end.extend_from_slice(key);
        end.push(0);
        KeyRange { start: key.into(), end: end.into() }
    }

    /// The range of every key that starts with `prefix`. The prefix must not be all 0xff.
    pub fn prefix(prefix: &[u8]) -> KeyRange {
        let mut end = prefix.to_vec();
        while let Some(last) = end.pop() {
            if last < u8::MAX {
                end.push(last + 1);
                break;
            }
        }
        KeyRange { start: prefix.into(), end: end.into() }
    }

    /// Whether `key` lies in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        *self.start <= *key && *key < *self.end
    }

    /// Whether a key can lie in both.
    pub fn overlaps(&self, other: &KeyRange) -> bool {
        (&self.start).max(&other.start) < (&self.end).min(&other.end)
    }

    /// Whether no key can lie in the range.
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }
}

/// One change to one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Write {
    /// The key.
    #[serde(with = "shared_bytes")]
    pub key: Arc<[u8]>,
    /// Its new value, or none to delete it.
    #[serde(with = "shared_bytes::optional")]
    pub value: Option<Arc<[u8]>>,
}

/// Who asked for a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The node the session is on.
    pub node: NodeId,
}

/// What a transaction asks the leader to commit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Commit {
    /// Makes the commit exactly-once.
    pub request: RequestId,
    /// Who asks.
    pub origin: Origin,
    /// The snapshot the transaction read.
    pub read_version: Version,
    /// What it read there, for the conflict check: ranges may overlap. The keys that it changes and the ranges that it deletes
    /// count as read, and need not be among them. At most [`READ_RANGES_MAX`].
    #[serde(deserialize_with = "bounded::deserialize::<_, _, READ_RANGES_MAX>")]
    pub reads: Vec<KeyRange>,
    /// Ranges that it deletes as a whole: disjoint, at most [`RANGE_DELETES_MAX`].
    #[serde(deserialize_with = "bounded::deserialize::<_, _, RANGE_DELETES_MAX>")]
    pub deletes: Vec<KeyRange>,
    /// What it changes, each key once; that counts, even in ranges that it deletes. At most [`WRITES_MAX`].
    #[serde(deserialize_with = "bounded::deserialize::<_, _, WRITES_MAX>")]
    pub writes: Vec<Write>,
}

impl Commit {
    /// About how many bytes it takes, in memory and encoded.
    pub fn len_estimate(&self) -> usize {
        let writes: usize =
            self.writes.iter().map(|w| w.key.len() + w.value.as_ref().map_or(0, |v| v.len()) + 8).sum();
        let ranges = self.reads.iter().chain(&self.deletes);
        let ranges: usize = ranges.map(|range| range.start.len() + range.end.len() + 4).sum();
        writes + ranges + 48
    }
}

/// One position of the ledger. It is hashed once, when it is made or decoded, and not changed afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "EncodedEntry")]
pub struct Entry {
    /// The position.
    pub version: Version,
    /// The term of the leader that appended it.
    pub term: u64,
    /// The leader's wall time when it did, in microseconds since the Unix epoch.
    pub wall_micros: i64,
    /// The digest of the entry before it; [`Digest::ZERO`] before the first.
    pub previous: Digest,
    /// What it says.
    pub payload: Payload,
    #[serde(skip)]
    digest: Digest,
    #[serde(skip)]
    len_estimate: usize,
}

/// An entry as it is encoded: what can be computed from the rest is not.
#[derive(Deserialize)]
struct EncodedEntry {
    version: Version,
    term: u64,
    wall_micros: i64,
    previous: Digest,
    payload: Payload,
}

impl From<EncodedEntry> for Entry {
    fn from(entry: EncodedEntry) -> Entry {
        let EncodedEntry { version, term, wall_micros, previous, payload } = entry;
        Entry::new(LogPosition { term, version }, wall_micros, previous, payload)
    }
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Payload {
    /// Opens a leader's term; changes nothing.
    TermStart,
    /// A transaction that passed the conflict check.
    Commit(Arc<Commit>),
    /// The members from here on, in force as soon as it is in a member's log.
    Membership(Arc<Membership>),
}

impl Entry {
    /// The entry at `position` of a ledger whose entry before it has the digest `previous`.
    pub fn new(position: LogPosition, wall_micros: i64, previous: Digest, payload: Payload) -> Entry {
        let LogPosition { term, version } = position;
        // The digest before it is the key, not a part of what is hashed: that saves a third of the work for
        // a short entry.
        let digest = previous.chain(&(version, term, wall_micros, &payload));
        let len_estimate = match &payload {
            Payload::TermStart => 56,
            Payload::Commit(commit) => 56 + commit.len_estimate(),
            Payload::Membership(membership) => 64 + membership.members().count() * 16,
        };
        Entry { version, term, wall_micros, previous, payload, digest, len_estimate }
    }

    /// Its digest, which the next entry repeats.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Where it stands.
    pub fn position(&self) -> LogPosition {
        LogPosition { term: self.term, version: self.version }
    }

    /// About how many bytes it takes, in memory and encoded.
    pub fn len_estimate(&self) -> usize {
        self.len_estimate
    }
}

/// Bytes that do not decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatError;

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed bytes")
    }
}

/// The postcard bytes of `value`.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    // Encoding into a growing vector can only fail for values that postcard cannot describe (sequences of
    // unknown length), and none of ours is one.
    postcard::to_allocvec(value).expect("every type encoded here has a postcard form")
}

/// Appends the postcard bytes of `value`.
pub fn encode_behind<T: Serialize>(bytes: Vec<u8>, value: &T) -> Vec<u8> {
    postcard::to_extend(value, bytes).expect("every type encoded here has a postcard form")
}

/// The value that `bytes` hold, all of them.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FormatError> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        _ => Err(FormatError),
    }
}

/// The value at the front of `bytes`, and the bytes behind it.
pub fn decode_prefix<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), FormatError> {
    postcard::take_from_bytes(bytes).map_err(|_| FormatError)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn a_prefix_range_ends_before_the_next_prefix() {
        let range = KeyRange::prefix(&[1, 0xff]);
        assert_eq!((&*range.start, &*range.end), (&[1, 0xff][..], &[2][..]));
        assert!(range.contains(&[1, 0xff, 0xff, 7]) && !range.contains(&[2]));
    }

    #[test]
    fn a_commit_of_more_than_there_may_be_is_refused() {
        let with = |reads: usize, deletes: usize, writes: usize| {
            let ranges = |count| vec![KeyRange { start: [][..].into(), end: [][..].into() }; count];
            encode(&Commit {
                request: RequestId { session: 7, sequence: 9 },
                origin: Origin { node: NodeId(2) },
                read_version: Version(3),
                reads: ranges(reads),
                deletes: ranges(deletes),
                writes: vec![Write { key: [][..].into(), value: None }; writes],
            })
        };
        assert!(decode::<Commit>(&with(READ_RANGES_MAX, RANGE_DELETES_MAX, WRITES_MAX)).is_ok());
        let too_many = [(READ_RANGES_MAX + 1, 0, 0), (0, RANGE_DELETES_MAX + 1, 0), (0, 0, WRITES_MAX + 1)];
        for (reads, deletes, writes) in too_many {
            assert_eq!(decode::<Commit>(&with(reads, deletes, writes)), Err(FormatError));
        }
    }

    #[test]
    fn entries_survive_the_round_trip_and_trailing_bytes_are_refused() {
        let commit = Commit {
            request: RequestId { session: 7, sequence: 9 },
            origin: Origin { node: NodeId(2) },
            read_version: Version(3),
            reads: [KeyRange::single(b"a")].into(),
            deletes: [KeyRange::prefix(b"b")].into(),
            writes: [Write { key: b"k"[..].into(), value: None }].into(),
        };
        let (version, previous) = (Version(4), Digest::of(b"an earlier entry"));
        let payload = Payload::Commit(commit.into());
        let entry = Entry::new(LogPosition { term: 1, version }, -5, previous, payload);
        let mut bytes = encode(&entry);
        assert_eq!(decode::<Entry>(&bytes), Ok(entry));
        bytes.push(0);
        assert_eq!(decode::<Entry>(&bytes), Err(FormatError));
    }
}
