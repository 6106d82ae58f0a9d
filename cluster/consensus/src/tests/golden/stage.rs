//! Members whose every step is a command: what arrives, what becomes durable, how time passes.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use cluster_format::{
    Commit, Entry, Incarnation, LogPosition, Marks, Member, Membership, NodeId, Origin, Payload, Planted,
    RequestId, Version, Write,
};

use super::show;
use crate::tests::network::{Disk, Network, Tables, Writing};
use crate::{Log, Mark, Message, Vote};

/// More steps than any script takes on purpose.
const STEPS_MAX: usize = 10_000;

/// A message on its way.
struct Flight {
    from: NodeId,
    to: NodeId,
    message: Message,
    /// Sent by the command that is being carried out.
    is_new: bool,
}

/// What was last told about a member.
#[derive(Clone, Default)]
struct Told {
    role: String,
    wanted: usize,
    chunks_wanted: usize,
}

pub(super) struct Stage {
    network: Network,
    planted: Planted,
    flying: VecDeque<Flight>,
    told: Vec<Told>,
    leaders: BTreeMap<u64, NodeId>,
    requests: u64,
    reads: u64,
    /// What was said since it was last looked at.
    pub(super) out: String,
    indent: usize,
    marks: Marks,
}

fn index(node: NodeId) -> usize {
    usize::from(node.0) - 1
}

impl Stage {
    pub(super) fn new(planted: Planted) -> Stage {
        Stage {
            network: Network::new(0, 1),
            planted,
            flying: VecDeque::new(),
            told: vec![],
            leaders: BTreeMap::new(),
            requests: 0,
            reads: 0,
            out: String::new(),
            indent: 0,
            marks: Marks::NONE,
        }
    }

    /// The rare branches that were taken.
    pub(super) fn marks(&self) -> Marks {
        self.marks
    }

    fn say(&mut self, text: &str) {
        self.out.push_str(&format!("{:1$}{text}\n", "", self.indent * 2));
    }

    /// What is said in `within` follows from what was said before.
    fn indented(&mut self, within: impl FnOnce(&mut Stage)) {
        self.indent += 1;
        within(self);
        self.indent -= 1;
    }

    /// Tells what was sent and has not arrived.
    pub(super) fn end_command(&mut self) {
        let new = self.flying.iter().filter(|flight| flight.is_new);
        let lines: Vec<_> =
            new.map(|flight| show::message(flight.from, flight.to, &flight.message)).collect();
        self.flying.iter_mut().for_each(|flight| flight.is_new = false);
        lines.iter().for_each(|line| self.say(&format!("… {line}")));
    }

    /// Another cluster, and another network.
    pub(super) fn found(&mut self, size: u64, joiners: u64, founded: bool) {
        let mut network = Network::with_joiners(size as u8, joiners as u8, 1);
        let first_life = |id| Member { node: NodeId(id), incarnation: Incarnation(1) };
        if founded {
            let voters = (1..=size as u8).map(first_life).collect();
            network.founding = Membership { voters, ..Membership::default() };
        }
        network.planted = self.planted;
        network.members.iter_mut().for_each(|member| member.disk.incarnation = Incarnation(1));
        (self.network, self.told) = (network, vec![Told::default(); (size + joiners) as usize]);
        self.flying.clear();
        self.leaders.clear();
        (1..=size as u8).for_each(|id| self.restart(NodeId(id)));
    }

    /// With what is on its disk, and without a word.
    fn restart(&mut self, node: NodeId) {
        self.network.crash(index(node));
        self.network.start(index(node));
        let role = show::role(self.network.raft(index(node)));
        self.told[index(node)] = Told { role, ..Told::default() };
        self.step(node);
    }

    /// What follows from an input at once: commits are noted, a write begins, messages leave.
    fn step(&mut self, node: NodeId) {
        let now = self.network.time();
        if self.network.members[index(node)].raft.is_none() {
            return;
        }
        self.tell_role(node);
        self.take_committed(node);
        self.network.members[index(node)].begin_write(now);
        let reads = self.network.raft(index(node)).take_reads(now);
        let messages = self.network.raft(index(node)).take_messages();
        self.tell_marks(node);
        for (token, version) in reads {
            match version {
                Some(version) => self.say(&format!("{node} answers read {token}: at {version}")),
                None => self.say(&format!("{node} answers read {token}: not known, ask again")),
            }
        }
        self.tell_wants(node);
        for (to, message) in messages {
            let everyone = 1..=self.network.members.len() as u8;
            let receivers = if to == NodeId::EVERYONE { everyone } else { to.0..=to.0 };
            for to in receivers.map(NodeId).filter(|to| *to != node) {
                self.flying.push_back(Flight { from: node, to, message: message.clone(), is_new: true });
            }
        }
    }

    fn tell_role(&mut self, node: NodeId) {
        let raft = self.network.raft(index(node));
        let (role, term) = (show::role(raft), raft.term());
        let told_of = raft.take_told_of();
        if raft.is_leader() && *self.leaders.entry(term).or_insert(node) != node {
            self.say(&format!("WRONG: two leaders in term {term}"));
        }
        if self.told[index(node)].role != role {
            self.say(&format!("{node} {role}"));
            self.told[index(node)].role = role;
        }
        if let Some(leader) = told_of {
            self.say(&format!("{node} is told to look for {leader}"));
        }
    }

    fn take_committed(&mut self, node: NodeId) {
        let entries = self.network.raft(index(node)).take_committed(usize::MAX);
        for entry in &entries {
            let known = self.network.committed.entry(entry.version).or_insert_with(|| entry.clone());
            if known != entry {
                self.say(&format!("WRONG: two histories at {}", entry.version));
            }
            self.network.members[index(node)].tables.0.push(entry.digest());
        }
        if !entries.is_empty() {
            self.say(&format!("{node} commits {}", show::entries(&entries)));
        }
    }

    fn tell_marks(&mut self, node: NodeId) {
        let raft = self.network.raft(index(node));
        let marks = core::mem::take(&mut raft.marks);
        let refused = raft.take_refused();
        self.marks.merge(marks);
        for (mark, name) in Mark::NAMES.iter().enumerate().filter(|(mark, _)| marks.contains(*mark as u32)) {
            let version = refused.filter(|_| mark == Mark::HistoryRefused as usize);
            let at = version.map_or(String::new(), |refused| format!(" at {}", refused.version));
            self.say(&format!("({node}: {}{at})", name.trim_start_matches("consensus: ")));
        }
    }

    fn tell_wants(&mut self, node: NodeId) {
        let told = self.told[index(node)].clone();
        let raft = self.network.raft(index(node));
        let entries = raft.wanted.iter().skip(told.wanted);
        let mut lines: Vec<_> = entries
            .map(|want| format!("{node} wants entries {} to {} for {}", want.first, want.through, want.peer))
            .collect();
        lines.extend(raft.chunks_wanted.iter().skip(told.chunks_wanted).map(|want| match &want.head {
            Some(head) => format!("{node} wants piece {} of {} for {}", want.index, head.last, want.peer),
            None => format!("{node} wants a snapshot for {}", want.peer),
        }));
        let (wanted, chunks_wanted) = (raft.wanted.len(), raft.chunks_wanted.len());
        self.told[index(node)] = Told { wanted, chunks_wanted, ..told };
        lines.iter().for_each(|line| self.say(line));
    }

    pub(super) fn tick(&mut self, node: NodeId) {
        let deadline = self.network.raft(index(node)).deadline();
        self.network.now = self.network.now.max(deadline);
        let now = self.network.time();
        self.network.raft(index(node)).tick(now);
        self.step(node);
    }

    pub(super) fn stand(&mut self, node: NodeId) {
        self.network.now = self.network.now + self.network.timing.election;
        self.tick(node);
    }

    pub(super) fn wait(&mut self, milliseconds: u64) {
        self.network.now = self.network.now + Duration::from_millis(milliseconds);
    }

    fn arrive(&mut self, flight: Flight) {
        let Flight { from, to, message, .. } = flight;
        let text = show::message(from, to, &message);
        let now = self.network.time();
        let parted = self.network.cut.contains(&from) != self.network.cut.contains(&to);
        let raft = self.network.members[index(to)].raft.as_mut().filter(|_| !parted);
        let Some(raft) = raft else { return self.say(&format!("✗ {text}")) };
        raft.receive(now, from, message);
        self.say(&text);
        self.indented(|stage| stage.step(to));
    }

    pub(super) fn deliver_all(&mut self) {
        for _ in 0..STEPS_MAX {
            let Some(flight) = self.flying.pop_front() else { return };
            self.arrive(flight);
        }
        panic!("messages without end:\n{}", self.out);
    }

    /// Those that are on their way now.
    pub(super) fn deliver(&mut self, from: NodeId, to: NodeId) {
        self.take_flying(|a, b| (a, b) == (from, to)).into_iter().for_each(|flight| self.arrive(flight));
    }

    fn take_flying(&mut self, which: impl Fn(NodeId, NodeId) -> bool) -> Vec<Flight> {
        let all = core::mem::take(&mut self.flying).into_iter();
        let (taken, left): (Vec<_>, _) = all.partition(|flight| which(flight.from, flight.to));
        self.flying = left.into();
        taken
    }

    pub(super) fn lose_messages(&mut self, which: impl Fn(NodeId, NodeId) -> bool) {
        for Flight { from, to, message, .. } in self.take_flying(which) {
            self.say(&format!("✗ {}", show::message(from, to, &message)));
        }
    }

    /// What is being written becomes durable.
    pub(super) fn flush(&mut self, node: NodeId) {
        let now = self.network.time();
        let member = &mut self.network.members[index(node)];
        let text = match &member.writing {
            None => return self.say(&format!("{node} has nothing to flush")),
            Some(Writing::Log(write)) => show::write(write, member.disk.vote),
            Some(Writing::Chunk(chunk)) => format!("piece {} of {}", chunk.index, chunk.head.last),
        };
        member.end_write(now);
        self.say(&format!("{node} flushes {text}"));
        self.indented(|stage| stage.step(node));
    }

    pub(super) fn flush_all(&mut self) {
        for _ in 0..STEPS_MAX {
            let busy = self.network.members.iter().position(|member| member.writing.is_some());
            let Some(busy) = busy else { return };
            self.flush(NodeId(busy as u8 + 1));
        }
        panic!("writes without end:\n{}", self.out);
    }

    pub(super) fn fetch(&mut self, node: NodeId) {
        let now = self.network.time();
        let told = &mut self.told[index(node)];
        (told.wanted, told.chunks_wanted) = (0, 0);
        let member = &mut self.network.members[index(node)];
        member.give_chunks(now);
        member.give_entries();
        self.step(node);
    }

    pub(super) fn settle_all(&mut self) {
        loop {
            self.deliver_all();
            self.flush_all();
            let wants = |told: &Told| told.wanted + told.chunks_wanted > 0;
            let wanting = (0..self.told.len()).find(|index| wants(&self.told[*index]));
            if let Some(wanting) = wanting {
                self.fetch(NodeId(wanting as u8 + 1));
            }
            if self.flying.is_empty() && wanting.is_none() {
                return;
            }
        }
    }

    /// Entries: `a` says a, `3*a:1000` is three that say a and are so many bytes longer.
    pub(super) fn propose(&mut self, node: NodeId, entries: &[&str]) {
        let now = self.network.time();
        for entry in entries {
            let (count, entry) = entry.split_once('*').unwrap_or(("1", entry));
            let (key, len) = entry.split_once(':').unwrap_or((entry, "0"));
            let value: Arc<[u8]> = vec![0; super::number(len) as usize].into();
            for _ in 0..super::number(count) {
                self.requests += 1;
                let writes = vec![Write { key: key.as_bytes().into(), value: Some(value.clone()) }];
                let request = RequestId { session: 1, sequence: self.requests };
                let (origin, read_version) = (Origin { node }, Version::ZERO);
                let commit = Commit { request, origin, read_version, reads: vec![], deletes: vec![], writes };
                let proposed = self.network.raft(index(node)).propose(now, Payload::Commit(Arc::new(commit)));
                if let Err(reason) = proposed {
                    self.say(&show::not_proposed(reason));
                }
            }
        }
        self.step(node);
    }

    pub(super) fn read(&mut self, node: NodeId) {
        self.reads += 1;
        let (now, token) = (self.network.time(), self.reads);
        if let Err(leader) = self.network.raft(index(node)).read(now, token) {
            self.say(&show::not_proposed(crate::NotProposed::NotLeader(leader)));
        }
        self.step(node);
    }

    pub(super) fn cut(&mut self, nodes: Vec<NodeId>) {
        self.network.cut = nodes;
    }

    pub(super) fn crash(&mut self, node: NodeId) {
        self.network.crash(index(node));
        self.told[index(node)] = Told::default();
    }

    pub(super) fn start(&mut self, node: NodeId) {
        self.restart(node);
    }

    pub(super) fn wipe(&mut self, node: NodeId) {
        let Incarnation(life) = self.network.members[index(node)].disk.incarnation;
        self.network.wipe(index(node));
        self.network.members[index(node)].disk.incarnation = Incarnation(life + 1);
        self.restart(node);
    }

    /// Entries of these terms, all alike where version and term are; those of another history never are.
    pub(super) fn set_disk(&mut self, node: NodeId, terms: Vec<u64>, term: Option<u64>, other: bool) {
        let mut log = Log::new(self.network.founding.clone());
        for term in terms {
            let (version, previous) = (log.last().version.next(), log.last_digest());
            let (wall_micros, payload) = (i64::from(other), Payload::TermStart);
            log.push(Arc::new(Entry::new(LogPosition { term, version }, wall_micros, previous, payload)));
        }
        let (last, incarnation) = (log.last(), self.network.members[index(node)].disk.incarnation);
        let vote = Vote { term: term.unwrap_or(last.term), voted_for: None };
        let entries = log.entries(Version(1), last.version, usize::MAX);
        self.network.members[index(node)].disk = Disk { incarnation, vote, entries, ..Disk::default() };
        self.restart(node);
    }

    pub(super) fn compact(&mut self, node: NodeId) {
        let member = &mut self.network.members[index(node)];
        let raft = member.raft.as_mut().expect("a member that is up");
        let head = member.tables.head(raft);
        member.disk.entries.retain(|entry| entry.version > head.last.version);
        self.say(&format!("{node} keeps entries behind {} only", head.last));
        let member = &mut self.network.members[index(node)];
        member.disk.base = Some((Arc::new(head), Tables(member.tables.0.clone())));
    }

    pub(super) fn lose(&mut self, node: NodeId, first: u64) {
        self.network.members[index(node)].disk.lose_from(Version(first));
        self.restart(node);
    }

    pub(super) fn restore(&mut self, node: NodeId, peer: NodeId, through: Option<u64>) {
        let first = self.network.raft(index(node)).missing();
        let through = through.unwrap_or(u64::MAX);
        let entries = self.network.members[index(peer)].disk.entries.iter();
        let lent = entries.filter(|entry| Some(entry.version) >= first && entry.version.0 <= through);
        let lent: Vec<_> = lent.cloned().collect();
        let now = self.network.time();
        self.network.raft(index(node)).restore(now, &lent);
        self.step(node);
    }

    pub(super) fn transfer(&mut self, node: NodeId, to: Option<NodeId>) {
        let now = self.network.time();
        if let Err(reason) = self.network.raft(index(node)).transfer(now, to) {
            self.say(&show::not_changed(reason));
        }
        self.step(node);
    }

    pub(super) fn remove(&mut self, node: NodeId, other: NodeId) {
        let now = self.network.time();
        if let Err(reason) = self.network.raft(index(node)).remove(now, other) {
            self.say(&show::not_changed(reason));
        }
        self.step(node);
    }

    pub(super) fn set_memory(&mut self, len: u64) {
        self.network.log_len_max = len as usize;
        let members = self.network.members.iter_mut();
        members.filter_map(|member| member.raft.as_mut()).for_each(|raft| raft.log_len_max = len as usize);
        (1..=self.network.members.len() as u8).for_each(|id| self.step(NodeId(id)));
    }

    pub(super) fn set_lease(&mut self, milliseconds: u64) {
        self.network.timing.lease = Duration::from_millis(milliseconds);
        for id in 1..=self.network.members.len() as u8 {
            if self.network.members[index(NodeId(id))].raft.is_some() {
                self.restart(NodeId(id));
            }
        }
    }

    pub(super) fn set_priority(&mut self, node: NodeId, priority: u64) {
        self.network.members[index(node)].priority = priority as u8;
        self.network.raft(index(node)).priority = priority as u8;
    }

    pub(super) fn status(&mut self) {
        for id in 1..=self.network.members.len() as u8 {
            let raft = self.network.members[index(NodeId(id))].raft.as_ref();
            let text = raft.map_or(String::from("is down"), show::status);
            self.say(&format!("{id} {text}"));
        }
    }

    pub(super) fn progress(&mut self, node: NodeId) {
        let lines: Vec<_> = self.network.raft(index(node)).peers.iter().map(show::progress).collect();
        lines.iter().for_each(|line| self.say(line));
    }
}
