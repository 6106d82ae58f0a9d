//! What scripts print, in few words.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::{Entry, Incarnation, Member, Membership, NodeId, Payload};

use crate::membership::NotChanged;
use crate::progress::{Flow, Progress};
use crate::{AppendOutcome, LogWrite, Message, MessageBody};
use crate::{NotProposed, Raft, Role, Vote};

/// Entries beyond this many are told by the first and the last.
const ENTRIES_MAX: usize = 4;

fn joined(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<String>>().join(",")
}

fn nodes(nodes: &[NodeId]) -> String {
    joined(nodes.iter().map(|node| node.to_string()))
}

/// A prime for every disk after the first.
fn member(member: &Member) -> String {
    match member.incarnation {
        Incarnation::UNKNOWN => format!("{}?", member.node),
        Incarnation(life) => format!("{}{}", member.node, "'".repeat(life as usize - 1)),
    }
}

pub(super) fn membership(membership: &Membership) -> String {
    let list = |name: &str, members: &[Member]| match members {
        [] => String::new(),
        _ => format!(" {name} {}", joined(members.iter().map(member))),
    };
    let Membership { voters, learners, removed } = membership;
    let text = list("voters", voters) + &list("learners", learners) + &list("removed", removed);
    text.trim_start().to_string()
}

pub(super) fn entry(entry: &Entry) -> String {
    let said = match &entry.payload {
        Payload::TermStart => "start".to_string(),
        Payload::Membership(changed) => membership(changed),
        Payload::Commit(commit) => {
            joined(commit.writes.iter().map(|write| String::from_utf8_lossy(&write.key).to_string()))
        }
    };
    format!("{} {said}", entry.position())
}

pub(super) fn entries(entries: &[Arc<Entry>]) -> String {
    match entries {
        [first, .., last] if entries.len() > ENTRIES_MAX => {
            format!("[{} … {}, {} entries]", entry(first), entry(last), entries.len())
        }
        _ => {
            let texts: Vec<String> = entries.iter().map(|one| entry(one)).collect();
            format!("[{}]", texts.join(", "))
        }
    }
}

fn body(body: &MessageBody) -> String {
    let answer = |granted: bool| if granted { "granted" } else { "refused" };
    match body {
        MessageBody::PreVoteRequest { last } => format!("PreVoteRequest last {last}"),
        MessageBody::PreVoteReply { granted } => format!("PreVoteReply {}", answer(*granted)),
        MessageBody::VoteRequest { last, leader_agrees } => {
            let agrees = if *leader_agrees { ", the leader agrees" } else { "" };
            format!("VoteRequest last {last}{agrees}")
        }
        MessageBody::VoteReply { granted } => format!("VoteReply {}", answer(*granted)),
        MessageBody::Append { previous, entries: new, commit, round } => {
            let new = if new.is_empty() { String::new() } else { format!(" {}", entries(new)) };
            format!("Append behind {previous}{new} commit {commit} round {round}")
        }
        MessageBody::AppendReply { round, outcome, .. } => match outcome {
            AppendOutcome::Matched(version) => format!("Matched {version} round {round}"),
            AppendOutcome::Mismatch { probed, last, commit } => {
                format!("Mismatch at {probed} last {last} commit {commit} round {round}")
            }
        },
        MessageBody::Snapshot(chunk) => {
            let last = if chunk.is_last { ", the last" } else { "" };
            format!("Snapshot {} piece {}{last}", chunk.head.last, chunk.index)
        }
        MessageBody::SnapshotReply { last, next: Some(next) } => format!("SnapshotReply {last} next {next}"),
        MessageBody::SnapshotReply { last, next: None } => format!("SnapshotReply {last} of no use"),
        MessageBody::StandNow => "StandNow".to_string(),
        MessageBody::Join => "Join".to_string(),
        MessageBody::Leader(leader) => format!("Leader {leader}"),
        MessageBody::Removed => "Removed".to_string(),
    }
}

pub(super) fn message(from: NodeId, to: NodeId, message: &Message) -> String {
    format!("{from}→{to} t{} {}", message.term, body(&message.body))
}

pub(super) fn role(raft: &Raft) -> String {
    let term = raft.term();
    let said = match raft.role() {
        Role::Follower { leader: None } => format!("follows nobody in term {term}"),
        Role::Follower { leader: Some(leader) } => format!("follows {leader} in term {term}"),
        Role::PreCandidate { granted } => format!("asks about term {}, has {}", term + 1, nodes(granted)),
        Role::Candidate { granted } if granted.is_empty() => format!("stands in term {term}"),
        Role::Candidate { granted } => format!("stands in term {term}, has {}", nodes(granted)),
        Role::Leader { .. } => format!("leads term {term}"),
    };
    if raft.is_removed() { said + ", is removed" } else { said }
}

fn vote(vote: Vote) -> String {
    match vote.voted_for {
        Some(candidate) => format!("term {} vote {candidate}", vote.term),
        None => format!("term {}", vote.term),
    }
}

/// What a write makes durable that was not.
pub(super) fn write(write: &LogWrite, before: Vote) -> String {
    let mut parts = Vec::new();
    if write.vote != before {
        parts.push(vote(write.vote));
    }
    if !write.entries.is_empty() {
        parts.push(entries(&write.entries));
    }
    parts.join(" ")
}

pub(super) fn status(raft: &Raft) -> String {
    let (last, durable, commit) = (raft.log().last(), raft.durable, raft.commit());
    let members = membership(raft.log().membership());
    let lost = raft.missing().map_or(String::new(), |version| format!(", lacks {version}"));
    format!("{}, last {last} durable {durable} commit {commit}, {members}{lost}", role(raft))
}

pub(super) fn progress(peer: &Progress) -> String {
    let Progress { node, next, matched, flow, inflight, inflight_len, .. } = peer;
    let flow = match flow {
        Flow::Probing { paused: true } => "probing, waits",
        Flow::Probing { paused: false } => "probing",
        Flow::Streaming => "streaming",
        Flow::Fetching { .. } => "fetching",
        Flow::Snapshot(_) => "snapshot",
    };
    let count = inflight.len();
    let flight =
        if count > 0 { format!(", {count} in flight of {inflight_len} bytes") } else { String::new() };
    format!("{node}: {flow}, matched {matched} next {next}{flight}")
}

fn not_leader(leader: Option<NodeId>) -> String {
    leader.map_or("refused: no leader is known".to_string(), |leader| format!("refused: {leader} leads"))
}

pub(super) fn not_proposed(reason: NotProposed) -> String {
    match reason {
        NotProposed::NotLeader(leader) => not_leader(leader),
        NotProposed::Busy => "refused: busy".to_string(),
    }
}

pub(super) fn not_changed(reason: NotChanged) -> String {
    match reason {
        NotChanged::NotLeader(leader) => not_leader(leader),
        NotChanged::Busy => "refused: busy".to_string(),
        NotChanged::NotMember => "refused: not a member".to_string(),
        NotChanged::IsLeader => "refused: it leads".to_string(),
        NotChanged::NoSuccessor => "refused: no successor".to_string(),
        NotChanged::NoQuorumLeft => "too few would be left".to_string(),
    }
}
