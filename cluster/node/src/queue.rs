//! Who is next: commits that meet conflicts take turns at the leader, in the order in which they came, from whatever node.
//!
//! A commit that is refused because of a conflict is run again by its session, on what it met. Were others let through
//! meanwhile who change the same keys, it would meet the next conflict, and a session far away, or one that takes longer,
//! might never get through. So the refusal gives the session a *turn* on what its commit wrote and looked up: until its
//! next commit comes, or the turn is over, commits of others that write there wait here. Then the first of those that
//! waited is looked at; it has read what has changed since, is refused, and with that has the next turn.
//!
//! ```text
//!                 another's turn                   first in line, nobody's turn
//!   arrives ─────────────────────────► waits ────────────────────────────────────┐
//!      │  nobody's turn                  │ too long                              ▼
//!      └─────────────────────────────────┴────────────────────────────────► is decided
//!                                                                          │         │
//!                  next commit arrives,               conflict: has a turn │         │ no conflict
//!                  or the turn is over                                     ▼         ▼
//!      (back to arrives) ◄─────────────────────────────────────────────  its turn   appended
//! ```
//!
//! Whoever has a turn waits for nobody here, and its turn ends when its commit comes: so nobody waits in a circle. All of
//! this is in memory and no promise: a leader that has just begun knows of no turns, and what keeps transactions apart is
//! the conflict check alone.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use cluster_format::{Commit, KeyRange};
use drivers_api::{Instant, Now};

/// How long others wait for a session's next commit: longer than it takes to run a statement again on what was just
/// appended, which must be committed and applied first. Whoever has gone, or needs longer, holds nobody up for more.
const TURN: Duration = Duration::from_millis(50);

/// A commit that has waited for so long is decided as if nobody had a turn: its session waits with it.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Most sessions that have a turn, and most commits that wait, and their bytes. Beyond that, all are decided as they come.
const TURNS_MAX: usize = 256;
const WAITING_MAX: usize = 256;
const WAITING_LEN_MAX: usize = 1024 * 1024;

/// Most keys of a commit that takes part: longer ones are decided as they come.
const KEYS_MAX: usize = 64;

type Key = Arc<[u8]>;

/// Turns, and commits that wait for one.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// By session.
    turns: BTreeMap<u64, Turn>,
    /// Whose turn it is on each key.
    by_key: BTreeMap<Key, u64>,
    /// In the order in which they came.
    waiting: VecDeque<Waiting>,
    waiting_len: usize,
    /// Whether a turn has ended since those that wait were looked at.
    has_ended: bool,
}

#[derive(Debug)]
struct Turn {
    keys: BTreeSet<Key>,
    until: Instant,
}

#[derive(Debug)]
struct Waiting {
    commit: Arc<Commit>,
    until: Instant,
}

impl Queue {
    /// A commit has come. Whether it is to be decided now; it waits here otherwise.
    pub(crate) fn arrives(&mut self, now: Now, commit: &Arc<Commit>) -> bool {
        if self.turns.is_empty() && self.waiting.is_empty() {
            return true;
        }
        self.expire(now);
        let is_its_turn = self.end_turn(commit.request.session);
        if self.waiting.iter().any(|waiting| waiting.commit.request == commit.request) {
            return false;
        }
        // What came before from the same session it has given up.
        self.leave(|waiting| waiting.commit.request.session == commit.request.session);
        let has_room = self.waiting.len() < WAITING_MAX
            && (self.waiting.is_empty() || self.waiting_len + commit.len_estimate() <= WAITING_LEN_MAX);
        if commit.writes.len() > KEYS_MAX || !has_room || !self.must_wait(commit, is_its_turn) {
            return true;
        }
        self.waiting_len += commit.len_estimate();
        self.waiting.push_back(Waiting { commit: commit.clone(), until: now.monotonic + WAIT_MAX });
        false
    }

    /// Whether it is somebody else's turn on what `commit` writes, or others were there before, unless this is its turn.
    fn must_wait(&self, commit: &Commit, is_its_turn: bool) -> bool {
        let wait_for = |key: &Key| self.waiting.iter().any(|waiting| writes(&waiting.commit, key));
        let mut keys = commit.writes.iter().map(|write| &write.key);
        keys.any(|key| self.by_key.contains_key(key) || !is_its_turn && wait_for(key))
    }

    /// `commit` was refused because of a conflict: its session has a turn.
    pub(crate) fn refused(&mut self, now: Now, commit: &Commit) {
        let session = commit.request.session;
        self.end_turn(session);
        let looked_up = commit.reads.iter().filter_map(single_key);
        let keys = commit.writes.iter().map(|write| &write.key).chain(looked_up);
        if commit.writes.len() > KEYS_MAX || commit.reads.len() > KEYS_MAX || self.turns.len() >= TURNS_MAX {
            return;
        }
        let free: BTreeSet<Key> = keys.filter(|key| !self.by_key.contains_key(*key)).cloned().collect();
        self.by_key.extend(free.iter().map(|key| (key.clone(), session)));
        self.turns.insert(session, Turn { keys: free, until: now.monotonic + TURN });
    }

    /// A commit that waits no longer, and is to be decided.
    pub(crate) fn next(&mut self, now: Now) -> Option<Arc<Commit>> {
        if self.deadline().is_some_and(|deadline| deadline <= now.monotonic) {
            self.has_ended = true;
        }
        if !core::mem::take(&mut self.has_ended) {
            return None;
        }
        self.expire(now);
        let mut taken: BTreeSet<&Key> = self.by_key.keys().collect();
        let at = self.waiting.iter().position(|waiting| {
            let keys = waiting.commit.writes.iter().map(|write| &write.key);
            if waiting.until <= now.monotonic || keys.clone().all(|key| !taken.contains(key)) {
                return true;
            }
            taken.extend(keys);
            false
        })?;
        let next = self.waiting.remove(at)?.commit;
        self.waiting_len -= next.len_estimate();
        // There may be more.
        self.has_ended = true;
        Some(next)
    }

    /// This node does not lead: whoever waits asks who does.
    pub(crate) fn clear(&mut self) {
        *self = Queue::default();
    }

    /// When [`Queue::next`] has something to do because of the time, if ever.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let turns = self.turns.values().map(|turn| turn.until);
        // Where nobody waits, a turn that is over is found so by the next that comes.
        let turns = turns.filter(|_| !self.waiting.is_empty());
        turns.chain(self.waiting.iter().map(|waiting| waiting.until)).min()
    }

    /// Ends the turns that are over.
    fn expire(&mut self, now: Now) {
        let over = self.turns.iter().filter(|(_, turn)| turn.until <= now.monotonic);
        let over: Vec<u64> = over.map(|(session, _)| *session).collect();
        over.into_iter().for_each(|session| _ = self.end_turn(session));
    }

    /// Whether it had one.
    fn end_turn(&mut self, session: u64) -> bool {
        let Some(turn) = self.turns.remove(&session) else { return false };
        turn.keys.iter().for_each(|key| _ = self.by_key.remove(key));
        self.has_ended = true;
        true
    }

    fn leave(&mut self, leaves: impl Fn(&Waiting) -> bool) {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| !leaves(waiting));
        if self.waiting.len() < before {
            self.waiting_len = self.waiting.iter().map(|waiting| waiting.commit.len_estimate()).sum();
            self.has_ended = true;
        }
    }
}

fn writes(commit: &Commit, key: &[u8]) -> bool {
    commit.writes.iter().any(|write| *write.key == *key)
}

/// The key of a range that holds just one.
fn single_key(range: &KeyRange) -> Option<&Key> {
    let is_single = range.end.strip_prefix(&*range.start) == Some(&[0]);
    is_single.then_some(&range.start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster_format::{NodeId, Origin, RequestId, Version, Write};
    use drivers_api::WallTime;
    use proptest::prelude::*;

    fn at(millis: u64) -> Now {
        Now { monotonic: Instant::from_nanos(millis * 1_000_000), wall: WallTime::default() }
    }

    fn commit(session: u64, sequence: u64, keys: &[u8]) -> Arc<Commit> {
        Arc::new(Commit {
            request: RequestId { session, sequence },
            origin: Origin { node: NodeId(1) },
            read_version: Version(0),
            reads: Vec::new(),
            deletes: Vec::new(),
            writes: keys.iter().map(|key| Write { key: [*key][..].into(), value: None }).collect(),
        })
    }

    /// The sessions that wait no longer.
    fn freed(queue: &mut Queue, now: Now) -> Vec<u64> {
        core::iter::from_fn(|| queue.next(now)).map(|commit| commit.request.session).collect()
    }

    #[test]
    fn others_wait_for_whoever_was_refused_and_go_on_in_the_order_of_coming() {
        let mut queue = Queue::default();
        let first = commit(1, 1, &[7]);
        assert!(queue.arrives(at(0), &first));
        queue.refused(at(0), &first);
        for session in 2..5 {
            assert!(!queue.arrives(at(1), &commit(session, 1, &[7])));
        }
        assert!(queue.arrives(at(1), &commit(9, 1, &[8])), "nobody's turn");
        assert_eq!(freed(&mut queue, at(2)), []);
        assert!(queue.arrives(at(3), &commit(1, 2, &[7])), "its turn");
        let second = queue.next(at(3)).expect("the first that waited");
        assert_eq!(second.request.session, 2);
        queue.refused(at(3), &second);
        assert_eq!(freed(&mut queue, at(3)), []);
        // It comes to something else, and its turn has ended all the same.
        assert!(queue.arrives(at(4), &commit(2, 2, &[9])));
        assert_eq!(freed(&mut queue, at(4)), [3, 4]);
        assert_eq!(queue.deadline(), None);
    }

    #[test]
    fn a_turn_is_over_some_time() {
        let mut queue = Queue::default();
        queue.refused(at(0), &commit(1, 1, &[7]));
        assert!(!queue.arrives(at(1), &commit(2, 1, &[7])));
        assert_eq!(queue.deadline(), Some(at(50).monotonic));
        assert_eq!(freed(&mut queue, at(49)), []);
        assert_eq!(freed(&mut queue, at(50)), [2]);
        assert!(queue.by_key.is_empty());
    }

    #[test]
    fn nobody_waits_for_long() {
        let mut queue = Queue::default();
        queue.refused(at(0), &commit(1, 1, &[7]));
        assert!(!queue.arrives(at(0), &commit(2, 1, &[7])));
        for millis in (20..1000).step_by(20) {
            queue.refused(at(millis), &commit(1, 1, &[7]));
            assert_eq!(freed(&mut queue, at(millis)), []);
        }
        queue.refused(at(1000), &commit(1, 1, &[7]));
        assert_eq!(freed(&mut queue, at(1000)), [2]);
    }

    #[test]
    fn what_is_asked_again_waits_once_and_what_was_given_up_does_not() {
        let mut queue = Queue::default();
        queue.refused(at(0), &commit(1, 1, &[7]));
        assert!(!queue.arrives(at(1), &commit(2, 1, &[7])));
        assert!(!queue.arrives(at(2), &commit(2, 1, &[7])));
        assert!(!queue.arrives(at(3), &commit(2, 2, &[7])));
        let last = queue.next(at(60)).expect("the turn is over");
        assert_eq!(last.request.sequence, 2);
        assert_eq!(freed(&mut queue, at(60)), []);
        assert_eq!(queue.waiting_len, 0);
    }

    #[test]
    fn what_was_looked_up_is_kept_and_long_commits_take_no_part() {
        let mut queue = Queue::default();
        let looked_up = Commit { reads: [KeyRange::single(&[5])].into(), ..(*commit(1, 1, &[7])).clone() };
        queue.refused(at(0), &looked_up);
        assert!(!queue.arrives(at(0), &commit(2, 1, &[5])));
        let many: Vec<u8> = (0..=KEYS_MAX as u8).collect();
        assert!(queue.arrives(at(0), &commit(3, 1, &many)));
        queue.refused(at(0), &commit(3, 1, &many));
        assert_eq!(queue.turns.len(), 1);
    }

    /// Sessions that change some of a few keys again and again, each as far from the leader as it is.
    struct Race {
        queue: Queue,
        /// The version that last wrote each key.
        written: BTreeMap<u8, u64>,
        version: u64,
        /// What is on its way to the leader: when it comes, whose it is, what it has read, and how often it was refused.
        coming: Vec<(u64, u64, u64, u32)>,
        keys: Vec<Vec<u8>>,
        done: Vec<u64>,
        refusals_most: u32,
    }

    impl Race {
        fn run(far: &[u64], keys: Vec<Vec<u8>>, millis: u64) -> Race {
            let coming = far.iter().enumerate().map(|(session, far)| (*far, session as u64, 0, 0)).collect();
            let (queue, written) = (Queue::default(), BTreeMap::new());
            let done = alloc::vec![0; far.len()];
            let mut race = Race { queue, written, version: 0, coming, keys, done, refusals_most: 0 };
            for millis in 0..millis {
                race.step(millis, far);
            }
            race
        }

        fn step(&mut self, millis: u64, far: &[u64]) {
            let arriving: Vec<_> = self.coming.iter().filter(|(at, ..)| *at == millis).copied().collect();
            for (_, session, read, refusals) in arriving {
                let arriving = self.commit(session, read, refusals);
                if self.queue.arrives(at(millis), &arriving) {
                    self.coming.retain(|(_, other, ..)| *other != session);
                    self.decide(millis, session, read, refusals, far);
                }
            }
            while let Some(commit) = self.queue.next(at(millis)) {
                let session = commit.request.session;
                let known = self.coming.iter().find(|(_, other, ..)| *other == session).copied();
                let (_, _, read, refusals) = known.expect("it waits");
                self.coming.retain(|(_, other, ..)| *other != session);
                self.decide(millis, session, read, refusals, far);
            }
        }

        fn commit(&self, session: u64, read: u64, refusals: u32) -> Arc<Commit> {
            commit(session, read * 1000 + u64::from(refusals), &self.keys[session as usize])
        }

        fn decide(&mut self, millis: u64, session: u64, read: u64, refusals: u32, far: &[u64]) {
            let keys = self.keys[session as usize].clone();
            let conflict = keys.iter().any(|key| self.written.get(key).is_some_and(|at| *at > read));
            let refusals = if conflict { refusals + 1 } else { 0 };
            self.refusals_most = self.refusals_most.max(refusals);
            if conflict {
                let refused = self.commit(session, read, refusals);
                self.queue.refused(at(millis), &refused);
            } else {
                self.version += 1;
                self.written.extend(keys.iter().map(|key| (*key, self.version)));
                self.done[session as usize] += 1;
            }
            self.coming.push((millis + 1 + far[session as usize], session, self.version, refusals));
        }
    }

    proptest! {
        /// However far each is, and whatever keys they share, none is refused twice running, and all get on.
        #[test]
        fn everybody_gets_on(
            sessions in prop::collection::vec((0u64..20, prop::collection::btree_set(0u8..4, 1..3)), 2..9),
        ) {
            let far: Vec<u64> = sessions.iter().map(|(far, _)| *far).collect();
            let keys = sessions.iter().map(|(_, keys)| keys.iter().copied().collect()).collect();
            let race = Race::run(&far, keys, 4000);
            prop_assert!(race.refusals_most <= 1, "{:?}", race.done);
            // As often as if all shared one key, and took turns at the pace of the slowest.
            let round: u64 = far.iter().map(|far| 2 * (far + 1)).sum::<u64>() + 2 * 21;
            prop_assert!(race.done.iter().all(|done| *done >= 4000 / round / 2), "{:?} {:?}", race.done, round);
        }
    }
}
