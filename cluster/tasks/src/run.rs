//! One run of a program.
//!
//! ```text
//!              step, fuel ends        step                 answer
//!  Beginning ─────────────────> Paused ──> ...    Asked ────────────> Answered
//!      │                          │                 ^                     │
//!      └──────────────────────────┴── calls sql, ───┘ <───────────────────┤ step
//!                                     step, step_done
//!                                     calls log ──────────────────────> Answered
//!  from all but Asked: returns, traps, sleeps, waits ──> Ended
//! ```

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::mem;

use wasmi::{Error, Func, ResumableCall, ResumableCallHostTrap, ResumableCallOutOfFuel, Store, Val};

use crate::imports::length;
use crate::limits::{NAME_LEN_MAX, RESPONSE_LEN_MAX, ZERO_BYTES_PER_FUEL};
use crate::program::MEMORY;
use crate::state::{Exit, State};
use crate::text::shown;
use crate::{Program, Trap};

/// What a run may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of its memory.
    pub memory_len_max: usize,
    /// The most fuel from its beginning to its end: one for most instructions, and for every 64 bytes that an
    /// instruction fills, copies or adds.
    pub fuel_max: u64,
}

/// Who pays for the memory of a run. It is dropped with the run, when it pays for nothing any longer.
pub trait Memory: Send {
    /// The program's memory is to have so many bytes, of all that it is and not of what is added: whether it may. It is
    /// asked before memory is made. If then there is none, it is told that there are fewer again, and what it says to
    /// that does not matter.
    ///
    /// What grows is moved, into room for twice as much as there was, so that up to three times `len` may be taken for a
    /// moment, and twice `len` for long. A stack of up to [`STACK_LEN_MAX`], a response, a result, tables, and about a
    /// hundred bytes for each function of the program come on top.
    ///
    /// [`STACK_LEN_MAX`]: crate::limits::STACK_LEN_MAX
    fn resize(&mut self, len: usize) -> bool;
}

/// What a run may know without asking. The same program with the same facts and answers does the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// JSON, or whatever the program takes.
    pub arguments: String,
    /// What time it is for all of the run, in microseconds since the Unix epoch.
    pub time_micros: i64,
    /// What its random numbers follow from.
    pub seed: u64,
}

/// How much a line of the log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something may be wrong.
    Warn,
    /// Something was done.
    Info,
    /// What only who wrote the program wants to know.
    Debug,
}

/// What a program asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// To run a statement: [`Run::answer`] says how it went.
    Sql {
        /// The statement.
        text: String,
        /// A JSON array, or nothing.
        parameters: String,
    },
    /// To begin a step: what it gave when it was done before is the answer, or nothing, and then it is to be done.
    Step {
        /// Which step it is; the program gives each another name.
        name: String,
    },
    /// To end the step that was begun: all that was done since is to take place, with this.
    StepDone {
        /// What the step gives.
        result: String,
    },
    /// To do something with files.
    File(FileCall),
    /// To write a line to the log. There is nothing to answer.
    Log {
        /// How much it matters.
        level: LogLevel,
        /// The line, cut; with whatever characters it has.
        text: String,
    },
}

/// What a program does with files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileCall {
    /// To read a piece of one: the answer is as much of it as there is.
    Read {
        /// Which.
        path: String,
        /// From which byte on.
        offset: u64,
        /// How many bytes at most.
        len: usize,
    },
    /// To write a piece of one, which is made if it is not there.
    Write {
        /// Which.
        path: String,
        /// At which byte; none is behind its last one.
        offset: Option<u64>,
        /// What.
        bytes: Vec<u8>,
    },
    /// To remove a file, or a directory that is empty.
    Remove {
        /// Which.
        path: String,
    },
    /// To give another name to what there is.
    Rename {
        /// What.
        path: String,
        /// Its new name; a file of that name is replaced.
        to: String,
    },
    /// To make a directory, and those on the way to it.
    MakeDirectory {
        /// Which.
        path: String,
    },
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The slice is used up: step again.
    Yield,
    /// It asks for this. Answer it if it is to be answered, and step again.
    Call(Call),
    /// It has ended: the result that it set, if it did.
    Done(Option<String>),
    /// It has ended, and wants to be run from its beginning at that time, in microseconds since the Unix epoch.
    Sleep(i64),
    /// It has ended, and wants to be run from its beginning when there is a message.
    Wait {
        /// In which mailbox.
        mailbox: String,
        /// Or at that time, in microseconds since the Unix epoch.
        until: i64,
    },
    /// It has ended badly.
    Trap(Trap),
}

/// What is answered to a [`Call`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To a statement, a step that was done before, or what was done with a file: a response.
    Response(String),
    /// To a piece of a file that is read.
    Bytes(Vec<u8>),
    /// To a statement that failed, or what cannot be done with a file: the text of the error.
    Failed(String),
    /// To a step that is to be done.
    Nothing,
    /// To a step that has ended: it has taken place, and it is so many microseconds since the Unix epoch now.
    Done(i64),
}

/// One run of a program.
pub struct Run {
    store: Store<State>,
    entry: Func,
    at: At,
    fuel_used: u64,
    fuel_max: u64,
}

enum At {
    /// No instruction was executed.
    Beginning,
    /// Fuel ended.
    Paused(ResumableCallOutOfFuel),
    /// Something was asked for and not answered.
    Asked(ResumableCallHostTrap),
    /// The import returns this as soon as there is fuel.
    Answered(ResumableCallHostTrap, Option<i32>),
    /// There is nothing more to execute.
    Ended,
}

const _: fn() = || {
    fn sent<T: Send>() {}
    fn shared<T: Send + Sync>() {}
    sent::<Run>();
    shared::<Program>();
};

impl Run {
    /// Makes what a program begins with; its instructions wait for [`Run::step`]. This takes time in proportion to the
    /// memory that the program begins with, which is paid for with fuel, and to the length of its data.
    ///
    /// # Errors
    /// If there is no such entry, if it begins with more memory than it may have, or if its data is outside its memory.
    pub fn new(
        program: &Program,
        entry: &str,
        limits: Limits,
        facts: Facts,
        memory: Box<dyn Memory>,
    ) -> Result<Run, Trap> {
        if facts.arguments.len() > RESPONSE_LEN_MAX {
            return Err(Trap::TextTooLong { import: "arguments", limit: RESPONSE_LEN_MAX });
        }
        let no_entry = || Trap::NoEntry { name: shown(entry, NAME_LEN_MAX) };
        if !program.has_entry(entry) {
            return Err(no_entry());
        }
        let state = State::new(facts, limits.memory_len_max, memory);
        let mut store = Store::new(program.module().engine(), state);
        store.limiter(|state| &mut state.growth);
        let instance = program.linker().instantiate_and_start(&mut store, program.module());
        let instance = instance.map_err(|error| {
            let refusal = store.data_mut().growth.take_refusal();
            refusal.unwrap_or_else(|| Trap::of(&error, limits.fuel_max))
        })?;
        let entry = instance.get_func(&store, entry).ok_or_else(no_entry)?;
        let memory = instance.get_memory(&store, MEMORY);
        let state = store.data_mut();
        state.memory = memory;
        let fuel_used = state.growth.begin() as u64 / ZERO_BYTES_PER_FUEL;
        Ok(Run { store, entry, at: At::Beginning, fuel_used, fuel_max: limits.fuel_max })
    }

    /// Goes on until it has used so much fuel, or asks for something, or ends. A step may use more than `fuel`: as much
    /// as its next instructions need that are not interrupted, or what the last import costs.
    pub fn step(&mut self, fuel: u64) -> Step {
        let at = mem::replace(&mut self.at, At::Ended);
        let needed = match &at {
            At::Paused(call) => call.required_fuel(),
            _ => 0,
        };
        let slice = fuel.max(needed).min(self.fuel_max.saturating_sub(self.fuel_used));
        if self.fuel_used > self.fuel_max {
            return Step::Trap(self.out_of_fuel());
        }
        let executed = self.execute(at, slice);
        self.settle(slice);
        // What an import has cost is known only now.
        if self.fuel_used > self.fuel_max {
            return Step::Trap(self.out_of_fuel());
        }
        match executed {
            Err(Interrupted::NotRunnable) => Step::Trap(Trap::NotRunnable),
            // An import that could not be gone on with has still said why it left.
            Err(Interrupted::Failed(error)) => match self.store.data_mut().exit.take() {
                Some(Exit::Trap(trap)) => Step::Trap(trap),
                Some(Exit::Sleep(until)) => Step::Sleep(until),
                Some(Exit::Wait { mailbox, until }) => Step::Wait { mailbox, until },
                _ => Step::Trap(Trap::of(&error, self.fuel_max)),
            },
            Ok(ResumableCall::Finished) => Step::Done(self.store.data_mut().result.take()),
            Ok(ResumableCall::OutOfFuel(call)) => self.pause(call),
            Ok(ResumableCall::HostTrap(call)) => self.left(call),
        }
    }

    /// The answer to what [`Step::Call`] asked for. Does nothing if nothing was asked for.
    pub fn answer(&mut self, answer: Answer) {
        match mem::replace(&mut self.at, At::Ended) {
            At::Asked(call) => {
                let state = self.store.data_mut();
                let returned = match answer {
                    Answer::Done(time_micros) => {
                        state.time_micros = time_micros;
                        None
                    }
                    Answer::Nothing => {
                        state.response = Arc::from([]);
                        Some(-1)
                    }
                    Answer::Response(_) | Answer::Bytes(_) | Answer::Failed(_) => {
                        let (response, returned) = responded(answer);
                        state.response = response;
                        Some(returned)
                    }
                };
                self.at = At::Answered(call, returned);
            }
            at => self.at = at,
        }
    }

    /// The fuel it has used, with that for the memory it began with.
    pub fn fuel_used(&self) -> u64 {
        self.fuel_used
    }

    fn out_of_fuel(&self) -> Trap {
        Trap::OutOfFuel { limit: self.fuel_max }
    }

    fn execute(&mut self, at: At, slice: u64) -> Result<ResumableCall, Interrupted> {
        self.store.set_fuel(slice).map_err(Interrupted::Failed)?;
        let store = &mut self.store;
        let executed = match at {
            At::Beginning => self.entry.call_resumable(store, &[], &mut []),
            At::Paused(call) => call.resume(store, &mut []),
            At::Answered(call, None) => call.resume(store, &[], &mut []),
            At::Answered(call, Some(returned)) => call.resume(store, &[Val::I32(returned)], &mut []),
            At::Asked(_) | At::Ended => return Err(Interrupted::NotRunnable),
        };
        executed.map_err(Interrupted::Failed)
    }

    /// Counts what was used of a slice and besides.
    fn settle(&mut self, slice: u64) {
        let left = self.store.get_fuel().unwrap_or(0);
        let owed = mem::take(&mut self.store.data_mut().fuel_owed);
        self.fuel_used = self.fuel_used.saturating_add(slice.saturating_sub(left)).saturating_add(owed);
    }

    fn pause(&mut self, call: ResumableCallOutOfFuel) -> Step {
        if self.fuel_used.saturating_add(call.required_fuel()) > self.fuel_max {
            return Step::Trap(self.out_of_fuel());
        }
        self.at = At::Paused(call);
        Step::Yield
    }

    fn left(&mut self, call: ResumableCallHostTrap) -> Step {
        match self.store.data_mut().exit.take() {
            Some(Exit::Call(asked)) => {
                self.at = match asked {
                    Call::Sql { .. } | Call::Step { .. } | Call::StepDone { .. } | Call::File(_) => {
                        At::Asked(call)
                    }
                    Call::Log { .. } => At::Answered(call, None),
                };
                Step::Call(asked)
            }
            Some(Exit::Sleep(until)) => Step::Sleep(until),
            Some(Exit::Wait { mailbox, until }) => Step::Wait { mailbox, until },
            Some(Exit::Trap(trap)) => Step::Trap(trap),
            None => Step::Trap(Trap::of(call.host_error(), self.fuel_max)),
        }
    }
}

enum Interrupted {
    NotRunnable,
    Failed(Error),
}

/// The response that an answer is, and what the import returns.
fn responded(answer: Answer) -> (Arc<[u8]>, i32) {
    let answer = match answer {
        Answer::Response(response) if response.len() > RESPONSE_LEN_MAX => Err(alloc::format!(
            "the response has {} bytes: {RESPONSE_LEN_MAX} at most, so ask for fewer rows at a time",
            response.len()
        )),
        Answer::Response(response) => Ok(response.into_bytes()),
        Answer::Bytes(bytes) => Ok(bytes),
        Answer::Failed(error) => Err(error),
        Answer::Nothing | Answer::Done(_) => Ok(Vec::new()),
    };
    match answer {
        Ok(response) => {
            let returned = length(&response);
            (response.into(), returned)
        }
        Err(error) => {
            let error = if error.is_empty() { "the statement failed" } else { &error };
            let error = crate::text::cut(error, RESPONSE_LEN_MAX);
            (error.as_bytes().into(), -length(error.as_bytes()))
        }
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("fuel_used", &self.fuel_used).finish_non_exhaustive()
    }
}
