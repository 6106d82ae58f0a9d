//! The functions of module "relix", as programs call them.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::fmt;

use rand_chacha::rand_core::Rng;
use wasmi::errors::HostError;
use wasmi::{Caller, Engine, Error, Linker, ValType};

use crate::limits::{
    CALL_FUEL, CALLED_LEN_MAX, LOG_LEN_MAX, MESSAGE_LEN_MAX, PARAMETERS_LEN_MAX, PATH_LEN_MAX, PIECE_LEN_MAX,
    RESULT_LEN_MAX, SQL_LEN_MAX, TEXT_BYTES_PER_FUEL,
};
use crate::state::{Exit, State};
use crate::text::cut_utf8;
use crate::{Call, FileCall, Grant, LogLevel, Trap};

/// The module that all of them are in.
pub(crate) const MODULE: &str = "relix";

/// A function that can be imported.
pub(crate) struct Import {
    pub(crate) name: &'static str,
    pub(crate) parameters: &'static [ValType],
    pub(crate) results: &'static [ValType],
    /// What it needs, if not everybody may call it.
    pub(crate) grant: Option<Grant>,
}

const fn import(
    name: &'static str,
    parameters: &'static [ValType],
    results: &'static [ValType],
    grant: Option<Grant>,
) -> Import {
    Import { name, parameters, results, grant }
}

const I32: ValType = ValType::I32;
const I64: ValType = ValType::I64;

/// All of them.
pub(crate) const IMPORTS: [Import; 17] = [
    import("arguments", &[], &[I32], None),
    import("response_read", &[I32, I32, I32], &[I32], None),
    import("result", &[I32, I32], &[], None),
    import("fail", &[I32, I32], &[], None),
    import("sql", &[I32, I32, I32, I32], &[I32], Some(Grant::Sql)),
    import("log", &[I32, I32, I32], &[], Some(Grant::Log)),
    import("time", &[], &[I64], Some(Grant::Time)),
    import("random", &[], &[I64], Some(Grant::Random)),
    import("sleep_until", &[I64], &[], Some(Grant::Sleep)),
    import("wait_for", &[I32, I32, I64], &[], Some(Grant::Sleep)),
    import("step", &[I32, I32], &[I32], Some(Grant::Sql)),
    import("step_done", &[I32, I32], &[], Some(Grant::Sql)),
    import("file_read", &[I32, I32, I64, I32], &[I32], Some(Grant::Files)),
    import("file_write", &[I32, I32, I64, I32, I32], &[I32], Some(Grant::Files)),
    import("file_remove", &[I32, I32], &[I32], Some(Grant::Files)),
    import("file_rename", &[I32, I32, I32, I32], &[I32], Some(Grant::Files)),
    import("file_mkdir", &[I32, I32], &[I32], Some(Grant::Files)),
];

impl Import {
    pub(crate) fn named(name: &str) -> Option<&'static Import> {
        IMPORTS.iter().find(|import| import.name == name)
    }
}

/// As in `(i32, i32) -> i32`.
impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, types: &[ValType]| {
            types.iter().enumerate().try_for_each(|(index, valtype)| {
                let comma = if index == 0 { "" } else { ", " };
                write!(f, "{comma}{}", if *valtype == I64 { "i64" } else { "i32" })
            })
        };
        f.write_str("(")?;
        list(f, self.parameters)?;
        f.write_str(")")?;
        if !self.results.is_empty() {
            f.write_str(" -> ")?;
            list(f, self.results)?;
        }
        Ok(())
    }
}

/// What an import returns to leave the interpreter: why, says [`State::exit`].
#[derive(Debug)]
pub(crate) struct Left;

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an import left the interpreter")
    }
}

impl HostError for Left {}

/// A text that a program points at.
#[derive(Clone, Copy)]
struct Pointer {
    import: &'static str,
    start: u32,
    len: u32,
}

impl Pointer {
    /// The bytes, if all of them are in its memory.
    fn bytes(self, memory: &[u8]) -> Result<&[u8], Trap> {
        // u64 holds the sum of any two of them.
        let (start, end) = (u64::from(self.start), u64::from(self.start) + u64::from(self.len));
        let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
        let bytes = range.and_then(|(start, end)| memory.get(start..end));
        bytes.ok_or(Trap::BadPointer { import: self.import })
    }
}

/// A call of an import: pays for itself, reads texts, writes bytes, leaves.
struct Guest<'a>(Caller<'a, State>);

impl Guest<'_> {
    /// Takes what a call and so many bytes cost. What the slice has not is owed: an import that has begun cannot be
    /// interrupted, and the next block of instructions finds that there is no fuel.
    fn pay(&mut self, bytes: u64) -> Result<(), Error> {
        let fuel = CALL_FUEL + bytes / TEXT_BYTES_PER_FUEL;
        let left = self.0.get_fuel()?;
        let paid = left.min(fuel);
        self.0.set_fuel(left - paid)?;
        self.0.data_mut().fuel_owed += fuel - paid;
        Ok(())
    }

    fn leave(&mut self, exit: Exit) -> Error {
        self.0.data_mut().exit = Some(exit);
        Error::host(Left)
    }

    /// The memory and the state, to be used at once.
    fn memory(&mut self) -> (&mut [u8], &mut State) {
        match self.0.data().memory {
            Some(memory) => memory.data_and_store_mut(&mut self.0),
            None => (&mut [], self.0.data_mut()),
        }
    }

    fn refuse_to(&mut self, trap: Trap) -> Error {
        self.leave(Exit::Trap(trap))
    }

    /// A whole text of so many bytes at most.
    fn text(&mut self, pointer: Pointer, len_max: usize) -> Result<String, Error> {
        let import = pointer.import;
        let read = |memory: &[u8]| {
            let bytes = pointer.bytes(memory)?;
            if bytes.len() > len_max {
                return Err(Trap::TextTooLong { import, limit: len_max });
            }
            core::str::from_utf8(bytes).map(ToString::to_string).map_err(|_| Trap::TextNotUtf8 { import })
        };
        let text = read(self.memory().0);
        text.map_err(|trap| self.refuse_to(trap))
    }

    /// The beginning of a text, of so many bytes at most. What is cut off may be anything.
    fn beginning(&mut self, pointer: Pointer, len_max: usize) -> Result<String, Error> {
        let import = pointer.import;
        let read = |memory: &[u8]| {
            let bytes = pointer.bytes(memory)?;
            cut_utf8(bytes, len_max).map(ToString::to_string).ok_or(Trap::TextNotUtf8 { import })
        };
        let text = read(self.memory().0);
        text.map_err(|trap| self.refuse_to(trap))
    }
}

/// The length of a response, as a program sees it.
pub(crate) fn length(response: &[u8]) -> i32 {
    // Responses are not that long: see limits.
    i32::try_from(response.len()).unwrap_or(i32::MAX)
}

fn arguments(caller: Caller<'_, State>) -> Result<i32, Error> {
    let mut guest = Guest(caller);
    guest.pay(0)?;
    let state = guest.0.data_mut();
    state.response = Arc::clone(&state.arguments);
    Ok(length(&state.response))
}

fn response_read(caller: Caller<'_, State>, into: u32, offset: u32, len: u32) -> Result<i32, Error> {
    let mut guest = Guest(caller);
    let response = Arc::clone(&guest.0.data().response);
    let offset = usize::try_from(offset).unwrap_or(usize::MAX).min(response.len());
    let rest = &response[offset..];
    let read = &rest[..rest.len().min(usize::try_from(len).unwrap_or(usize::MAX))];
    guest.pay(read.len() as u64)?;
    let memory = guest.memory().0;
    let start = usize::try_from(into).ok();
    let target = start.and_then(|start| memory.get_mut(start..)?.get_mut(..read.len()));
    let Some(target) = target else {
        return Err(guest.refuse_to(Trap::BadPointer { import: "response_read" }));
    };
    target.copy_from_slice(read);
    // No longer than the response.
    Ok(i32::try_from(read.len()).unwrap_or(i32::MAX))
}

fn result(caller: Caller<'_, State>, start: u32, len: u32) -> Result<(), Error> {
    let mut guest = Guest(caller);
    guest.pay(u64::from(len).min(RESULT_LEN_MAX as u64))?;
    let text = guest.text(Pointer { import: "result", start, len }, RESULT_LEN_MAX)?;
    guest.0.data_mut().result = Some(text);
    Ok(())
}

fn fail(caller: Caller<'_, State>, start: u32, len: u32) -> Result<(), Error> {
    let mut guest = Guest(caller);
    guest.pay(u64::from(len).min(MESSAGE_LEN_MAX as u64))?;
    let message = guest.beginning(Pointer { import: "fail", start, len }, MESSAGE_LEN_MAX)?;
    Err(guest.refuse_to(Trap::Failed { message }))
}

fn sql(
    caller: Caller<'_, State>,
    text: u32,
    text_len: u32,
    parameters: u32,
    parameters_len: u32,
) -> Result<i32, Error> {
    let mut guest = Guest(caller);
    let bytes = u64::from(text_len).min(SQL_LEN_MAX as u64);
    guest.pay(bytes + u64::from(parameters_len).min(PARAMETERS_LEN_MAX as u64))?;
    let text = guest.text(Pointer { import: "sql", start: text, len: text_len }, SQL_LEN_MAX)?;
    let parameters = Pointer { import: "sql", start: parameters, len: parameters_len };
    let parameters = guest.text(parameters, PARAMETERS_LEN_MAX)?;
    Err(guest.leave(Exit::Call(Call::Sql { text, parameters })))
}

fn log(caller: Caller<'_, State>, level: i32, start: u32, len: u32) -> Result<(), Error> {
    let mut guest = Guest(caller);
    guest.pay(u64::from(len).min(LOG_LEN_MAX as u64))?;
    let text = guest.beginning(Pointer { import: "log", start, len }, LOG_LEN_MAX)?;
    let level = match level {
        0 => LogLevel::Error,
        1 => LogLevel::Warn,
        2 => LogLevel::Info,
        _ => LogLevel::Debug,
    };
    Err(guest.leave(Exit::Call(Call::Log { level, text })))
}

fn time(caller: Caller<'_, State>) -> Result<i64, Error> {
    let mut guest = Guest(caller);
    guest.pay(0)?;
    Ok(guest.0.data().time_micros)
}

fn random(caller: Caller<'_, State>) -> Result<i64, Error> {
    let mut guest = Guest(caller);
    guest.pay(0)?;
    Ok(guest.0.data_mut().random.next_u64().cast_signed())
}

fn sleep_until(caller: Caller<'_, State>, micros: i64) -> Result<(), Error> {
    let mut guest = Guest(caller);
    guest.pay(0)?;
    Err(guest.leave(Exit::Sleep(micros)))
}

fn wait_for(caller: Caller<'_, State>, start: u32, len: u32, until: i64) -> Result<(), Error> {
    let mut guest = Guest(caller);
    guest.pay(u64::from(len).min(CALLED_LEN_MAX as u64))?;
    let mailbox = guest.text(Pointer { import: "wait_for", start, len }, CALLED_LEN_MAX)?;
    Err(guest.leave(Exit::Wait { mailbox, until }))
}

fn step(caller: Caller<'_, State>, start: u32, len: u32) -> Result<i32, Error> {
    let mut guest = Guest(caller);
    guest.pay(u64::from(len).min(CALLED_LEN_MAX as u64))?;
    let name = guest.text(Pointer { import: "step", start, len }, CALLED_LEN_MAX)?;
    Err(guest.leave(Exit::Call(Call::Step { name })))
}

fn step_done(caller: Caller<'_, State>, start: u32, len: u32) -> Result<(), Error> {
    let mut guest = Guest(caller);
    guest.pay(u64::from(len).min(RESULT_LEN_MAX as u64))?;
    let result = guest.text(Pointer { import: "step_done", start, len }, RESULT_LEN_MAX)?;
    Err(guest.leave(Exit::Call(Call::StepDone { result })))
}

impl Guest<'_> {
    fn path(&mut self, import: &'static str, start: u32, len: u32) -> Result<String, Error> {
        self.pay(u64::from(len).min(PATH_LEN_MAX as u64))?;
        self.text(Pointer { import, start, len }, PATH_LEN_MAX)
    }

    /// Asks for something to be done with files.
    fn ask(mut self, call: FileCall) -> Error {
        self.leave(Exit::Call(Call::File(call)))
    }
}

fn file_read(caller: Caller<'_, State>, start: u32, len: u32, offset: i64, count: u32) -> Result<i32, Error> {
    let mut guest = Guest(caller);
    let path = guest.path("file_read", start, len)?;
    // There is nothing before the first byte, as there is nothing behind the last.
    let offset = u64::try_from(offset).unwrap_or(u64::MAX);
    let len = usize::try_from(count).unwrap_or(usize::MAX).min(PIECE_LEN_MAX);
    guest.pay(len as u64)?;
    Err(guest.ask(FileCall::Read { path, offset, len }))
}

fn file_write(
    caller: Caller<'_, State>,
    start: u32,
    len: u32,
    offset: i64,
    from: u32,
    count: u32,
) -> Result<i32, Error> {
    let mut guest = Guest(caller);
    let path = guest.path("file_write", start, len)?;
    guest.pay(u64::from(count).min(PIECE_LEN_MAX as u64))?;
    let pointer = Pointer { import: "file_write", start: from, len: count };
    let bytes = match pointer.bytes(guest.memory().0) {
        Ok(bytes) if bytes.len() > PIECE_LEN_MAX => {
            Err(Trap::TextTooLong { import: "file_write", limit: PIECE_LEN_MAX })
        }
        bytes => bytes.map(<[u8]>::to_vec),
    };
    let bytes = bytes.map_err(|trap| guest.refuse_to(trap))?;
    let offset = u64::try_from(offset).ok();
    Err(guest.ask(FileCall::Write { path, offset, bytes }))
}

fn file_remove(caller: Caller<'_, State>, start: u32, len: u32) -> Result<i32, Error> {
    let mut guest = Guest(caller);
    let path = guest.path("file_remove", start, len)?;
    Err(guest.ask(FileCall::Remove { path }))
}

fn file_rename(caller: Caller<'_, State>, start: u32, len: u32, to: u32, to_len: u32) -> Result<i32, Error> {
    let mut guest = Guest(caller);
    let path = guest.path("file_rename", start, len)?;
    let to = guest.path("file_rename", to, to_len)?;
    Err(guest.ask(FileCall::Rename { path, to }))
}

fn file_mkdir(caller: Caller<'_, State>, start: u32, len: u32) -> Result<i32, Error> {
    let mut guest = Guest(caller);
    let path = guest.path("file_mkdir", start, len)?;
    Err(guest.ask(FileCall::MakeDirectory { path }))
}

/// All of them, for the interpreter.
pub(crate) fn linker(engine: &Engine) -> Result<Linker<State>, Error> {
    let mut linker = Linker::new(engine);
    linker.func_wrap(MODULE, "arguments", arguments)?;
    linker.func_wrap(MODULE, "response_read", response_read)?;
    linker.func_wrap(MODULE, "result", result)?;
    linker.func_wrap(MODULE, "fail", fail)?;
    linker.func_wrap(MODULE, "sql", sql)?;
    linker.func_wrap(MODULE, "log", log)?;
    linker.func_wrap(MODULE, "time", time)?;
    linker.func_wrap(MODULE, "random", random)?;
    linker.func_wrap(MODULE, "sleep_until", sleep_until)?;
    linker.func_wrap(MODULE, "wait_for", wait_for)?;
    linker.func_wrap(MODULE, "step", step)?;
    linker.func_wrap(MODULE, "step_done", step_done)?;
    linker.func_wrap(MODULE, "file_read", file_read)?;
    linker.func_wrap(MODULE, "file_write", file_write)?;
    linker.func_wrap(MODULE, "file_remove", file_remove)?;
    linker.func_wrap(MODULE, "file_rename", file_rename)?;
    linker.func_wrap(MODULE, "file_mkdir", file_mkdir)?;
    Ok(linker)
}
