//! Three members of TiKV's `raft`, driven as its example does, set up for throughput.

use raft::prelude::{Config, Entry, EntryType, Message, RawNode};
use raft::storage::MemStorage;
use slog::{Discard, Logger, o};

use crate::{PAYLOAD_LEN, Trio};

struct Member {
    node: RawNode<MemStorage>,
    inbox: Vec<Message>,
    committed: usize,
}

/// The three; the first leads.
pub struct Members(Vec<Member>);

impl Members {
    /// Three new members, one of which leads.
    pub fn elect() -> Members {
        let mut trio = Members((1..=3).map(Member::new).collect());
        trio.0[0].node.campaign().expect("it may stand");
        (0..20).for_each(|_| trio.turn());
        assert_eq!(trio.0[0].node.raft.state, raft::StateRole::Leader);
        trio
    }
}

impl Member {
    fn new(id: u64) -> Member {
        let config = Config {
            id,
            election_tick: 10,
            heartbeat_tick: 2,
            max_size_per_msg: 1 << 20,
            max_inflight_msgs: 256,
            check_quorum: true,
            pre_vote: true,
            batch_append: true,
            ..Config::default()
        };
        let storage = MemStorage::new_with_conf_state((vec![1, 2, 3], vec![]));
        let node = RawNode::new(&config, storage, &Logger::root(Discard, o!()));
        Member { node: node.expect("the settings are valid"), inbox: Vec::new(), committed: 0 }
    }

    fn turn(&mut self) -> Vec<Message> {
        for message in std::mem::take(&mut self.inbox) {
            self.node.step(message).expect("messages are valid");
        }
        let mut messages = Vec::new();
        while self.node.has_ready() {
            let mut ready = self.node.ready();
            messages.extend(ready.take_messages());
            self.apply(ready.take_committed_entries());
            self.node.mut_store().wl().append(ready.entries()).expect("entries go on");
            if let Some(hard_state) = ready.hs() {
                self.node.mut_store().wl().set_hardstate(hard_state.clone());
            }
            messages.extend(ready.take_persisted_messages());
            let mut rest = self.node.advance(ready);
            if let Some(commit) = rest.commit_index() {
                self.node.mut_store().wl().mut_hard_state().commit = commit;
            }
            messages.extend(rest.take_messages());
            self.apply(rest.take_committed_entries());
            self.node.advance_apply();
        }
        messages
    }

    fn apply(&mut self, entries: Vec<Entry>) {
        let is_proposal =
            |entry: &&Entry| entry.entry_type == EntryType::EntryNormal && !entry.data.is_empty();
        self.committed += entries.iter().filter(is_proposal).count();
    }
}

impl Trio for Members {
    fn propose(&mut self, number: u64) {
        let mut data = vec![0; PAYLOAD_LEN];
        data[..8].copy_from_slice(&number.to_le_bytes());
        self.0[0].node.propose(Vec::new(), data).expect("the leader stays, and has room");
    }

    fn turn(&mut self) {
        for index in 0..self.0.len() {
            for message in self.0[index].turn() {
                self.0[message.to as usize - 1].inbox.push(message);
            }
        }
    }

    fn committed(&self) -> usize {
        self.0.iter().map(|member| member.committed).min().unwrap_or_default()
    }
}
