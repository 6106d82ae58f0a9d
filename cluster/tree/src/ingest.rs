//! Records that come in order and replace everything, as when a node gets another's tables.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::future::poll_fn;
use core::task::{Poll, Waker};

use cluster_format::Version;
use spin::Mutex;

use crate::WriteError;
use crate::grid::Grid;
use crate::levels::Run;
use crate::writer::{Room, TableIds, Writer};

/// A key, since when it is what, and what.
type Record = (Arc<[u8]>, Version, Arc<[u8]>);

/// Where whoever has the records leaves them for whoever writes them.
#[derive(Default)]
struct Queue {
    records: VecDeque<Record>,
    len: usize,
    end: Option<End>,
    writer: Option<Waker>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// All have come.
    Finished,
    /// They are not wanted any more.
    Abandoned,
}

/// The one end of an ingestion.
#[derive(Clone, Default)]
pub(crate) struct Ingest {
    queue: Arc<Mutex<Queue>>,
}

impl Ingest {
    pub(crate) fn add(&self, record: Record) {
        self.change(|queue| {
            if queue.end.is_none() {
                queue.len += record.0.len() + record.2.len();
                queue.records.push_back(record);
            }
        });
    }

    pub(crate) fn finish(&self) {
        self.change(|queue| _ = queue.end.get_or_insert(End::Finished));
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.queue.lock().end == Some(End::Abandoned)
    }

    pub(crate) fn abandon(&self) {
        self.change(|queue| {
            *queue = Queue { end: Some(End::Abandoned), writer: queue.writer.take(), ..Queue::default() }
        });
    }

    /// Bytes that are not written yet.
    pub(crate) fn len_bytes(&self) -> usize {
        self.queue.lock().len
    }

    fn change(&self, change: impl FnOnce(&mut Queue)) {
        let waker = {
            let mut queue = self.queue.lock();
            change(&mut queue);
            queue.writer.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Writes what comes as tables; none if it was abandoned.
    pub(crate) async fn write(
        self,
        grid: Grid,
        ids: TableIds,
        room: Room,
    ) -> Result<Option<Run>, WriteError> {
        let mut writer = Writer::new(&grid, ids, room);
        loop {
            match self.next().await {
                Ok((key, version, value)) => writer.add(&key, version, Some(&value)).await?,
                Err(End::Finished) => return writer.finish().await.map(Some),
                Err(End::Abandoned) => return Ok(None),
            }
        }
    }

    async fn next(&self) -> Result<Record, End> {
        poll_fn(|context| {
            let mut queue = self.queue.lock();
            match (queue.records.pop_front(), queue.end) {
                (Some(record), _) => {
                    queue.len -= record.0.len() + record.2.len();
                    Poll::Ready(Ok(record))
                }
                (None, Some(end)) => Poll::Ready(Err(end)),
                (None, None) => {
                    queue.writer = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}
