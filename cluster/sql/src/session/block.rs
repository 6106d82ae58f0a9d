//! Transaction blocks: their beginning, their end, and what is saved in between.

use alloc::format;

use super::run::only_in_block;
use super::transaction::{Explicit, SAVEPOINTS_MAX, Saved, State};
use super::{Session, Tag};
use crate::claims::BlockClaims;
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};

impl<D: Database> Session<D> {
    pub(super) fn begin(&mut self, read_only: bool) {
        if matches!(self.state, State::Idle) {
            self.forget_deferred();
        }
        self.state = match core::mem::replace(&mut self.state, State::Idle) {
            State::Idle => State::Explicit(Explicit { read_only, ..Explicit::default() }),
            State::Implicit(transaction) => {
                let mut explicit =
                    Explicit { transaction: Some(transaction), read_only, ..Explicit::default() };
                // Nobody remembers what was done before it became a block.
                explicit.history.lose();
                State::Explicit(explicit)
            }
            other => {
                self.warn(SqlState::ACTIVE_TRANSACTION, "there is already a transaction in progress");
                other
            }
        };
        if read_only && matches!(self.state, State::Explicit(Explicit { read_only: true, .. })) {
            let _ = self.set("transaction_read_only", Some("on".into()), true);
        }
    }

    /// What is local to the block holds until it has ended: it may be done again.
    pub(super) async fn commit_block(&mut self) -> SqlResult<Tag> {
        let ended = self.commit_open().await;
        self.end_transaction(matches!(ended, Ok(Tag::Commit)));
        ended
    }

    async fn commit_open(&mut self) -> SqlResult<Tag> {
        let state = core::mem::replace(&mut self.state, State::Idle);
        let transaction = match state {
            State::Failed(_) => return Ok(Tag::Rollback),
            State::Explicit(Explicit { transaction, history, claims, .. }) => {
                let Some(mut transaction) = transaction else { return Ok(Tag::Commit) };
                let committed = match self.check_at_end(&mut transaction).await {
                    Ok(()) => self.commit_or_repeat(*transaction, history).await,
                    Err(error) => Err(error),
                };
                match committed {
                    Ok(version) => {
                        if let (Some(claims), Some(version)) = (&claims, version) {
                            claims.committed(version);
                        }
                        return Ok(Tag::Commit);
                    }
                    Err(error) => {
                        self.keep_claims(&error, claims);
                        return Err(error);
                    }
                }
            }
            State::Implicit(transaction) => {
                self.warn(SqlState::NO_TRANSACTION, "there is no transaction in progress");
                Some(transaction)
            }
            State::Idle => {
                self.warn(SqlState::NO_TRANSACTION, "there is no transaction in progress");
                None
            }
        };
        if let Some(mut transaction) = transaction {
            self.check_at_end(&mut transaction).await?;
            self.commit(*transaction).await?;
        }
        Ok(Tag::Commit)
    }

    /// A block that has claimed these ends with an error.
    pub(super) fn keep_claims(&mut self, error: &SqlError, claims: Option<BlockClaims>) {
        if self.repeats.at_once && error.state == SqlState::SERIALIZATION_FAILURE {
            self.repeats.claims = claims;
        }
    }

    pub(super) async fn savepoint(&mut self, name: &str) -> SqlResult<Tag> {
        if !matches!(self.state, State::Explicit(_)) {
            return Err(only_in_block("SAVEPOINT"));
        }
        let savepoint = self.state.transaction(&self.database).await?.savepoint();
        let (settings, waiting) = (self.settings.assigned(), self.facts.deferred.lock().waiting());
        let sequences = self.facts.sequences.lock().own.clone();
        let notifications = (self.facts.told.lock().count(), self.listening.asked());
        if let State::Explicit(explicit) = &mut self.state {
            if explicit.savepoints.len() >= SAVEPOINTS_MAX {
                let message =
                    format!("a transaction of more than {SAVEPOINTS_MAX} savepoints exceeds the limit");
                return Err(SqlError::new(SqlState::LIMIT_EXCEEDED, message));
            }
            let name = name.into();
            explicit.savepoints.push(Saved { name, savepoint, settings, waiting, sequences, notifications });
        }
        Ok(Tag::Savepoint)
    }

    pub(super) fn release(&mut self, name: &str) -> SqlResult<Tag> {
        let State::Explicit(explicit) = &mut self.state else {
            return Err(only_in_block("RELEASE SAVEPOINT"));
        };
        let at = explicit.savepoints.iter().rposition(|saved| saved.name == name);
        let at = at.ok_or_else(|| no_savepoint(name))?;
        explicit.savepoints.truncate(at);
        self.named.release(at);
        Ok(Tag::Release)
    }

    pub(super) fn rollback_to(&mut self, name: &str) -> SqlResult<Tag> {
        let mut explicit = match core::mem::replace(&mut self.state, State::Idle) {
            State::Explicit(explicit) | State::Failed(explicit) => explicit,
            other => {
                self.state = other;
                return Err(only_in_block("ROLLBACK TO SAVEPOINT"));
            }
        };
        let at = explicit.savepoints.iter().rposition(|saved| saved.name == name);
        let Some(at) = at else {
            self.state = State::Failed(explicit);
            return Err(no_savepoint(name));
        };
        explicit.savepoints.truncate(at + 1);
        explicit.history.lose();
        if let (Some(transaction), Some(saved)) = (&mut explicit.transaction, explicit.savepoints.pop()) {
            transaction.restore(saved.savepoint);
            let (settings, waiting) = (saved.settings.clone(), saved.waiting.clone());
            self.facts.sequences.lock().roll_back_to(&saved.sequences);
            let (told, asked) = saved.notifications;
            self.facts.told.lock().truncate(told);
            self.listening.roll_back_to(asked);
            explicit.savepoints.push(Saved { savepoint: transaction.savepoint(), ..saved });
            self.facts.deferred.lock().set_waiting(waiting);
            self.change_settings(|known| known.restore(settings));
        }
        self.state = State::Explicit(explicit);
        self.named.roll_back_to(at);
        Ok(Tag::Rollback)
    }
}

fn no_savepoint(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_SAVEPOINT, format!("savepoint \"{name}\" does not exist"))
}
