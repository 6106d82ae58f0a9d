//! The memory functions are our own, in assembly: compared here with the plainest loops, for every length
//! and distance at which they take another path.

use core::hint::black_box;

const LEN_MAX: usize = 200;
const BUFFER_LEN: usize = 2 * LEN_MAX + 80;

type Buffer = [u8; BUFFER_LEN];

/// Whether all of them do what they should.
pub fn passes() -> bool {
    (0..=LEN_MAX).all(|len| copies(len) && fills(len) && compares(len))
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
