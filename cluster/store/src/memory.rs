//! The memory that sessions share: what statements gather and transactions buffer comes out of one pool,
//! so that a node's memory is bounded however many clients it has.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

/// The pool is used up. Others will give back what they hold: trying again later is the cure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolEmpty;

/// A number of bytes that is shared.
#[derive(Debug)]
pub struct MemoryPool {
    len: usize,
    left: AtomicUsize,
}

impl MemoryPool {
    /// A pool of `len` bytes.
    pub fn new(len: usize) -> Arc<MemoryPool> {
        Arc::new(MemoryPool { len, left: AtomicUsize::new(len) })
    }

    /// A lease of nothing yet.
    pub fn lease(self: &Arc<Self>) -> Lease {
        Lease { pool: self.clone(), len: 0 }
    }

    /// All of its bytes, held or not.
    pub fn size(&self) -> usize {
        self.len
    }

    /// Whoever lacks no more than this may hope that others give back what they hold. There is always something that
    /// somebody holds: who wants more will hardly ever get it.
    pub fn hopeful_len(&self) -> usize {
        self.len / 4 * 3
    }

    /// Bytes that nobody holds.
    pub fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }
}

/// Bytes taken from a pool, given back when this is dropped.
#[derive(Debug)]
pub struct Lease {
    pool: Arc<MemoryPool>,
    len: usize,
}

impl Lease {
    /// The bytes it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The pool that they are taken from.
    pub fn pool(&self) -> &MemoryPool {
        &self.pool
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Makes it hold exactly `len` bytes. An error leaves it as it was.
    pub fn resize(&mut self, len: usize) -> Result<(), PoolEmpty> {
        if len > self.len {
            let more = len - self.len;
            let take = |left: usize| left.checked_sub(more);
            self.pool.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).map_err(|_| PoolEmpty)?;
        } else {
            self.pool.left.fetch_add(self.len - len, Ordering::Relaxed);
        }
        self.len = len;
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.left.fetch_add(self.len, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_holds_another_lacks_until_it_is_given_back() {
        let pool = MemoryPool::new(100);
        let (mut one, mut other) = (pool.lease(), pool.lease());
        assert_eq!(one.resize(80), Ok(()));
        assert_eq!(other.resize(30), Err(PoolEmpty));
        assert_eq!((other.len(), pool.left()), (0, 20));
        assert_eq!(one.resize(70), Ok(()));
        assert_eq!(other.resize(30), Ok(()));
        drop(one);
        assert_eq!(pool.left(), 70);
    }
}
