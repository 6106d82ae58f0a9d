//! How far something is: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

/// Without a terminal, progress is printed this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// What takes a while, nobody knows how long: a message that turns.
pub fn spinner(message: &'static str) -> ProgressBar {
    let progress = ProgressBar::new_spinner().with_message(message);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>4} {wide_msg}") {
        progress.set_style(style);
    }
    progress.enable_steady_tick(Duration::from_millis(100));
    progress
}

/// The progress of one step, in bytes and rows.
pub struct Progress {
    bar: Option<ProgressBar>,
    /// What is done, as "sent".
    title: &'static str,
    began: Instant,
    next_line: Instant,
}

impl Progress {
    /// Nothing is done yet of `len` bytes, if that is known.
    pub fn new(title: &'static str, len: Option<u64>) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let (bar, template) = match len {
                Some(len) => (
                    ProgressBar::new(len),
                    "{bar:40} {binary_bytes}/{binary_total_bytes} {prefix}, {binary_bytes_per_sec}, {eta} to go{msg}",
                ),
                None => (
                    ProgressBar::new_spinner(),
                    "{spinner} {binary_bytes} {prefix}, {binary_bytes_per_sec}, {elapsed}{msg}",
                ),
            };
            let style = ProgressStyle::with_template(template);
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())).with_prefix(title)
        });
        let began = Instant::now();
        Progress { bar, title, began, next_line: began + LINE_EVERY }
    }

    /// So much is done by now, and so many rows, if they are counted.
    pub fn show(&mut self, bytes: u64, rows: Option<u64>) {
        let rows = rows.map(|rows| format!(", {} rows", HumanCount(rows))).unwrap_or_default();
        match &self.bar {
            Some(bar) => {
                bar.set_position(bytes);
                bar.set_message(rows);
            }
            None if Instant::now() >= self.next_line => {
                self.next_line += LINE_EVERY;
                let seconds = self.began.elapsed().as_secs();
                eprintln!("{seconds:5} s: {} {}{rows}", HumanBytes(bytes), self.title);
            }
            None => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
