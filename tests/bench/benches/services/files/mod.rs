//! Files in tables, beside a file system of the host with fsync, on the same disk.
//!
//! Each operation is durable before the next: in Relix one transaction, on three disks; in the file system a flush of the file
//! and, where names change, one of its directory. Whoever performs them is a thread of its own on either side, in a directory
//! of its own.

mod analytics;
mod relix;
mod system;

use std::ops::Range;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use tests_bench::chance::scramble;
use tests_bench::report::shown;
use tests_bench::spread::Spread;

use crate::subject::Subject;

/// Files that one transaction makes.
const MANY: usize = 200;

/// Bytes of each of them, of a short piece and of a long one.
const SHORT: usize = 4 << 10;
const LONG: usize = 1 << 20;

/// Who work at once, where throughput is measured.
const WORKERS: u64 = 8;

/// How much work a run is.
pub struct Effort {
    /// Operations of each worker, of short ones and of long ones; and when it is not to begin another long one.
    pub short: u64,
    pub long: u64,
    pub long_within: Duration,
    /// Files whose sizes are summed, and how often.
    pub summed: i64,
    pub sums: u64,
}

/// What is done to files, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    /// Makes an empty file.
    Create,
    /// Writes so many new bytes over those of a file, from its beginning.
    Write(usize),
    /// Looks for a file by its name, and reads it: so many bytes.
    Read(usize),
    /// Removes one that was made.
    Remove,
    /// Makes many files with short contents: at once, where that is possible.
    CreateMany,
}

impl Operation {
    fn written_len(self) -> usize {
        match self {
            Operation::Write(length) => length,
            Operation::CreateMany => MANY * SHORT,
            Operation::Create | Operation::Read(_) | Operation::Remove => 0,
        }
    }

    fn read_len(self) -> usize {
        if let Operation::Read(length) = self { length } else { 0 }
    }

    fn is_long(self) -> bool {
        self.written_len().max(self.read_len()) >= MANY * SHORT
    }
}

const OPERATIONS: [(&str, Operation); 7] = [
    ("create", Operation::Create),
    ("write 4 KiB", Operation::Write(SHORT)),
    ("write 1 MiB", Operation::Write(LONG)),
    ("read 4 KiB", Operation::Read(SHORT)),
    ("read 1 MiB", Operation::Read(LONG)),
    ("remove", Operation::Remove),
    ("create 200 of 4 KiB", Operation::CreateMany),
];

/// Who performs operations in a directory of its own.
trait Worker: Sized + Send + 'static {
    /// Where such workers work.
    type Place: Clone + Send + 'static;
    /// Makes the directory of the worker of this number, and in it the files that are written and read.
    fn open(place: &Self::Place, number: u64) -> Result<Self, String>;
    /// Performs one; `number` is different each time, and so are the `bytes` that are to be written. What it has read.
    fn perform(&mut self, operation: Operation, number: u64, bytes: &[u8]) -> Result<Vec<u8>, String>;
    /// What is in the file of its directory that is written.
    fn written(&mut self) -> Result<Vec<u8>, String>;
}

/// What came of an operation: how long it took one worker, and how many of them a few perform in a second.
struct Figures {
    one: Spread,
    per_second: f64,
}

/// Measures and prints.
pub fn measure(subject: &Subject, effort: &Effort) -> Result<(), String> {
    let directory = subject.cluster.dir().join("bench-files");
    std::fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
    let kind = system::kind(&directory);
    let heading = [
        "us an operation".into(),
        "p50".into(),
        "p99".into(),
        format!("{kind} p50"),
        format!("{kind} p99"),
        format!("p50 / {kind}"),
        format!("{WORKERS} at once/s"),
        format!("{kind}/s"),
        format!("of {kind}"),
    ];
    let mut table = vec![heading.to_vec()];
    let (ours, theirs) = analytics::measure(subject, &directory, effort)?;
    let name = format!("sum by owner, {} files", effort.summed);
    table.push(line(&name, &ours, &theirs));
    let mut ours = Side::<relix::Worker>::open(subject.leader())?;
    let mut theirs = Side::<system::Worker>::open(directory)?;
    for (name, operation) in OPERATIONS {
        let (ours, theirs) = (ours.measure(operation, effort)?, theirs.measure(operation, effort)?);
        table.push(line(name, &ours, &theirs));
    }
    subject.print("Files", &table);
    Ok(())
}

fn line(name: &str, ours: &Figures, theirs: &Figures) -> Vec<String> {
    let micros = |figures: &Figures| [figures.one.p50_ms() * 1e3, figures.one.p99_ms() * 1e3];
    let ([p50, p99], [their_p50, their_p99]) = (micros(ours), micros(theirs));
    let numbers = [p50, p99, their_p50, their_p99, p50 / their_p50];
    let rates = [ours.per_second, theirs.per_second, ours.per_second / theirs.per_second];
    let known = |number: f64| Some(number).filter(|number| !number.is_nan());
    std::iter::once(name.into())
        .chain(numbers.into_iter().chain(rates).map(|number| shown(known(number))))
        .collect()
}

/// The workers of one side.
struct Side<W: Worker> {
    workers: Vec<W>,
    /// Numbers of operations that were used.
    used: u64,
    /// The first number of those that made what is there to be removed.
    created: u64,
}

impl<W: Worker> Side<W> {
    fn open(place: W::Place) -> Result<Side<W>, String> {
        let workers = (0..WORKERS).map(|number| W::open(&place, number)).collect::<Result<_, _>>()?;
        Ok(Side { workers, used: 0, created: 0 })
    }

    /// Operations of one worker, then as many of each at once.
    fn measure(&mut self, operation: Operation, effort: &Effort) -> Result<Figures, String> {
        let (count, within) = match operation.is_long() {
            true => (effort.long, effort.long_within),
            false => (effort.short, Duration::MAX),
        };
        // What is removed has the numbers of what was created: those of one worker, then those of all.
        let first = match operation {
            Operation::Remove => self.created,
            _ => self.used,
        };
        if operation == Operation::Create {
            self.created = first;
        }
        let one = self.run(1, operation, first..first + count, within)?;
        let all = self.run(WORKERS as usize, operation, first + count..first + 2 * count, within)?;
        self.used = self.used.max(first + 2 * count);
        Ok(Figures { one: one.iter().map(|performed| performed.took).collect(), per_second: rate(&all) })
    }

    /// The first `workers` perform an operation each with these numbers.
    fn run(
        &mut self,
        workers: usize,
        operation: Operation,
        numbers: Range<u64>,
        within: Duration,
    ) -> Result<Vec<Performed>, String> {
        let begun = Arc::new(Barrier::new(workers));
        let rest = self.workers.split_off(workers);
        let threads: Vec<_> = std::mem::take(&mut self.workers)
            .into_iter()
            .map(|worker| {
                let (begun, numbers) = (begun.clone(), numbers.clone());
                std::thread::spawn(move || repeat(worker, operation, numbers, within, &begun))
            })
            .collect();
        let mut operations = Vec::new();
        for thread in threads {
            let (worker, more) = thread.join().map_err(|_| "a worker panicked".to_string())??;
            self.workers.push(worker);
            operations.extend(more);
        }
        self.workers.extend(rest);
        Ok(operations)
    }
}

/// An operation that was performed.
struct Performed {
    at: Instant,
    took: Duration,
}

/// How many there were a second, from the beginning of the first to the end of the last.
fn rate(all: &[Performed]) -> f64 {
    let first = all.iter().map(|performed| performed.at).min();
    let last = all.iter().map(|performed| performed.at + performed.took).max();
    let elapsed = first.zip(last).map_or(Duration::ZERO, |(first, last)| last - first);
    all.len() as f64 / elapsed.as_secs_f64()
}

/// Performs an operation with each of these numbers.
fn repeat<W: Worker>(
    mut worker: W,
    operation: Operation,
    numbers: Range<u64>,
    within: Duration,
    begun: &Barrier,
) -> Result<(W, Vec<Performed>), String> {
    begun.wait();
    let mut performed = Vec::new();
    let (started, mut last) = (Instant::now(), 0);
    for number in numbers {
        if started.elapsed() > within {
            break;
        }
        last = number;
        // What is written is made, and what was read is looked at, while no clock runs.
        let bytes = contents(number, operation.written_len());
        let at = Instant::now();
        let read = worker.perform(operation, number, &bytes)?;
        performed.push(Performed { at, took: at.elapsed() });
        if read != contents(READ, operation.read_len()) {
            return Err(format!("{operation:?}: a file has other contents"));
        }
    }
    if let Operation::Write(length) = operation
        && worker.written()?[..length] != *contents(last, length)
    {
        return Err(format!("{operation:?}: what is in the file is not what was written"));
    }
    Ok((worker, performed))
}

/// So many bytes, other ones for each number, that cannot be compressed.
fn contents(number: u64, length: usize) -> Vec<u8> {
    let words = (0..length.div_ceil(8) as u64).map(|word| scramble(scramble(number) ^ word));
    let mut bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    bytes.truncate(length);
    bytes
}

/// The number whose contents the file has that is read.
const READ: u64 = u64::MAX;

/// The name of the file that is written.
const WRITTEN_NAME: &str = "written";

/// The name of the file of this length that is read.
fn read_name(length: usize) -> String {
    format!("read-{length}")
}
