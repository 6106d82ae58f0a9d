//! A session's settings, as it, its client and its functions set them.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::transaction::State;
use super::{AskedSetting, Mode, Session, Settings};
use crate::database::Database;
use crate::error::{SqlResult, SqlState};

impl<D: Database> Session<D> {
    /// The settings that changed since the last call and that clients are told of.
    pub fn take_changed_settings(&mut self) -> Vec<(&'static str, String)> {
        core::mem::take(&mut self.changed_settings)
    }

    /// Every setting that clients are told of.
    pub fn reported_settings(&self) -> Vec<(&'static str, String)> {
        self.settings.reported()
    }

    /// Sets what a client asks for when it comes; unknown names are ignored.
    pub fn set_at_start(&mut self, name: &str, value: &str) {
        let _ = self.set(name, Some(value.into()), false);
        self.settings.end_transaction(true);
        self.changed_settings.clear();
    }

    /// Sets `name`; to its default without a value.
    pub(super) fn set(&mut self, name: &str, value: Option<String>, local: bool) -> SqlResult<()> {
        self.change_settings(|settings| settings.set(name, value, local))
    }

    /// Changes the settings, and notes what clients are to be told of that.
    pub(super) fn change_settings<T>(&mut self, change: impl FnOnce(&mut Settings) -> T) -> T {
        let before = self.settings.assigned();
        let done = change(&mut self.settings);
        if !self.settings.is_still(&before) {
            self.changed_settings.extend(self.settings.reported_since(&before));
            self.settings.apply(&mut self.facts);
            self.timeouts = self.settings.timeouts();
        }
        done
    }

    /// `SET`, in a transaction or as one.
    pub(super) fn set_by_statement(
        &mut self,
        name: &str,
        value: Option<&String>,
        local: bool,
        mode: Mode,
    ) -> SqlResult<()> {
        let is_alone = mode.alone && !self.state.is_block();
        if local && is_alone {
            let what = if name == "transaction_read_only" { "SET TRANSACTION" } else { "SET LOCAL" };
            let message = format!("{what} can only be used in transaction blocks");
            self.warn(SqlState::NO_TRANSACTION, &message);
        }
        self.set(name, value.cloned(), local)?;
        if name == "transaction_read_only"
            && let State::Explicit(explicit) = &mut self.state
        {
            explicit.read_only = self.settings.show(name)? == "on";
        }
        if is_alone {
            self.change_settings(|settings| settings.end_transaction(true));
        }
        Ok(())
    }

    /// Does what the last statement has asked for with `set_config`.
    pub(super) fn set_as_asked(&mut self) -> SqlResult<()> {
        let asked = core::mem::take(&mut *self.facts.asked_settings.lock());
        if let (Some(history), false) = (self.state.history(), asked.is_empty()) {
            // Later statements may mean something else by it.
            history.lose();
        }
        for AskedSetting { name, value, local } in asked {
            // Outside of a transaction, what is local is over at once.
            if !local || self.state.is_block() {
                self.set(&name, Some(value), local)?;
            }
        }
        Ok(())
    }

    /// The end of a transaction: settings are what they were before it, but for what a commit leaves; cursors go with it.
    pub(super) fn end_transaction(&mut self, is_committed: bool) {
        self.change_settings(|settings| settings.end_transaction(is_committed));
        self.named.end_transaction(is_committed);
        self.end_sequences(is_committed);
        self.end_notifications(is_committed);
        self.transactions_ended += 1;
        self.forget_deferred();
    }

    /// What sequences count that the transaction has made, or begun anew, is what it has left, or nothing.
    pub(super) fn end_sequences(&mut self, is_committed: bool) {
        let begun = self.facts.sequences.lock().end_transaction(is_committed);
        begun.into_iter().for_each(|id| self.database.sequences().forget(id));
    }
}
