//! Whether this node's tables equal the others'.

use alloc::sync::Arc;

use cluster_format::{NodeId, Version};
use cluster_store::{ReadError, Slice};
use drivers_api::{Level, Now};

use super::{Phase, Replica};
use crate::agreement::{AgreementMessage, Question, SLICE_LEN, Sum};
use crate::job::Job;
use crate::marks::Mark;
use crate::message::PeerMessage;

/// Rows that are being summed up.
pub(super) struct Summing {
    question: Arc<Question>,
    /// Who asks: this node, if it leads.
    leader: NodeId,
    job: Job<Result<Slice, ReadError>>,
}

impl Summing {
    /// Whether it can go on.
    pub(super) fn is_woken(&self) -> bool {
        self.job.is_woken()
    }
}

impl Replica {
    pub(super) fn agree(&mut self, now: Now) {
        let Phase::Running(raft) = &mut self.phase else { return };
        if raft.is_leader()
            && self.rebuilding.is_none()
            && let Some(question) = self.agreement.begin(now, raft.id(), self.tables.version())
        {
            let membership = raft.log().membership();
            let others = membership.members().filter(|member| member.node != raft.id());
            let check = PeerMessage::Agreement(AgreementMessage::Check(question));
            self.outbox.extend(others.map(|member| (member.node, check.clone())));
        }
        self.sum();
    }

    /// Sums up what was asked for, once this node's tables are there.
    fn sum(&mut self) {
        if self.summing.is_none()
            && self.rebuilding.is_none()
            && self.replacement.is_none()
            && let Some((leader, question)) = self.agreement.take_question(self.tables.version())
        {
            let snapshot = self.tables.snapshot().as_of(question.version);
            let asked = question.clone();
            let job = Job::new(async move { snapshot.slice(asked.after.as_deref(), SLICE_LEN).await });
            self.summing = Some(Summing { question, leader, job });
        }
        let Some(Summing { question, leader, job }) = &mut self.summing else { return };
        let Some(result) = job.poll() else { return };
        let (question, leader) = (question.clone(), *leader);
        self.summing = None;
        let slice = match result {
            Ok(slice) => slice,
            Err(error) => return self.tables.suspect(&error),
        };
        let Some(sum) = self.agreement.summed(&question, slice) else { return };
        let Phase::Running(raft) = &self.phase else { return };
        if leader == raft.id() {
            self.reported(leader, &question, &sum);
        } else {
            let report = AgreementMessage::Report(question, sum);
            self.outbox.push((leader, PeerMessage::Agreement(report)));
        }
    }

    /// A peer speaks of its tables, or of everyone's.
    pub(crate) fn agreement_received(&mut self, from: NodeId, message: AgreementMessage) {
        match message {
            AgreementMessage::Check(question) => self.agreement.asked(from, question),
            AgreementMessage::Report(question, sum) => self.reported(from, &question, &sum),
            AgreementMessage::Verdict(question, agreed) => self.judge(&question, &agreed),
            AgreementMessage::Again => self.agreement.check_again(),
        }
    }

    /// Leader: a member, or itself, has summed up what was asked for.
    fn reported(&mut self, from: NodeId, question: &Arc<Question>, sum: &Sum) {
        let Phase::Running(raft) = &self.phase else { return };
        let (membership, own) = (raft.log().membership().clone(), raft.id());
        let Some(agreed) = self.agreement.reported(from, question, sum, &membership) else { return };
        let others = membership.members().filter(|member| member.node != own);
        let message = PeerMessage::Agreement(AgreementMessage::Verdict(question.clone(), agreed.clone()));
        self.outbox.extend(others.map(|member| (member.node, message.clone())));
        self.judge(question, &agreed);
    }

    /// What a peer has given in place of lost rows is to be compared with everyone's.
    pub(super) fn compare_again(&mut self) {
        let Phase::Running(raft) = &self.phase else { return };
        match raft.leader() {
            Some(leader) if leader != raft.id() => {
                self.outbox.push((leader, PeerMessage::Agreement(AgreementMessage::Again)));
            }
            _ => self.agreement.check_again(),
        }
    }

    /// A peer that was away is there.
    pub(crate) fn peer_is_up(&mut self) {
        self.agreement.check_again();
    }

    fn judge(&mut self, question: &Question, agreed: &Sum) {
        if self.rebuilding.is_some() || self.replacement.is_some() {
            return;
        }
        let Some(own) = self.agreement.differs(question, agreed) else { return };
        self.hit(Mark::TablesDiverged);
        let version: Version = question.version;
        let (own, agreed) = (own.hash(), agreed.hash());
        let line = alloc::format!(
            "the tables differ from a quorum's at version {version} ({own} instead of {agreed}): rebuilding them"
        );
        self.say(Level::Error, line);
        self.rebuild_from_leader();
    }
}
