//! Sessions: one task for each client, run when it is woken.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;

use async_task::{Runnable, Task};
use cluster_gateway::{Closed, Connection};
use cluster_net::TcpConnection;
use spin::Mutex;

/// The whole executor.
#[derive(Default)]
pub(crate) struct Tasks {
    /// Those that are ready, in order.
    ready: Arc<Mutex<VecDeque<Runnable>>>,
    /// All that have not ended, and some that have.
    all: Vec<Task<()>>,
}

impl Tasks {
    /// Starts a task, which runs to its end.
    pub(crate) fn spawn(&mut self, future: impl Future<Output = ()> + Send + 'static) {
        let ready = self.ready.clone();
        let schedule = move |runnable| ready.lock().push_back(runnable);
        let (runnable, task) = async_task::spawn(future, schedule);
        self.all.retain(|task| !task.is_finished());
        self.all.push(task);
        runnable.schedule();
    }

    /// Runs those that are ready now, each once; whether there were any.
    pub(crate) fn run(&self) -> bool {
        let ready: Vec<Runnable> = self.ready.lock().drain(..).collect();
        let any = !ready.is_empty();
        ready.into_iter().for_each(|runnable| {
            runnable.run();
        });
        any
    }

    /// Whether some are ready.
    pub(crate) fn any_ready(&self) -> bool {
        !self.ready.lock().is_empty()
    }
}

/// A session and the TCP stack hold each other, so a session that is not ended would outlive its node.
impl Drop for Tasks {
    fn drop(&mut self) {
        // Cancelled, each becomes ready once more, and is dropped instead of run.
        self.all.clear();
        let cancelled: Vec<Runnable> = self.ready.lock().drain(..).collect();
        drop(cancelled);
    }
}

/// A client's connection, as the gateway sees it.
pub(crate) struct Client(pub(crate) TcpConnection);

impl Connection for Client {
    async fn read(&mut self, into: &mut Vec<u8>) -> Result<(), Closed> {
        self.0.read(into).await.map_err(|_| Closed)
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Closed> {
        self.0.write(bytes).await.map_err(|_| Closed)
    }
}
