//! A disk's own cache: writes that were reported as done and that nobody has asked to be durable.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use drivers_api::SECTOR_SIZE;

use super::medium::{Medium, Sector};

/// What a volatile write has overwritten, and its place among the completions.
#[derive(Clone)]
struct Overwritten {
    completion: u64,
    before: Sector,
}

/// What the medium may still hold instead of what reads show.
#[derive(Clone, Default)]
pub(super) struct Cache {
    /// By sector, in the order of completion: the first holds what is durable.
    overwritten: BTreeMap<u64, Vec<Overwritten>>,
}

impl Cache {
    /// A write that is not durable is about to complete and reach the sectors that hold this now.
    pub(super) fn note(&mut self, completion: u64, sector: u64, len: usize, medium: &Medium) {
        for sector in sector..sector + (len / SECTOR_SIZE) as u64 {
            let before = *medium.get(sector);
            self.overwritten.entry(sector).or_default().push(Overwritten { completion, before });
        }
    }

    /// Everything that had completed by then is durable.
    pub(super) fn flush(&mut self, completions: u64) {
        self.overwritten.retain(|_, writes| {
            writes.retain(|write| write.completion > completions);
            !writes.is_empty()
        });
    }

    /// What these sectors hold now is durable.
    pub(super) fn forget(&mut self, sector: u64, len: usize) {
        for sector in sector..sector + (len / SECTOR_SIZE) as u64 {
            self.overwritten.remove(&sector);
        }
    }

    /// The power fails: of what was volatile, each sector keeps any of what it has held since the last flush,
    /// which `draw` chooses below a bound.
    pub(super) fn crash(&mut self, medium: &mut Medium, mut draw: impl FnMut(u64) -> u64) {
        for (sector, writes) in core::mem::take(&mut self.overwritten) {
            // The last choice is what was written last.
            if let Some(kept) = writes.get(draw(writes.len() as u64 + 1) as usize) {
                medium.put(sector, kept.before);
            }
        }
    }
}
