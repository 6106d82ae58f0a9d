//! The tables in pieces, for a node that cannot build them from the ledger.
//!
//! The first piece holds the requests that were applied, the others rows by ascending key. Whoever puts them
//! together again knows from the head's state hash whether nothing is missing.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Bound;

use cluster_format::limits::CHUNK_LEN_MAX;
use cluster_format::{SnapshotChunk, SnapshotHead, Write, decode, encode};
use serde::{Deserialize, Serialize};

use crate::requests::RequestList;
use crate::{Snapshot, Tables};

/// What a piece holds.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Body {
    requests: RequestList,
    rows: Vec<Write>,
}

/// Tables that are being sent: one version of them, held as long as this is.
pub struct Outgoing {
    head: Arc<SnapshotHead>,
    snapshot: Snapshot,
    requests: RequestList,
    /// The last key before each piece of rows that was built so far, by number: the second is the first.
    starts: Vec<Option<Arc<[u8]>>>,
}

impl Outgoing {
    /// The tables as they are now, which is what `head` must say.
    pub fn new(tables: &Tables, head: SnapshotHead) -> Outgoing {
        let (snapshot, requests) = (tables.snapshot(), tables.requests().to_list());
        Outgoing { head: Arc::new(head), snapshot, requests, starts: [None].into() }
    }

    /// What they stand for.
    pub fn head(&self) -> &Arc<SnapshotHead> {
        &self.head
    }

    /// The piece with this number; none if there is no such piece.
    pub fn chunk(&mut self, index: u64) -> Option<SnapshotChunk> {
        let Some(number) = usize::try_from(index).ok()?.checked_sub(1) else {
            let body = Body { requests: self.requests.clone(), rows: Vec::new() };
            return Some(self.piece(index, &body, self.snapshot.is_empty()));
        };
        while number >= self.starts.len() {
            let after = self.starts.last().cloned().flatten();
            let (rows, is_last) = self.rows_after(after.as_ref());
            if is_last {
                return None;
            }
            self.starts.push(rows.last().map(|row| row.key.clone()));
        }
        let (rows, is_last) = self.rows_after(self.starts[number].clone().as_ref());
        Some(self.piece(index, &Body { rows, ..Body::default() }, is_last))
    }

    fn piece(&self, index: u64, body: &Body, is_last: bool) -> SnapshotChunk {
        SnapshotChunk { head: self.head.clone(), index, is_last, body: encode(body).into() }
    }

    /// The rows behind `after` that make a piece, and whether they are the last.
    fn rows_after(&self, after: Option<&Arc<[u8]>>) -> (Vec<Write>, bool) {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rows = Vec::new();
        let mut len = 0;
        for (key, value) in self.snapshot.map.range::<Arc<[u8]>, _>((start, Bound::Unbounded)) {
            len += key.len() + value.len();
            if len > CHUNK_LEN_MAX && !rows.is_empty() {
                return (rows, false);
            }
            rows.push(Write { key: key.clone(), value: Some(value.clone()) });
        }
        (rows, true)
    }
}

/// Why pieces do not make tables. Whoever sent them is to be asked again, from the first on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferError {
    /// A piece does not decode, or its rows are not in order.
    Malformed,
    /// A piece is missing, or belongs to another snapshot.
    OutOfOrder,
    /// The rows are not what the head says.
    Different,
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TransferError::Malformed => "a piece of the snapshot is malformed",
            TransferError::OutOfOrder => "a piece of the snapshot is missing",
            TransferError::Different => "the snapshot's rows are not what its head says",
        })
    }
}

/// Tables that arrive.
pub struct Incoming {
    head: Arc<SnapshotHead>,
    next: u64,
    tables: Tables,
    last_key: Option<Arc<[u8]>>,
}

impl Incoming {
    /// Nothing has arrived yet.
    pub fn new(head: Arc<SnapshotHead>) -> Incoming {
        let tables = Tables::starting_at(head.last.version);
        Incoming { head, next: 0, tables, last_key: None }
    }

    /// What arrives.
    pub fn head(&self) -> &Arc<SnapshotHead> {
        &self.head
    }

    /// How many pieces have arrived.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Takes the next piece.
    pub fn add(&mut self, chunk: &SnapshotChunk) -> Result<(), TransferError> {
        if chunk.head != self.head || chunk.index != self.next {
            return Err(TransferError::OutOfOrder);
        }
        let body: Body = decode(&chunk.body).map_err(|_| TransferError::Malformed)?;
        if self.next == 0 {
            self.tables.set_requests(&body.requests);
        }
        for Write { key, value } in body.rows {
            let value = value.ok_or(TransferError::Malformed)?;
            if self.last_key.as_ref().is_some_and(|last| *last >= key) {
                return Err(TransferError::Malformed);
            }
            self.tables.put(&key, value);
            self.last_key = Some(key);
        }
        self.next += 1;
        Ok(())
    }

    /// The tables, all pieces of which have arrived.
    pub fn finish(self) -> Result<Tables, TransferError> {
        if self.tables.state() == self.head.state { Ok(self.tables) } else { Err(TransferError::Different) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster_format::{
        Commit, Digest, Entry, LogPosition, NodeId, Origin, Payload, RequestId, StateHash, Version,
    };

    fn tables(rows: u64, row_len: usize) -> Tables {
        let mut tables = Tables::new();
        for number in 1..=rows {
            let version = Version(number);
            let writes =
                [Write { key: number.to_be_bytes()[..].into(), value: Some(alloc::vec![7; row_len].into()) }];
            let commit = Commit {
                request: RequestId { session: number % 5, sequence: number },
                origin: Origin { node: NodeId(1) },
                read_version: Version(number - 1),
                reads: Vec::new(),
                writes: writes.into(),
            };
            let payload = Payload::Commit(Arc::new(commit));
            let entry = Entry::new(LogPosition { term: 1, version }, 0, Digest::ZERO, payload);
            tables.apply(&entry).unwrap();
        }
        tables
    }

    fn outgoing(tables: &Tables) -> Outgoing {
        let last = LogPosition { term: 1, version: tables.version() };
        Outgoing::new(tables, SnapshotHead { last, state: tables.state(), ..SnapshotHead::default() })
    }

    fn arrive(chunks: &[SnapshotChunk]) -> Result<Tables, TransferError> {
        let mut incoming = Incoming::new(chunks[0].head.clone());
        chunks.iter().try_for_each(|chunk| incoming.add(chunk))?;
        incoming.finish()
    }

    #[test]
    fn tables_arrive_as_they_were_sent_in_pieces_of_bounded_length() {
        let sent = tables(40, 40_000);
        let mut outgoing = outgoing(&sent);
        // Pieces may be asked for in any order, as after a restart.
        assert!(outgoing.chunk(3).is_some());
        let mut chunks: Vec<_> = (0..).map_while(|index| outgoing.chunk(index)).collect();
        assert!(chunks.len() > 5 && chunks.iter().all(|chunk| chunk.body.len() < CHUNK_LEN_MAX + 1000));
        assert_eq!(chunks.iter().position(|chunk| chunk.is_last), Some(chunks.len() - 1));
        let arrived = arrive(&chunks).unwrap();
        assert_eq!((arrived.state(), arrived.version()), (sent.state(), sent.version()));
        assert_eq!(arrived.len_bytes(), sent.len_bytes());
        for session in 0..6 {
            let request = RequestId { session, sequence: 36 };
            assert_eq!(arrived.request_state(request), sent.request_state(request));
        }
        chunks.pop();
        assert_eq!(arrive(&chunks).err(), Some(TransferError::Different));
        chunks.remove(1);
        assert_eq!(arrive(&chunks).err(), Some(TransferError::OutOfOrder));
    }

    #[test]
    fn empty_tables_are_one_piece() {
        let chunk = outgoing(&Tables::new()).chunk(0).unwrap();
        assert!(chunk.is_last);
        assert_eq!(arrive(&[chunk]).unwrap().state(), StateHash::default());
    }
}
