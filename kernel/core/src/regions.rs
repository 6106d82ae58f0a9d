//! Sets of physical addresses: what a memory map becomes before pages and heap are made of it.

/// An interval of addresses, `start` included, `end` not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Region {
    /// The first address.
    pub start: u64,
    /// The first address after it.
    pub end: u64,
}

impl Region {
    /// The interval; empty when `end` is not above `start`.
    pub const fn new(start: u64, end: u64) -> Self {
        Region { start, end }
    }

    /// `len` bytes from `start`, cut off at the end of the address space.
    pub const fn sized(start: u64, len: u64) -> Self {
        Region { start, end: start.saturating_add(len) }
    }

    /// Bytes in it.
    pub const fn len(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether it holds no address.
    pub const fn is_empty(&self) -> bool {
        self.end <= self.start
    }

    /// The largest part of it made of whole units of `unit` bytes (a power of two).
    pub const fn shrink_to(self, unit: u64) -> Region {
        let start = self.start.saturating_add(unit - 1) & !(unit - 1);
        Region { start, end: self.end & !(unit - 1) }
    }

    /// The smallest run of whole units of `unit` bytes (a power of two) that covers it.
    pub const fn grow_to(self, unit: u64) -> Region {
        let end = self.end.saturating_add(unit - 1) & !(unit - 1);
        Region { start: self.start & !(unit - 1), end }
    }
}

/// The set held more pieces than it has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyRegions;

/// A set of addresses as at most `N` sorted, disjoint, non-adjacent, non-empty regions. Needs no heap: it is
/// what the heap is made from.
#[derive(Clone, Debug)]
pub struct RegionSet<const N: usize> {
    regions: [Region; N],
    len: usize,
}

impl<const N: usize> Default for RegionSet<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> RegionSet<N> {
    /// The empty set.
    pub const fn new() -> Self {
        RegionSet { regions: [Region::new(0, 0); N], len: 0 }
    }

    /// The regions, ascending.
    pub fn as_slice(&self) -> &[Region] {
        &self.regions[..self.len]
    }

    /// Addresses in the set.
    pub fn total(&self) -> u64 {
        self.as_slice().iter().map(Region::len).sum()
    }

    /// Adds `region`, merging what it overlaps or touches.
    pub fn insert(&mut self, region: Region) -> Result<(), TooManyRegions> {
        if region.is_empty() {
            return Ok(());
        }
        let first = self.as_slice().iter().position(|r| r.end >= region.start).unwrap_or(self.len);
        let after = self.as_slice().iter().rposition(|r| r.start <= region.end).map_or(0, |i| i + 1);
        if first >= after {
            return self.splice(first, first, &[region]);
        }
        let merged = Region::new(
            region.start.min(self.regions[first].start),
            region.end.max(self.regions[after - 1].end),
        );
        self.splice(first, after, &[merged])
    }

    /// Takes every address of `region` out of the set.
    pub fn remove(&mut self, region: Region) -> Result<(), TooManyRegions> {
        if region.is_empty() {
            return Ok(());
        }
        let first = self.as_slice().iter().position(|r| r.end > region.start).unwrap_or(self.len);
        let after = self.as_slice().iter().rposition(|r| r.start < region.end).map_or(0, |i| i + 1);
        if first >= after {
            return Ok(());
        }
        let left = Region::new(self.regions[first].start, region.start);
        let right = Region::new(region.end, self.regions[after - 1].end);
        match (left.is_empty(), right.is_empty()) {
            (true, true) => self.splice(first, after, &[]),
            (false, true) => self.splice(first, after, &[left]),
            (true, false) => self.splice(first, after, &[right]),
            (false, false) => self.splice(first, after, &[left, right]),
        }
    }

    /// Takes `size` bytes aligned to `align` (a power of two) below `limit` out of the set: the lowest
    /// that fit.
    pub fn take(&mut self, size: u64, align: u64, limit: u64) -> Option<u64> {
        let start = self.as_slice().iter().find_map(|region| {
            let start = region.start.checked_add(align - 1)? & !(align - 1);
            let end = start.checked_add(size)?;
            (end <= region.end && end <= limit).then_some(start)
        })?;
        self.remove(Region::sized(start, size)).ok()?;
        Some(start)
    }

    /// Replaces the regions `first..after` by `with`.
    fn splice(&mut self, first: usize, after: usize, with: &[Region]) -> Result<(), TooManyRegions> {
        let len = self.len - (after - first) + with.len();
        if len > N {
            return Err(TooManyRegions);
        }
        self.regions.copy_within(after..self.len, first + with.len());
        self.regions[first..first + with.len()].copy_from_slice(with);
        self.len = len;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn a_machine_with_a_hole_and_a_kernel() {
        let mut free = RegionSet::<8>::new();
        free.insert(Region::new(0x10_0000, 0x800_0000)).unwrap();
        free.insert(Region::new(0, 0x9_fc00)).unwrap();
        free.insert(Region::new(0x1_0000_0000, 0x1_8000_0000)).unwrap();
        free.remove(Region::new(0, 0x10_0000)).unwrap();
        free.remove(Region::new(0x20_0000, 0x60_0000)).unwrap();
        let expected = [(0x10_0000, 0x20_0000), (0x60_0000, 0x800_0000), (0x1_0000_0000, 0x1_8000_0000)];
        assert_eq!(free.as_slice(), expected.map(|(start, end)| Region::new(start, end)));
        assert_eq!(free.take(0x20_0000, 0x20_0000, u64::MAX), Some(0x60_0000));
        assert_eq!(free.take(4096, 4096, u64::MAX), Some(0x10_0000));
        assert_eq!(free.take(1 << 40, 4096, u64::MAX), None);
        assert_eq!(free.take(0x4000_0000, 4096, 0x1_0000_0000), None);
    }

    #[test]
    fn rounding() {
        assert_eq!(Region::new(1, 0x2fff).shrink_to(0x1000), Region::new(0x1000, 0x2000));
        assert_eq!(Region::new(0x1001, 0x2001).grow_to(0x1000), Region::new(0x1000, 0x3000));
        assert!(Region::new(1, 0xfff).shrink_to(0x1000).is_empty());
        assert!(Region::new(u64::MAX - 5, u64::MAX).shrink_to(0x1000).is_empty());
    }

    #[test]
    fn a_full_set_says_so() {
        let mut set = RegionSet::<2>::new();
        set.insert(Region::new(0, 1)).unwrap();
        set.insert(Region::new(2, 3)).unwrap();
        assert_eq!(set.insert(Region::new(4, 5)), Err(TooManyRegions));
        set.insert(Region::new(1, 2)).unwrap();
        assert_eq!(set.as_slice(), [Region::new(0, 3)]);
    }

    proptest! {
        /// The set behaves as a set of addresses, and stays sorted, disjoint and merged.
        #[test]
        fn is_a_set(steps in prop::collection::vec((any::<bool>(), 0u64..64, 0u64..16), 0..40)) {
            let mut set = RegionSet::<64>::new();
            let mut model = [false; 96];
            for (insert, start, len) in steps {
                let region = Region::sized(start, len);
                if insert { set.insert(region).unwrap() } else { set.remove(region).unwrap() }
                model[start as usize..(start + len) as usize].fill(insert);
            }
            let held: Vec<bool> =
                (0..96).map(|a| set.as_slice().iter().any(|r| r.start <= a && a < r.end)).collect();
            prop_assert_eq!(&held[..], &model[..]);
            prop_assert!(set.as_slice().windows(2).all(|pair| pair[0].end < pair[1].start));
            prop_assert!(set.as_slice().iter().all(|r| !r.is_empty()));
        }
    }
}
