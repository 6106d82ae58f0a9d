//! Three members of `cluster-consensus`.

use std::sync::Arc;
use std::time::Duration;

use cluster_consensus::{Config, Message, Raft, Recovered, Timing};
use cluster_format::limits::APPEND_LEN_MAX;
use cluster_format::{
    Commit, Entry, Incarnation, Membership, NodeId, Origin, Payload, Planted, RequestId, Version, Write,
    encode,
};
use drivers_api::{Instant, Now, WallTime};

use crate::{PAYLOAD_LEN, Trio};

/// What the payload takes besides the row's value.
const OVERHEAD_LEN: usize = 26;

struct Member {
    raft: Raft,
    disk: Vec<Arc<Entry>>,
    inbox: Vec<(NodeId, Message)>,
    committed: usize,
}

/// The three.
pub struct Members {
    now: Now,
    members: Vec<Member>,
    leader: usize,
}

impl Members {
    /// Three new members, one of which leads.
    pub fn elect() -> Members {
        assert_eq!(encode(&payload(u64::from(u32::MAX))).len(), PAYLOAD_LEN);
        let now = Now { monotonic: Instant::ZERO, wall: WallTime { unix_micros: 1_800_000_000_000_000 } };
        let members = (1..=3).map(|id| Member::new(id, now)).collect();
        let mut trio = Members { now, members, leader: 0 };
        let leads = |member: &Member| matches!(member.raft.role(), cluster_consensus::Role::Leader { .. });
        while !trio.members.iter().any(leads) {
            trio.now.monotonic = trio.now.monotonic + Duration::from_millis(1);
            let now = trio.now;
            trio.members.iter_mut().for_each(|member| member.raft.tick(now));
            trio.turn();
        }
        trio.leader = trio.members.iter().position(leads).unwrap_or_default();
        // The first entries of the term, and of the members' disks, are not what is measured.
        (0..20).for_each(|_| trio.turn());
        trio
    }
}

impl Member {
    fn new(id: u8, now: Now) -> Member {
        let config = Config {
            id: NodeId(id),
            incarnation: Incarnation(u64::from(id)),
            timing: Timing::default(),
            seed: [id; 32],
            log_len_max: 64 << 20,
            append_len_max: APPEND_LEN_MAX,
            write_len_max: 1 << 20,
            priority: 0,
            planted: Planted::NONE,
        };
        let raft = Raft::new(config, Recovered::nothing(Membership::founding(3)), now);
        Member { raft, disk: Vec::new(), inbox: Vec::new(), committed: 0 }
    }

    fn turn(&mut self, now: Now) -> Vec<(NodeId, Message)> {
        for (from, message) in std::mem::take(&mut self.inbox) {
            self.raft.receive(now, from, message);
        }
        let mut messages = self.raft.take_messages();
        while let Some(write) = self.raft.take_write(now) {
            self.disk.extend(write.entries);
            self.raft.written(now, write.mark);
        }
        messages.extend(self.raft.take_messages());
        let committed = self.raft.take_committed(usize::MAX);
        self.committed += committed.iter().filter(|e| matches!(e.payload, Payload::Commit(_))).count();
        messages
    }
}

impl Trio for Members {
    fn propose(&mut self, number: u64) {
        let proposed = self.members[self.leader].raft.propose(self.now, payload(number));
        proposed.expect("the leader stays, and has room");
    }

    fn turn(&mut self) {
        for index in 0..self.members.len() {
            let from = self.members[index].raft.id();
            for (to, message) in self.members[index].turn(self.now) {
                if to != NodeId::EVERYONE {
                    self.members[usize::from(to.0) - 1].inbox.push((from, message));
                    continue;
                }
                for member in self.members.iter_mut().filter(|member| member.raft.id() != from) {
                    member.inbox.push((from, message.clone()));
                }
            }
        }
    }

    fn committed(&self) -> usize {
        self.members.iter().map(|member| member.committed).min().unwrap_or_default()
    }
}

/// One row, as a session would write it.
fn payload(number: u64) -> Payload {
    let mut value = [0; PAYLOAD_LEN - OVERHEAD_LEN];
    value[..8].copy_from_slice(&number.to_le_bytes());
    Payload::Commit(Arc::new(Commit {
        request: RequestId { session: 7, sequence: 1 << 32 },
        origin: Origin { node: NodeId(1) },
        read_version: Version(1 << 32),
        reads: vec![],
        deletes: vec![],
        writes: vec![Write {
            key: number.to_be_bytes().as_slice().into(),
            value: Some(value.as_slice().into()),
        }],
    }))
}
