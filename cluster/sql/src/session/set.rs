//! A session's settings, as it, its client and its functions set them.

use alloc::string::String;
use alloc::vec::Vec;

use super::{AskedSetting, Session};
use crate::database::Database;
use crate::error::SqlResult;

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
    }

    /// Sets `name`; to its default without a value. Returns what clients are to be told.
    pub(super) fn set(
        &mut self,
        name: &str,
        value: Option<String>,
        local: bool,
    ) -> SqlResult<Option<(&'static str, String)>> {
        let told = self.settings.set(name, value, local)?;
        self.settings.apply(&mut self.facts);
        Ok(told)
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
                let told = self.set(&name, Some(value), local)?;
                self.changed_settings.extend(told);
            }
        }
        Ok(())
    }

    pub(super) fn end_local_settings(&mut self) {
        self.settings.end_transaction();
        self.named.end_transaction();
        self.settings.apply(&mut self.facts);
    }
}
