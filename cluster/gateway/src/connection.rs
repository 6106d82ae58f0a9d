//! The seam to the network.

use alloc::vec::Vec;
use core::future::Future;

/// The peer has gone, or the connection was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// A stream of bytes in both directions.
pub trait Connection: Send {
    /// Waits for bytes and appends at least one to `into`.
    fn read(&mut self, into: &mut Vec<u8>) -> impl Future<Output = Result<(), Closed>> + Send;

    /// Sends all of `bytes`, in order. Completes when they are buffered; pending is how it slows the
    /// sender down.
    fn write(&mut self, bytes: &[u8]) -> impl Future<Output = Result<(), Closed>> + Send;
}
