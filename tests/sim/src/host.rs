//! Where clients run: a machine with a TCP stack, tasks and timers. It suffers no faults, though its wire may.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use cluster_net::{Addressing, Stack, StackConfig, TcpConnection};
use drivers_api::{Instant, Mtu, Nic};
use drivers_sim::SimNic;
use kernel_core::{Executor, TimerKey, Timers};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use spin::Mutex;
use tests_workloads::{Answer, Failure, World};

use crate::client::Client;
use crate::cluster::{ip_of, nobody};
use crate::nics::hardware_address_of;
use crate::trace::{Event, Trace};

const SQL_PORT: u16 = 5432;

/// Connections of clients, at most.
const CONNECTIONS_MAX: usize = 256;

/// How long a client waits for an answer: longer than the system's own time limits.
const PATIENCE: Duration = Duration::from_secs(12);

/// How long it waits for a connection.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);

/// What clients see of the simulation.
#[derive(Clone)]
pub struct Host {
    stack: Arc<Mutex<Stack>>,
    clock: Rc<Cell<Instant>>,
    timers: Rc<RefCell<Timers>>,
    rng: Rc<RefCell<ChaCha8Rng>>,
    trace: Rc<RefCell<Trace>>,
    powers: Rc<RefCell<Vec<Power>>>,
}

/// Whether a node has power. When it fails, the node's clients know: whoever forwards their connections to it,
/// a gateway or a hypervisor, breaks them.
#[derive(Default)]
struct Power {
    is_on: bool,
    /// How often it has failed.
    failures: u64,
    /// Who waits for the node.
    waiting: Vec<Waker>,
}

impl Host {
    /// Opens a connection to a node's SQL port.
    pub fn open(&self, node: u8) -> Option<TcpConnection> {
        Stack::connect(&self.stack, ip_of(node.into()).into(), SQL_PORT).ok()
    }

    /// The simulated time.
    pub fn time(&self) -> Instant {
        self.clock.get()
    }

    /// A node has power from now on, or no longer.
    pub(crate) fn set_power(&self, node: u8, is_on: bool) {
        let power = &mut self.powers.borrow_mut()[usize::from(node) - 1];
        if power.is_on && !is_on {
            power.failures += 1;
            power.waiting.drain(..).for_each(Waker::wake);
        }
        power.is_on = is_on;
    }

    /// How often a node's power has failed; none while it has none.
    fn failures(&self, node: u8) -> Option<u64> {
        let power = &self.powers.borrow()[usize::from(node) - 1];
        power.is_on.then_some(power.failures)
    }

    /// What a node says, or [`Failure::Lost`] if that takes longer than `limit` or its power fails, or has
    /// failed since there were so many `failures`.
    async fn hear<T>(
        &self,
        node: u8,
        failures: u64,
        limit: Duration,
        future: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let mut future = pin!(future);
        let powered = poll_fn(|context| {
            if self.failures(node) != Some(failures) {
                return Poll::Ready(Err(Failure::Lost));
            }
            let answer = future.as_mut().poll(context);
            if answer.is_pending() {
                let waiting = &mut self.powers.borrow_mut()[usize::from(node) - 1].waiting;
                if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                    waiting.push(context.waker().clone());
                }
            }
            answer
        });
        within(self, limit, powered).await.unwrap_or(Err(Failure::Lost))
    }

    fn timer(&self, span: Duration) -> Timer<'_> {
        Timer { host: self, deadline: self.time() + span, key: None }
    }

    fn note(&self, answer: &Result<Answer, Failure>) {
        let text = format!("{answer:?}");
        self.trace.borrow_mut().note(Event::Answer, self.time(), 0, text.as_bytes());
    }
}

impl World for Host {
    type Connection = Session;

    fn nodes(&self) -> u8 {
        self.powers.borrow().len() as u8
    }

    async fn connect(&self, node: u8) -> Result<Session, Failure> {
        let failures = self.failures(node).ok_or(Failure::Lost)?;
        let client = self.hear(node, failures, CONNECT_PATIENCE, Client::connect(self, node)).await?;
        Ok(Session { client, node, failures, host: self.clone() })
    }

    async fn sleep(&self, span: Duration) {
        let mut timer = self.timer(span);
        poll_fn(|context| timer.poll(context)).await;
    }

    fn now(&self) -> Duration {
        self.time().since(Instant::ZERO)
    }

    fn random(&self) -> u64 {
        self.rng.borrow_mut().next_u64()
    }
}

/// A client's session with a node, which waits for no answer for ever.
pub struct Session {
    client: Client,
    node: u8,
    /// How often the node's power had failed when it began.
    failures: u64,
    host: Host,
}

impl tests_workloads::Connection for Session {
    async fn query(&mut self, sql: &str) -> Result<Answer, Failure> {
        let answer = self.host.hear(self.node, self.failures, PATIENCE, self.client.query(sql)).await;
        self.host.note(&answer);
        answer
    }
}

/// The outcome of `future`, or none if it takes longer than `limit`.
pub async fn within<T>(host: &Host, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut timer = host.timer(limit);
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => timer.poll(context).map(|()| None),
    })
    .await
}

/// A moment to wait for. Dropped early, it wakes nobody.
struct Timer<'a> {
    host: &'a Host,
    deadline: Instant,
    key: Option<TimerKey>,
}

impl Timer<'_> {
    fn poll(&mut self, context: &Context<'_>) -> Poll<()> {
        if self.host.time() >= self.deadline {
            return Poll::Ready(());
        }
        // The task that first waits keeps the timer: futures do not change tasks here.
        let timers = &self.host.timers;
        let insert = || timers.borrow_mut().insert(self.deadline, context.waker().clone());
        self.key.get_or_insert_with(insert);
        Poll::Pending
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.host.timers.borrow_mut().cancel(key);
        }
    }
}

/// The machine behind [`Host`].
pub(crate) struct HostMachine {
    pub(crate) host: Host,
    executor: Executor,
    stack_deadline: Option<Instant>,
}

impl HostMachine {
    pub(crate) fn new(nodes: u8, mtu: Mtu, seed: u64, trace: Rc<RefCell<Trace>>) -> HostMachine {
        let config = StackConfig {
            hardware_address: hardware_address_of(0),
            mtu,
            addressing: Addressing::Static { ip: ip_of(254), prefix_len: 24 },
            ip6: None,
            seed,
            connections_max: CONNECTIONS_MAX,
            buffers_len_max: usize::MAX,
        };
        let host = Host {
            stack: Arc::new(Mutex::new(Stack::new(config, Instant::ZERO))),
            clock: Rc::default(),
            timers: Rc::default(),
            rng: Rc::new(RefCell::new(ChaCha8Rng::seed_from_u64(seed ^ 0x686f_7374))),
            trace,
            powers: Rc::new(RefCell::new((0..nodes).map(|_| Power::default()).collect())),
        };
        HostMachine { host, executor: Executor::new(), stack_deadline: None }
    }

    pub(crate) fn spawn(&mut self, future: impl Future<Output = ()> + 'static) {
        self.executor.spawn(future);
    }

    pub(crate) fn set_time(&self, now: Instant) {
        self.host.clock.set(now);
    }

    /// When the machine has something to do, if ever.
    pub(crate) fn next_due(&self, now: Instant) -> Option<Instant> {
        if self.executor.is_ready() {
            return Some(now);
        }
        let timers = self.host.timers.borrow().next_deadline();
        timers.into_iter().chain(self.stack_deadline).min()
    }

    /// Takes in, runs every task that is woken, sends out.
    pub(crate) fn turn(&mut self, now: Instant, nic: &mut SimNic) {
        self.take_frames(now, nic);
        self.host.timers.borrow_mut().expire(now);
        while self.executor.run() > 0 {}
        let mut stack = self.host.stack.lock();
        stack.poll(now);
        while let Some(frame) = stack.take_frame() {
            // The simulated NIC takes every frame.
            let _ = nic.transmit(frame);
        }
        // A stack that has more to do at once is given a microsecond of time for it.
        self.stack_deadline = stack.deadline(now).map(|due| due.max(now + Duration::from_micros(1)));
    }

    fn take_frames(&self, now: Instant, nic: &mut SimNic) {
        let mut stack = self.host.stack.lock();
        let mut any = false;
        while let Poll::Ready(frame) = nic.poll_receive(&mut nobody()) {
            stack.receive(frame);
            any = true;
        }
        if any || self.stack_deadline.is_some_and(|due| due <= now) {
            stack.poll(now);
        }
    }
}
