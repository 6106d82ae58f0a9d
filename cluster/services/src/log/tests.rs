//! Lines that are added, and go again.

use alloc::format;
use alloc::vec::Vec;
use core::ops::Range;

use super::*;
use crate::bench::{Bench, block_on};

fn lines(numbers: Range<i64>) -> Vec<Line> {
    let line =
        |number| Line { at_micros: number * 1_000_000, level: Level::Warn, text: format!("line {number}") };
    numbers.map(line).collect()
}

#[test]
fn lines_of_all_nodes_are_in_one_order() {
    let mut bench = Bench::new();
    let mut other = bench.another();
    assert_eq!(block_on(write(&mut bench.session, NodeId(1), &lines(1..3))), Ok(()));
    assert_eq!(block_on(write(&mut other, NodeId(2), &lines(0..1))), Ok(()));
    assert_eq!(block_on(write(&mut bench.session, NodeId(1), &[])), Ok(()));
    assert_eq!(
        bench.run("SELECT id, at, node, level, text FROM sys.log ORDER BY id"),
        "1 1970-01-01 00:00:01+00 1 warn line 1, 2 1970-01-01 00:00:02+00 1 warn line 2, \
         3 1970-01-01 00:00:00+00 2 warn line 0"
    );
}

#[test]
fn the_newest_lines_are_kept() {
    let mut bench = Bench::new();
    for start in (0..10_200).step_by(200) {
        assert_eq!(block_on(write(&mut bench.session, NodeId(3), &lines(start..start + 200))), Ok(()));
    }
    assert_eq!(
        bench.run("SELECT count(*), min(id), max(text) FROM sys.log WHERE id < 300"),
        "99 201 line 298"
    );
    assert_eq!(bench.run("SELECT count(*), max(id) FROM sys.log"), "10000 10200");
}

#[test]
fn what_is_added_reads_one_line_however_many_there_are() {
    let mut bench = Bench::new();
    let plan = bench.run("EXPLAIN SELECT id FROM sys.log ORDER BY id DESC LIMIT 1");
    assert!(plan.contains("backward"), "{plan}");
}
