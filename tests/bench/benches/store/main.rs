//! What the store's tree does on one disk, beside embedded stores of others: the same rows, in the same order, each
//! batch durable before the next.
//!
//! `cargo bench -p tests-bench --bench store [-- [--quick] [--rows N] [--stores relix,sqlite,redb]]`
//!
//! No SQL, no network, no replication: batches of a thousand rows go to Relix's journal, which is flushed, and from there
//! into its tree; SQLite runs with a write-ahead log and synchronous=FULL, redb with immediate durability. Each gets
//! 64 MiB of cache, and what does not fit there mostly comes from the system's page cache. Opening is that of the tables:
//! Relix's journal is not read again.

mod peers;
mod relix;

use std::path::Path;
use std::time::{Duration, Instant};

use tests_bench::chance::scramble;

/// Rows of one transaction.
const BATCH_ROWS: u64 = 1000;

/// Memory for what was read.
const CACHE_LEN: usize = 64 << 20;

/// Point reads of each kind.
const READS: u64 = 50_000;

type Row = ([u8; 8], Vec<u8>);

/// A store.
trait Engine {
    fn name(&self) -> &'static str;
    /// Stores these rows, durably.
    fn load(&mut self, rows: &[Row]);
    /// Everything that is to be done after loading is done.
    fn settle(&mut self);
    /// Ends it, and opens it again.
    fn reopen(&mut self);
    fn get(&mut self, key: &[u8; 8]) -> Option<usize>;
    /// Rows and bytes, of everything.
    fn scan(&mut self) -> (u64, u64);
    /// Bytes written so far, if it knows.
    fn written(&self) -> Option<u64>;
    /// Bytes of the disk that rows take.
    fn size(&self) -> u64;
}

struct Options {
    rows: u64,
    is_random: bool,
}

impl Options {
    fn key(&self, number: u64) -> [u8; 8] {
        if self.is_random { scramble(number).to_be_bytes() } else { number.to_be_bytes() }
    }

    /// 200 bytes, of which half are drawn and half are words.
    fn row(&self, number: u64) -> Row {
        let mut value = Vec::with_capacity(200);
        (0..12).for_each(|part| value.extend(scramble(number ^ part << 48).to_le_bytes()));
        while value.len() < 200 {
            let words = [&b"large_airport,"[..], b"closed,", b"small_airport,", b"US-CA,", b"heliport,"];
            value.extend_from_slice(words[(scramble(number + value.len() as u64) % 5) as usize]);
        }
        value.truncate(200);
        (self.key(number), value)
    }
}

fn rate(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

fn run(engine: &mut dyn Engine, options: &Options) {
    let len = options.rows * 208;
    let started = Instant::now();
    let mut batch_max = Duration::ZERO;
    for first in (0..options.rows).step_by(BATCH_ROWS as usize) {
        let rows: Vec<Row> =
            (first..options.rows.min(first + BATCH_ROWS)).map(|row| options.row(row)).collect();
        let begun = Instant::now();
        engine.load(&rows);
        batch_max = batch_max.max(begun.elapsed());
    }
    let loaded = started.elapsed();
    engine.settle();
    let settled = started.elapsed();
    let (written, size) = (engine.written(), engine.size());
    let begun = Instant::now();
    engine.reopen();
    let reopened = begun.elapsed();
    let read = |engine: &mut dyn Engine, numbers: &dyn Fn(u64) -> u64| {
        let begun = Instant::now();
        for read in 0..READS {
            let len = engine.get(&options.key(numbers(read)));
            assert_eq!(len, Some(200), "every row is there");
        }
        rate(READS, begun.elapsed())
    };
    // Anywhere; then in a part that fits the cache, once to warm it and once more.
    let cold = read(engine, &|read| scramble(read) % options.rows);
    let few = options.rows.min(50_000);
    let near = |read| scramble(read) % few;
    read(engine, &near);
    let warm = read(engine, &near);
    let begun = Instant::now();
    let (rows, bytes) = engine.scan();
    assert_eq!((rows, bytes), (options.rows, len), "every row is there");
    let scanned = bytes as f64 / 1e6 / begun.elapsed().as_secs_f64();
    println!(
        "{:8} {:>9.0} {:>9.1} {:>10.0} {:>8} {:>6.2} {:>8.0} {cold:>12.0} {warm:>10.0} {scanned:>8.0}",
        engine.name(),
        rate(options.rows, loaded),
        settled.as_secs_f64(),
        batch_max.as_secs_f64() * 1e3,
        written.map_or("-".into(), |written| format!("{:.1}", written as f64 / len as f64)),
        size as f64 / len as f64,
        reopened.as_secs_f64() * 1e3,
    );
}

fn empty(directory: &Path) {
    let _ = std::fs::remove_dir_all(directory);
    std::fs::create_dir_all(directory).expect("a directory for the stores");
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let has = |word: &str| words.iter().any(|other| other == word);
    let value = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    // The other benches' options are not for this one.
    if has("--only") && !has("store") {
        return;
    }
    let rows = value("--rows").map(|rows| rows.parse().expect("--rows wants a number"));
    let rows = rows.unwrap_or(if has("--quick") { 100_000 } else { 1_000_000 });
    let wants =
        |name: &str| value("--stores").is_none_or(|stores| stores.split(',').any(|store| store == name));
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("store");
    type Make = fn(&Path) -> Box<dyn Engine>;
    let engines: [(&str, Make); 3] = [
        ("relix", |directory| Box::new(relix::Relix::new(directory))),
        ("sqlite", |directory| Box::new(peers::Sqlite::new(directory))),
        ("redb", |directory| Box::new(peers::Redb::new(directory))),
    ];
    for is_random in [false, true] {
        let order = if is_random { "in random order" } else { "by key" };
        println!(
            "Stores of one process: {rows} rows of 208 bytes loaded {order}, {BATCH_ROWS} a durable batch\n"
        );
        println!(
            "{:8} {:>9} {:>9} {:>10} {:>8} {:>6} {:>8} {:>12} {:>10} {:>8}",
            "", "rows/s", "settled", "slowest", "written", "size", "open", "reads/s", "reads/s", "scan"
        );
        println!(
            "{:8} {:>9} {:>9} {:>10} {:>8} {:>6} {:>8} {:>12} {:>10} {:>8}",
            "", "loaded", "after s", "batch ms", "x rows", "x rows", "ms", "anywhere", "warm", "MB/s"
        );
        for (_, make) in engines.iter().filter(|(name, _)| wants(name)) {
            empty(&directory);
            run(&mut *make(&directory), &Options { rows, is_random });
        }
        println!();
    }
    let _ = std::fs::remove_dir_all(&directory);
}
