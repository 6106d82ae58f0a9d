//! State agreement: equal ledgers must amount to equal tables, and the members prove it to each other.
//!
//! ```text
//!   leader  ── Check(version) ──────► members
//!   members ── Report(version, hash) ─► leader
//!   leader  ── Verdict(version, hash) ► members     once a quorum reports the same hash
//! ```
//!
//! Whoever has another hash at that version, be it the leader, no longer serves and rebuilds its tables. A member
//! that reports late, because it was busy or away, is told the same verdict.

use alloc::collections::{BTreeMap, VecDeque};
use core::time::Duration;

use cluster_format::{Membership, NodeId, StateHash, Version};
use drivers_api::{Instant, Now};
use serde::{Deserialize, Serialize};

/// Between checks, while there is something new to check.
const CHECK_PAUSE: Duration = Duration::from_millis(500);

/// Versions whose hash is remembered.
const STATES_MAX: usize = 1024;

/// What members say about their tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AgreementMessage {
    /// From the leader: what do your tables amount to at this version?
    Check(Version),
    /// To the leader: to this.
    Report(Version, StateHash),
    /// From the leader: to this, say a quorum.
    Verdict(Version, StateHash),
}

/// This node's tables differ from a quorum's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Divergence {
    pub(crate) version: Version,
    pub(crate) own: StateHash,
    pub(crate) agreed: StateHash,
}

/// One check.
#[derive(Debug)]
struct Tally {
    version: Version,
    reports: BTreeMap<NodeId, StateHash>,
    agreed: Option<StateHash>,
}

/// What is known of the tables' hashes, here and at others.
#[derive(Debug, Default)]
pub(crate) struct Agreement {
    /// Of the newest versions, ascending.
    states: VecDeque<(Version, StateHash)>,
    /// Leader: the version under check, who reported what, and what a quorum reported.
    tally: Option<Tally>,
    /// Leader: the newest version that was checked.
    checked: Version,
    due: Option<Instant>,
    /// Member: a check that waits until its version is applied.
    asked: Option<(NodeId, Version)>,
}

impl Agreement {
    /// The tables are at `version` and amount to `state`.
    pub(crate) fn note(&mut self, version: Version, state: StateHash) {
        if self.states.len() == STATES_MAX {
            self.states.pop_front();
        }
        self.states.push_back((version, state));
    }

    /// The tables were replaced: what they amounted to before no longer counts.
    pub(crate) fn restart(&mut self, version: Version, state: StateHash) {
        *self = Agreement { checked: self.checked, due: self.due, ..Agreement::default() };
        self.note(version, state);
    }

    fn state_at(&self, version: Version) -> Option<StateHash> {
        let index = self.states.binary_search_by_key(&version, |(known, _)| *known).ok()?;
        Some(self.states[index].1)
    }

    /// Leader: the check that is due, if any, for all other members.
    pub(crate) fn begin(&mut self, now: Now, id: NodeId) -> Option<AgreementMessage> {
        let &(version, state) = self.states.back()?;
        if version <= self.checked || self.due.is_some_and(|due| now.monotonic < due) {
            return None;
        }
        self.due = Some(now.monotonic + CHECK_PAUSE);
        self.checked = version;
        self.tally = Some(Tally { version, reports: [(id, state)].into(), agreed: None });
        Some(AgreementMessage::Check(version))
    }

    /// When [`Agreement::begin`] has something to do, for a leader.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let newest = self.states.back()?.0;
        if newest > self.checked { self.due } else { None }
    }

    /// Member: the leader asks.
    pub(crate) fn asked(&mut self, leader: NodeId, version: Version) {
        self.asked = Some((leader, version));
    }

    /// Member: the answer to the leader's question, once it can be given.
    pub(crate) fn take_report(&mut self) -> Option<(NodeId, AgreementMessage)> {
        let (leader, version) = self.asked?;
        let newest = self.states.back()?.0;
        if version > newest {
            return None;
        }
        self.asked = None;
        let state = self.state_at(version)?;
        Some((leader, AgreementMessage::Report(version, state)))
    }

    /// Leader: a member has answered. Gives the verdict for all, once there is one, and again when someone differs.
    pub(crate) fn reported(
        &mut self,
        from: NodeId,
        version: Version,
        state: StateHash,
        membership: &Membership,
    ) -> Option<AgreementMessage> {
        let tally = self.tally.as_mut().filter(|tally| tally.version == version)?;
        tally.reports.insert(from, state);
        let is_news = tally.agreed.is_none();
        let agree = |state: &StateHash| {
            let voters = membership.voters.iter();
            voters.filter(|voter| tally.reports.get(&voter.node) == Some(state)).count()
                >= membership.quorum()
        };
        let agreed = tally.agreed.or_else(|| tally.reports.values().copied().find(agree))?;
        tally.agreed = Some(agreed);
        (is_news || state != agreed).then_some(AgreementMessage::Verdict(version, agreed))
    }

    /// Leader: a member is there that was away: it is asked, too, though nothing is new.
    pub(crate) fn check_again(&mut self) {
        self.checked = Version::ZERO;
    }

    /// A quorum has found `version` to amount to `agreed`: how this node differs, if it does.
    pub(crate) fn judge(&self, version: Version, agreed: StateHash) -> Option<Divergence> {
        let own = self.state_at(version)?;
        (own != agreed).then_some(Divergence { version, own, agreed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drivers_api::WallTime;

    fn now(ms: u64) -> Now {
        Now { monotonic: Instant::ZERO + Duration::from_millis(ms), wall: WallTime { unix_micros: 0 } }
    }

    fn node(states: &[u128]) -> Agreement {
        let mut agreement = Agreement::default();
        for (version, state) in (1..).zip(states) {
            agreement.note(Version(version), StateHash(*state));
        }
        agreement
    }

    /// Runs one check of a leader among two others and gives back the verdict and who differs.
    fn check(nodes: [&mut Agreement; 3]) -> (Option<StateHash>, [bool; 3]) {
        let membership = Membership::founding(3);
        let [leader, mut others @ ..] = nodes;
        let Some(AgreementMessage::Check(version)) = leader.begin(now(0), NodeId(1)) else {
            panic!("a check")
        };
        let mut verdict = None;
        for (id, other) in (2..).zip(&mut others) {
            other.asked(NodeId(1), version);
            if let Some((_, AgreementMessage::Report(version, state))) = other.take_report() {
                verdict = leader.reported(NodeId(id), version, state, &membership).or(verdict);
            }
        }
        let Some(AgreementMessage::Verdict(version, agreed)) = verdict else { return (None, [false; 3]) };
        let [one, two] = others;
        (Some(agreed), [leader, one, two].map(|node| node.judge(version, agreed).is_some()))
    }

    #[test]
    fn equal_tables_agree() {
        let (mut a, mut b, mut c) = (node(&[1, 2]), node(&[1, 2]), node(&[1, 2, 3]));
        assert_eq!(check([&mut a, &mut b, &mut c]), (Some(StateHash(2)), [false; 3]));
        assert_eq!(a.begin(now(1000), NodeId(1)), None, "nothing new");
    }

    #[test]
    fn whoever_differs_from_a_quorum_is_told_even_the_leader() {
        let (mut a, mut b, mut c) = (node(&[1, 2]), node(&[1, 9]), node(&[1, 2]));
        assert_eq!(check([&mut a, &mut b, &mut c]), (Some(StateHash(2)), [false, true, false]));
        let (mut a, mut b, mut c) = (node(&[1, 9]), node(&[1, 2]), node(&[1, 2]));
        assert_eq!(check([&mut a, &mut b, &mut c]), (Some(StateHash(2)), [true, false, false]));
    }

    #[test]
    fn without_a_quorum_of_equals_nobody_is_told() {
        let (mut a, mut b, mut c) = (node(&[1]), node(&[2]), node(&[3]));
        assert_eq!(check([&mut a, &mut b, &mut c]), (None, [false; 3]));
        let (mut a, mut b, mut c) = (node(&[1, 1]), node(&[2]), node(&[3]));
        assert_eq!(check([&mut a, &mut b, &mut c]), (None, [false; 3]), "they are not there yet");
    }

    #[test]
    fn a_late_report_is_judged_and_who_was_away_is_asked() {
        let membership = Membership::founding(3);
        let mut leader = node(&[1]);
        assert!(leader.begin(now(0), NodeId(1)).is_some());
        let verdict = Some(AgreementMessage::Verdict(Version(1), StateHash(1)));
        assert_eq!(leader.reported(NodeId(2), Version(1), StateHash(1), &membership), verdict);
        assert_eq!(leader.reported(NodeId(2), Version(1), StateHash(1), &membership), None, "it was told");
        assert_eq!(leader.reported(NodeId(3), Version(1), StateHash(9), &membership), verdict);
        assert_eq!((leader.begin(now(900), NodeId(1)), leader.deadline()), (None, None));
        leader.check_again();
        assert!(leader.begin(now(900), NodeId(1)).is_some());
    }

    #[test]
    fn checks_are_spaced_while_versions_come() {
        let mut leader = node(&[1]);
        assert!(leader.begin(now(0), NodeId(1)).is_some());
        leader.note(Version(2), StateHash(2));
        assert_eq!((leader.begin(now(100), NodeId(1)), leader.deadline()), (None, Some(now(500).monotonic)));
        assert!(leader.begin(now(500), NodeId(1)).is_some());
    }
}
