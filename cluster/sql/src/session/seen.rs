//! What is seen of a session from outside, and how it ends others.

use alloc::vec::Vec;

use super::{Mode, Outcome, Prepared, Session, Tag};
use crate::database::Database;
use crate::error::SqlResult;
use crate::sessions::{OpenBlock, Signal};
use crate::types::Datum;

impl<D: Database> Session<D> {
    /// Wall time now, in microseconds since the Unix epoch.
    pub fn wall_micros(&self) -> i64 {
        self.database.wall_micros()
    }

    /// The transaction block that it is in, if it is in one.
    pub fn open_block(&self) -> Option<OpenBlock> {
        self.state.open_block()
    }

    /// `DELETE FROM sys.sessions`: the sessions of these rows end at once, as nothing of them is stored; its own is the last.
    pub(super) async fn end_sessions(
        &mut self,
        prepared: &Prepared,
        params: Vec<Datum>,
        mode: Mode,
    ) -> SqlResult<Outcome> {
        self.state.check_writable("DELETE")?;
        let mut pids = Vec::new();
        if let Outcome::Rows(mut cursor) = self.query(prepared, params, mode, None).await? {
            while let Some(rows) = self.fetch(&mut cursor).await? {
                pids.extend(rows.iter().filter_map(|row| match row.first() {
                    Some(Datum::Int4(pid)) => Some(*pid),
                    _ => None,
                }));
            }
        }
        let own = self.facts.backend.cast_signed();
        pids.sort_unstable_by_key(|pid| (*pid == own, *pid));
        pids.dedup();
        let mut ended = 0;
        for pid in pids {
            ended += u64::from(self.database.signal(Signal { pid, ends: true }).await?);
        }
        Ok(Outcome::Done(Tag::Delete(ended)))
    }
}
