//! Every target takes its own seeds, and what a few thousand blind changes make of them: whether targets still work,
//! and a first look for what coverage would find.

use tests_fuzz::TARGETS;

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end.max(1)
    }
}

fn changed(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..1 + random.below(4) {
        let at = random.below(bytes.len());
        match random.below(4) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.below(256) as u8),
            2 if at < bytes.len() => bytes[at] = [0, 1, 127, 128, 255][random.below(5)],
            _ if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            _ => {}
        }
    }
    bytes
}

#[test]
fn targets_take_their_seeds_and_what_is_near_them() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has something to begin with", target.name);
        let mut random = Random(1);
        for seed in &seeds {
            assert!(seed.len() <= target.len_max, "{}: a seed of {} bytes", target.name, seed.len());
            (target.run)(seed);
            for _ in 0..200 / seeds.len() {
                (target.run)(&changed(seed, &mut random));
            }
        }
        (target.run)(&[]);
    }
}

#[test]
fn names_are_names() {
    for (index, target) in TARGETS.iter().enumerate() {
        assert!(TARGETS[..index].iter().all(|other| other.name != target.name));
    }
}
