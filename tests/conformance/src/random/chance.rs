//! Where choices come from: one seeded generator, passed in.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A seeded source of choices.
#[derive(Debug)]
pub struct Chance {
    generator: ChaCha8Rng,
}

impl Chance {
    /// The same seed, the same choices.
    pub fn new(seed: u64) -> Chance {
        Chance { generator: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// A number less than the bound, or 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.generator.next_u64() % bound.max(1) as u64) as usize
    }

    /// Between both, which are meant.
    pub fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most + 1 - least)
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, percent: u8) -> bool {
        self.below(100) < usize::from(percent)
    }

    /// One of them.
    ///
    /// # Panics
    /// If there is none.
    pub fn of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// One of some texts.
    pub fn word(&mut self, choices: &[&'static str]) -> &'static str {
        choices[self.below(choices.len())]
    }

    /// Some of them, at least so many, in any order.
    pub fn some<T: Clone>(&mut self, choices: &[T], least: usize) -> Vec<T> {
        let mut rest = choices.to_vec();
        let count = self.between(least.min(rest.len()), rest.len());
        (0..count).map(|_| rest.swap_remove(self.below(rest.len()))).collect()
    }
}
