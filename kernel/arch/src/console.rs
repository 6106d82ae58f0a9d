//! The serial console: levelled lines with time and node, and a raw path for a dying kernel.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use drivers_api::{Instant, Level};
use kernel_core::Lines;
use spin::Mutex;
use x86_64::instructions::port::Port;

use crate::clock;

/// COM1: what QEMU connects to `-serial`.
const BASE: u16 = 0x3f8;
/// Characters the transmitter's FIFO takes at once.
const FIFO_LEN: usize = 16;
/// How often the transmitter is asked before a character is given up: a missing UART must not hang us.
const ATTEMPTS_MAX: u32 = 100_000;

static SERIAL: Mutex<Serial> = Mutex::new(Serial { room: 0 });
/// What the kernel has said, for the node to keep.
static SAID: Mutex<Lines> = Mutex::new(Lines::new());
static NODE: AtomicU32 = AtomicU32::new(0);
static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);

struct Serial {
    /// Characters the FIFO still takes without being asked.
    room: usize,
}

impl Serial {
    fn write_register(&mut self, register: u16, value: u8) {
        // SAFETY: COM1's registers; writing them touches no memory.
        unsafe { Port::new(BASE + register).write(value) }
    }

    fn read_register(&mut self, register: u16) -> u8 {
        // SAFETY: COM1's registers; reading them touches no memory.
        unsafe { Port::new(BASE + register).read() }
    }

    fn init(&mut self) {
        self.write_register(1, 0x00); // no interrupts
        self.write_register(3, 0x80); // divisor
        self.write_register(0, 0x01); // 115200 baud
        self.write_register(1, 0x00);
        self.write_register(3, 0x03); // 8 bits, no parity, one stop bit
        self.write_register(2, 0x07); // FIFO on and empty
        self.write_register(4, 0x03); // terminal and request ready
    }

    fn put(&mut self, byte: u8) {
        if self.room == 0 {
            // Bit 5: the FIFO is empty and takes 16.
            if (0..ATTEMPTS_MAX).all(|_| self.read_register(5) & 0x20 == 0) {
                return;
            }
            self.room = FIFO_LEN;
        }
        self.room -= 1;
        self.write_register(0, byte);
    }
}

impl Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                self.put(b'\r');
            }
            self.put(byte);
        }
        Ok(())
    }
}

/// Sets the UART up. Call it first, so that everything later can be read about.
pub fn init() {
    SERIAL.lock().init();
}

/// The node named in every line from now on; lines less severe than `level` are dropped.
pub fn configure(node: u32, level: Level) {
    NODE.store(node, Ordering::Relaxed);
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// Prints one line of the kernel's: time since boot, node, level, text. The node is told of it.
pub fn log(level: Level, line: fmt::Arguments<'_>) {
    // Whoever is interrupted while it holds them is not waited for.
    if level <= Level::Info
        && let Some(mut said) = SAID.try_lock()
    {
        said.note(clock::now(), level, line);
    }
    print(level, line);
}

fn print(level: Level, line: fmt::Arguments<'_>) {
    if level as u8 <= LEVEL.load(Ordering::Relaxed) {
        write_line(&mut SERIAL.lock(), level, line);
    }
}

fn write_line(serial: &mut Serial, level: Level, line: fmt::Arguments<'_>) {
    let micros = clock::now().as_micros();
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let node = NODE.load(Ordering::Relaxed);
    let _ = writeln!(serial, "[{seconds:5}.{micros:06}] n{node} {} {line}", level.label());
}

/// Prints a line of a dying kernel: never waits for whoever holds the console, and never drops it.
pub(crate) fn log_fatal(line: fmt::Arguments<'_>) {
    match SERIAL.try_lock() {
        Some(mut serial) => write_line(&mut serial, Level::Error, line),
        None => write_line(&mut Serial { room: 0 }, Level::Error, line),
    }
}

/// The console as a node sees it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SerialConsole;

impl drivers_api::Console for SerialConsole {
    fn log(&mut self, level: Level, line: fmt::Arguments<'_>) {
        print(level, line);
    }

    fn said(&mut self, take: &mut dyn FnMut(Instant, Level, &str)) {
        while let Some(line) = SAID.try_lock().and_then(|mut said| said.take(clock::now())) {
            take(line.at, line.level, &line.text);
        }
    }
}
