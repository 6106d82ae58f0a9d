//! Sequences: numbers that are taken outside of transactions, so that these do not wait for each other.
//!
//! A node takes a range of numbers with a commit of its own, and gives them to its sessions one by one. Numbers that are
//! not used when a node stops are lost; numbers of different nodes are not in the order in which they were asked for.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use cluster_store::Transaction;

use super::Context;
use crate::catalog::{self, SequenceDescriptor, Stored, sequence_key};
use crate::database::{Database, DatabaseError, Freshness, RequestIds};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::SequenceFunction;
use crate::memo::SequenceRequest;

/// How many numbers a node takes at once.
const NUMBERS_AT_ONCE: i64 = 32;

/// How often a range is tried for before the conflict is reported.
const ATTEMPTS_MAX: usize = 100;

impl<D: Database> Context<'_, D> {
    /// The number that `request` asks for.
    pub(super) async fn sequence(&mut self, request: &SequenceRequest) -> SqlResult<i64> {
        let Some(name) = &request.name else {
            let last = self.env.session.sequences.lock().last;
            return last.ok_or_else(|| {
                SqlError::new(SqlState::OBJECT_NOT_IN_STATE, "lastval is not yet defined in this session")
            });
        };
        let (schema, name) = path(name)?;
        let mut found = None;
        for schema in self.env.session.path.candidates(&schema) {
            found = catalog::find(self.transaction, schema, &name).await?;
            if found.is_some() {
                break;
            }
        }
        let sequence = match found {
            Some(Stored::Sequence(sequence)) => sequence,
            Some(_) => {
                let message = format!("\"{name}\" is not a sequence");
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
            }
            None => return Err(catalog::undefined_table(None, &name)),
        };
        match request.function {
            SequenceFunction::Next => {
                let number = self.next_number(&sequence, &name).await?;
                self.env.session.sequences.lock().note(sequence.id, number);
                Ok(number)
            }
            SequenceFunction::Current => {
                let known = self.env.session.sequences.lock().current.get(&sequence.id).copied();
                known.ok_or_else(|| {
                    let message =
                        format!("currval of sequence \"{name}\" is not yet defined in this session");
                    SqlError::new(SqlState::OBJECT_NOT_IN_STATE, message)
                })
            }
            SequenceFunction::Peek => {
                let next = match self.transaction.get(&sequence_key(sequence.id)).await? {
                    None => Some(sequence.start),
                    Some(bytes) => read(&bytes)?,
                };
                Ok(next.unwrap_or(if sequence.increment > 0 { sequence.max } else { sequence.min }))
            }
            SequenceFunction::Set => {
                let (number, is_called) = request.set;
                if !(sequence.min..=sequence.max).contains(&number) {
                    let message = format!(
                        "setval: value {number} is out of bounds for sequence \"{name}\" ({}..{})",
                        sequence.min, sequence.max
                    );
                    return Err(SqlError::new(SqlState::OUT_OF_RANGE, message));
                }
                // What comes next is what is kept.
                let next = if is_called { number.checked_add(sequence.increment) } else { Some(number) };
                self.keep(&sequence, move |_| next).await?;
                self.database.sequences().forget(sequence.id);
                if is_called {
                    self.env.session.sequences.lock().note(sequence.id, number);
                }
                Ok(number)
            }
        }
    }

    async fn next_number(&mut self, sequence: &SequenceDescriptor, name: &str) -> SqlResult<i64> {
        if let Some(number) = self.database.sequences().take(sequence.id) {
            return Ok(number);
        }
        let within = |number: i64| (sequence.min..=sequence.max).contains(&number);
        let next = self
            .keep(sequence, |next| {
                let first = next.filter(|next| within(*next));
                let first = if first.is_none() && sequence.cycle { Some(beginning(sequence)) } else { first };
                let after = first?.checked_add(sequence.increment.checked_mul(NUMBERS_AT_ONCE)?);
                // The last range may be cut short.
                after.or(Some(if sequence.increment > 0 { i64::MAX } else { i64::MIN }))
            })
            .await?;
        let first = match next.filter(|next| within(*next)) {
            Some(first) => first,
            None if sequence.cycle => beginning(sequence),
            None => {
                let (which, bound) = if sequence.increment > 0 {
                    ("maximum", sequence.max)
                } else {
                    ("minimum", sequence.min)
                };
                let message = format!("nextval: reached {which} value of sequence \"{name}\" ({bound})");
                return Err(SqlError::new(SqlState("2200H"), message));
            }
        };
        let numbers = (1..NUMBERS_AT_ONCE).map_while(|at| {
            let number = first.checked_add(sequence.increment.checked_mul(at)?)?;
            within(number).then_some(number)
        });
        self.database.sequences().keep(sequence.id, numbers.collect());
        Ok(first)
    }

    /// Changes the number that comes next, in a transaction of its own. Returns what it was before; none at the end of
    /// the sequence.
    async fn keep(
        &mut self,
        sequence: &SequenceDescriptor,
        change: impl Fn(Option<i64>) -> Option<i64>,
    ) -> SqlResult<Option<i64>> {
        let key = sequence_key(sequence.id);
        let mut ids = RequestIds::new(self.database.new_session_id());
        for _ in 0..ATTEMPTS_MAX {
            let snapshot = self.database.snapshot(Freshness::Local).await?;
            let mut transaction = Transaction::new(snapshot, self.database.memory().lease());
            let before = match transaction.get(&key).await? {
                None => Some(sequence.start),
                Some(bytes) => read(&bytes)?,
            };
            let after = change(before);
            if before.is_none() && after.is_none() {
                return Ok(None);
            }
            transaction.put(&key, &write(after))?;
            let (commit, _held) = transaction.into_commit(ids.take(), self.database.origin());
            match self.database.commit(commit).await {
                Ok(_) => return Ok(before),
                Err(DatabaseError::Conflict(_)) => self.check_cancel()?,
                Err(error) => return Err(error.into()),
            }
        }
        let message = "could not take numbers of a sequence: too many others do";
        Err(SqlError::new(SqlState::SERIALIZATION_FAILURE, message)
            .hint("The transaction might succeed if retried."))
    }
}

fn beginning(sequence: &SequenceDescriptor) -> i64 {
    if sequence.increment > 0 { sequence.min } else { sequence.max }
}

fn write(next: Option<i64>) -> Vec<u8> {
    next.map_or_else(Vec::new, |next| next.to_be_bytes().into())
}

fn read(bytes: &[u8]) -> SqlResult<Option<i64>> {
    match bytes {
        [] => Ok(None),
        _ => match bytes.try_into() {
            Ok(bytes) => Ok(Some(i64::from_be_bytes(bytes))),
            Err(_) => Err(SqlError::corrupted("sequence")),
        },
    }
}

/// The schema and the name that a text such as `public."a b"` means.
fn path(text: &str) -> SqlResult<(Option<String>, String)> {
    let mut parts: Vec<String> = Vec::new();
    let mut current = String::new();
    let mut quoted = false;
    let mut chars = text.trim().chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                current.push('"');
            }
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(core::mem::take(&mut current)),
            c if quoted => current.push(c),
            c => current.extend(c.to_lowercase()),
        }
    }
    parts.push(current);
    let mut parts = parts.into_iter().rev();
    match (parts.next(), parts.next(), quoted) {
        (Some(name), schema, false) if !name.is_empty() => Ok((schema, name)),
        _ => Err(SqlError::new(SqlState("42602"), "invalid name syntax")),
    }
}
