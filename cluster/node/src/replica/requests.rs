//! What the disk is asked for, by the journal and the tables, and what it has answered.

use alloc::collections::VecDeque;
use core::task::{Context, Poll};

use cluster_format::Mistake;
use cluster_store::{REQUEST_TAG, REQUEST_TAG_BITS};
use drivers_api::{Disk, DiskOperation, DiskRequest, Now, SECTOR_SIZE};

use super::Replica;

impl Replica {
    /// Exchanges requests and completions with the disk; whether anything was completed.
    pub(crate) fn exchange(&mut self, now: Now, disk: &mut dyn Disk, context: &mut Context<'_>) -> bool {
        let mut any = false;
        while let Poll::Ready(completion) = disk.poll_completion(context) {
            any = true;
            if completion.id & ((1 << REQUEST_TAG_BITS) - 1) == REQUEST_TAG {
                self.tables.grid().completed(completion);
                continue;
            }
            let Some(journal) = &mut self.journal else { continue };
            if let Err(error) = journal.completed(completion) {
                self.stop(error);
                continue;
            }
            self.take_events(now);
        }
        self.measure_disk(disk.geometry().sectors);
        self.advance_tables(now);
        any
    }

    /// Hands requests to the disk; those it has no room for are given back to be tried later.
    pub(crate) fn submit(&mut self, disk: &mut dyn Disk, waiting: &mut VecDeque<DiskRequest>) {
        if let Some(journal) = &mut self.journal {
            waiting.extend(journal.take_requests());
            waiting.extend(self.tables.grid().take_requests().into_iter().map(|request| {
                match request.operation {
                    DiskOperation::Flush if self.planted.is(Mistake::TablesNotFlushed) => {
                        let buffer = alloc::vec![0; SECTOR_SIZE].into();
                        DiskRequest { operation: DiskOperation::Read { sector: 0, buffer }, ..request }
                    }
                    _ => request,
                }
            }));
        }
        let mut any = false;
        while let Some(request) = waiting.pop_front() {
            match disk.submit(request) {
                Ok(()) => any = true,
                Err(request) => {
                    waiting.push_front(request);
                    break;
                }
            }
        }
        if any {
            disk.kick();
        }
    }
}
