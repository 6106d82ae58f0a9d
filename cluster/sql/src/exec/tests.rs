//! Operators by themselves: what they give batch by batch, and what memory they say that they hold.

use alloc::vec::Vec;
use core::future::Future;
use core::pin::pin;
use core::task::{Poll, Waker};

use cluster_store::Transaction;

use super::{Budget, Context, Cursor};
use crate::batch::Batch;
use crate::cancel::CancelFlag;
use crate::database::{Database, Freshness};
use crate::error::SqlResult;
use crate::eval::{Env, SessionFacts};
use crate::memo::Memo;
use crate::memory::MemoryDatabase;
use crate::plan::{Plan, Rel, Relations, plan};

/// What a plan has given, and the most memory that it held in between.
struct Ran {
    batches: Vec<Batch>,
    in_use_max: usize,
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
fn planned(sql: &str) -> Rel {
    let statement = crate::parse::parse(sql).unwrap().remove(0);
    match plan(&statement, Relations::default(), &[]).unwrap().plan {
        Plan::Query(rel) => rel,
        other => panic!("{other:?} is no query"),
    }
}

fn run(rel: &Rel) -> SqlResult<Ran> {
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

/// A batch whose keys are no words of one kind, here one that has one value for all its rows, makes a table of keys go on
/// with bytes. It takes as much memory as if it had begun with them.
#[test]
fn keys_that_turn_to_bytes_are_charged_for() {
    let words = "SELECT g AS k FROM generate_series(1, 1000) g";
    let same = "SELECT 5 AS k FROM generate_series(1, 10) g";
    let grouped = |one: &str, other: &str| {
        in_use_max(&alloc::format!("SELECT k, count(*) FROM ({one} UNION ALL {other}) x GROUP BY k"))
    };
    assert_eq!(grouped(words, same), grouped(same, words));
    let joined = |one: &str, other: &str| {
        let all = alloc::format!("({one} UNION ALL {other})");
        in_use_max(&alloc::format!("SELECT 1 FROM generate_series(1, 5) a LEFT JOIN {all} b ON a = b.k"))
    };
    assert_eq!(joined(words, same), joined(same, words));
}

/// Of keys that are all NULL nobody knows what they might have been: those that follow may be words all the same.
#[test]
fn groups_that_begin_with_nulls_are_found_by_words() {
    let words = "SELECT g AS k FROM generate_series(1, 1000) g";
    let nulls = "SELECT NULL::int AS k FROM generate_series(1, 10) g";
    let grouped = |one: &str, other: &str| {
        in_use_max(&alloc::format!("SELECT k, count(*) FROM ({one} UNION ALL {other}) x GROUP BY k"))
    };
    assert_eq!(grouped(nulls, words), grouped(words, "SELECT NULL::int"));
}
