//! Fails on purpose, so that tests see what a failure looks like.

use alloc::vec::Vec;
use core::hint::black_box;

use crate::root::Options;

/// Fails in the way the command line asks for, if it does.
pub fn if_wished(options: &Options) {
    match options.line().get("relix.crash") {
        None => {}
        Some("panic") => panic!("as the command line wished"),
        Some("stack") => drop(black_box(descend(1))),
        Some("null") => touch(core::ptr::null_mut()),
        Some("code") => touch(if_wished as *mut u8),
        Some("oom") => drop(black_box(Vec::<u8>::with_capacity(black_box(1 << 45)))),
        Some(other) => panic!("relix.crash={other} is no known way to fail"),
    }
}

fn descend(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    if depth == u64::MAX { 0 } else { descend(frame[0] + 1) + frame[63] }
}

fn touch(address: *mut u8) {
    // SAFETY: none; the page tables forbid this write, which is what is to be seen.
    unsafe { black_box(address).write_volatile(1) };
}
