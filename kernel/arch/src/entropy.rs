//! What the processor knows that others do not.

use core::arch::x86_64::{__cpuid, _rdrand64_step};

use crate::{apic, clock};

/// A seed from RDRAND, where there is one, and from the clocks. Without RDRAND it is weak: mix in a device's.
pub fn seed() -> [u8; 32] {
    let mut words = [0u64; 4];
    let has_rdrand = __cpuid(1).ecx & 1 << 30 != 0;
    for (index, word) in words.iter_mut().enumerate() {
        if has_rdrand {
            *word = rdrand().unwrap_or(0);
        }
        *word ^= apic::tsc().rotate_left(16 * index as u32);
    }
    words[3] ^= clock::both().wall.unix_micros as u64;
    let mut seed = [0; 32];
    for (bytes, word) in seed.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    seed
}

#[target_feature(enable = "rdrand")]
fn step(word: &mut u64) -> bool {
    _rdrand64_step(word) == 1
}

fn rdrand() -> Option<u64> {
    let mut word = 0;
    // SAFETY: called only where CPUID has RDRAND. It may run dry for a moment: ten attempts, as Intel advises.
    (0..10).any(|_| unsafe { step(&mut word) }).then_some(word)
}
