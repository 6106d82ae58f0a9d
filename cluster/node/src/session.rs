//! Sessions: one task for each client, run when it is woken.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;

use async_task::Runnable;
use cluster_gateway::{Closed, Connection};
use cluster_net::TcpConnection;
use spin::Mutex;

/// Tasks that are ready, in order: the whole executor.
#[derive(Clone, Default)]
pub(crate) struct Tasks {
    ready: Arc<Mutex<VecDeque<Runnable>>>,
}

impl Tasks {
    /// Starts a task, which runs to its end.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let ready = self.ready.clone();
        let schedule = move |runnable| ready.lock().push_back(runnable);
        let (runnable, task) = async_task::spawn(future, schedule);
        task.detach();
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
