//! What tests of services work on: their tables, in memory.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write;
use core::future::Future;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};

use cluster_format::NodeId;
use cluster_sql::memory::MemoryDatabase;
use cluster_sql::types::Datum;
use cluster_sql::wire::text_of;
use cluster_sql::{CancelFlag, Session};

use crate::SCHEMAS;
use crate::scheduler::{Round, round};

/// One turn of `future`.
pub(crate) fn poll<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// A database in memory never waits for anything but its turn.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = poll(future.as_mut()) {
            return output;
        }
    }
}

/// Bytes as SQL writes them, without what stands before them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a text takes all");
        hex
    })
}

/// The tables, and a session.
pub(crate) struct Bench {
    pub(crate) database: MemoryDatabase,
    pub(crate) session: Session<MemoryDatabase>,
    /// What stops the session.
    pub(crate) cancel: Arc<CancelFlag>,
    /// How far the clock was set forward.
    pub(crate) seconds: i64,
}

impl Bench {
    pub(crate) fn new() -> Bench {
        let database = MemoryDatabase::new(1_000_000_000_000_000);
        let cancel = Arc::<CancelFlag>::default();
        let mut session = Session::new(database.clone(), "relix", "relix", 0, cancel.clone());
        assert_eq!(block_on(session.install(SCHEMAS)), Ok(true));
        Bench { database, session, cancel, seconds: 0 }
    }

    /// Another session.
    pub(crate) fn another(&self) -> Session<MemoryDatabase> {
        Session::new(self.database.clone(), "relix", "relix", 0, Arc::<CancelFlag>::default())
    }

    /// The rows that a statement gives, or its error.
    pub(crate) fn run(&mut self, sql: &str) -> String {
        match block_on(self.session.run(sql, Vec::new())) {
            Ok(answer) => {
                let text = |value: &Datum| {
                    if value.is_null() { "-".into() } else { text_of(value, self.session.style()) }
                };
                let row = |row: &Vec<Datum>| row.iter().map(text).collect::<Vec<String>>().join(" ");
                answer.rows.iter().map(row).collect::<Vec<String>>().join(", ")
            }
            Err(error) => format!("{error}"),
        }
    }

    /// A round, in which these of three nodes are up.
    pub(crate) fn round(&mut self, up: &[u8]) -> Round {
        let members: Vec<(NodeId, bool)> = (1..=3).map(|id| (NodeId(id), up.contains(&id))).collect();
        block_on(round(&mut self.session, &self.cancel, &members)).expect("a round")
    }
}
