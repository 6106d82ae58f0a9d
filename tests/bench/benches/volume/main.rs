//! Many rows in a whole cluster, beside embedded stores of others on the same disk.
//!
//! `cargo bench -p tests-bench --bench volume -- --only volume [--rows N] [--stores relix,sqlite,redb]`, or
//! `RELIX_BENCH_ROWS=N`. Five million rows of 208 bytes, without, which is a gigabyte and takes long.
//!
//! Rows come in random order. Three nodes get them by `COPY` over the Postgres protocol, a statement for each batch, which
//! is durable on two disks before the next; the others get each batch in one transaction, durable before the next. Each
//! store has 64 MiB of memory. Beside the load, one more client commits a row of another table at a time.

mod cluster;
mod peers;
mod rows;
mod system;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rows::{ROW_LEN, Row, Rows};
use tests_bench::chance::scramble;

/// Rows of one transaction: two megabytes.
const BATCH_ROWS: u64 = 10_000;

/// Memory of a store.
const MEMORY_MIB: usize = 64;

/// How long each kind of read is measured.
const READS_FOR: Duration = Duration::from_secs(4);

/// Rows that lie together, and are read when what is read is to be in memory: two megabytes.
const NEAR_ROWS: u64 = 10_000;

/// So many clients at once, beside one.
const CLIENTS: usize = 64;

/// Rows that one statement asks for by their keys.
const KEYS_PER_STATEMENT: usize = 100;

/// Clients that ask for so many at a time.
const LIST_CLIENTS: usize = 8;

/// A store.
trait Subject: Sync {
    fn name(&self) -> &'static str;
    /// Stores these rows in one transaction, durably.
    fn load(&self, rows: &[Row]);
    /// Stores one row of another table, durably.
    fn write_one(&self, number: i64);
    /// Waits until everything is done that is to be done after loading.
    fn settle(&self);
    /// Bytes written so far, for one copy of the rows.
    fn written(&self) -> u64;
    /// Bytes of the disk that one copy of the rows takes: as the file system says, and those that are in use, if the store
    /// tells.
    fn size(&self) -> (u64, Option<u64>);
    /// Ends it, drops what the system has cached of its files, starts it again, and reads a row: how long from the start.
    fn restart(&mut self, key: i64) -> Duration;
    /// Rows a second that so many clients read, each the next of `keys` by its own number.
    fn read(&self, clients: usize, keys: &(dyn Fn(u64) -> i64 + Sync)) -> f64;
    /// The same, with [`KEYS_PER_STATEMENT`] keys in each statement.
    fn read_lists(&self, clients: usize, keys: &(dyn Fn(u64) -> i64 + Sync)) -> f64;
    /// Rows, and bytes of their bodies, of everything.
    fn scan(&self) -> (u64, u64);
}

/// The keys of a statement by its number.
fn list_of(keys: &(dyn Fn(u64) -> i64 + Sync), number: u64) -> Vec<i64> {
    let first = number * KEYS_PER_STATEMENT as u64;
    (first..).take(KEYS_PER_STATEMENT).map(keys).collect()
}

/// The condition of such a statement, with `mark` before the number of each key.
fn list_condition(mark: char) -> String {
    let places: Vec<String> = (1..=KEYS_PER_STATEMENT).map(|place| format!("{mark}{place}")).collect();
    format!("id IN ({})", places.join(", "))
}

/// The small writer rests after each commit: else a store whose writers wait for each other would do little but serve it.
const SMALL_PAUSE: Duration = Duration::from_millis(20);

/// What the small writer has met: its commits, and how long half and all but one in a thousand took at most.
struct Commits {
    count: usize,
    p50: Duration,
    p999: Duration,
}

fn commit_until(subject: &dyn Subject, is_over: &AtomicBool) -> Commits {
    let mut latencies = Vec::new();
    for number in 0.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let begun = Instant::now();
        subject.write_one(number);
        latencies.push(begun.elapsed());
        std::thread::sleep(SMALL_PAUSE);
    }
    latencies.sort();
    let at =
        |share: f64| latencies.get((latencies.len() as f64 * share) as usize).copied().unwrap_or_default();
    Commits { count: latencies.len(), p50: at(0.5), p999: at(0.999) }
}

fn run(subject: &mut dyn Subject, rows: &Rows) {
    let len = (rows.count * ROW_LEN) as f64;
    let is_over = AtomicBool::new(false);
    let before = subject.written();
    let started = Instant::now();
    let shared = &*subject;
    let (loaded, settled, commits) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| commit_until(shared, &is_over));
        for first in (0..rows.count).step_by(BATCH_ROWS as usize) {
            let batch: Vec<Row> =
                (first..rows.count.min(first + BATCH_ROWS)).map(|at| rows.row(at)).collect();
            shared.load(&batch);
        }
        let loaded = started.elapsed();
        is_over.store(true, Ordering::Relaxed);
        let commits = writer.join().expect("the small writer");
        shared.settle();
        (loaded, started.elapsed(), commits)
    });
    let written = (subject.written() - before) as f64 / len;
    let (size, in_use) = subject.size();
    let first_answer = subject.restart(rows.key(7));
    let anywhere = |read: u64| rows.key(scramble(read) % rows.count);
    let near = |read: u64| (rows.count / 2 + scramble(read) % NEAR_ROWS.min(rows.count / 2)) as i64;
    let cold = subject.read(1, &anywhere);
    subject.restart(rows.key(7));
    let cold_many = subject.read(CLIENTS, &anywhere);
    subject.read(1, &near);
    let (warm, warm_many) = (subject.read(1, &near), subject.read(CLIENTS, &near));
    let lists = subject.read_lists(LIST_CLIENTS, &near);
    let begun = Instant::now();
    let (counted, bytes) = subject.scan();
    let scanned = len / 1e6 / begun.elapsed().as_secs_f64();
    assert_eq!((counted, bytes), (rows.count, rows.count * (ROW_LEN - 8)), "every row is there");
    let ms = |took: Duration| took.as_secs_f64() * 1e3;
    println!(
        "{:8} {:>8.0} {:>8.1} {:>8.2} {:>6.2} {:>6} {:>8.0} {cold:>8.0} {cold_many:>8.0} {warm:>8.0} \
         {warm_many:>8.0} {lists:>8.0} {scanned:>6.0} {:>8} {:>7.1} {:>8.1}",
        subject.name(),
        rows.count as f64 / loaded.as_secs_f64(),
        settled.as_secs_f64(),
        written,
        size as f64 / len,
        in_use.map_or("-".into(), |in_use| format!("{:.2}", in_use as f64 / len)),
        ms(first_answer),
        commits.count,
        ms(commits.p50),
        ms(commits.p999),
    );
}

fn print_head() {
    let lines = [
        [
            "", "rows/s", "settled", "written", "size", "in use", "restart", "reads/s", "reads/s", "reads/s",
            "reads/s", "reads/s",
        ],
        [
            "", "loaded", "after s", "x rows", "x rows", "x rows", "ms", "cold 1", "cold 64", "warm 1",
            "warm 64", "lists",
        ],
    ];
    let last = [["scan", "small", "p50", "p99.9"], ["MB/s", "commits", "ms", "ms"]];
    for (line, last) in lines.iter().zip(last) {
        let [name, rows, settled, written, size, in_use, restart, cold, cold_many, warm, warm_many, lists] =
            line;
        let [scan, commits, p50, p999] = last;
        println!(
            "{name:8} {rows:>8} {settled:>8} {written:>8} {size:>6} {in_use:>6} {restart:>8} {cold:>8} \
             {cold_many:>8} {warm:>8} {warm_many:>8} {lists:>8} {scan:>6} {commits:>8} {p50:>7} {p999:>8}"
        );
    }
}

fn empty(directory: &Path) -> PathBuf {
    let _ = std::fs::remove_dir_all(directory);
    std::fs::create_dir_all(directory).expect("a directory for the stores");
    directory.into()
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let value = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    // It takes too long to be one of all.
    if value("--only").is_none_or(|only| only != "volume") {
        return;
    }
    let told = value("--rows").cloned().or_else(|| std::env::var("RELIX_BENCH_ROWS").ok());
    let count = told.map_or(5_000_000, |rows| rows.parse().expect("a number of rows"));
    let wants =
        |name: &str| value("--stores").is_none_or(|stores| stores.split(',').any(|store| store == name));
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("volume");
    let rows = Rows::new(count);
    let load = || std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_string();
    println!(
        "{count} rows of {ROW_LEN} bytes, {BATCH_ROWS} a durable batch in random order, {MEMORY_MIB} MiB of memory"
    );
    println!("Load of the machine before: {}\n", load());
    print_head();
    if wants("relix") {
        run(&mut cluster::Relix::start(), &rows);
    }
    if wants("sqlite") {
        run(&mut peers::Sqlite::new(empty(&directory)), &rows);
    }
    if wants("redb") {
        run(&mut peers::Redb::new(empty(&directory)), &rows);
    }
    println!("\nLoad of the machine after: {}", load());
    let _ = std::fs::remove_dir_all(&directory);
}
