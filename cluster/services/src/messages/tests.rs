//! Messages on a database in memory.

use alloc::format;
use alloc::sync::Arc;

use cluster_sql::CancelFlag;
use cluster_sql::memory::MemoryDatabase;

use super::*;
use crate::bench::{Bench, block_on};
use crate::{SCHEMAS, programs, scheduler, schedules};

fn with_mailboxes() -> Bench {
    let mut bench = Bench::new();
    assert_eq!(bench.run("INSERT INTO sys.mailboxes (name) VALUES ('a'), ('b')"), "");
    bench
}

impl Bench {
    fn receive(&mut self, mailbox: &str) -> String {
        self.run(&format!("SELECT body FROM sys.receive('{mailbox}')"))
    }

    fn send(&mut self, mailbox: &str, body: &str) -> String {
        self.run(&format!("SELECT sys.send('{mailbox}', '{body}') > 0"))
    }
}

#[test]
fn what_is_sent_is_received_once_in_order() {
    let mut bench = with_mailboxes();
    for number in 1..=3 {
        assert_eq!(bench.send("a", &format!("{number}")), "t");
    }
    assert_eq!(bench.send("b", "9"), "t");
    assert_eq!(bench.receive("a"), "1");
    assert_eq!(bench.receive("a"), "2");
    assert_eq!(bench.receive("b"), "9");
    assert_eq!(bench.receive("a"), "3");
    assert_eq!(bench.receive("a"), "");
    assert_eq!(bench.run("SELECT count(*) FROM sys.messages"), "0");
}

#[test]
fn several_of_one_transaction_are_in_order() {
    let mut bench = with_mailboxes();
    bench.run(
        "INSERT INTO sys.messages (mailbox, body) SELECT 'a', to_jsonb(n) FROM generate_series(1, 100) n",
    );
    for number in 1..=100 {
        assert_eq!(bench.receive("a"), format!("{number}"));
    }
}

#[test]
fn there_must_be_such_a_mailbox() {
    let mut bench = with_mailboxes();
    let error = bench.send("none", "1");
    assert!(error.contains("violates foreign key constraint"), "{error}");
}

#[test]
fn what_is_published_is_sent_to_all_that_want_it() {
    let mut bench = with_mailboxes();
    assert_eq!(bench.run("SELECT sys.publish('news', '1')"), "0");
    bench.run("INSERT INTO sys.subscriptions VALUES ('news', 'a'), ('news', 'b'), ('other', 'a')");
    assert_eq!(bench.run("SELECT sys.publish('news', '2')"), "2");
    assert_eq!(bench.run("SELECT topic, body FROM sys.receive('a')"), "news 2");
    assert_eq!(bench.receive("b"), "2");
    assert_eq!(bench.receive("a"), "");
}

#[test]
fn a_mailbox_with_a_program_has_tasks_for_messages() {
    let mut bench = with_mailboxes();
    bench.run("UPDATE sys.mailboxes SET program = 'p', entry = 'go' WHERE name = 'a'");
    assert_eq!(bench.run("SELECT sys.send('a', '[7]', 'b', 'x') > 0"), "t");
    assert_eq!(
        bench.run("SELECT program, entry, state, arguments - 'id' FROM sys.tasks"),
        r#"p go ready {"body": [7], "about": "x", "topic": null, "mailbox": "a", "reply_to": "b"}"#
    );
    assert_eq!(bench.run("SELECT count(*) FROM sys.messages"), "0");
}

#[test]
fn a_task_ends_though_nobody_can_be_told() {
    let mut bench = with_mailboxes();
    bench.run("UPDATE sys.mailboxes SET is_full = true WHERE name = 'a'");
    bench.run("INSERT INTO sys.tasks (id, program, reply_to) VALUES (1, 'p', 'a'), (2, 'p', 'none')");
    assert_eq!(bench.run("UPDATE sys.tasks SET state = 'cancelled'"), "");
    assert_eq!(bench.run("SELECT mailbox, about FROM sys.messages"), "a 1");
}

#[test]
fn the_tasks_that_wait_are_ready() {
    let mut bench = with_mailboxes();
    bench.run(
        "INSERT INTO sys.tasks (id, program, run_at, waits_for) \
         VALUES (1, 'p', 'infinity', 'a'), (2, 'p', 'infinity', 'a'), (3, 'p', 'infinity', 'b')",
    );
    let ready = "SELECT id FROM sys.tasks WHERE run_at <= now() ORDER BY id";
    assert_eq!(bench.run(ready), "");
    bench.send("a", "1");
    assert_eq!(bench.run(ready), "1, 2");
    assert_eq!(bench.run("SELECT waits_for FROM sys.tasks ORDER BY id"), "-, -, b");
}

#[test]
fn the_task_that_waits_is_found_by_its_index() {
    let mut bench = Bench::new();
    let plan =
        bench.run("EXPLAIN UPDATE sys.tasks SET waits_for = NULL WHERE waits_for = 'a' AND state = 'ready'");
    assert!(plan.contains("Range scan of tasks by tasks_waiting"), "{plan}");
    let plan = bench
        .run("EXPLAIN SELECT version FROM sys.messages WHERE mailbox = 'a' ORDER BY version, id LIMIT 1");
    assert!(plan.contains("Range scan of messages") && !plan.contains("Sort"), "{plan}");
}

#[test]
fn who_asked_for_it_is_told_that_a_task_has_ended() {
    let mut bench = with_mailboxes();
    bench.run("INSERT INTO sys.tasks (id, program, reply_to) VALUES (7, 'p', 'a')");
    bench.run("UPDATE sys.tasks SET priority = 1");
    assert_eq!(bench.receive("a"), "");
    bench.run("UPDATE sys.tasks SET state = 'done', result = 'r'");
    assert_eq!(
        bench.run("SELECT about, body FROM sys.receive('a')"),
        r#"7 {"task": 7, "error": null, "state": "done", "result": "r"}"#
    );
}

#[test]
fn a_full_mailbox_takes_no_more_until_some_are_received() {
    let mut bench = with_mailboxes();
    bench.run("UPDATE sys.mailboxes SET capacity = 3 WHERE name = 'a'");
    let gauge = |bench: &mut Bench| {
        block_on(gauge(&mut bench.session, ["a".into(), "b".into(), "gone".into()].into())).expect("counted");
    };
    for number in 1..=3 {
        assert_eq!(bench.send("a", &format!("{number}")), "t");
        gauge(&mut bench);
    }
    assert_eq!(bench.send("a", "4"), r#"mailbox "a" is full (SQLSTATE 53400)"#);
    assert_eq!(bench.send("b", "4"), "t");
    assert_eq!(bench.run("SELECT count(*) FROM sys.messages WHERE mailbox = 'a'"), "3");
    assert_eq!(bench.receive("a"), "1");
    gauge(&mut bench);
    assert_eq!(bench.send("a", "5"), "t");
}

#[test]
fn a_mailbox_goes_with_its_messages() {
    let mut bench = with_mailboxes();
    bench.send("a", "1");
    bench.run("INSERT INTO sys.subscriptions VALUES ('t', 'a')");
    bench.run("DELETE FROM sys.mailboxes WHERE name = 'a'");
    assert_eq!(bench.run("SELECT count(*) FROM sys.messages"), "0");
    assert_eq!(bench.run("SELECT sys.publish('t', '1')"), "0");
}

#[test]
fn a_cluster_that_had_tasks_before_gets_what_is_new() {
    let database = MemoryDatabase::new(1_000_000_000_000_000);
    let mut session = Session::new(database.clone(), "relix", "relix", 0, Arc::<CancelFlag>::default());
    let until = |schema: ServiceSchema, new: &str| {
        let (sql, _) = schema.sql.split_once(new).expect("what came later");
        ServiceSchema { sql, ..schema }
    };
    let before = [
        until(programs::SCHEMA, "-- Statements are added at the end of this file"),
        until(scheduler::SCHEMA, "-- The mailbox whose next message"),
        schedules::SCHEMA,
    ];
    assert_eq!(block_on(session.install(&before)), Ok(true));
    let mut bench = Bench { database, session, cancel: Arc::default(), seconds: 0 };
    bench.run("INSERT INTO sys.tasks (program) VALUES ('p'), ('q')");
    bench.run("UPDATE sys.tasks SET state = 'running', worker = 1");
    assert_eq!(block_on(bench.session.install(SCHEMAS)), Ok(true));
    assert_eq!(block_on(bench.session.install(SCHEMAS)), Ok(false));
    bench.run("INSERT INTO sys.mailboxes (name) VALUES ('a')");
    bench.run("UPDATE sys.tasks SET reply_to = 'a', state = 'failed' WHERE program = 'p'");
    assert_eq!(bench.run("SELECT about FROM sys.receive('a')"), "1");
    bench.run("UPDATE sys.tasks SET state = 'ready', worker = NULL, waits_for = 'a', run_at = 'infinity' WHERE program = 'q'");
    bench.send("a", "1");
    assert_eq!(bench.round(&[1]).given, 1);
}
