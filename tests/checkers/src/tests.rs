//! Histories that are known to be bad, each by its name, and some that are good.

use crate::{Anomaly, History, Operation, Outcome, Step, check};

fn append(key: u64, value: u64) -> Step {
    Step::Append(key, value)
}

fn read(key: u64, values: &[u64]) -> Step {
    Step::Read(key, values.to_vec())
}

fn operation(span: (u64, u64), outcome: Outcome, steps: &[Step]) -> Operation {
    Operation { client: span.0, invoked: span.0, completed: span.1, outcome, steps: steps.to_vec() }
}

/// A transaction that committed between two moments.
fn during(invoked: u64, completed: u64, steps: &[Step]) -> Operation {
    operation((invoked, completed), Outcome::Committed, steps)
}

/// Transactions that all overlap: no clock decides.
fn together(transactions: &[&[Step]]) -> Vec<Operation> {
    transactions.iter().map(|steps| during(0, 100, steps)).collect()
}

fn verdict(operations: Vec<Operation>) -> Option<String> {
    check(&History { operations }).err().map(|anomaly| {
        println!("{anomaly}");
        anomaly.name()
    })
}

fn assert_named(operations: Vec<Operation>, name: &str) {
    assert_eq!(verdict(operations).as_deref(), Some(name));
}

#[test]
fn good_histories_pass() {
    assert_eq!(verdict(vec![]), None);
    let concurrent = together(&[&[append(1, 1)], &[append(1, 2)], &[read(1, &[2])], &[read(1, &[2, 1])]]);
    assert_eq!(verdict(concurrent), None);
    let serial = vec![
        during(0, 1, &[append(1, 1), append(2, 1), append(1, 2), read(1, &[1, 2])]),
        during(2, 3, &[read(1, &[1, 2]), append(1, 3), read(1, &[1, 2, 3]), read(3, &[])]),
        during(4, 5, &[read(2, &[1])]),
    ];
    assert_eq!(verdict(serial), None);
}

#[test]
fn an_unknown_outcome_may_be_either() {
    let unknown = || operation((0, 1), Outcome::Unknown, &[append(1, 7)]);
    assert_eq!(verdict(vec![unknown(), during(2, 3, &[read(1, &[])])]), None);
    // It may take place long after its client gave up, but not come and go.
    let late = vec![unknown(), during(2, 3, &[read(1, &[])]), during(4, 5, &[read(1, &[7])])];
    assert_eq!(verdict(late.clone()), None);
    let gone = [late, vec![during(6, 7, &[read(1, &[])])]].concat();
    assert_named(gone, "G-single (read skew)-realtime");
}

#[test]
fn dirty_writes_are_g0() {
    let writes = together(&[
        &[append(1, 1), append(2, 1)],
        &[append(1, 2), append(2, 2)],
        &[read(1, &[1, 2]), read(2, &[2, 1])],
    ]);
    assert_named(writes, "G0 (write cycle)");
}

#[test]
fn an_aborted_value_that_is_read_is_g1a() {
    let aborted = operation((0, 1), Outcome::Aborted, &[append(1, 1)]);
    assert_named(vec![aborted, during(2, 3, &[read(1, &[1])])], "G1a (aborted read)");
}

#[test]
fn a_read_amid_the_appends_of_another_is_g1b() {
    let amid = together(&[&[append(1, 1), append(1, 2)], &[read(1, &[1])], &[read(1, &[1, 2])]]);
    assert_named(amid, "G1b (intermediate read)");
}

#[test]
fn two_that_see_each_other_are_g1c() {
    let circular = together(&[&[append(1, 1), read(2, &[1])], &[append(2, 1), read(1, &[1])]]);
    assert_named(circular, "G1c (circular information flow)");
}

#[test]
fn a_lost_update_is_g_single() {
    let lost = together(&[&[read(1, &[]), append(1, 1)], &[read(1, &[]), append(1, 2)], &[read(1, &[1, 2])]]);
    assert_named(lost, "G-single (read skew)");
}

#[test]
fn read_skew_is_g_single() {
    let skew = together(&[&[append(1, 1), append(2, 1)], &[read(1, &[]), read(2, &[1])]]);
    assert_named(skew, "G-single (read skew)");
}

#[test]
fn write_skew_is_g2() {
    let skew = together(&[
        &[read(1, &[]), append(2, 1)],
        &[read(2, &[]), append(1, 1)],
        &[read(1, &[1]), read(2, &[1])],
    ]);
    assert_named(skew, "G2-item (write skew)");
}

#[test]
fn a_stale_read_violates_real_time() {
    let stale = vec![during(0, 1, &[append(1, 1)]), during(2, 3, &[read(1, &[])])];
    assert_named(stale.clone(), "G-single (read skew)-realtime");
    // Without the clock, and with a later witness, it is serializable.
    let mut concurrent = stale;
    concurrent[1].invoked = 0;
    concurrent.push(during(4, 5, &[read(1, &[1])]));
    assert_eq!(verdict(concurrent), None);
}

#[test]
fn an_acknowledged_append_that_is_gone_is_found() {
    let lost = vec![
        during(0, 1, &[append(1, 1)]),
        during(2, 3, &[append(1, 2)]),
        during(4, 5, &[read(1, &[1])]),
        during(6, 7, &[read(1, &[1])]),
    ];
    assert_named(lost, "G-single (read skew)-realtime");
}

#[test]
fn a_read_of_the_future_violates_real_time() {
    let early = vec![during(0, 1, &[read(1, &[1])]), during(2, 3, &[append(1, 1)])];
    assert_named(early, "G1c (circular information flow)-realtime");
}

#[test]
fn reads_that_fit_no_order_are_found() {
    let forked = together(&[&[append(1, 1)], &[append(1, 2)], &[read(1, &[1, 2])], &[read(1, &[2])]]);
    assert_named(forked, "incompatible order");
    assert_named(together(&[&[append(1, 1)], &[read(1, &[1, 1])]]), "duplicate value");
    assert_named(together(&[&[read(1, &[9])]]), "garbage read");
    assert_named(together(&[&[append(1, 1), read(1, &[])]]), "internal inconsistency");
    assert_named(together(&[&[read(1, &[]), read(1, &[1])], &[append(1, 1)]]), "internal inconsistency");
}

#[test]
fn the_report_shows_the_smallest_cycle() {
    let mut operations: Vec<Operation> =
        (0..50).map(|n| during(10 * n, 10 * n + 5, &[append(1, n)])).collect();
    let all: Vec<u64> = (0..50).collect();
    operations.push(during(1000, 1001, &[read(1, &all)]));
    operations.push(during(1002, 1003, &[read(1, &all[..49])]));
    let Err(anomaly @ Anomaly::Cycle(_)) = check(&History { operations }) else { panic!("a cycle") };
    let text = anomaly.to_string();
    assert!(text.contains("2 transactions") || text.contains("3 transactions"), "{text}");
    assert!(text.contains("without 49"), "{text}");
}

#[test]
fn long_histories_are_checked_in_no_time() {
    let mut operations = Vec::new();
    let mut values = Vec::new();
    for n in 0..5_000u64 {
        if n % 500 == 0 {
            values.clear();
        }
        values.push(n);
        let key = n / 500;
        // Four clients overlap.
        operations.push(during(10 * n, 10 * n + 35, &[append(key, n), read(key, &values)]));
    }
    assert_eq!(verdict(operations), None);
}
