//! State agreement: equal ledgers must amount to equal tables, and the members prove it to each other, some neighbouring
//! rows at a time.
//!
//! ```text
//!   leader  ── Check(version, behind which key) ──► members
//!   members ── Report(sum of rows and requests) ──► leader
//!   leader  ── Verdict(the same) ─────────────────► members     once a quorum reports the same sum
//! ```
//!
//! Sums are made of rows as they are read, so that they also tell what a disk, or whoever merges tables, has lost. Whoever
//! differs, be it the leader, no longer serves and rebuilds its tables. The leader goes through all rows, again and again
//! while there is something new, and rests once it has gone through all of the newest version.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use core::time::Duration;

use cluster_format::{Membership, NodeId, StateHash, Version, shared_bytes};
use cluster_store::Slice;
use drivers_api::{Instant, Now};
use serde::{Deserialize, Serialize};

/// Between checks, while there is something to check.
const CHECK_PAUSE: Duration = Duration::from_millis(500);

/// Bytes of rows in one check.
pub(crate) const SLICE_LEN: usize = 32 << 10;

/// Versions whose requests' hash is remembered.
const STATES_MAX: usize = 1024;

/// Which rows, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// As of this version.
    pub(crate) version: Version,
    /// The rows behind this key; none: from the first on.
    #[serde(with = "shared_bytes::optional")]
    pub(crate) after: Option<Arc<[u8]>>,
}

/// What they amount to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// The last key; none if these are the last rows.
    #[serde(with = "shared_bytes::optional")]
    last: Option<Arc<[u8]>>,
    rows: StateHash,
    /// The commit requests that were remembered then.
    requests: StateHash,
}

impl Sum {
    /// All of it in one number.
    pub(crate) fn hash(&self) -> StateHash {
        self.rows.with(self.requests)
    }
}

/// What members say about their tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AgreementMessage {
    /// From the leader: what do these rows amount to?
    Check(Arc<Question>),
    /// To the leader: to this.
    Report(Arc<Question>, Sum),
    /// From the leader: to this, say a quorum.
    Verdict(Arc<Question>, Sum),
    /// To the leader: I have other rows than before. Ask from the first on, though nothing is new.
    Again,
}

/// One check.
#[derive(Debug)]
struct Tally {
    question: Arc<Question>,
    reports: BTreeMap<NodeId, Sum>,
    agreed: Option<Sum>,
}

/// What is known of the tables' sums, here and at others.
#[derive(Debug, Default)]
pub(crate) struct Agreement {
    /// What the requests amounted to, of the newest versions, ascending.
    states: VecDeque<(Version, StateHash)>,
    /// Leader: the rows under check, who reported what, and what a quorum reported.
    tally: Option<Tally>,
    /// Leader: all rows have been checked since this version, or those up to `after`.
    since: Version,
    after: Option<Arc<[u8]>>,
    /// Leader: whether some rows have not been checked since.
    is_under_way: bool,
    due: Option<Instant>,
    /// A question that waits until its version is applied.
    asked: Option<(NodeId, Arc<Question>)>,
    /// What this node reported last.
    own: Option<(Arc<Question>, Sum)>,
}

impl Agreement {
    /// The tables are at `version`, and its requests amount to `state`.
    pub(crate) fn note(&mut self, version: Version, state: StateHash) {
        if self.states.len() == STATES_MAX {
            self.states.pop_front();
        }
        self.states.push_back((version, state));
    }

    /// The tables were replaced: what they amounted to before no longer counts.
    pub(crate) fn restart(&mut self, version: Version, state: StateHash) {
        *self = Agreement { due: self.due, ..Agreement::default() };
        self.note(version, state);
    }

    fn state_at(&self, version: Version) -> Option<StateHash> {
        let index = self.states.binary_search_by_key(&version, |(known, _)| *known).ok()?;
        Some(self.states[index].1)
    }

    /// Leader, whose tables are at `version`: the check that is due, if any, for all other members and itself.
    pub(crate) fn begin(&mut self, now: Now, id: NodeId, version: Version) -> Option<Arc<Question>> {
        let is_new = version > self.since;
        if !is_new && !self.is_under_way || self.due.is_some_and(|due| now.monotonic < due) {
            return None;
        }
        if !self.is_under_way {
            (self.since, self.after, self.is_under_way) = (version, None, true);
        }
        self.due = Some(now.monotonic + CHECK_PAUSE);
        let question = Arc::new(Question { version, after: self.after.clone() });
        self.tally = Some(Tally { question: question.clone(), reports: BTreeMap::new(), agreed: None });
        self.asked = Some((id, question.clone()));
        Some(question)
    }

    /// When [`Agreement::begin`] has something to do, for a leader.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let newest = self.states.back()?.0;
        if newest > self.since || self.is_under_way { self.due } else { None }
    }

    /// Member: the leader asks.
    pub(crate) fn asked(&mut self, leader: NodeId, question: Arc<Question>) {
        self.asked = Some((leader, question));
    }

    /// The question to answer now, and who asks, if the tables at `version` can tell.
    pub(crate) fn take_question(&mut self, version: Version) -> Option<(NodeId, Arc<Question>)> {
        self.asked.take_if(|(_, question)| question.version <= version)
    }

    /// The rows were summed up: what to report, if the requests are still known.
    pub(crate) fn summed(&mut self, question: &Arc<Question>, slice: Slice) -> Option<Sum> {
        let requests = self.state_at(question.version)?;
        let sum = Sum { last: slice.last, rows: slice.hash, requests };
        self.own = Some((question.clone(), sum.clone()));
        Some(sum)
    }

    /// Leader: a member, or itself, has answered. Gives the verdict for all, once there is one, and again when someone
    /// differs.
    pub(crate) fn reported(
        &mut self,
        from: NodeId,
        question: &Arc<Question>,
        sum: &Sum,
        membership: &Membership,
    ) -> Option<Sum> {
        let tally = self.tally.as_mut().filter(|tally| tally.question == *question)?;
        tally.reports.insert(from, sum.clone());
        let is_news = tally.agreed.is_none();
        let agree = |sum: &&Sum| {
            let voters = membership.voters.iter();
            voters.filter(|voter| tally.reports.get(&voter.node) == Some(*sum)).count() >= membership.quorum()
        };
        let agreed = tally.agreed.clone().or_else(|| tally.reports.values().find(agree).cloned())?;
        tally.agreed = Some(agreed.clone());
        if is_news {
            self.after = agreed.last.clone();
            self.is_under_way = self.after.is_some();
        }
        (is_news || *sum != agreed).then_some(agreed)
    }

    /// Leader: a member is there that was away: it is asked, too, though nothing is new.
    pub(crate) fn check_again(&mut self) {
        (self.since, self.is_under_way) = (Version::ZERO, false);
    }

    /// A quorum has found these rows to amount to `agreed`: what this node has found instead, if it has.
    pub(crate) fn differs(&self, question: &Question, agreed: &Sum) -> Option<Sum> {
        let (own, sum) = self.own.as_ref()?;
        (**own == *question && sum != agreed).then(|| sum.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use drivers_api::WallTime;

    fn now(ms: u64) -> Now {
        Now { monotonic: Instant::ZERO + Duration::from_millis(ms), wall: WallTime { unix_micros: 0 } }
    }

    /// A member whose tables are at `version`.
    fn node(version: u64) -> Agreement {
        let mut agreement = Agreement::default();
        (1..=version).for_each(|version| agreement.note(Version(version), StateHash(7)));
        agreement
    }

    fn slice(last: Option<u8>, hash: u128) -> Slice {
        Slice { last: last.map(|last| [last][..].into()), hash: StateHash(hash) }
    }

    /// Lets three nodes sum up what the first, which leads, asks for; gives the verdict and who differs.
    fn check(nodes: [&mut Agreement; 3], slices: [Slice; 3], at: u64) -> (Option<Sum>, [bool; 3]) {
        let membership = Membership::founding(3);
        let [leader, others @ ..] = nodes;
        let version = leader.states.back().unwrap().0;
        let question = leader.begin(now(at), NodeId(1), version).expect("a check");
        let (mut verdict, mut slices) = (None, slices.into_iter());
        let own = leader.take_question(version).and_then(|_| leader.summed(&question, slices.next()?));
        let mut others = others;
        let mut reports = vec![(NodeId(1), own)];
        for (id, other) in (2..).zip(&mut others) {
            other.asked(NodeId(1), question.clone());
            let slice = slices.next().unwrap();
            let newest = other.states.back().unwrap().0;
            let sum = other.take_question(newest).and_then(|_| other.summed(&question, slice));
            reports.push((NodeId(id), sum));
        }
        for (from, sum) in reports {
            let Some(sum) = sum else { continue };
            verdict = leader.reported(from, &question, &sum, &membership).or(verdict);
        }
        let Some(agreed) = verdict else { return (None, [false; 3]) };
        let [one, two] = others;
        let differ = [leader, one, two].map(|node| node.differs(&question, &agreed).is_some());
        (Some(agreed), differ)
    }

    #[test]
    fn equal_tables_agree_and_then_there_is_rest() {
        let (mut a, mut b, mut c) = (node(2), node(2), node(3));
        let (agreed, differ) = check([&mut a, &mut b, &mut c], [1, 1, 1].map(|hash| slice(None, hash)), 0);
        assert_eq!((agreed.map(|sum| sum.hash()), differ), (Some(StateHash(8)), [false; 3]));
        assert_eq!(a.begin(now(1000), NodeId(1), Version(2)), None, "nothing new");
        assert_eq!(a.deadline(), None);
    }

    #[test]
    fn whoever_differs_from_a_quorum_is_told_even_the_leader() {
        for wrong in 0..3 {
            let (mut a, mut b, mut c) = (node(2), node(2), node(2));
            let slices = [0, 1, 2].map(|id| slice(None, if id == wrong { 9 } else { 1 }));
            let (agreed, differ) = check([&mut a, &mut b, &mut c], slices, 0);
            assert_eq!(agreed.map(|sum| sum.hash()), Some(StateHash(8)));
            assert_eq!(differ, [0, 1, 2].map(|id| id == wrong));
        }
    }

    #[test]
    fn without_a_quorum_of_equals_nobody_is_told() {
        let (mut a, mut b, mut c) = (node(1), node(1), node(1));
        let slices = [1, 2, 3].map(|hash| slice(None, hash));
        assert_eq!(check([&mut a, &mut b, &mut c], slices, 0), (None, [false; 3]));
        let (mut a, mut b, mut c) = (node(2), node(1), node(1));
        let slices = [1, 1, 1].map(|hash| slice(None, hash));
        assert_eq!(check([&mut a, &mut b, &mut c], slices, 0), (None, [false; 3]), "they are not there yet");
    }

    #[test]
    fn the_leader_goes_through_all_rows_and_again_while_there_are_new_versions() {
        let (mut a, mut b, mut c) = (node(2), node(2), node(2));
        let same = |last, hash: u128| [0; 3].map(|_| slice(last, hash));
        check([&mut a, &mut b, &mut c], same(Some(5), 1), 0);
        assert_eq!(a.deadline(), Some(now(500).monotonic));
        assert_eq!(a.begin(now(400), NodeId(1), Version(2)), None, "checks are spaced");
        [&mut a, &mut b, &mut c].into_iter().for_each(|node| node.note(Version(3), StateHash(7)));
        check([&mut a, &mut b, &mut c], same(Some(9), 1), 500);
        assert_eq!(a.tally.as_ref().unwrap().question.after.as_deref(), Some(&[5][..]));
        check([&mut a, &mut b, &mut c], same(None, 1), 1000);
        assert_eq!(a.tally.as_ref().unwrap().question.after.as_deref(), Some(&[9][..]));
        let again =
            a.begin(now(1500), NodeId(1), Version(3)).expect("version 3 came amid the check of version 2");
        assert_eq!(again.after, None);
    }

    #[test]
    fn a_late_report_is_judged_and_who_was_away_is_asked() {
        let membership = Membership::founding(3);
        let mut leader = node(1);
        let question = leader.begin(now(0), NodeId(1), Version(1)).unwrap();
        let sum = |rows| Sum { last: None, rows: StateHash(rows), requests: StateHash(7) };
        assert_eq!(leader.reported(NodeId(1), &question, &sum(1), &membership), None);
        assert_eq!(leader.reported(NodeId(2), &question, &sum(1), &membership), Some(sum(1)));
        assert_eq!(leader.reported(NodeId(2), &question, &sum(1), &membership), None, "it was told");
        assert_eq!(leader.reported(NodeId(3), &question, &sum(9), &membership), Some(sum(1)));
        assert_eq!(leader.begin(now(900), NodeId(1), Version(1)), None);
        leader.check_again();
        assert!(leader.begin(now(900), NodeId(1), Version(1)).is_some());
    }
}
