//! The functions that a node lends to a program: raw in here, safe outside.
//!
//! An import is called with pointers into texts that live as long as the call, and reads no further than it is told; so it
//! is safe to call with any text. What it answers is the response, which is copied at once.

/// Declares the imports. Where there is no node, each of them says so.
macro_rules! imports {
    ($(fn $name:ident($($parameter:ident: $type:ty),*) $(-> $output:ty)?;)*) => {
        #[cfg(target_arch = "wasm32")]
        mod node {
            #[link(wasm_import_module = "relix")]
            unsafe extern "C" {
                $(pub(super) fn $name($($parameter: $type),*) $(-> $output)?;)*
            }
        }

        #[cfg(not(target_arch = "wasm32"))]
        mod node {
            $(pub(super) unsafe fn $name($(_: $type),*) $(-> $output)? {
                panic!("{} is there in a node alone: compile for wasm32-unknown-unknown", stringify!($name))
            })*
        }
    };
}

imports! {
    fn arguments() -> i32;
    fn response_read(into: *mut u8, offset: usize, len: usize) -> usize;
    fn result(text: *const u8, text_len: usize);
    fn fail(text: *const u8, text_len: usize) -> !;
    fn sql(text: *const u8, text_len: usize, params: *const u8, params_len: usize) -> i32;
    fn log(level: i32, text: *const u8, text_len: usize);
    fn time() -> i64;
    fn random() -> i64;
    fn sleep_until(micros: i64) -> !;
    fn wait_for(mailbox: *const u8, mailbox_len: usize, micros: i64) -> !;
    fn step(name: *const u8, name_len: usize) -> i32;
    fn step_done(result: *const u8, result_len: usize);
    fn file_read(path: *const u8, path_len: usize, offset: i64, len: usize) -> i32;
    fn file_write(path: *const u8, path_len: usize, offset: i64, bytes: *const u8, len: usize) -> i32;
    fn file_remove(path: *const u8, path_len: usize) -> i32;
    fn file_rename(path: *const u8, path_len: usize, to: *const u8, to_len: usize) -> i32;
    fn file_mkdir(path: *const u8, path_len: usize) -> i32;
}

/// The response, of which the import that gave it has said how long it is.
fn response(len: u32) -> Vec<u8> {
    let mut bytes = vec![0; len as usize];
    // SAFETY: the node writes at most as many bytes as the vector has, all of which are initialised.
    let read = unsafe { node::response_read(bytes.as_mut_ptr(), 0, bytes.len()) };
    bytes.truncate(read);
    bytes
}

/// What an import has answered, by what it returned: a response's length, or minus that of an error.
fn answer(len: i32) -> Result<Vec<u8>, String> {
    match u32::try_from(len) {
        Ok(len) => Ok(response(len)),
        Err(_) => Err(text(response(len.unsigned_abs()))),
    }
}

/// What an import has answered that gives nothing but errors.
fn done(len: i32) -> Result<(), String> {
    if len < 0 { Err(text(response(len.unsigned_abs()))) } else { Ok(()) }
}

/// Bytes that the node says are a text.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The arguments of the run, as JSON.
pub(crate) fn arguments() -> Vec<u8> {
    // SAFETY: it takes nothing.
    let len = unsafe { node::arguments() };
    response(len.unsigned_abs())
}

/// Sets the result of the run.
pub(crate) fn result(text: &str) {
    // SAFETY: pointer and length are of one text, which is only read.
    unsafe { node::result(text.as_ptr(), text.len()) }
}

/// Ends the run as failed.
pub(crate) fn fail(why: &str) -> ! {
    // SAFETY: as for `result`.
    unsafe { node::fail(why.as_ptr(), why.len()) }
}

/// Runs a statement; its parameters are a JSON array.
pub(crate) fn sql(text: &str, params: &str) -> Result<Vec<u8>, String> {
    // SAFETY: as for `result`, of two texts.
    answer(unsafe { node::sql(text.as_ptr(), text.len(), params.as_ptr(), params.len()) })
}

/// Writes a line to the log.
pub(crate) fn log(level: i32, line: &str) {
    // SAFETY: as for `result`.
    unsafe { node::log(level, line.as_ptr(), line.len()) }
}

/// Microseconds since the Unix epoch.
pub(crate) fn time() -> i64 {
    // SAFETY: it takes nothing.
    unsafe { node::time() }
}

/// Random bits.
pub(crate) fn random() -> u64 {
    // SAFETY: it takes nothing.
    unsafe { node::random() }.cast_unsigned()
}

/// Ends the run, to begin again at a time, in microseconds since the Unix epoch.
pub(crate) fn sleep_until(micros: i64) -> ! {
    // SAFETY: it takes no pointers.
    unsafe { node::sleep_until(micros) }
}

/// Ends the run, to begin again with a message or at a time.
pub(crate) fn wait_for(mailbox: &str, micros: i64) -> ! {
    // SAFETY: as for `result`.
    unsafe { node::wait_for(mailbox.as_ptr(), mailbox.len(), micros) }
}

/// Begins a step; what it gave if it was done before.
pub(crate) fn step(name: &str) -> Option<Vec<u8>> {
    // SAFETY: as for `result`.
    let len = unsafe { node::step(name.as_ptr(), name.len()) };
    u32::try_from(len).ok().map(response)
}

/// Ends the step.
pub(crate) fn step_done(result: &str) {
    // SAFETY: as for `result`.
    unsafe { node::step_done(result.as_ptr(), result.len()) }
}

/// Reads a piece of a file.
pub(crate) fn file_read(path: &str, offset: i64, len: usize) -> Result<Vec<u8>, String> {
    // SAFETY: as for `result`; `len` is of the response, not of anything here.
    answer(unsafe { node::file_read(path.as_ptr(), path.len(), offset, len) })
}

/// Writes a piece of a file; behind its end, if the offset is negative.
pub(crate) fn file_write(path: &str, offset: i64, bytes: &[u8]) -> Result<(), String> {
    // SAFETY: each pointer and length are of one slice, which is only read.
    done(unsafe { node::file_write(path.as_ptr(), path.len(), offset, bytes.as_ptr(), bytes.len()) })
}

/// Removes a file or an empty directory.
pub(crate) fn file_remove(path: &str) -> Result<(), String> {
    // SAFETY: as for `result`.
    done(unsafe { node::file_remove(path.as_ptr(), path.len()) })
}

/// Gives a file another path.
pub(crate) fn file_rename(path: &str, to: &str) -> Result<(), String> {
    // SAFETY: as for `result`, of two texts.
    done(unsafe { node::file_rename(path.as_ptr(), path.len(), to.as_ptr(), to.len()) })
}

/// Makes a directory, and those on the way to it.
pub(crate) fn file_mkdir(path: &str) -> Result<(), String> {
    // SAFETY: as for `result`.
    done(unsafe { node::file_mkdir(path.as_ptr(), path.len()) })
}
