//! What belongs to one run besides what it executes: what the imports see, and what it pays for.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use wasmi::ResourceLimiter;
use wasmi::errors::MemoryError;
use wasmi_core::LimiterError;

use crate::limits::TABLE_ELEMENTS_MAX;
use crate::{Call, Facts, Memory, Trap};

/// Why the interpreter was left in the middle of an import.
#[derive(Debug)]
pub(crate) enum Exit {
    Call(Call),
    Sleep(i64),
    Wait { mailbox: String, until: i64 },
    Trap(Trap),
}

pub(crate) struct State {
    /// The program's memory, once it has been made. Imports run later only, as there is no start function.
    pub(crate) memory: Option<wasmi::Memory>,
    pub(crate) arguments: Arc<[u8]>,
    pub(crate) response: Arc<[u8]>,
    pub(crate) result: Option<String>,
    pub(crate) time_micros: i64,
    pub(crate) random: ChaCha8Rng,
    /// Set by the import that leaves the interpreter.
    pub(crate) exit: Option<Exit>,
    /// Fuel that imports have used and that the slice did not have.
    pub(crate) fuel_owed: u64,
    pub(crate) growth: Growth,
}

impl State {
    pub(crate) fn new(facts: Facts, memory_len_max: usize, payer: Box<dyn Memory>) -> State {
        State {
            memory: None,
            arguments: facts.arguments.into_bytes().into(),
            response: Arc::from([]),
            result: None,
            time_micros: facts.time_micros,
            random: ChaCha8Rng::seed_from_u64(facts.seed),
            exit: None,
            fuel_owed: 0,
            growth: Growth {
                payer,
                limit: memory_len_max,
                granted: 0,
                len: 0,
                elements: 0,
                begun: false,
                refusal: None,
            },
        }
    }
}

/// Says how much memory and how many elements a run may have.
pub(crate) struct Growth {
    payer: Box<dyn Memory>,
    limit: usize,
    /// What the payer has agreed to. It may be more than there is: a program that had not enough fuel left in its slice
    /// to grow its memory does so in the next, and nobody is asked twice.
    granted: usize,
    /// The bytes there are, as far as the interpreter has said.
    len: usize,
    /// Of all tables.
    elements: usize,
    /// Whether the program has all that it begins with.
    begun: bool,
    /// Why it does not get what it begins with.
    refusal: Option<Trap>,
}

impl Growth {
    /// The program has all that it begins with. Returns the bytes of its memory.
    pub(crate) fn begin(&mut self) -> usize {
        self.begun = true;
        self.granted
    }

    pub(crate) fn take_refusal(&mut self) -> Option<Trap> {
        self.refusal.take()
    }

    fn refuse(&mut self, trap: Trap) -> Result<bool, LimiterError> {
        // To a program that runs, memory.grow says no more than that there was none.
        if !self.begun {
            self.refusal = Some(trap);
        }
        Ok(false)
    }
}

impl ResourceLimiter for Growth {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool, LimiterError> {
        self.len = current;
        if desired > self.limit {
            return self.refuse(Trap::OutOfMemory { len: desired, limit: self.limit });
        }
        if desired > self.granted {
            if !self.payer.resize(desired) {
                // A program that is told so might do something else than it does where there is enough.
                self.refusal = Some(Trap::MemoryRefused);
                return Err(LimiterError::ResourceLimiterDeniedAllocation);
            }
            self.granted = desired;
        }
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: &MemoryError) -> Result<(), LimiterError> {
        // Without fuel it is tried again; without memory it is not.
        if !matches!(error, MemoryError::OutOfFuel { .. }) {
            self.granted = self.len;
            // To have less is never refused.
            let _ = self.payer.resize(self.len);
        }
        Ok(())
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool, LimiterError> {
        // Tables that grow are refused altogether: wasmi 2.0 goes on at the wrong instruction if fuel ends there.
        if self.begun {
            return Ok(false);
        }
        self.elements = self.elements.saturating_add(desired);
        if self.elements > TABLE_ELEMENTS_MAX {
            return self.refuse(Trap::TableTooLong);
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        // As many as a module may declare.
        usize::MAX
    }

    fn memories(&self) -> usize {
        1
    }
}
