//! Tables and routines that a node's sessions have decoded, so that most statements need not do it again.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_store::Transaction;
use spin::Mutex;

use super::{
    Stored, StoredRoutine, StoredStatistics, StoredTable, descriptor_key, routine_name, statistics_key,
    stored,
};
use crate::error::SqlResult;

/// Most tables that are kept.
const TABLES_MAX: usize = 64;

/// Longest descriptors and statistics, each, of tables that are kept, in bytes.
const LEN_MAX: usize = 32 * 1024;

/// The tables that were read last. What it gives is compared with what the transaction reads, so it is never out of date.
#[derive(Debug, Default)]
pub struct TableCache {
    by_key: Mutex<BTreeMap<Vec<u8>, Arc<StoredTable>>>,
    /// Routines that were called last, with the plans of their statements.
    routines: Mutex<BTreeMap<Vec<u8>, Arc<StoredRoutine>>>,
}

impl TableCache {
    /// What `schema.name` stands for in `transaction`, if anything; of a table, with its statistics.
    pub(crate) async fn find(
        &self,
        transaction: &mut Transaction,
        schema: &str,
        name: &str,
    ) -> SqlResult<Option<Stored>> {
        let key = descriptor_key(schema, name);
        let Some(bytes) = transaction.get(&key).await? else { return Ok(None) };
        let known = self.by_key.lock().get(&key).cloned();
        let table = match known.filter(|known| Arc::ptr_eq(&known.bytes, &bytes) || known.bytes == bytes) {
            Some(known) => known,
            None => match stored(key, bytes)? {
                Some(Stored::Table(table)) => table,
                other => return Ok(other),
            },
        };
        let statistics = transaction.peek(&statistics_key(table.descriptor.id)).await?;
        let known = table.statistics.as_ref().map(|known| &known.bytes);
        let table = match known == statistics.as_ref() {
            true => table,
            false => {
                let statistics = statistics.and_then(StoredStatistics::read);
                Arc::new(StoredTable { statistics, ..StoredTable::clone(&table) })
            }
        };
        self.keep(&table);
        Ok(Some(Stored::Table(table)))
    }

    /// The routine called `schema.name` in `transaction`, if there is one.
    pub(crate) async fn find_routine(
        &self,
        transaction: &mut Transaction,
        schema: &str,
        name: &str,
    ) -> SqlResult<Option<Arc<StoredRoutine>>> {
        let key = descriptor_key(schema, &routine_name(name));
        let Some(bytes) = transaction.get(&key).await? else { return Ok(None) };
        let known = self.routines.lock().get(&key).cloned();
        if let Some(known) = known.filter(|known| known.bytes == bytes) {
            return Ok(Some(known));
        }
        let Some(Stored::Routine(routine)) = stored(key.clone(), bytes)? else { return Ok(None) };
        if routine.bytes.len() <= LEN_MAX {
            let mut routines = self.routines.lock();
            if routines.len() >= TABLES_MAX {
                routines.clear();
            }
            routines.insert(key, routine.clone());
        }
        Ok(Some(routine))
    }

    fn keep(&self, table: &Arc<StoredTable>) {
        let statistics_len = table.statistics.as_ref().map_or(0, |statistics| statistics.bytes.len());
        if table.bytes.len().max(statistics_len) > LEN_MAX {
            return;
        }
        let mut by_key = self.by_key.lock();
        match by_key.get_mut(&table.key) {
            Some(known) if Arc::ptr_eq(known, table) => {}
            Some(known) => *known = table.clone(),
            None => {
                if by_key.len() >= TABLES_MAX {
                    by_key.clear();
                }
                by_key.insert(table.key.clone(), table.clone());
            }
        }
    }
}
