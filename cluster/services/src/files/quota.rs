//! How much owners have, of those that may not have as much as they like.

use cluster_sql::Session;
use cluster_sql::database::Database;
use cluster_sql::types::Datum;

use super::error::{FileResult, Problem};
use super::path::Place;
use super::statements;

/// Counts what `owner` gets at `place`, or loses, unless it is more than is allowed. That is done before it takes place, so that
/// who is counted for the first time is counted as it is without it.
pub(super) async fn charge<D: Database>(
    session: &mut Session<D>,
    place: &Place<'_>,
    owner: &str,
    bytes: i64,
    files: i64,
) -> FileResult<()> {
    if bytes == 0 && files == 0 {
        return Ok(());
    }
    let params = [Datum::Text(owner.into()), Datum::Int8(bytes), Datum::Int8(files)];
    let answer = session.run(statements::LACKS, params.clone().into()).await?;
    let exceeded =
        |max: &i64, unit| place.error(Problem::QuotaExceeded { owner: owner.into(), max: *max, unit });
    match answer.rows.first().map(|row| &row[..]) {
        // It has none.
        None => return Ok(()),
        Some([Datum::Int8(max), _]) => return Err(exceeded(max, "bytes")),
        Some([_, Datum::Int8(max)]) => return Err(exceeded(max, "files")),
        Some(_) => {}
    }
    session.run(statements::CHARGE, params.into()).await?;
    Ok(())
}

/// A size, to be counted: none is longer than a file.
pub(super) fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
