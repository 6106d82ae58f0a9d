//! The notes of sessions that build indexes.

use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::KeyRange;
use cluster_store::{Direction, SYSTEM_SPACE, Transaction};

use super::{Descriptor, Index, IndexState};
use crate::error::SqlResult;

/// What sessions that build indexes note of that, by their random names.
const BUILDS: u8 = 5;

/// The key of the note of the session `builder`, which builds an index.
pub(crate) fn build_key(builder: u64) -> Vec<u8> {
    [&[SYSTEM_SPACE, BUILDS][..], &builder.to_be_bytes()].concat()
}

/// The sessions that build indexes, and their notes.
pub(crate) async fn builds(transaction: &mut Transaction) -> SqlResult<Vec<(u64, Arc<[u8]>)>> {
    let prefix = [SYSTEM_SPACE, BUILDS];
    let mut scan = transaction.scan(KeyRange::prefix(&prefix), Direction::Forward);
    let mut notes = Vec::new();
    loop {
        let rows = scan.next_batch(transaction).await?;
        if rows.is_empty() {
            return Ok(notes);
        }
        let builder = |key: &[u8]| key.strip_prefix(&prefix)?.try_into().ok().map(u64::from_be_bytes);
        notes.extend(rows.into_iter().filter_map(|(key, note)| Some((builder(&key)?, note))));
    }
}

/// The sessions that were building the indexes of the table that `value` describes.
pub(crate) fn builders_of(value: &[u8]) -> Vec<u64> {
    let Some(Descriptor::Table(table)) = Descriptor::decode(value) else { return Vec::new() };
    let builder = |index: &Index| match index.state {
        IndexState::Building { builder } => Some(builder),
        IndexState::Ready => None,
    };
    table.indexes.iter().filter_map(builder).collect()
}
