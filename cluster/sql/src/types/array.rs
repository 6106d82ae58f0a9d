//! Arrays.

use alloc::vec::Vec;
use core::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::{Datum, Scalar};

/// An array of one dimension, whose elements are counted from 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Array {
    /// The type of its elements.
    pub element: Scalar,
    /// They: of that type, or NULL.
    pub items: Vec<Datum>,
}

impl Array {
    /// The array of these.
    pub fn new(element: Scalar, items: Vec<Datum>) -> Array {
        Array { element, items }
    }

    /// Element by element, NULL above all; the shorter one of two that begin alike is less.
    pub fn order(&self, other: &Array) -> Ordering {
        for (left, right) in self.items.iter().zip(&other.items) {
            let order = match (left.is_null(), right.is_null()) {
                (false, false) => left.order(right),
                (left, right) => left.cmp(&right),
            };
            if order.is_ne() {
                return order;
            }
        }
        self.items.len().cmp(&other.items.len())
    }

    /// About how many bytes of memory it takes.
    pub fn len_memory(&self) -> usize {
        size_of::<Array>() + self.items.iter().map(Datum::len_memory).sum::<usize>()
    }
}
