//! Sequences: numbers that are taken outside of transactions, so that these do not wait for each other.
//!
//! A node takes a range of numbers with a commit of its own, and gives them to its sessions one by one. Numbers that are
//! not used when a node stops are lost; numbers of different nodes are not in the order in which they were asked for.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use cluster_store::Transaction;

use super::Context;
use crate::catalog::{self, SequenceDescriptor, Stored, sequence_key};
use crate::database::{Database, DatabaseError, Freshness, RequestIds, snapshot_after};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::eval::SessionSequences;
use crate::expr::SequenceFunction;
use crate::memo::SequenceRequest;

/// The sequences that a transaction has made, or begun anew. Nobody else can ask for their numbers before it is committed,
/// and nothing may be left of them if it is not: they are counted here, and stored with the transaction.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnSequences {
    by_id: BTreeMap<u32, OwnSequence>,
}

#[derive(Clone, Debug)]
struct OwnSequence {
    schema: String,
    name: String,
    next: Option<i64>,
    is_new: bool,
}

impl OwnSequences {
    /// The transaction has made the sequence called `id`.
    pub(crate) fn make(&mut self, id: u32, schema: &str, name: &str, start: i64) {
        let own = OwnSequence { schema: schema.into(), name: name.into(), next: Some(start), is_new: true };
        self.by_id.insert(id, own);
    }

    /// The transaction begins the sequence called `id` anew.
    pub(crate) fn begin_anew(&mut self, id: u32, schema: &str, name: &str, start: i64) {
        let is_new = self.by_id.get(&id).is_some_and(|own| own.is_new);
        let own = OwnSequence { schema: schema.into(), name: name.into(), next: Some(start), is_new };
        self.by_id.insert(id, own);
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// What comes next in the sequence called `id`, if it is one of these: a number, or the end.
    fn next(&self, id: u32) -> Option<Option<i64>> {
        self.by_id.get(&id).map(|own| own.next)
    }

    /// Says what comes next; whether it is one of these.
    fn set(&mut self, id: u32, next: Option<i64>) -> bool {
        self.by_id.get_mut(&id).map(|own| own.next = next).is_some()
    }
}

impl SessionSequences {
    /// Its transaction is over. Returns the sequences that have been begun anew by that.
    pub(crate) fn end_transaction(&mut self, is_committed: bool) -> Vec<u32> {
        let own = core::mem::take(&mut self.own);
        if is_committed {
            return own.by_id.into_keys().collect();
        }
        own.by_id.iter().for_each(|(id, own)| self.forget(*id, own));
        Vec::new()
    }

    /// Its transaction comes back to a savepoint, where it had made `own`. Numbers are not given back.
    pub(crate) fn roll_back_to(&mut self, own: &OwnSequences) {
        let all = core::mem::take(&mut self.own);
        for (id, sequence) in all.by_id {
            if own.by_id.contains_key(&id) {
                self.own.by_id.insert(id, sequence);
            } else {
                self.forget(id, &sequence);
            }
        }
    }

    /// `own` is undone. If it was made, others may get its id.
    fn forget(&mut self, id: u32, own: &OwnSequence) {
        if own.is_new {
            self.current.remove(&id);
            self.last = self.last.filter(|(last, _)| *last != id);
        }
    }
}

/// The end of a transaction: stores what comes next in the sequences that it has made.
pub(crate) async fn store_own_sequences<D: Database>(context: &mut Context<'_, D>) -> SqlResult<()> {
    let own = context.env.session.sequences.lock().own.clone();
    for (id, OwnSequence { schema, name, next, .. }) in own.by_id {
        // It may have been dropped again.
        if let Some(Stored::Sequence(sequence)) = catalog::find(context.transaction, &schema, &name).await?
            && sequence.id == id
        {
            context.transaction.put(&sequence_key(id), &write(next))?;
        }
    }
    Ok(())
}

/// How many numbers a node takes at once: so many, and when more sessions wait for some, as many as they are.
const NUMBERS_MIN: usize = 32;
const NUMBERS_MAX: usize = 1024;

/// How often a range is tried for before the conflict is reported.
const ATTEMPTS_MAX: usize = 100;

impl<D: Database> Context<'_, D> {
    /// The number that `request` asks for.
    pub(super) async fn sequence(&mut self, request: &SequenceRequest) -> SqlResult<i64> {
        if request.function == SequenceFunction::Version {
            return Ok(self.version());
        }
        let Some(name) = &request.name else {
            let last = self.env.session.sequences.lock().last;
            return last.map(|(_, number)| number).ok_or_else(|| {
                SqlError::new(SqlState::OBJECT_NOT_IN_STATE, "lastval is not yet defined in this session")
            });
        };
        let (schema, name) = path(name)?;
        let mut found = None;
        let mut place = String::new();
        for schema in self.env.session.path.candidates(&schema) {
            found = catalog::find(self.transaction, schema, &name).await?;
            if found.is_some() {
                place.clone_from(schema);
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
            SequenceFunction::Version => Ok(self.version()),
            SequenceFunction::Next => {
                let number = self.next_number(&place, &sequence, &name).await?;
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
                let own = self.env.session.sequences.lock().own.next(sequence.id);
                let next = match own {
                    Some(next) => next,
                    None => match self.transaction.get(&sequence_key(sequence.id)).await? {
                        None => Some(sequence.start),
                        Some(bytes) => read(&bytes)?,
                    },
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
                if !self.env.session.sequences.lock().own.set(sequence.id, next) {
                    self.keep(&place, &sequence, &name, move |_| next).await?;
                    self.database.sequences().forget(sequence.id);
                }
                if is_called {
                    self.env.session.sequences.lock().note(sequence.id, number);
                }
                Ok(number)
            }
        }
    }

    /// The version that the transaction reads.
    fn version(&self) -> i64 {
        i64::try_from(self.transaction.read_version().0).unwrap_or(i64::MAX)
    }

    async fn next_number(
        &mut self,
        schema: &str,
        sequence: &SequenceDescriptor,
        name: &str,
    ) -> SqlResult<i64> {
        let own = self.env.session.sequences.lock().own.next(sequence.id);
        if let Some(next) = own {
            let number = usable(next, sequence, name)?;
            let next = number.checked_add(sequence.increment);
            self.env.session.sequences.lock().own.set(sequence.id, next);
            return Ok(number);
        }
        let database = self.database;
        let fetch = loop {
            match self.cancel.unless_set(database.sequences().next(sequence.id)).await {
                Some(Ok(number)) => return Ok(number),
                Some(Err(fetch)) => break fetch,
                None => self.check_cancel()?,
            }
        };
        let count = (fetch.waiting() + 1).clamp(NUMBERS_MIN, NUMBERS_MAX) as i64;
        let within = |number: i64| (sequence.min..=sequence.max).contains(&number);
        let next = self
            .keep(schema, sequence, name, |next| {
                let first = next.filter(|next| within(*next));
                let first = if first.is_none() && sequence.cycle { Some(beginning(sequence)) } else { first };
                let after = first?.checked_add(sequence.increment.checked_mul(count)?);
                // The last range may be cut short.
                after.or(Some(if sequence.increment > 0 { i64::MAX } else { i64::MIN }))
            })
            .await?;
        let first = usable(next, sequence, name)?;
        let numbers = (1..count).map_while(|at| {
            let number = first.checked_add(sequence.increment.checked_mul(at)?)?;
            within(number).then_some(number)
        });
        fetch.keep(numbers);
        Ok(first)
    }

    /// Changes the number that comes next, in a transaction of its own. Returns what it was before; none at the end of
    /// the sequence.
    async fn keep(
        &mut self,
        schema: &str,
        sequence: &SequenceDescriptor,
        name: &str,
        change: impl Fn(Option<i64>) -> Option<i64>,
    ) -> SqlResult<Option<i64>> {
        let key = sequence_key(sequence.id);
        let mut ids = RequestIds::new(self.database.new_session_id());
        let mut met = None;
        for _ in 0..ATTEMPTS_MAX {
            let snapshot = match met {
                None => self.database.snapshot(Freshness::Local).await?,
                Some(conflict) => snapshot_after(self.database, conflict).await?,
            };
            let mut transaction = Transaction::new(snapshot, self.database.memory().lease());
            // Nothing is kept for one that has been dropped since.
            match catalog::find(&mut transaction, schema, name).await? {
                Some(Stored::Sequence(stored)) if stored.id == sequence.id => {}
                _ => return Err(catalog::undefined_table(None, name)),
            }
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
                Err(DatabaseError::Conflict(conflict)) => {
                    self.check_cancel()?;
                    met = Some(conflict);
                }
                Err(error) => return Err(error.into()),
            }
        }
        let message = "could not take numbers of a sequence: too many others do";
        Err(SqlError::new(SqlState::SERIALIZATION_FAILURE, message)
            .hint("The transaction might succeed if retried."))
    }
}

/// `next`, or where it begins anew if that is beyond its end; 2200H if it does not.
fn usable(next: Option<i64>, sequence: &SequenceDescriptor, name: &str) -> SqlResult<i64> {
    match next.filter(|next| (sequence.min..=sequence.max).contains(next)) {
        Some(next) => Ok(next),
        None if sequence.cycle => Ok(beginning(sequence)),
        None => {
            let up = sequence.increment > 0;
            let (which, bound) = if up { ("maximum", sequence.max) } else { ("minimum", sequence.min) };
            let message = format!("nextval: reached {which} value of sequence \"{name}\" ({bound})");
            Err(SqlError::new(SqlState("2200H"), message))
        }
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
