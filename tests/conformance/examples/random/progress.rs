//! A bar on a terminal, now and then a line elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Without a terminal, progress is printed this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How many statements were compared.
pub struct Progress {
    bar: Option<ProgressBar>,
    began: Instant,
    next_line: Instant,
}

impl Progress {
    /// None yet of so many.
    pub fn new(statements: u64) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style =
                ProgressStyle::with_template("{bar:40} {pos}/{len} statements, {per_sec}, {eta} to go");
            ProgressBar::new(statements).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        let began = Instant::now();
        Progress { bar, began, next_line: began + LINE_EVERY }
    }

    /// So many by now.
    pub fn show(&mut self, statements: u64) {
        match &self.bar {
            Some(bar) => bar.set_position(statements),
            None if Instant::now() >= self.next_line => {
                self.next_line += LINE_EVERY;
                println!("{:5} s: {statements} statements", self.began.elapsed().as_secs());
            }
            None => {}
        }
    }

    /// Something that is to stay on the screen.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => println!("{:5} s: {line}", self.began.elapsed().as_secs()),
        }
    }

    /// There is no more.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
