//! Tasks of users: when this node, if it leads, gives some to workers, and when it looks which it is to run itself.
//!
//! ```text
//!   what is applied ──► a task is ready, or a worker has room ──► the leader: a round of the scheduler
//!                  ├──► a schedule is changed ──► the leader: its ticks, as they come, are tasks
//!                  ├──► messages come and go ──► the leader: whether their mailboxes are full
//!                  └──► a task is to run on this node, or no more ──► look ──► run each that does not run yet
//! ```
//! Nothing is asked for again and again: entries that are applied say what has become due, and so do times of tasks. What
//! could not be done, for want of a quorum, is tried again after a pause.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use cluster_format::{Commit, NodeId, Version};
use cluster_services::messages::{MAILBOXES, MESSAGES};
use cluster_services::programs::PROGRAMS;
use cluster_services::scheduler::{POLICIES, QUEUES, Round, TASKS_READY, TASKS_RUNNING, WORKERS};
use cluster_services::schedules::SCHEDULES;
use cluster_services::upkeep::{PLACEMENTS, Placement};
use cluster_services::worker::{Begun, Worker};
use cluster_sql::key::{KeyOrder, leading_text, table_id, table_prefix, table_range, write};
use cluster_sql::types::Datum;
use cluster_sql::{CancelFlag, Session, SqlResult, SqlState};
use drivers_api::{Instant, Now};
use spin::Mutex;

use crate::activity::Activity;
use crate::shared::NodeDatabase;

/// After a round in which a policy has failed, so long until the next, if nothing else happens: it may have failed on rows that
/// nobody is told of.
const PROBLEM_PAUSE: Duration = Duration::from_secs(5);

/// Problems that are remembered, so that they are said once.
const SAID_MAX: usize = 64;

/// How long messages may come and go before it is looked whether their mailboxes are full.
const GAUGE_PAUSE: Duration = Duration::from_millis(100);

/// Mailboxes that are remembered until then; of others, only those that were full are looked at.
const GAUGED_MAX: usize = 1024;

/// How often the leader looks who is silent: about as often as it hears from others.
const MEMBERS_PAUSE: Duration = Duration::from_millis(100);

/// What is due, for the node and what it has begun.
#[derive(Default)]
pub(crate) struct Due {
    /// The tables of services are to be made.
    pub(crate) install: Activity,
    /// Whether they are there, as far as this node knows.
    is_installed: bool,
    /// Tasks are to be given out.
    pub(crate) round: Activity,
    /// Ticks of schedules are to become tasks.
    pub(crate) tick: Activity,
    /// It is to be written down whether mailboxes are full.
    pub(crate) gauge: Activity,
    /// Of which: messages have come or gone there; and whether of those that were full.
    touched: BTreeSet<String>,
    full_may_be_others: bool,
    /// The node is to look which tasks it runs.
    pub(crate) look: Activity,
    /// The node is to look where leadership is to be.
    pub(crate) place: Activity,
    /// Where it was to be.
    pub(crate) placement: Placement,
    /// Attempts that are to be run.
    begun: Vec<Begun<NodeDatabase>>,
    /// When the next task is ready, in microseconds since the Unix epoch, as the last round has found it.
    next_micros: Option<i64>,
    /// When the next tick is.
    next_tick_micros: Option<i64>,
    /// Whether a policy has failed in the last round.
    has_problems: bool,
    /// What was in the way, and has been said.
    said: BTreeSet<String>,
    lines: Vec<String>,
}

impl Due {
    /// The tables of services are there, or something was in the way.
    pub(crate) fn install_ended(&mut self, done: SqlResult<bool>) {
        self.is_installed = done.is_ok();
        if done.is_ok() {
            self.round.set_due();
            self.tick.set_due();
        }
        let done = self.heed("make the tables of services", done);
        self.install.end(done.is_some());
    }

    /// What a round has found.
    pub(crate) fn round_ended(&mut self, found: SqlResult<Round>) {
        let found = self.heed("give tasks to workers", found);
        self.round.end(found.is_some());
        if let Some(found) = found {
            self.next_micros = found.next_micros;
            self.has_problems = !found.problems.is_empty();
            found.problems.into_iter().for_each(|problem| self.say(problem));
        }
    }

    /// Ticks that were due have become tasks; when the next one is.
    pub(crate) fn tick_ended(&mut self, next_micros: SqlResult<Option<i64>>) {
        let next_micros = self.heed("make tasks of schedules", next_micros);
        self.tick.end(next_micros.is_some());
        self.next_tick_micros = next_micros.flatten();
    }

    /// It is written down which of them are full, or something was in the way.
    pub(crate) fn gauge_ended(&mut self, mailboxes: Vec<String>, done: SqlResult<()>) {
        let done = self.heed("look which mailboxes are full", done);
        self.gauge.end(done.is_some());
        if done.is_none() {
            self.touched.extend(mailboxes);
            self.full_may_be_others = true;
        }
    }

    /// What the node has found that it is to run.
    pub(crate) fn looked(&mut self, begun: SqlResult<Vec<Begun<NodeDatabase>>>) {
        let begun = match begun {
            // The tables are not there yet, and no task.
            Err(error) if error.state == SqlState::UNDEFINED_TABLE => Some(Vec::new()),
            begun => self.heed("look for tasks", begun),
        };
        self.look.end(begun.is_some());
        self.begun.extend(begun.unwrap_or_default());
    }

    fn workers_changed(&mut self) {
        self.round.set_due();
        self.place.set_due();
        self.look.set_due();
    }

    /// Where leadership is to be, as the tables say.
    pub(crate) fn placed(&mut self, found: SqlResult<Placement>) {
        let found = match found {
            Err(error) if error.state == SqlState::UNDEFINED_TABLE => Some(Placement::default()),
            found => self.heed("look who is to lead", found),
        };
        self.place.end(found.is_some());
        if let Some(mut found) = found {
            if let Some(problem) = found.problem.take() {
                self.say(problem);
            }
            self.placement = found;
        }
    }

    /// An attempt has ended, and whether the node is to look again.
    pub(crate) fn ran(&mut self, again: SqlResult<bool>) {
        match self.heed("run a task", again) {
            Some(true) => self.look.set_due(),
            Some(false) => {}
            None => self.look.fail(),
        }
    }

    /// What was done, if it was; else a line says why not, once for each reason.
    fn heed<T>(&mut self, what: &str, done: SqlResult<T>) -> Option<T> {
        match done {
            Ok(done) => Some(done),
            Err(error) => {
                self.say(format!("cannot {what}: {error}; it is tried again"));
                None
            }
        }
    }

    /// A mailbox has changed, or the messages in it.
    fn touch(&mut self, mailbox: Option<&str>) {
        match mailbox.filter(|_| self.touched.len() < GAUGED_MAX) {
            Some(mailbox) => _ = self.touched.insert(mailbox.into()),
            None => self.full_may_be_others = true,
        }
    }

    fn say(&mut self, problem: String) {
        if self.said.len() >= SAID_MAX {
            self.said.clear();
        }
        if self.said.insert(problem.clone()) {
            self.lines.push(problem);
        }
    }

    /// Lines about what was in the way since the last call.
    pub(crate) fn take_lines(&mut self) -> Vec<String> {
        core::mem::take(&mut self.lines)
    }
}

/// Tasks of users on this node.
pub(crate) struct Work {
    pub(crate) worker: Arc<Worker<NodeDatabase>>,
    pub(crate) due: Arc<Mutex<Due>>,
    /// What the keys of this node's entries in the index of running tasks begin with.
    own_running: Vec<u8>,
    /// What this node has noted of the members since it leads; none if it does not.
    members: Option<Vec<(NodeId, bool)>>,
    members_at: Instant,
    is_able: bool,
    /// When an attempt's time is over.
    attempts_at: Option<Instant>,
    /// The session of rounds, which knows their statements.
    pub(crate) round_session: Arc<Mutex<Option<Session<NodeDatabase>>>>,
    /// How that is stopped.
    pub(crate) round_cancel: Arc<CancelFlag>,
}

impl Work {
    pub(crate) fn new(database: NodeDatabase, node: NodeId) -> Work {
        let mut own_running = table_prefix(TASKS_RUNNING);
        write(&Datum::Int4(node.0.into()), KeyOrder::Ascending, &mut own_running);
        let mut due = Due::default();
        // What it was to run when it was stopped, it is to run still.
        due.look.set_due();
        due.place.set_due();
        Work {
            worker: Arc::new(Worker::new(database, node)),
            due: Arc::new(Mutex::new(due)),
            own_running,
            members: None,
            members_at: Instant::ZERO,
            is_able: false,
            attempts_at: None,
            round_session: Arc::default(),
            round_cancel: Arc::default(),
        }
    }

    /// `commit` was applied, at this version, and nobody reads what it wrote yet.
    pub(crate) fn note(&self, version: Version, commit: &Commit) {
        for write in &commit.writes {
            match table_id(&write.key) {
                // One that is ready no more may be room in a queue that was full.
                Some(TASKS_READY) => self.due.lock().round.set_due(),
                Some(TASKS_RUNNING) => {
                    if write.value.is_none() {
                        self.due.lock().round.set_due();
                    }
                    if write.key.starts_with(&self.own_running) {
                        self.due.lock().look.set_due();
                    }
                }
                Some(WORKERS) => self.due.lock().workers_changed(),
                Some(PLACEMENTS) => self.due.lock().place.set_due(),
                Some(QUEUES | POLICIES) => self.due.lock().round.set_due(),
                Some(SCHEDULES) => self.due.lock().tick.set_due(),
                Some(MESSAGES | MAILBOXES) => self.due.lock().touch(leading_text(&write.key)),
                Some(PROGRAMS) => self.worker.programs_changed(version),
                _ => {}
            }
        }
        for range in &commit.deletes {
            // As TRUNCATE does.
            let has_any = |tables: &[u32]| tables.iter().any(|id| range.overlaps(&table_range(*id)));
            let mut due = self.due.lock();
            if has_any(&[TASKS_READY, TASKS_RUNNING, QUEUES, POLICIES, WORKERS]) {
                due.workers_changed();
                due.look.set_due();
            }
            if has_any(&[PROGRAMS]) {
                self.worker.programs_changed(version);
            }
            if has_any(&[PLACEMENTS]) {
                due.place.set_due();
            }
            if has_any(&[SCHEDULES]) {
                due.tick.set_due();
            }
            due.full_may_be_others |= has_any(&[MESSAGES, MAILBOXES]);
        }
    }

    /// The tables are others than they were, and as they are at this version.
    pub(crate) fn tables_replaced(&self, version: Version) {
        self.worker.programs_changed(version);
        let mut due = self.due.lock();
        due.look.set_due();
        due.place.set_due();
        due.full_may_be_others = true;
    }

    /// What of the members is to be noted now, if this node leads; `heard` says who they are.
    pub(crate) fn lead(&mut self, now: Now, heard: impl FnOnce() -> Vec<(NodeId, bool)>) {
        if self.members.is_some() && now.monotonic < self.members_at {
            return;
        }
        self.members_at = now.monotonic + MEMBERS_PAUSE;
        let heard = heard();
        let mut due = self.due.lock();
        if self.members.is_none() {
            due.full_may_be_others = true;
            due.tick.set_due();
            if !due.is_installed {
                due.install.set_due();
            }
        }
        if self.members.as_ref() != Some(&heard) {
            due.round.set_due();
            self.members = Some(heard);
        }
    }

    /// This node does not lead.
    pub(crate) fn follow(&mut self) {
        self.members = None;
    }

    /// Whether this node's tables can be used: as long as they cannot, nothing is begun.
    pub(crate) fn set_able(&mut self, is_able: bool) {
        self.is_able = is_able;
        if !is_able {
            self.follow();
        }
    }

    /// Whether the tables of services are to be made now.
    pub(crate) fn begins_install(&self, now: Now) -> bool {
        self.members.is_some() && self.due.lock().install.begin(now)
    }

    /// Whom tasks are to be given to now, if any are.
    pub(crate) fn begins_round(&self, now: Now) -> Option<Vec<(NodeId, bool)>> {
        let mut due = self.due.lock();
        let members = self.members.as_ref().filter(|_| due.is_installed)?;
        if core::mem::take(&mut due.has_problems) {
            due.round.set_due_at(now.monotonic + PROBLEM_PAUSE);
        }
        if let Some(next_micros) = due.next_micros.take() {
            due.round.set_due_at(instant(now, next_micros));
        }
        due.round.begin(now).then(|| members.clone())
    }

    /// Whether ticks of schedules are to become tasks now.
    pub(crate) fn begins_tick(&self, now: Now) -> bool {
        let mut due = self.due.lock();
        if self.members.is_none() || !due.is_installed {
            return false;
        }
        if let Some(next_micros) = due.next_tick_micros.take() {
            due.tick.set_due_at(instant(now, next_micros));
        }
        due.tick.begin(now)
    }

    /// The mailboxes of which it is to be written down now whether they are full, if there are any.
    pub(crate) fn begins_gauge(&self, now: Now) -> Option<Vec<String>> {
        let mut due = self.due.lock();
        if self.members.is_none() || !due.is_installed {
            // Whoever leads looks itself.
            due.touched.clear();
            return None;
        }
        if due.touched.is_empty() && !due.full_may_be_others {
            return None;
        }
        if due.gauge.deadline().is_none() {
            due.gauge.set_due_at(now.monotonic + GAUGE_PAUSE);
        }
        if !due.gauge.begin(now) {
            return None;
        }
        due.full_may_be_others = false;
        Some(core::mem::take(&mut due.touched).into_iter().collect())
    }

    /// Whether this node is to look now which tasks it runs.
    pub(crate) fn begins_look(&self, now: Now) -> bool {
        self.due.lock().look.begin(now)
    }

    /// Whether this node is to look now where leadership is to be.
    pub(crate) fn begins_place(&self, now: Now) -> bool {
        self.due.lock().place.begin(now)
    }

    /// Attempts that are to be run now.
    pub(crate) fn take_begun(&self) -> Vec<Begun<NodeDatabase>> {
        core::mem::take(&mut self.due.lock().begun)
    }

    /// Time has passed.
    pub(crate) fn advance(&mut self, now: Now) {
        self.attempts_at = self.worker.advance(now.monotonic);
    }

    /// When something is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if !self.is_able {
            return None;
        }
        let due = self.due.lock();
        let leads = self.members.is_some();
        let install = due.install.deadline().filter(|_| leads);
        let of_leader = [&due.round, &due.tick, &due.gauge];
        let of_leader = of_leader.map(|one| one.deadline().filter(|_| leads && due.is_installed));
        let others = [install, due.look.deadline(), due.place.deadline(), self.attempts_at];
        of_leader.into_iter().chain(others).flatten().min()
    }
}

/// When it will be so many microseconds since the Unix epoch, should the clock not be set meanwhile.
fn instant(now: Now, micros: i64) -> Instant {
    let wait = micros.saturating_sub(now.wall.unix_micros).max(0).unsigned_abs();
    // Far times are looked at again, well before they come.
    now.monotonic + Duration::from_micros(wait).min(Duration::from_secs(3600))
}
