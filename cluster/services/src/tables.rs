//! `sys.tables`: the stored tables, and the space that they take on the disk of the node that is asked.

use alloc::vec;
use alloc::vec::Vec;

use cluster_sql::catalog;
use cluster_sql::database::LiveTable;
use cluster_sql::key::table_range;
use cluster_sql::types::{DataType, Datum};
use cluster_store::{ReadError, Snapshot};

use crate::int8;

/// The table.
pub const TABLE: LiveTable = LiveTable {
    name: "tables",
    columns: &[
        ("schema", DataType::Text),
        ("name", DataType::Text),
        ("columns", DataType::Int4),
        ("disk_bytes", DataType::Int8),
    ],
    configured: None,
};

/// One row for each stored table that there is in `snapshot`.
pub async fn rows(snapshot: &Snapshot) -> Result<Vec<Vec<Datum>>, ReadError> {
    let mut rows = Vec::new();
    for table in catalog::all_tables(snapshot).await? {
        let disk_len = snapshot.disk_len(&table_range(table.id)).await?;
        rows.push(vec![
            Datum::Text(table.schema),
            Datum::Text(table.name),
            Datum::Int4(i32::try_from(table.columns.len()).unwrap_or(i32::MAX)),
            int8(disk_len),
        ]);
    }
    Ok(rows)
}
