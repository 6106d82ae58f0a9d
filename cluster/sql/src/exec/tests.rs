//! Operators by themselves: what they give batch by batch, and what memory they say that they hold.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::future::Future;
use core::pin::pin;
use core::task::{Poll, Waker};

use cluster_store::Transaction;

use super::{Budget, Context, Cursor, Row};
use crate::batch::Batch;
use crate::cancel::CancelFlag;
use crate::database::{Database, Freshness};
use crate::error::{SqlResult, SqlState};
use crate::eval::{Env, SessionFacts};
use crate::memo::Memo;
use crate::memory::MemoryDatabase;
use crate::plan::{Plan, Rel, Relations, plan};
use crate::types::Datum;

/// What a plan has given, and the most memory that it held in between.
pub(super) struct Ran {
    pub(super) batches: Vec<Batch>,
    pub(super) in_use_max: usize,
}

/// Nothing here waits for anything but its turn.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut core::task::Context::from_waker(Waker::noop()))
        {
            return output;
        }
    }
}

/// The plan of a query that reads no tables.
pub(super) fn planned(sql: &str) -> Rel {
    let statement = crate::parse::parse(sql).unwrap().remove(0);
    match plan(&statement, Relations::default(), &[]).unwrap().plan {
        Plan::Query(rel) => rel,
        other => panic!("{other:?} is no query"),
    }
}

pub(super) fn run(rel: &Rel) -> SqlResult<Ran> {
    let database = MemoryDatabase::new(0);
    let snapshot = block_on(database.snapshot(Freshness::Local)).unwrap();
    let mut transaction = Transaction::reading(snapshot, database.memory().lease());
    let (facts, memo) = (SessionFacts::of_nobody(), Memo::default());
    let (env, cancel) = (Env::new(&[], &facts, &memo), CancelFlag::default());
    let mut budget = Budget::new(database.memory());
    let mut context = Context {
        database: &database,
        transaction: &mut transaction,
        env,
        cancel: &cancel,
        budget: &mut budget,
    };
    let mut cursor = Cursor::open(rel);
    let mut ran = Ran { batches: Vec::new(), in_use_max: 0 };
    while let Some(batch) = block_on(cursor.next_batch(&mut context))? {
        ran.in_use_max = ran.in_use_max.max(context.budget.in_use());
        ran.batches.push(batch);
    }
    Ok(ran)
}

fn in_use_max(sql: &str) -> usize {
    run(&planned(sql)).unwrap().in_use_max
}

/// The same for the groups of the keys `k` that one query gives, and then the other.
fn grouped(one: &str, other: &str) -> usize {
    in_use_max(&format!("SELECT k, count(*) FROM ({one} UNION ALL {other}) x GROUP BY k"))
}

/// A batch whose keys are no words of one kind, here one that has one value for all its rows, makes a table of keys go on
/// with bytes. It takes as much memory as if it had begun with them.
#[test]
fn keys_that_turn_to_bytes_are_charged_for() {
    let words = "SELECT g AS k FROM generate_series(1, 1000) g";
    let same = "SELECT 5 AS k FROM generate_series(1, 10) g";
    assert_eq!(grouped(words, same), grouped(same, words));
    let joined = |one: &str, other: &str| {
        let all = format!("({one} UNION ALL {other})");
        in_use_max(&format!("SELECT 1 FROM generate_series(1, 5) a LEFT JOIN {all} b ON a = b.k"))
    };
    assert_eq!(joined(words, same), joined(same, words));
}

/// Of keys that are all NULL nobody knows what they might have been: those that follow may be words all the same.
#[test]
fn groups_that_begin_with_nulls_are_found_by_words() {
    let words = "SELECT g AS k FROM generate_series(1, 1000) g";
    let nulls = "SELECT NULL::int AS k FROM generate_series(1, 10) g";
    assert_eq!(grouped(nulls, words), grouped(words, "SELECT NULL::int"));
}

/// How many rows each batch has that `sql` gives, none of whose values is shorter than `len` bytes.
fn rows_of_batches(sql: &str, len: usize) -> Vec<usize> {
    let batches = run(&planned(sql)).unwrap().batches;
    let rows = batches.iter().map(Batch::len).filter(|rows| *rows > 0).collect();
    for row in batches.into_iter().flat_map(Batch::into_rows) {
        assert!(row.first().and_then(Datum::as_text).is_some_and(|text| text.len() >= len), "{sql}");
    }
    rows
}

#[test]
fn batches_of_long_rows_have_few() {
    let long = "(SELECT repeat('x', 100000) AS t, 1 AS k)";
    let texts: [String; 10] = [
        "SELECT repeat('x', 100000) FROM generate_series(1, 1000)".to_string(),
        format!("SELECT '{}' FROM generate_series(1, 1000)", "x".repeat(100_000)),
        "SELECT t || g FROM (SELECT repeat('x', 100000) AS t, g FROM generate_series(1, 1000) g) a".into(),
        format!("SELECT t FROM {long} a JOIN generate_series(1, 1000) b ON b * 0 + 1 = a.k"),
        format!("SELECT t FROM {long} a JOIN generate_series(1, 1000) b ON b > k - 1"),
        format!("SELECT t FROM {long} a LEFT JOIN generate_series(1, 1000) b ON t <> b::text"),
        "SELECT t FROM (SELECT repeat('x', 100000) AS t FROM generate_series(1, 400)) a ORDER BY t".into(),
        "SELECT t FROM generate_series(1, 0) b RIGHT JOIN (SELECT repeat('x', 100000) AS t FROM \
         generate_series(1, 400)) a ON b > 0 WHERE b IS NULL"
            .into(),
        format!("SELECT t, generate_series(1, 1000) FROM {long} a"),
        format!(
            "WITH w AS (SELECT t FROM {long} a, generate_series(1, 300)) SELECT t FROM w UNION ALL SELECT t FROM w"
        ),
    ];
    for sql in texts {
        let rows = rows_of_batches(&sql, 100_000);
        assert!(rows.iter().sum::<usize>() >= 400, "{sql:.100}: {rows:?}");
        assert!(rows.iter().all(|rows| *rows <= 11), "{sql:.100}: {rows:?}");
    }
}

#[test]
fn what_keeps_long_rows_is_refused() {
    let all = "(SELECT repeat('x', 1000000) AS t, g FROM generate_series(1, 1000) g) a";
    let texts = [
        format!("SELECT * FROM {all} ORDER BY g"),
        format!("SELECT max(g) FROM {all} GROUP BY t || g"),
        format!("SELECT 1 FROM generate_series(1, 1000000) b JOIN {all} ON a.t || g = b::text"),
        format!("SELECT DISTINCT t || g FROM {all}"),
    ];
    for sql in texts {
        let refused = run(&planned(&sql)).err().map(|error| error.state);
        assert_eq!(refused, Some(SqlState::OUT_OF_MEMORY), "{sql}");
    }
    // Each of these looks at one at a time.
    for sql in [format!("SELECT max(t || g) FROM {all}"), format!("SELECT count(*) FROM {all} WHERE t = 'x'")]
    {
        assert!(run(&planned(&sql)).is_ok(), "{sql}");
    }
}

/// Candidates are looked at in rounds: with many rows that have few, and with few that have many.
#[test]
fn semi_joins_find_what_joins_find() {
    let rows = |sql: &str| run(&planned(sql)).unwrap().batches.into_iter().flat_map(Batch::into_rows);
    for condition in ["a % 10 = b % 10 AND b > a * 2", "b > a * 2", "a % 3 = b % 3 AND b % 500 = a"] {
        let left = "generate_series(1, 1500) a";
        let right = "generate_series(1, 2000) b";
        let joined: Vec<Row> =
            rows(&format!("SELECT DISTINCT a FROM {left} JOIN {right} ON {condition} ORDER BY a")).collect();
        let exists = format!("EXISTS (SELECT 1 FROM {right} WHERE {condition})");
        let semi: Vec<Row> = rows(&format!("SELECT a FROM {left} WHERE {exists}")).collect();
        let anti = rows(&format!("SELECT a FROM {left} WHERE NOT {exists}"));
        assert!(!joined.is_empty() && joined.len() < 1500, "{condition}");
        assert_eq!(semi, joined, "{condition}");
        assert_eq!(anti.count() + joined.len(), 1500, "{condition}");
    }
}
