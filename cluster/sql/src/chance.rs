//! Chance, for `random()` and `gen_random_uuid()`: a generator for each session, seeded by whoever opens it.

use spin::Mutex;

/// A generator (xoroshiro128++, Blackman and Vigna). Not fit for secrets.
#[derive(Debug)]
pub(crate) struct Chance(Mutex<[u64; 2]>);

/// One step of splitmix64: makes a good state of any seed.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

impl Chance {
    /// A generator with two seeds: what makes the session unique, and the time.
    pub(crate) fn new(seed: u64, mut time: u64) -> Chance {
        let mut seed = seed;
        Chance(Mutex::new([split_mix(&mut seed), split_mix(&mut time) | 1]))
    }

    /// Begins anew with one seed.
    pub(crate) fn seed(&self, mut seed: u64) {
        *self.0.lock() = [split_mix(&mut seed), split_mix(&mut seed) | 1];
    }

    /// The next 64 bits.
    pub(crate) fn next(&self) -> u64 {
        let mut state = self.0.lock();
        let [a, mut b] = *state;
        let result = a.wrapping_add(b).rotate_left(17).wrapping_add(a);
        b ^= a;
        *state = [a.rotate_left(49) ^ b ^ b << 21, b.rotate_left(28)];
        result
    }
}
