//! What a cluster may refuse a workload, and what it may not.

use crate::world::{Answer, Connection, Failure, World};

/// What a statement of a workload, none of which is wrong, may fail with while the cluster is disturbed or
/// others are at work. Full disks are not among them: no workload fills one.
const EXPECTED: [(&str, &str); 6] = [
    ("40001", "serialization_failure"),
    ("57P03", "cannot_connect_now: no quorum, or the node is not ready"),
    ("57P01", "admin_shutdown: the node is about to be switched off, and has not done what was asked"),
    ("08007", "transaction_resolution_unknown"),
    ("58030", "io_error: the node's disk does not give what it should, and it is about to stop serving"),
    ("XX001", "data_corrupted: the same, where the disk gives something else"),
];

impl Failure {
    /// Whether a workload may meet it.
    pub fn is_expected(&self) -> bool {
        *self == Failure::Lost || EXPECTED.iter().any(|(state, _)| self.is(state))
    }
}

/// A client's connection, which remembers the first answer that no workload should get.
#[derive(Debug)]
pub struct Watched<C> {
    connection: C,
    strange: Option<String>,
}

/// The connection of a client of a world.
pub type WatchedConnection<W> = Watched<<W as World>::Connection>;

impl<C> Watched<C> {
    pub(crate) fn new(connection: C) -> Watched<C> {
        Watched { connection, strange: None }
    }

    /// The statement, and what it failed with.
    pub(crate) fn take_strange(&mut self) -> Option<String> {
        self.strange.take()
    }
}

impl<C: Connection> Connection for Watched<C> {
    async fn query(&mut self, sql: &str) -> Result<Answer, Failure> {
        let answer = self.connection.query(sql).await;
        if let Err(failure) = &answer
            && !failure.is_expected()
        {
            self.strange.get_or_insert_with(|| format!("{sql}: {failure}"));
        }
        answer
    }
}
