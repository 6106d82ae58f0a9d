//! What a node begins for tasks of users, beside everything else: see [`crate::work`].

use alloc::sync::Arc;

use cluster_services::{SCHEMAS, log, messages, scheduler, schedules, upkeep};
use cluster_sql::{CancelFlag, Session};
use drivers_api::{Level, Now};

use super::{LogLine, Node};
use crate::shared::NodeDatabase;

impl Node {
    /// Begins what is due for tasks of users.
    pub(super) fn work(&mut self, now: Now) {
        self.work.advance(now);
        let is_able = self.replica.raft().is_some() && self.replica.out_of_service().is_none();
        self.work.set_able(is_able);
        if !is_able {
            return;
        }
        match self.replica.raft().filter(|raft| raft.is_leader()) {
            Some(raft) => self.work.lead(now, || raft.members_heard(now)),
            None => self.work.follow(),
        }
        if self.work.begins_install(now) {
            self.install();
        }
        if let Some(members) = self.work.begins_round(now) {
            let (cancel, due) = (self.work.round_cancel.clone(), self.work.due.clone());
            let kept = self.work.round_session.clone();
            let session = kept.lock().take();
            let mut session =
                session.unwrap_or_else(|| Session::of_system(self.database.clone(), cancel.clone()));
            self.tasks.spawn(async move {
                let found = scheduler::round(&mut session, &cancel, &members).await;
                *kept.lock() = Some(session);
                due.lock().round_ended(found);
            });
        }
        if self.work.begins_tick(now) {
            let (mut session, due) = (self.service_session(), self.work.due.clone());
            self.tasks.spawn(async move {
                let next = schedules::tick(&mut session).await;
                due.lock().tick_ended(next);
            });
        }
        if let Some(mailboxes) = self.work.begins_gauge(now) {
            let (mut session, due) = (self.service_session(), self.work.due.clone());
            self.tasks.spawn(async move {
                let done = messages::gauge(&mut session, mailboxes.clone()).await;
                due.lock().gauge_ended(mailboxes, done);
            });
        }
        if self.work.begins_look(now) {
            let (worker, due) = (self.work.worker.clone(), self.work.due.clone());
            self.tasks.spawn(async move {
                let begun = worker.look().await;
                due.lock().looked(begun);
            });
        }
        self.write_log(now);
        if self.work.begins_place(now) {
            let (cancel, due) = (Arc::<CancelFlag>::default(), self.work.due.clone());
            let mut session = Session::of_system(self.database.clone(), cancel.clone());
            self.tasks.spawn(async move {
                let found = upkeep::placement(&mut session, &cancel).await;
                due.lock().placed(found);
            });
        }
        if let Some(raft) = self.replica.raft_mut() {
            raft.avoid(&self.work.due.lock().placement.avoided);
        }
        for begun in self.work.take_begun() {
            let (worker, due) = (self.work.worker.clone(), self.work.due.clone());
            self.tasks.spawn(async move {
                let again = worker.run(begun).await;
                due.lock().ran(again);
            });
        }
        let problems = self.work.due.lock().take_lines();
        self.replica.log_lines.extend(problems.into_iter().map(|line| LogLine(Level::Warn, line)));
        for (level, line) in self.work.worker.take_lines() {
            let level = match level {
                cluster_tasks::LogLevel::Error => Level::Error,
                cluster_tasks::LogLevel::Warn => Level::Warn,
                cluster_tasks::LogLevel::Info | cluster_tasks::LogLevel::Debug => Level::Info,
            };
            self.replica.log_lines.push(LogLine(level, line));
        }
    }

    /// Whether what was said can be written down.
    pub(super) fn can_write_log(&self) -> bool {
        let has_leader = self.replica.raft().is_some_and(|raft| raft.leader().is_some());
        has_leader && self.replica.out_of_service().is_none()
    }

    /// Writes down what was said, if it is time.
    fn write_log(&mut self, now: Now) {
        if !self.can_write_log() {
            return;
        }
        let Some(lines) = self.said.lock().begin(now) else { return };
        let (mut session, said, node) = (self.service_session(), self.said.clone(), self.config.node);
        self.tasks.spawn(async move {
            let written = log::write(&mut session, node, &lines).await;
            said.lock().end(lines, written.is_ok());
        });
    }

    /// Makes the tables of services that are not there yet.
    fn install(&mut self) {
        let (mut session, due) = (self.service_session(), self.work.due.clone());
        self.tasks.spawn(async move {
            let installed = session.install(SCHEMAS).await;
            due.lock().install_ended(installed);
        });
    }

    /// A session for what the node does itself.
    pub(super) fn service_session(&self) -> Session<NodeDatabase> {
        Session::of_system(self.database.clone(), Arc::default())
    }
}
