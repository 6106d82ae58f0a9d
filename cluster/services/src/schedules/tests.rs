//! Ticks on a database in memory, whose clock stands at 2001-09-09 01:46:40 UTC.

use alloc::format;

use super::*;
use crate::bench::{Bench, block_on};

const SECOND: i64 = 1_000_000;

impl Bench {
    /// So many seconds later, the leader looks. Returns in how many seconds it is to look again.
    fn tick_after(&mut self, seconds: i64) -> Option<i64> {
        self.seconds += seconds;
        let now = 1_000_000_000_000_000 + self.seconds * SECOND;
        self.database.set_wall_micros(now);
        let next = block_on(tick(&mut self.session)).expect("nothing is in the way");
        next.map(|next| (next - now) / SECOND)
    }

    /// The tasks there are, by the seconds that their ticks are after the start.
    fn ticked(&mut self) -> String {
        self.run("SELECT extract(epoch FROM run_at)::bigint - 1000000000 FROM sys.tasks ORDER BY id")
    }
}

fn with_schedule(cron: &str) -> Bench {
    let mut bench = Bench::new();
    // Those of the system would be among them.
    bench.run("DELETE FROM sys.schedules");
    bench.run(&format!("INSERT INTO sys.schedules (name, cron, program) VALUES ('s', '{cron}', 'p')"));
    bench
}

#[test]
fn each_tick_becomes_a_task_once() {
    let mut bench = with_schedule("*/10 * * * * *");
    bench.run("UPDATE sys.schedules SET arguments = '[1]', priority = 7, entry = 'go', version = 3");
    assert_eq!(bench.tick_after(3), Some(7));
    assert_eq!(bench.tick_after(6), Some(1));
    assert_eq!(bench.ticked(), "");
    assert_eq!(bench.tick_after(2), Some(9));
    assert_eq!(bench.tick_after(0), Some(9));
    assert_eq!(bench.tick_after(9), Some(10));
    assert_eq!(bench.ticked(), "10, 20");
    let task = "SELECT DISTINCT queue, program, version, entry, arguments, priority, state FROM sys.tasks";
    assert_eq!(bench.run(task), "default p 3 go [1] 7 ready");
    // Even if the row is set back, as two leaders might find it.
    bench.run("UPDATE sys.schedules SET next_at = next_at - interval '10 s'");
    bench.tick_after(0);
    assert_eq!(bench.ticked(), "10, 20");
}

#[test]
fn ticks_that_nobody_heeded_are_made_up_for_as_far_as_is_wanted() {
    let mut bench = with_schedule("0 * * * * *");
    assert_eq!(bench.tick_after(0), Some(20));
    assert_eq!(bench.tick_after(3600), Some(20));
    assert_eq!(bench.ticked(), "3560");
    bench.run("UPDATE sys.schedules SET backfill = 3");
    assert_eq!(bench.tick_after(86_400), Some(20));
    assert_eq!(bench.ticked(), "3560, 89840, 89900, 89960");
    // However long it was.
    assert_eq!(bench.tick_after(3 * 366 * 86_400), Some(20));
    assert_eq!(bench.run("SELECT count(*) FROM sys.tasks"), "7");
}

#[test]
fn a_schedule_that_is_changed_or_paused_goes_on_from_then() {
    let mut bench = with_schedule("0 * * * * *");
    bench.tick_after(0);
    bench.run("UPDATE sys.schedules SET cron = '30 * * * * *'");
    assert_eq!(bench.tick_after(1000), Some(10));
    assert_eq!(bench.ticked(), "", "that is another schedule, from now on");
    bench.run("UPDATE sys.schedules SET paused = true");
    assert_eq!(bench.tick_after(1), None);
    bench.run("UPDATE sys.schedules SET paused = false");
    assert_eq!(bench.tick_after(1000), Some(29));
    assert_eq!(bench.ticked(), "");
    bench.run("UPDATE sys.schedules SET timezone = 'Asia/Kathmandu', cron = '0 45 7 * * *'");
    // 02:00 UTC, of the next day.
    assert_eq!(bench.tick_after(0), Some(86_400 - 1201));
    bench.run("DELETE FROM sys.schedules");
    assert_eq!(bench.tick_after(0), None);
}

#[test]
fn what_is_wrong_with_a_schedule_is_in_its_row_and_others_go_on() {
    let mut bench = with_schedule("*/10 * * * * *");
    for (name, cron, zone) in
        [("a", "0 0 31 2 *", "UTC"), ("b", "sometimes", "UTC"), ("c", "@daily", "Atlantis")]
    {
        bench.run(&format!(
            "INSERT INTO sys.schedules (name, cron, timezone, program) VALUES ('{name}', '{cron}', '{zone}', 'p')"
        ));
    }
    assert_eq!(bench.tick_after(0), Some(10));
    assert_eq!(bench.tick_after(10), Some(10));
    assert_eq!(bench.ticked(), "10");
    let errors = bench.run("SELECT name, error FROM sys.schedules WHERE error IS NOT NULL ORDER BY name");
    assert_eq!(
        errors,
        "a \"0 0 31 2 *\" names no time there will be, \
         b a schedule is 5 or 6 fields: [second] minute hour day-of-month month day-of-week, \
         c time zone \"Atlantis\" is not known"
    );
    bench.run("UPDATE sys.schedules SET cron = '@hourly' WHERE name = 'a'");
    bench.tick_after(0);
    assert_eq!(
        bench.run("SELECT error, next_at FROM sys.schedules WHERE name = 'a'"),
        "- 2001-09-09 02:00:00+00"
    );
}

#[test]
fn a_tick_that_its_queue_does_not_take_leaves_the_next() {
    let mut bench = with_schedule("*/10 * * * * *");
    bench.run("UPDATE sys.schedules SET arguments = to_jsonb(repeat('x', 1000000))");
    assert_eq!(bench.tick_after(1), Some(9));
    assert_eq!(bench.tick_after(9), Some(10));
    assert!(bench.run("SELECT error FROM sys.schedules").contains("tasks_are_not_too_long"));
    bench.run("UPDATE sys.schedules SET arguments = '[]'");
    assert_eq!(bench.tick_after(10), Some(10));
    assert_eq!(bench.ticked(), "20");
    assert_eq!(bench.run("SELECT error FROM sys.schedules"), "-");
}
