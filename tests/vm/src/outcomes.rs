//! What clients of an [`InsertStream`](crate::InsertStream) were told, against what nodes show.

use std::collections::BTreeMap;

use crate::cluster::Cluster;
use crate::stream::Record;

/// How often each id is in a table.
pub type Ids = BTreeMap<i64, usize>;

/// How often each id is in `table`, as a node sees it.
///
/// # Errors
/// What the node answers instead.
pub fn ids_at(cluster: &Cluster, node: u8, table: &str) -> Result<Ids, String> {
    let rows = cluster.client(node).query(&format!("SELECT id FROM {table}"));
    let mut ids = Ids::new();
    for row in rows.map_err(|failure| failure.to_string())? {
        let id = row[0].as_deref().and_then(|text| text.parse().ok()).ok_or("a row without a number")?;
        *ids.entry(id).or_default() += 1;
    }
    Ok(ids)
}

/// In what the clients' story and the table's differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discrepancies {
    /// Rows whose insert was acknowledged, and that are not there.
    pub lost: Vec<i64>,
    /// Rows that are there more than once, once for each time too often.
    pub doubled: Vec<i64>,
    /// What is there though it should not be.
    pub wrong: Vec<String>,
}

impl Discrepancies {
    /// Of everything that clients were told, from what is `seen`.
    pub fn of(records: &[Record], seen: &Ids) -> Discrepancies {
        let (mut found, mut known) = (Discrepancies::default(), 0);
        for record in records {
            let times = seen.get(&record.id).copied().unwrap_or(0);
            known += usize::from(times > 0);
            found.doubled.extend(std::iter::repeat_n(record.id, times.saturating_sub(1)));
            match &record.outcome {
                Ok(()) if times == 0 => found.lost.push(record.id),
                Err(failure) if times > 0 && !failure.may_have_happened() => {
                    found.wrong.push(format!("row {} is there, which was refused: {failure}", record.id));
                }
                _ => {}
            }
        }
        if known != seen.len() {
            found.wrong.push(format!("{} rows are there that nobody sent", seen.len() - known));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::SqlFailure;

    #[test]
    fn each_kind_of_difference_is_told_apart() {
        let refused = Err(SqlFailure::Refused("40001".into(), "no".into()));
        let record = |id, outcome| Record { id, port: 1, at: Instant::now(), outcome };
        let records = [
            record(1, Ok(())),
            record(2, Ok(())),
            record(3, Ok(())),
            record(4, refused.clone()),
            record(5, refused),
            record(6, Err(SqlFailure::Lost("gone".into()))),
            record(7, Err(SqlFailure::Lost("gone".into()))),
        ];
        let of = |seen: &[(i64, usize)]| Discrepancies::of(&records, &seen.iter().copied().collect());
        assert_eq!(of(&[(1, 1), (2, 1), (3, 1), (6, 1)]), Discrepancies::default());
        let found = of(&[(1, 1), (2, 3), (4, 1), (7, 2), (9, 1)]);
        assert_eq!((found.lost, found.doubled), (vec![3], vec![2, 2, 7]));
        assert_eq!(
            found.wrong,
            ["row 4 is there, which was refused: no (40001)", "1 rows are there that nobody sent"]
        );
    }
}
