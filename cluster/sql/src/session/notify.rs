//! `LISTEN`, `UNLISTEN`, `NOTIFY`.

use alloc::sync::Arc;
use core::task::{self, Poll};

use cluster_store::Transaction;

use super::{Mode, Session, Tag};
use crate::database::{Database, Freshness};
use crate::error::SqlResult;
use crate::exec::Context;
use crate::notify::{By, Missed, Notification};

impl<D: Database> Session<D> {
    /// What it is told next, as it listens to it, if it waits already. To be asked for outside of transactions.
    pub fn take_notification(&self) -> Result<Option<Arc<Notification>>, Missed> {
        self.listening.take()
    }

    /// Waits for what it is told next.
    pub fn poll_notification(
        &self,
        context: &mut task::Context<'_>,
    ) -> Poll<Result<Arc<Notification>, Missed>> {
        self.listening.poll(context)
    }

    pub(super) fn listen(&mut self, channel: &str) -> SqlResult<Tag> {
        self.listening.listen(channel)?;
        Ok(Tag::Defined("LISTEN"))
    }

    /// Of one channel, or all.
    pub(super) fn unlisten(&mut self, channel: Option<&str>) -> SqlResult<Tag> {
        self.listening.unlisten(channel)?;
        Ok(Tag::Defined("UNLISTEN"))
    }

    pub(super) async fn notify(&mut self, channel: &str, payload: &str, mode: Mode) -> SqlResult<Tag> {
        self.facts.told.lock().add(channel, payload, By::Statement)?;
        if self.state.is_block() || !mode.alone {
            // There is something to commit by that, whatever else comes.
            self.state.transaction(&self.database).await?;
        }
        Ok(Tag::Defined("NOTIFY"))
    }

    /// Tells what statements have told that opened no transaction.
    pub(super) async fn tell_alone(&mut self) -> SqlResult<()> {
        if self.facts.told.lock().count() == 0 {
            return Ok(());
        }
        let snapshot = self.database.snapshot(Freshness::Linearizable).await?;
        let mut transaction = Transaction::new(snapshot, self.database.memory().lease());
        self.check_at_end(&mut transaction).await?;
        self.commit(transaction).await
    }

    /// The transaction has ended, with all that it was to tell, and all that was asked for in it.
    pub(super) fn end_notifications(&mut self, is_committed: bool) {
        self.facts.told.lock().truncate(0);
        self.listening.end_transaction(is_committed);
    }
}

/// What the transaction is to tell goes with what it writes.
pub(super) fn write_notifications<D: Database>(context: &mut Context<'_, D>) -> SqlResult<()> {
    let facts = context.env.session;
    let told = facts.told.lock();
    if told.count() > 0 {
        told.write(facts.backend, context.database.new_session_id(), context.transaction)?;
    }
    Ok(())
}
