//! Equality, order and hash: of the numbers, whatever their scale. NaN equals itself and is above Infinity.

use core::cmp::Ordering;
use core::hash::{Hash, Hasher};

use crate::Numeric;
use crate::value::Kind::{self, Finite, Infinite, NotANumber};

/// Where a value stands among those that are not finite.
fn rank(kind: &Kind) -> u8 {
    match kind {
        Infinite(Ordering::Less) => 0,
        Finite(_) => 1,
        Infinite(_) => 2,
        NotANumber => 3,
    }
}

impl Ord for Numeric {
    fn cmp(&self, other: &Numeric) -> Ordering {
        match (self.kind(), other.kind()) {
            (Finite(a), Finite(b)) => a.compare(&b),
            (a, b) => rank(&a).cmp(&rank(&b)),
        }
    }
}

impl PartialOrd for Numeric {
    fn partial_cmp(&self, other: &Numeric) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Numeric {
    fn eq(&self, other: &Numeric) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Numeric {}

impl Hash for Numeric {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.kind() {
            // Equal values have the same digits once their zeros are gone.
            Finite(decimal) => {
                let least = decimal.stripped();
                state.write_u32(least.scale);
                state.write(&least.coefficient.to_bytes());
            }
            kind => state.write_u8(rank(&kind)),
        }
    }
}
