//! The memory functions are our own, in assembly: compared here with the plainest loops, for every length
//! and distance at which they take another path. The heap's two kinds of allocations are ours, too.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::hint::black_box;

use kernel_arch::memory;

const LEN_MAX: usize = 200;
const BUFFER_LEN: usize = 2 * LEN_MAX + 80;

type Buffer = [u8; BUFFER_LEN];

/// Whether all of them do what they should.
pub fn functions_pass() -> bool {
    (0..=LEN_MAX).all(|len| copies(len) && fills(len) && compares(len))
}

/// Whether the heap gives back what it was given, moves what grows and shrinks, and still has half of RAM in
/// one piece after short allocations that stay were mixed with long ones that do not.
pub fn heap_passes() -> bool {
    let before = memory::statistics();
    let passed = short_and_long_keep_apart(before.total_bytes) && moves_whole();
    let after = memory::statistics();
    passed && (after.used_bytes, after.allocations) == (before.used_bytes, before.allocations)
}

fn short_and_long_keep_apart(total: usize) -> bool {
    let long_len = 100 << 10;
    let (mut short, mut long) = (Vec::new(), VecDeque::new());
    for _ in 0..total / 2 / long_len {
        for len in [24, 1000, 4096, 30_000] {
            short.push(Vec::<u8>::with_capacity(len));
        }
        long.push_back(Vec::<u8>::with_capacity(long_len));
        long.push_back(Vec::<u8>::with_capacity(long_len));
        while long.len() * long_len > total * 3 / 5 {
            long.pop_front();
        }
    }
    drop(long);
    Vec::<u8>::new().try_reserve_exact(total / 2).is_ok()
}

/// From one kind to the other and back, with what they hold.
fn moves_whole() -> bool {
    let byte = |index: usize| (index % 251) as u8;
    let mut bytes = Vec::new();
    (0..300_000).for_each(|index| bytes.push(byte(index)));
    [300_000, 200_000, 40_000, 30_000, 10].into_iter().all(|len| {
        bytes.truncate(len);
        bytes.shrink_to_fit();
        bytes.iter().enumerate().all(|(index, value)| *value == byte(index))
    })
}

fn numbered() -> Buffer {
    core::array::from_fn(|index| black_box(index as u8).wrapping_mul(31))
}

/// Moves within one buffer, over every overlap near the edges.
fn copies(len: usize) -> bool {
    let from = 100;
    [0, 1, 7, 15, 16, 17, 63, 64, 79, 99, 100, 101, 108, 115, 116, 117, 140, 164, 180, 200].into_iter().all(
        |to| {
            let mut moved = numbered();
            moved.copy_within(black_box(from..from + len), black_box(to));
            let source = numbered();
            let right = |index: usize| match index.checked_sub(to) {
                Some(offset) if offset < len => source[from + offset],
                _ => source[index],
            };
            (0..BUFFER_LEN).all(|index| moved[index] == right(index))
        },
    )
}

fn fills(len: usize) -> bool {
    [0, 1, 9].into_iter().all(|at: usize| {
        let mut filled = numbered();
        filled[black_box(at..at + len)].fill(black_box(0xa5));
        let source = numbered();
        let inside = |index: usize| (at..at + len).contains(&index);
        (0..BUFFER_LEN).all(|index| filled[index] == if inside(index) { 0xa5 } else { source[index] })
    })
}

/// Equal, then different in one byte, in both orders.
fn compares(len: usize) -> bool {
    let one = numbered();
    let differs_at = |index: usize| {
        let mut other = numbered();
        other[index] ^= 0x80;
        let expected = one[index].cmp(&other[index]);
        black_box(&one[..len]).cmp(black_box(&other[..len])) == expected
            && black_box(&other[..len]).cmp(black_box(&one[..len])) == expected.reverse()
            && black_box(&one[..len]) != black_box(&other[..len])
    };
    black_box(&one[..len]) == black_box(&numbered()[..len]) && (0..len).all(differs_at)
}
