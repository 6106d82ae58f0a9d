//! A real cluster as workloads see it: every client on a thread of its own, every call blocks.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tests_workloads::{Answer, Connection, Failure, Pace, Tally, Workload, World, run_client};

use crate::client::{Client, SqlFailure};

/// How long a client waits for a connection, and for an answer: longer than the system's own time limits.
const CONNECTED_WITHIN: Duration = Duration::from_secs(3);
const ANSWERED_WITHIN: Duration = Duration::from_secs(15);

/// A cluster on ports of 127.0.0.1. It stays on its thread: make one for each.
#[derive(Clone)]
pub struct SocketWorld {
    ports: Vec<u16>,
    began: Instant,
    dice: Rc<Cell<u64>>,
}

impl SocketWorld {
    /// Node K is at the Kth port. Times count from `began`, which all clients of a workload must share.
    pub fn new(ports: &[u16], began: Instant, seed: u64) -> SocketWorld {
        SocketWorld { ports: ports.to_vec(), began, dice: Rc::new(Cell::new(seed | 1)) }
    }
}

impl World for SocketWorld {
    type Connection = Client;

    fn nodes(&self) -> u8 {
        self.ports.len() as u8
    }

    async fn connect(&self, node: u8) -> Result<Client, Failure> {
        let client = Client::connect(self.ports[usize::from(node) - 1], CONNECTED_WITHIN);
        client.map(|client| client.with_patience(ANSWERED_WITHIN)).map_err(failure_of)
    }

    async fn sleep(&self, span: Duration) {
        std::thread::sleep(span);
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn random(&self) -> u64 {
        // Marsaglia's xorshift: chance need not be good here, nor the same twice.
        let mut state = self.dice.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.dice.set(state);
        state
    }
}

impl Connection for Client {
    async fn query(&mut self, sql: &str) -> Result<Answer, Failure> {
        self.answer(sql).map_err(failure_of)
    }
}

fn failure_of(failure: SqlFailure) -> Failure {
    match failure {
        SqlFailure::Refused(state, message) => Failure::Server(state, message),
        SqlFailure::NotConnected(_) | SqlFailure::Lost(_) => Failure::Lost,
    }
}

/// Runs a future whose every step blocks, so that it is never long pending.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::yield_now(),
        }
    }
}

/// A workload that runs on a cluster.
pub struct Load {
    workload: Arc<dyn Workload<SocketWorld>>,
    pace: Arc<Pace>,
    ports: Vec<u16>,
    began: Instant,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Sets the workload up and starts its clients.
    pub fn start(workload: Arc<dyn Workload<SocketWorld>>, ports: &[u16], clients: u64) -> Load {
        Load::start_thinking(workload, ports, clients, Duration::from_millis(10))
    }

    /// The same, with clients that wait up to `think` between transactions: what they ask for must be done some day.
    pub fn start_thinking(
        workload: Arc<dyn Workload<SocketWorld>>,
        ports: &[u16],
        clients: u64,
        think: Duration,
    ) -> Load {
        let (began, pace) = (Instant::now(), Arc::new(Pace::new(think)));
        block_on(workload.setup(&SocketWorld::new(ports, began, 1)));
        let client = |client| {
            let (workload, pace, ports) = (workload.clone(), pace.clone(), ports.to_vec());
            std::thread::spawn(move || {
                let world = SocketWorld::new(&ports, began, (client + 1) * 0x9e37_79b9);
                block_on(run_client(&*workload, &world, client, &pace));
            })
        };
        let clients = (0..clients).map(client).collect();
        Load { workload, pace, ports: ports.to_vec(), began, clients }
    }

    /// Transactions that took place so far.
    pub fn committed(&self) -> u64 {
        self.pace.tally().committed
    }

    /// Reads, from any thread, how many transactions took place so far.
    pub fn counter(&self) -> Box<dyn Fn() -> u64 + Send> {
        let pace = self.pace.clone();
        Box::new(move || pace.tally().committed)
    }

    /// Ends the clients and checks what every node shows.
    ///
    /// # Panics
    /// If a client did, or a check finds something wrong.
    pub fn finish(self) {
        let name = self.workload.name();
        match self.verdict() {
            Ok(tally) => println!("{name}: {tally:?}"),
            Err(wrong) => panic!("{name}: {wrong}"),
        }
    }

    /// Ends the clients and checks what every node shows: how much was done, or what was found wrong first.
    ///
    /// # Panics
    /// If a client did.
    pub fn verdict(self) -> Result<Tally, String> {
        self.pace.stop();
        self.clients.into_iter().for_each(|client| client.join().expect("the client ends in order"));
        let world = SocketWorld::new(&self.ports, self.began, 1);
        for node in 1..=world.nodes() {
            let checked = block_on(async {
                let mut client = world.connect(node).await.map_err(|failure| failure.to_string())?;
                self.workload.check(&world, &mut client).await
            });
            checked.map_err(|wrong| format!("at node {node}: {wrong}"))?;
        }
        self.workload.final_verdict()?;
        self.pace.verdict().map_err(|met| format!("what its clients met: {met}"))?;
        Ok(self.pace.tally())
    }
}
