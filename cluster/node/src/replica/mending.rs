//! Rows that a damaged table has lost come from a peer, while this node goes on.
//!
//! ```text
//!  damage is met ─► the table is read ─► ranges of keys are lost ─► ask a peer for each, ─► write the table anew
//!                   from end to end                                 piece by piece
//! ```
//! What is asked for depends on no peer, so that each piece may come from another one. Statements that need lost rows
//! wait for a while. If no peer is of use, all tables are had anew.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use cluster_consensus::Raft;
use cluster_format::limits::CHUNK_LEN_MAX;
use cluster_format::{NodeId, Version};
use cluster_store::{
    NotFilled, PATCH_LEN_MAX, Patch, PatchPiece, PatchQuestion, ReadError, Scrubbed, TableId, WriteError,
};
use drivers_api::{Instant, Level, Now};

use super::{Phase, Replica};
use crate::job::Job;
use crate::marks::Mark;
use crate::message::PeerMessage;

/// What was asked and not answered is asked of the next peer after this long, and what could not be written is tried again.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// So many times in a row nothing comes of asking, before everything is had anew.
const ATTEMPTS_MAX: u32 = 60;

/// The same, of writing: more damage may be met, and be filled in first.
const WRITES_MAX: u32 = 10;

/// Tables that have lost something.
#[derive(Default)]
pub(super) struct Mending {
    patches: Vec<Patch>,
    /// When to ask the next peer, or to write again.
    due: Option<Instant>,
    /// Whether one is being written.
    is_writing: bool,
    /// How many times in a row nothing came of asking, and of writing.
    attempts: u32,
    failed_writes: u32,
}

impl Mending {
    /// What to ask next; none if all of them are whole.
    fn question(&self) -> Option<PatchQuestion> {
        self.patches.iter().find_map(Patch::question)
    }

    /// The version that the tables must have come to.
    fn horizon(&self) -> Version {
        self.patches.iter().map(Patch::horizon).max().unwrap_or_default()
    }
}

/// A piece that a peer waits for.
pub(super) struct Patching {
    to: NodeId,
    question: PatchQuestion,
    job: Job<Result<PatchPiece, ReadError>>,
}

impl Patching {
    /// Whether it can go on.
    pub(super) fn is_woken(&self) -> bool {
        self.job.is_woken()
    }
}

impl Replica {
    /// One of the tables has lost something.
    pub(super) fn table_damaged(&mut self, now: Now, scrubbed: &Scrubbed) {
        if self.is_rebuilding() {
            return;
        }
        self.hit(Mark::TablesDamaged);
        let Mending { patches, due, .. } = self.mending.get_or_insert_default();
        due.get_or_insert(now.monotonic);
        let is_same = |patch: &&mut Patch| patch.table() == scrubbed.table;
        if let Some(known) = patches.iter_mut().find(is_same) {
            // More of it may be lost than was known.
            if !known.is_for(scrubbed) {
                *known = Patch::new(scrubbed);
            }
            return;
        }
        patches.push(Patch::new(scrubbed));
        self.damaged_tables += 1;
        if let Some(error) = scrubbed.damaged.first() {
            let line = alloc::format!("{error}: getting what it has lost from the other members");
            self.say(Level::Warn, line);
        }
    }

    /// A table has been written anew.
    pub(super) fn table_mended(&mut self, now: Now, table: TableId) {
        let Some(mending) = &mut self.mending else { return };
        let before = mending.patches.len();
        mending.patches.retain(|patch| patch.table() != table);
        self.mended_tables += (before - mending.patches.len()) as u64;
        (mending.is_writing, mending.due, mending.failed_writes) = (false, Some(now.monotonic), 0);
        if mending.patches.is_empty() {
            self.mending = None;
            self.hit(Mark::TablesMended);
            self.say(Level::Info, "the tables are whole again".into());
            self.compare_again();
        }
    }

    /// No table could be written anew, for want of room, which may come, or because of other damage.
    pub(super) fn not_mended(&mut self, now: Now, error: &WriteError) {
        self.fail_awaiting();
        let Some(mending) = &mut self.mending else { return };
        (mending.is_writing, mending.due) = (false, Some(now.monotonic + ASK_AGAIN_AFTER));
        mending.failed_writes += u32::from(*error != WriteError::Full);
        if mending.failed_writes >= WRITES_MAX || *error == WriteError::PatchTooLong {
            self.give_up_mending();
        }
    }

    /// Whether no other member could give what is lost.
    pub(crate) fn is_alone(&self) -> bool {
        self.raft()
            .is_some_and(|raft| raft.log().membership().members().all(|member| member.node == raft.id()))
    }

    /// Goes on with what is lost.
    pub(super) fn mend(&mut self, now: Now) {
        self.patch_peers();
        let (Some(mending), Phase::Running(raft)) = (&mut self.mending, &self.phase) else { return };
        if self.rebuilding.is_some() || self.replacement.is_some() {
            self.mending = None;
            return;
        }
        if mending.is_writing || mending.due.is_some_and(|due| now.monotonic < due) {
            return;
        }
        let members = raft.log().membership().members().map(|member| member.node);
        let peers: Vec<NodeId> = members.filter(|node| *node != raft.id()).collect();
        let Some(question) = mending.question() else {
            if mending.horizon() <= self.tables.version() {
                (mending.is_writing, mending.due) = (true, None);
                let patches = mending.patches.clone();
                self.tables.mend(patches);
                self.tables_are_busy = true;
                return;
            }
            return self.attempt_failed(now);
        };
        let Some(peer) = peers.get(mending.attempts as usize % peers.len().max(1)) else {
            // A node alone goes on with what it has.
            mending.due = None;
            if core::mem::replace(&mut mending.attempts, 1) == 0 {
                let line = "no other member has the rows that are lost: what needs them fails";
                self.say(Level::Error, line.into());
            }
            return;
        };
        self.outbox.push((*peer, PeerMessage::Patch(Arc::new(question))));
        self.attempt_failed(now);
    }

    /// Nothing has come of it so far. In the end, all tables are had anew.
    fn attempt_failed(&mut self, now: Now) {
        let Some(mending) = &mut self.mending else { return };
        mending.due = Some(now.monotonic + ASK_AGAIN_AFTER);
        mending.attempts += 1;
        if mending.attempts >= ATTEMPTS_MAX {
            self.give_up_mending();
        }
    }

    fn give_up_mending(&mut self) {
        let has_leader = |raft: &Raft| raft.leader().is_some_and(|leader| leader != raft.id());
        if !self.raft().is_some_and(has_leader) {
            // It may be the last that serves: better without some rows than without any.
            if let Some(mending) = &mut self.mending {
                (mending.attempts, mending.failed_writes) = (0, 0);
            }
            return;
        }
        self.say(Level::Warn, "what is lost cannot be brought back alone: getting all tables anew".into());
        self.rebuild_from_leader();
    }

    /// When [`Replica::mend`] has something to do.
    pub(super) fn mending_due(&self) -> Option<Instant> {
        self.mending.as_ref().filter(|mending| !mending.is_writing).and_then(|mending| mending.due)
    }

    /// A peer asks for rows that it has lost.
    pub(crate) fn patch_asked(&mut self, from: NodeId, question: &PatchQuestion) {
        let Phase::Running(raft) = &self.phase else { return };
        let is_member = raft.log().membership().member(from).is_some();
        let is_able = self.rebuilding.is_none() && self.replacement.is_none();
        if !is_member || !is_able || self.tables.version() < question.newest {
            return;
        }
        // Whoever asks again wants only one answer, to what it has asked last.
        let is_same = |patching: &Patching| patching.to == from && patching.question == *question;
        if self.patching.iter().any(is_same) {
            return;
        }
        self.patching.retain(|patching| patching.to != from);
        let (snapshot, asked) = (self.tables.snapshot(), question.clone());
        let job = Job::new(async move { snapshot.patch(&asked, CHUNK_LEN_MAX).await });
        self.patching.push(Patching { to: from, question: question.clone(), job });
    }

    /// Answers peers whose rows have been read.
    fn patch_peers(&mut self) {
        for mut patching in core::mem::take(&mut self.patching) {
            match patching.job.poll() {
                None => self.patching.push(patching),
                Some(Ok(piece)) => {
                    let answer = PeerMessage::PatchAnswer(Arc::new(patching.question), piece);
                    self.outbox.push((patching.to, answer));
                }
                // The peer asks another one.
                Some(Err(error)) => self.tables.suspect(&error),
            }
        }
    }

    /// A peer has rows that this node has lost.
    pub(crate) fn patch_answered(&mut self, now: Now, question: &PatchQuestion, piece: &PatchPiece) {
        let Some(mending) = self.mending.as_mut().filter(|mending| !mending.is_writing) else { return };
        let is_asked = |patch: &&mut Patch| patch.question().as_ref() == Some(question);
        // One that came twice, or late.
        let Some(patch) = mending.patches.iter_mut().find(is_asked) else { return };
        let filled = patch.fill(piece);
        let len: usize = mending.patches.iter().map(Patch::len_bytes).sum();
        match filled {
            Ok(()) if len > PATCH_LEN_MAX => self.give_up_mending(),
            Ok(()) => (mending.due, mending.attempts) = (Some(now.monotonic), 0),
            // Another peer may do better.
            Err(NotFilled::Different) => self.say(Level::Warn, NotFilled::Different.to_string()),
            Err(NotFilled::TooLong) => self.give_up_mending(),
        }
    }
}
