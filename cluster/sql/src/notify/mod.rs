//! Notifications: what a transaction tells whoever listens, once it has taken place.
//!
//! They travel in the entry of their transaction, as deletions of keys that never were: so every node meets each of them once,
//! in the order of commits, and nothing is left that would have to be cleared away.
//!
//! ```text
//! key: 02 | which transaction, u64 | which piece, u16 | a piece of the list of what it tells
//! ```

mod channels;

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::{Commit, decode, encode};
use cluster_store::{StoreError, Transaction};
use serde::{Deserialize, Serialize};

pub(crate) use self::channels::Listening;
pub use self::channels::{Channels, Missed};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::key::{NOTIFICATION_SPACE, is_notification};

/// Longest name of a channel, and longest payload, in bytes.
const CHANNEL_LEN_MAX: usize = 63;
const PAYLOAD_LEN_MAX: usize = 7999;

/// Most bytes that one transaction tells.
const TOLD_LEN_MAX: usize = 1 << 20;

/// Bytes of the list in one key.
const PIECE_LEN: usize = 1024;

/// The bytes before a piece: the space, which transaction, which piece.
const PREFIX_LEN: usize = 1 + 8 + 2;

/// What is told on a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The session that has told it, by the number that clients know.
    pub backend: u32,
    /// Who listens to this is told.
    pub channel: String,
    /// What is told; may be empty.
    pub payload: String,
}

/// What has told something: a function tells again when its statement is done again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Statement,
    Function,
}

/// What the open transaction is to tell, each thing once, in the order in which it was first said.
#[derive(Default)]
pub(crate) struct Told {
    all: Vec<(Arc<(String, String)>, By)>,
    known: BTreeSet<Arc<(String, String)>>,
    len: usize,
}

impl Told {
    pub(crate) fn add(&mut self, channel: &str, payload: &str, by: By) -> SqlResult<()> {
        check_channel(channel)?;
        if payload.len() > PAYLOAD_LEN_MAX {
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "payload string too long")
                .hint(format!("It may have {PAYLOAD_LEN_MAX} bytes.")));
        }
        let told = Arc::new((channel.into(), payload.into()));
        if !self.known.contains(&told) {
            self.len += len_of(&told);
            if self.len > TOLD_LEN_MAX {
                self.len -= len_of(&told);
                let message = format!(
                    "notifications of more than {TOLD_LEN_MAX} bytes in one transaction exceed the limit"
                );
                return Err(SqlError::new(SqlState::LIMIT_EXCEEDED, message));
            }
            self.known.insert(told.clone());
            self.all.push((told, by));
        }
        Ok(())
    }

    /// Whether statements that are done again, and tell `repeated`, tell the same as before.
    pub(crate) fn is_repeated_by(&self, repeated: &Told) -> bool {
        let was_told = |(told, _): &(Arc<(String, String)>, By)| self.known.contains(told);
        let is_told = |(told, _): &(Arc<(String, String)>, By)| repeated.known.contains(told);
        repeated.all.iter().all(was_told)
            && self.all.iter().filter(|(_, by)| *by == By::Function).all(is_told)
    }

    /// How many things.
    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// All but the first `count` are not told.
    pub(crate) fn truncate(&mut self, count: usize) {
        for (told, _) in self.all.drain(count.min(self.all.len())..) {
            self.len -= len_of(&told);
            self.known.remove(&told);
        }
    }

    /// Lets `transaction` tell all of it, as session `backend`. `id` tells it from other transactions.
    pub(crate) fn write(
        &self,
        backend: u32,
        id: u64,
        transaction: &mut Transaction,
    ) -> Result<(), StoreError> {
        let notification = |(told, _): &(Arc<(String, String)>, By)| {
            let (channel, payload) = (**told).clone();
            Notification { backend, channel, payload }
        };
        let list = encode(&self.all.iter().map(notification).collect::<Vec<_>>());
        for (number, piece) in (0u16..).zip(list.chunks(PIECE_LEN)) {
            let mut key = Vec::with_capacity(PREFIX_LEN + piece.len());
            key.push(NOTIFICATION_SPACE);
            key.extend_from_slice(&id.to_be_bytes());
            key.extend_from_slice(&number.to_be_bytes());
            key.extend_from_slice(piece);
            transaction.delete(&key)?;
        }
        Ok(())
    }
}

/// About how many bytes of memory it takes.
fn len_of((channel, payload): &(String, String)) -> usize {
    channel.len() + payload.len() + 64
}

/// 22023 if there can be no such channel.
pub(crate) fn check_channel(channel: &str) -> SqlResult<()> {
    let message = match channel.len() {
        0 => "channel name cannot be empty",
        1..=CHANNEL_LEN_MAX => return Ok(()),
        _ => "channel name too long",
    };
    Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
}

/// What a transaction tells that has taken place.
pub fn notifications(commit: &Commit) -> Vec<Notification> {
    let keys = commit.writes.iter().filter(|write| write.value.is_none()).map(|write| &write.key);
    let own = keys.filter(|key| is_notification(key));
    let list: Vec<u8> =
        own.flat_map(|key| key.get(PREFIX_LEN..).unwrap_or_default().iter().copied()).collect();
    // A session that is not ours may have written anything there.
    if list.is_empty() { Vec::new() } else { decode(&list).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use cluster_format::{NodeId, Origin, RequestId, Write};
    use cluster_store::{MemoryPool, Tables};

    use super::*;

    fn commit(told: &Told) -> Commit {
        let pool = MemoryPool::new(64 << 20);
        let mut transaction = Transaction::new(Tables::in_memory().snapshot(), pool.lease());
        told.write(7, 1, &mut transaction).unwrap();
        let (commit, _) =
            transaction.into_commit(RequestId { session: 1, sequence: 1 }, Origin { node: NodeId(1) });
        commit
    }

    #[test]
    fn what_is_told_comes_back_in_order_and_once() {
        let mut told = Told::default();
        assert_eq!(notifications(&commit(&told)), []);
        let payloads: Vec<String> =
            (0..100).map(|number: u32| number.to_string().repeat(number as usize)).collect();
        for payload in payloads.iter().chain(&payloads) {
            told.add("channel", payload, By::Statement).unwrap();
        }
        told.add("other", "", By::Statement).unwrap();
        told.truncate(101);
        told.truncate(100);
        let found = notifications(&commit(&told));
        assert!(found.iter().all(|one| one.backend == 7 && one.channel == "channel"));
        assert_eq!(found.into_iter().map(|one| one.payload).collect::<Vec<_>>(), payloads);
    }

    #[test]
    fn a_transaction_tells_no_more_than_it_may() {
        let mut told = Told::default();
        let mut added = 0;
        while told.add("channel", &(added.to_string() + &"x".repeat(7000)), By::Statement).is_ok() {
            added += 1;
        }
        assert_eq!((added, told.count()), (148, 148));
        assert_eq!(notifications(&commit(&told)).len(), 148);
        told.truncate(0);
        assert_eq!(told.len, 0);
    }

    #[test]
    fn pieces_that_are_no_list_tell_nothing() {
        let mut told = Told::default();
        told.add("channel", &"x".repeat(5000), By::Statement).unwrap();
        let mut commit = commit(&told);
        commit.writes.remove(2);
        assert_eq!(notifications(&commit), []);
        commit.writes = [Write { key: [NOTIFICATION_SPACE][..].into(), value: None }].into();
        assert_eq!(notifications(&commit), []);
    }
}
