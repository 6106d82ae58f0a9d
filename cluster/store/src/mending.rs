//! Reads that have met damage go on once it is mended.

use alloc::boxed::Box;
use core::future::Future;
use core::pin::Pin;

use crate::{ReadError, Snapshot};

/// What [`Mending::mended`] returns.
pub type Mended<'a> = Pin<Box<dyn Future<Output = Option<Snapshot>> + Send + 'a>>;

/// Whoever sees to it that tables are mended, and has a clock to give up by.
pub trait Mending: Send + Sync {
    /// The newest tables, once what could not be read has been mended; none if nothing came of it in time.
    fn mended(&self, error: ReadError) -> Mended<'_>;
}
