//! One end of a measurement of the network: no node, only the NIC's driver, the TCP stack, and what `cluster-throughput`
//! has the two ends say.
//!
//! ```text
//!   serve: listen for ever          ask: (connect, ask, close) x connections -> print -> next part ... -> off
//! ```

use alloc::rc::Rc;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::net::Ipv4Addr;
use core::task::{Context, Poll};

use cluster_net::{Addressing, Stack, StackConfig, TcpConnection, TcpError};
use cluster_throughput::{
    CONNECTIONS_MAX, Connection, Failure, Measured, PARTS, PORT, ROUNDS, Role, ask, serve,
};
use drivers_api::{Entropy, Instant, Level, Machine, Now};
use kernel_arch::{clock, power};
use kernel_core::Executor;
use spin::Mutex;

/// Bytes of all buffers, at most: enough that each of the connections has long ones.
const BUFFERS_LEN_MAX: usize = 32 << 20;

/// As a node takes them.
const FRAMES_PER_ROUND: usize = 256;
const ROUNDS_PER_TURN: usize = 16;

/// An end, as a member.
pub struct Wire {
    stack: Arc<Mutex<Stack>>,
    tasks: Executor,
    /// Of the one that asks.
    asker: Option<Asker>,
}

/// What is asked, and how far that is.
struct Asker {
    server: Ipv4Addr,
    /// Parts that have begun, over all rounds.
    begun: usize,
    began: Instant,
    /// Connections of the part that have not had all their answers, and why one never will.
    asking: Rc<Cell<u64>>,
    failure: Rc<Cell<Option<Failure<TcpError>>>>,
}

struct Client(TcpConnection);

impl Connection for Client {
    type Error = TcpError;

    async fn read(&mut self, into: &mut Vec<u8>) -> Result<(), TcpError> {
        self.0.read(into).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), TcpError> {
        self.0.write(bytes).await
    }
}

impl Wire {
    /// An end with that address.
    pub fn new(
        role: Role,
        addressing: Addressing,
        machine: &mut Machine<'_>,
        entropy: &mut dyn Entropy,
    ) -> Wire {
        let mut seed = [0; 8];
        entropy.fill(&mut seed);
        let config = StackConfig {
            hardware_address: machine.nic().hardware_address(),
            mtu: machine.nic().mtu(),
            addressing,
            ip6: None,
            seed: u64::from_le_bytes(seed),
            // Those of a part may come before the server has noticed that those of the part before are closed.
            connections_max: 2 * CONNECTIONS_MAX,
            buffers_len_max: BUFFERS_LEN_MAX,
        };
        let mut stack = Stack::new(config, clock::now());
        let asker = match role {
            Role::Serve => {
                stack.listen(PORT, CONNECTIONS_MAX);
                machine.console.log(Level::Info, format_args!("throughput is served at port {PORT}"));
                None
            }
            Role::Ask(server) => Some(Asker {
                server,
                begun: 0,
                began: clock::now(),
                asking: Rc::default(),
                failure: Rc::default(),
            }),
        };
        Wire { stack: Arc::new(Mutex::new(stack)), tasks: Executor::new(), asker }
    }

    /// Takes in, does, sends out; whether another round would find something to do.
    fn round(&mut self, machine: &mut Machine<'_>, context: &mut Context<'_>) -> bool {
        let more = self.take_frames(machine, context);
        self.stack.lock().poll(clock::now());
        while let Some((_, connection)) = Stack::accept(&self.stack) {
            self.tasks.spawn(async move {
                serve(Client(connection)).await;
            });
        }
        if let Some(asker) = &mut self.asker {
            asker.advance(&self.stack, &mut self.tasks, machine);
        }
        let ran = self.tasks.run() > 0;
        self.send(machine);
        more || ran
    }

    fn take_frames(&mut self, machine: &mut Machine<'_>, context: &mut Context<'_>) -> bool {
        for _ in 0..FRAMES_PER_ROUND {
            let Poll::Ready(frame) = machine.nic().poll_receive(context) else { return false };
            self.stack.lock().receive(frame);
        }
        true
    }

    fn send(&mut self, machine: &mut Machine<'_>) {
        let mut stack = self.stack.lock();
        stack.poll(clock::now());
        let mut any = false;
        while machine.nic().can_transmit()
            && let Some(frame) = stack.take_frame()
        {
            any |= machine.nic().transmit(frame).is_ok();
        }
        if any {
            machine.nic().kick();
        }
    }
}

impl Asker {
    /// Says how long the part took that has ended, and begins the next; switches off behind the last.
    fn advance(&mut self, stack: &Arc<Mutex<Stack>>, tasks: &mut Executor, machine: &mut Machine<'_>) {
        if let Some(failure) = self.failure.take() {
            machine.console.log(Level::Error, format_args!("the measurement has failed: {failure}"));
            power::off(1);
        }
        // What was closed is still said to the server, or there would be no room for those that follow.
        if self.asking.get() > 0 || stack.lock().connections() > 0 {
            return;
        }
        let now = clock::now();
        if let Some(last) = self.begun.checked_sub(1) {
            let measured = Measured { part: PARTS[last % PARTS.len()], took: now.since(self.began) };
            machine.console.log(Level::Info, format_args!("{measured}"));
        }
        if self.begun == ROUNDS * PARTS.len() {
            power::off(0);
        }
        let part = PARTS[self.begun % PARTS.len()];
        (self.begun, self.began) = (self.begun + 1, clock::now());
        self.asking.set(part.connections);
        for _ in 0..part.connections {
            let connection = Stack::connect(stack, self.server.into(), PORT).map(Client);
            let (asking, failure) = (self.asking.clone(), self.failure.clone());
            tasks.spawn(async move {
                let result = match connection {
                    Ok(mut connection) => ask(&mut connection, part.requests_each(), part.answer_len).await,
                    Err(error) => Err(Failure::Connection(error)),
                };
                match result {
                    Ok(()) => asking.set(asking.get() - 1),
                    Err(error) => failure.set(Some(error)),
                }
            });
        }
    }
}

impl super::root::Member for Wire {
    /// It has nothing to lose.
    fn leave(&mut self, _: Now) {
        power::off(0)
    }

    fn has_left(&self) -> bool {
        false
    }

    fn poll(&mut self, _: Now, machine: &mut Machine<'_>, context: &mut Context<'_>) -> Option<Instant> {
        for _ in 0..ROUNDS_PER_TURN {
            if !self.round(machine, context) {
                return self.stack.lock().deadline(clock::now());
            }
        }
        Some(clock::now())
    }
}
