//! Whether this node's tables equal the others'.

use cluster_format::{NodeId, StateHash, Version};
use drivers_api::{Level, Now};

use super::{Phase, Replica};
use crate::agreement::AgreementMessage;
use crate::marks::Mark;
use crate::message::PeerMessage;
use crate::rebuilding::Rebuilding;

impl Replica {
    pub(super) fn agree(&mut self, now: Now) {
        let Phase::Running(raft) = &mut self.phase else { return };
        if raft.is_leader()
            && let Some(check) = self.agreement.begin(now, raft.id())
        {
            let membership = raft.log().membership();
            let others = membership.members().filter(|member| member.node != raft.id());
            self.outbox.extend(others.map(|member| (member.node, PeerMessage::Agreement(check))));
        }
        if let Some((leader, report)) = self.agreement.take_report() {
            self.outbox.push((leader, PeerMessage::Agreement(report)));
        }
    }

    /// A peer speaks of its tables, or of everyone's.
    pub(crate) fn agreement_received(&mut self, now: Now, from: NodeId, message: AgreementMessage) {
        let Phase::Running(raft) = &mut self.phase else { return };
        match message {
            AgreementMessage::Check(version) if self.rebuilding.is_none() => {
                self.agreement.asked(from, version);
            }
            AgreementMessage::Check(_) => {}
            AgreementMessage::Report(version, state) => {
                let membership = raft.log().membership().clone();
                let verdict = self.agreement.reported(from, version, state, &membership);
                let Some(AgreementMessage::Verdict(version, agreed)) = verdict else { return };
                let others = membership.members().filter(|member| member.node != raft.id());
                let message = PeerMessage::Agreement(AgreementMessage::Verdict(version, agreed));
                self.outbox.extend(others.map(|member| (member.node, message.clone())));
                self.judge(now, version, agreed);
            }
            AgreementMessage::Verdict(version, agreed) => self.judge(now, version, agreed),
        }
    }

    /// A peer that was away is there.
    pub(crate) fn peer_is_up(&mut self) {
        self.agreement.check_again();
    }

    fn judge(&mut self, now: Now, version: Version, agreed: StateHash) {
        if self.rebuilding.is_some() {
            return;
        }
        let Some(found) = self.agreement.judge(version, agreed) else { return };
        self.hit(Mark::TablesDiverged);
        let line = alloc::format!(
            "the tables differ from a quorum's at version {version} ({} instead of {}): rebuilding them",
            found.own,
            found.agreed
        );
        self.say(Level::Error, line);
        self.rebuilding = Some(Rebuilding::default());
        self.lent.clear();
        if let Phase::Running(raft) = &mut self.phase {
            // Whoever does not serve does not lead; if nobody can take over, an election follows.
            let _ = raft.transfer(now, None);
        }
    }
}
