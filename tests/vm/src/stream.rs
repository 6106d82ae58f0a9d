//! A stream of inserts that goes on whatever breaks, and remembers what it was told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::client::{Client, SqlFailure};

/// A client this impatient moves on to another node when one says nothing.
const PATIENCE: Duration = Duration::from_secs(2);

/// What became of one insert.
#[derive(Clone, Debug)]
pub struct Record {
    /// The row's id: each insert has its own, so an insert is sent once.
    pub id: i64,
    /// The node it was sent to.
    pub port: u16,
    /// When the outcome was known, or given up on.
    pub at: Instant,
    /// What the client was told.
    pub outcome: Result<(), SqlFailure>,
}

/// A thread that inserts into a table one row after the other, through whichever node answers.
pub struct InsertStream {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    thread: JoinHandle<Vec<Record>>,
}

impl InsertStream {
    /// Starts to insert ids from `first_id` on into column `id` of `table`.
    pub fn start(table: &str, first_id: i64, ports: Vec<u16>) -> InsertStream {
        InsertStream::start_patient(table, first_id, ports, PATIENCE)
    }

    /// The same, which waits for an answer this long.
    pub fn start_patient(table: &str, first_id: i64, ports: Vec<u16>, patience: Duration) -> InsertStream {
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let (table, stopped, counted) = (table.to_string(), stop.clone(), acknowledged.clone());
        let insert = move || insert_until(&stopped, &counted, &table, first_id, &ports, patience);
        InsertStream { stop, acknowledged, thread: std::thread::spawn(insert) }
    }

    /// How many inserts were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Reads, from any thread, how many inserts were acknowledged so far.
    pub fn counter(&self) -> Box<dyn Fn() -> u64 + Send> {
        let acknowledged = self.acknowledged.clone();
        Box::new(move || acknowledged.load(Ordering::Relaxed) as u64)
    }

    /// Ends it; what became of every insert.
    ///
    /// # Panics
    /// If the thread did.
    pub fn finish(self) -> Vec<Record> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the stream ends in order")
    }
}

/// The longest span between `from` and `until` in which no insert was acknowledged: all of it, if none was.
pub fn longest_silence(records: &[Record], from: Instant, until: Instant) -> Duration {
    let acknowledged = records.iter().filter(|record| record.outcome.is_ok()).map(|record| record.at);
    let mut moments: Vec<Instant> = acknowledged.filter(|at| (from..until).contains(at)).collect();
    moments.extend([from, until]);
    moments.sort();
    moments.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

fn insert_until(
    stop: &AtomicBool,
    acknowledged: &AtomicUsize,
    table: &str,
    first_id: i64,
    ports: &[u16],
    patience: Duration,
) -> Vec<Record> {
    let mut records = Vec::new();
    let mut client: Option<Client> = None;
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) {
        let port = ports[turn % ports.len()];
        let connected = match client.take() {
            Some(client) => Ok(client),
            None => Client::connect(port, PATIENCE).map(|client| client.with_patience(patience)),
        };
        let id = first_id + records.len() as i64;
        let outcome = connected.and_then(|connected| {
            connected.query(&format!("INSERT INTO {table} (id) VALUES ({id})"))?;
            client = Some(connected);
            Ok(())
        });
        match outcome {
            Ok(()) => drop(acknowledged.fetch_add(1, Ordering::Relaxed)),
            Err(_) => {
                turn += 1;
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        records.push(Record { id, port, at: Instant::now(), outcome });
    }
    records
}
