//! One connection, from its first byte to its last.

use alloc::sync::Arc;

use cluster_sql::database::Database;

use crate::{Connection, Registry};

/// Serves one client until it leaves. `backend` is the process id the client is told and must be unique
/// among the node's connections; `secret` is what it must show to cancel.
pub async fn serve<C: Connection, D: Database>(
    connection: C,
    database: D,
    registry: Arc<Registry>,
    backend: u32,
    secret: u32,
) {
    let _ = (connection, database);
    let _ = registry.enter(backend, secret);
}
