//! Every order of a few events, exhaustively: the real [`Raft`] under a model checker (stateright).
//!
//! A state is what the members have in memory and on disk and which messages are on their way. Time stands
//! still, and a timeout may strike at any moment, so whatever clocks could do is covered. Messages are
//! delivered in any order, or never. Where members may crash, writes become durable at any later moment, or are
//! lost; where they may not, a late write is no more than late messages, and every write is durable at once.

extern crate std;

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::hash::{Hash, Hasher};

use cluster_format::{
    Entry, Incarnation, LogPosition, Member, Membership, NodeId, Payload, Planted, Version,
};
use drivers_api::{Instant, Now, WallTime};
use stateright::{Checker, Model, Property};

use crate::raft::Raft;
use crate::{Config, Log, LogWrite, Message, MessageBody, Recovered, Timing, Vote};

const NOW: Now = Now { monotonic: Instant::ZERO, wall: WallTime { unix_micros: 0 } };

/// How often what may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Budget {
    timeouts: u8,
    proposals: u8,
    crashes: u8,
    heartbeats: u8,
}

#[derive(Clone)]
struct Node {
    raft: Raft,
    vote: Vote,
    entries: Vec<Arc<Entry>>,
    writing: Option<LogWrite>,
}

#[derive(Clone)]
struct State {
    nodes: Vec<Node>,
    /// On their way: from, to, message; those of a pair in the order they were sent.
    flying: Vec<(NodeId, NodeId, Message)>,
    budget: Budget,
    /// The leader of each term so far, and the entries that anyone ever committed.
    leaders: Vec<(u64, NodeId)>,
    committed: Vec<Arc<Entry>>,
    /// What must never be, and is.
    wrong: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Action {
    Timeout(usize),
    Heartbeat(usize),
    Propose(usize),
    Flush(usize),
    Crash(usize),
    Deliver(usize),
}

struct Cluster {
    nodes: u8,
    budget: Budget,
    planted: Planted,
}

fn membership(nodes: u8) -> Membership {
    let member = |id| Member { node: NodeId(id), incarnation: Incarnation(id.into()) };
    Membership { voters: (1..=nodes).map(member).collect(), ..Membership::default() }
}

impl Cluster {
    fn start(&self, id: u8, vote: Vote, entries: &[Arc<Entry>]) -> Raft {
        let mut log = Log::new(membership(self.nodes));
        entries.iter().for_each(|entry| log.push(entry.clone()));
        let config = Config {
            id: NodeId(id),
            incarnation: Incarnation(id.into()),
            timing: Timing::default(),
            seed: [0; 32],
            log_len_max: 1 << 20,
            append_len_max: 1 << 10,
            write_len_max: 1 << 20,
            priority: 0,
            planted: self.planted,
        };
        let (commit, applied, promised) = (Version::ZERO, Version::ZERO, LogPosition::default());
        Raft::new(config, Recovered { vote, log, commit, applied, promised, incoming: None }, NOW)
    }
}

impl Node {
    /// What is being written becomes durable.
    fn flush(&mut self) {
        let Some(write) = self.writing.take() else { return };
        self.vote = write.vote;
        if let Some(first) = write.entries.first() {
            self.entries.truncate(first.version.0 as usize - 1);
            self.entries.extend(write.entries);
        }
        self.raft.written(NOW, write.mark);
    }
}

impl State {
    /// What follows from an input at once: messages leave, a write begins, commits are noted.
    fn settle(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let raft = &mut node.raft;
        if node.writing.is_none() {
            node.writing = raft.take_write(NOW);
        }
        // Where nobody can crash any more, a late write is no more than late messages.
        while self.budget.crashes == 0 && node.writing.is_some() {
            node.flush();
            node.writing = node.raft.take_write(NOW);
        }
        let raft = &mut node.raft;
        let from = raft.id();
        // Heartbeats that say nothing are lost: they only multiply the states.
        let says_something = |body: &MessageBody| match body {
            MessageBody::Append { entries, commit, .. } => !entries.is_empty() || *commit > Version::ZERO,
            _ => true,
        };
        let messages = raft.take_messages().into_iter();
        let messages = messages.filter(|(to, m)| *to != NodeId::EVERYONE && says_something(&m.body));
        self.flying.extend(messages.map(|(to, message)| (from, to, message)));
        // By pair, so that equal channels are equal states.
        self.flying.sort_by_key(|(from, to, _)| (*from, *to));
        if raft.is_leader() {
            let term = raft.term();
            match self.leaders.iter().find(|(known, _)| *known == term) {
                Some((_, leader)) if *leader != from => self.wrong = Some("two leaders in a term"),
                Some(_) => {}
                None => self.leaders.push((term, from)),
            }
        }
        for entry in raft.take_committed(usize::MAX) {
            match self.committed.get(entry.version.0 as usize - 1) {
                Some(known) if *known != entry => self.wrong = Some("two histories"),
                Some(_) => {}
                None => self.committed.push(entry),
            }
        }
    }
}

impl Model for Cluster {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let node = |id| Node {
            raft: self.start(id, Vote::default(), &[]),
            vote: Vote::default(),
            entries: vec![],
            writing: None,
        };
        let nodes = (1..=self.nodes).map(node).collect();
        let (flying, leaders, committed) = (vec![], vec![], vec![]);
        vec![State { nodes, flying, budget: self.budget, leaders, committed, wrong: None }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.wrong.is_some() {
            return;
        }
        let Budget { timeouts, proposals, crashes, heartbeats } = state.budget;
        for (index, node) in state.nodes.iter().enumerate() {
            if node.writing.is_some() {
                actions.push(Action::Flush(index));
            }
            // The members are alike, so the first to stand may as well be the first.
            let alike = timeouts == self.budget.timeouts && index > 0;
            if timeouts > 0 && !node.raft.is_leader() && !alike {
                actions.push(Action::Timeout(index));
            }
            if proposals > 0 && node.raft.is_leader() {
                actions.push(Action::Propose(index));
            }
            if heartbeats > 0 && node.raft.is_leader() {
                actions.push(Action::Heartbeat(index));
            }
            if crashes > 0 {
                actions.push(Action::Crash(index));
            }
        }
        actions.extend((0..state.flying.len()).map(Action::Deliver));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        let index = match action {
            Action::Timeout(index) => {
                state.budget.timeouts -= 1;
                // So much time has passed that nobody counts on a leader any more.
                state.nodes.iter_mut().for_each(|node| node.raft.leader_heard = None);
                // Past the pre-vote, which only ever keeps a member from this.
                if state.nodes[index].raft.may_stand() {
                    state.nodes[index].raft.campaign(NOW, false);
                }
                index
            }
            Action::Heartbeat(index) => {
                state.budget.heartbeats -= 1;
                state.nodes[index].raft.heartbeat(NOW);
                index
            }
            Action::Propose(index) => {
                state.budget.proposals -= 1;
                state.nodes[index].raft.propose(NOW, Payload::TermStart).ok()?;
                index
            }
            Action::Flush(index) => {
                state.nodes[index].flush();
                index
            }
            Action::Crash(index) => {
                state.budget.crashes -= 1;
                let node = &mut state.nodes[index];
                node.writing = None;
                node.raft = self.start(index as u8 + 1, node.vote, &node.entries);
                index
            }
            Action::Deliver(index) => {
                let (from, to, message) = state.flying.remove(index);
                // What was sent earlier between these two is lost, or it would have come first.
                let mut place = 0;
                state.flying.retain(|other| {
                    place += 1;
                    place > index || other.0 != from || other.1 != to
                });
                let index = usize::from(to.0) - 1;
                state.nodes[index].raft.receive(NOW, from, message);
                index
            }
        };
        state.settle(index);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("nothing is wrong", |_, state: &State| state.wrong.is_none()),
            Property::sometimes("something is committed", |_, state: &State| !state.committed.is_empty()),
            Property::sometimes("leadership changes", |_, state: &State| state.leaders.len() > 1),
        ]
    }
}

/// What makes two members equal: time and dice do not.
impl Hash for Node {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Node { raft, vote, entries, writing } = self;
        (&raft.role, raft.vote, raft.commit, raft.durable, raft.verified, raft.round_heard).hash(state);
        (raft.vote_change - raft.vote_saved, raft.write_next, raft.log.last_digest()).hash(state);
        (raft.leader_heard.is_some(), raft.reads.round(), &raft.outbox).hash(state);
        for (_, to, message) in &raft.withheld {
            (to, message).hash(state);
        }
        for peer in &raft.peers {
            (peer.next, peer.matched, &peer.flow, peer.round_acked, peer.commit_sent).hash(state);
        }
        (vote, entries.last().map(|entry| entry.digest())).hash(state);
        writing.as_ref().map(|write| (write.vote, write.entries.last().map(|e| e.digest()))).hash(state);
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.nodes, &self.flying, self.budget, &self.leaders, self.wrong).hash(state);
        self.committed.last().map(|entry| entry.digest()).hash(state);
    }
}

impl PartialEq for State {
    fn eq(&self, other: &State) -> bool {
        hash_of(self) == hash_of(other)
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rafts: Vec<_> = self.nodes.iter().map(|node| &node.raft).collect();
        write!(f, "{rafts:?} {:?} flying {}", self.wrong, self.flying.len())
    }
}

fn hash_of<T: Hash>(value: &T) -> u64 {
    #[expect(deprecated, reason = "the hasher that is the same in every run")]
    let mut hasher = core::hash::SipHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn check(cluster: Cluster) -> impl Checker<Cluster> {
    let checker = cluster.checker().threads(2).spawn_bfs().join();
    std::println!("{} states, {} of them different", checker.state_count(), checker.unique_state_count());
    checker
}

#[test]
fn no_order_of_events_breaks_three_members() {
    let budget = Budget { timeouts: 2, proposals: 0, crashes: 0, heartbeats: 0 };
    let checker = check(Cluster { nodes: 3, budget, planted: Planted::NONE });
    assert!(checker.is_done(), "every state was looked at");
    checker.assert_properties();
}

/// One election, with an entry and a crash at any point: writes become durable at any moment, or are lost. (Two
/// elections and a crash are more states than a test can wait for.)
#[test]
fn no_crash_breaks_three_members() {
    let budget = Budget { timeouts: 1, proposals: 1, crashes: 1, heartbeats: 0 };
    let checker = check(Cluster { nodes: 3, budget, planted: Planted::NONE });
    assert!(checker.is_done(), "every state was looked at");
    checker.assert_no_discovery("nothing is wrong");
    checker.assert_any_discovery("something is committed");
}

/// The checker sees what it is there to see.
#[cfg(feature = "mistakes")]
#[test]
fn a_vote_that_is_not_flushed_is_found() {
    use cluster_format::Mistake;
    let budget = Budget { timeouts: 2, proposals: 0, crashes: 1, heartbeats: 0 };
    let checker = check(Cluster { nodes: 3, budget, planted: Planted::new(Mistake::VoteNotFlushed) });
    let path = checker.assert_any_discovery("nothing is wrong");
    assert_eq!(path.last_state().wrong, Some("two leaders in a term"));
}
