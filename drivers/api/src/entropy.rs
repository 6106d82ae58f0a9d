//! Entropy: the seed of a node's generator.

/// A source of unpredictable bytes (in the simulator: of bytes that depend on the seed alone).
pub trait Entropy {
    /// Fills `bytes`.
    fn fill(&mut self, bytes: &mut [u8]);
}
