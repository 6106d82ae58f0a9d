//! The sockets that are the nodes' wires, and the carrying of frames between them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use tokio::net::UnixDatagram;
use tokio::sync::Notify;

use crate::cluster::{Cluster, MTU};
use crate::error::Failure;
use crate::fabric::gateway::Gateway;
use crate::fabric::switch::{Delivery, GATEWAY_PORT, Port, Switch};
use crate::layout::Layout;

/// Frames that wait for a node to take them, at most; then they are lost.
const QUEUE_MAX: usize = 2048;

struct Wire {
    port: Port,
    socket: UnixDatagram,
    /// The node's end.
    node: PathBuf,
    waiting: RefCell<VecDeque<Rc<[u8]>>>,
    filled: Notify,
}

/// All wires. Cloning shares them.
#[derive(Clone)]
pub struct Wires(Rc<Inner>);

struct Inner {
    switch: Rc<RefCell<Switch>>,
    wires: RefCell<Vec<Rc<Wire>>>,
    gateway: RefCell<Option<Gateway>>,
    dice: Cell<u64>,
}

impl Wire {
    /// Binds the switch's end.
    fn open(layout: &Layout, port: Port) -> Result<Wire, Failure> {
        let path = layout.switch_socket(port);
        let _ = std::fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).map_err(Failure::file("bind", path))?;
        let node = layout.node_socket(port);
        Ok(Wire { port, socket, node, waiting: RefCell::default(), filled: Notify::new() })
    }
}

impl Wires {
    /// Binds the switch's end of each wire.
    pub fn open(layout: &Layout, cluster: &Cluster, switch: Rc<RefCell<Switch>>) -> Result<Wires, Failure> {
        let wires = cluster.node_ids().map(|port| Wire::open(layout, port).map(Rc::new));
        let wires = RefCell::new(wires.collect::<Result<_, Failure>>()?);
        let dice = Cell::new(0x9e37_79b9_7f4a_7c15);
        Ok(Wires(Rc::new(Inner { switch, wires, gateway: RefCell::default(), dice })))
    }

    /// Starts to carry frames.
    pub fn start(&self, gateway: Gateway) {
        *self.0.gateway.borrow_mut() = Some(gateway);
        self.0.wires.borrow().iter().for_each(|wire| self.carry(wire));
    }

    /// A further node's wire.
    pub fn add(&self, layout: &Layout, port: Port) -> Result<(), Failure> {
        let wire = Rc::new(Wire::open(layout, port)?);
        self.carry(&wire);
        self.0.wires.borrow_mut().push(wire);
        self.0.switch.borrow_mut().add_port(port);
        Ok(())
    }

    fn carry(&self, wire: &Rc<Wire>) {
        tokio::task::spawn_local(self.clone().receive(wire.clone()));
        tokio::task::spawn_local(self.clone().drain(wire.clone()));
    }

    /// A frame has come in at `from`.
    pub fn forward(&self, from: Port, frame: &[u8]) {
        let deliveries = self.0.switch.borrow_mut().route(from, frame, &mut || self.roll());
        for Delivery { to, delay } in deliveries {
            if delay.is_zero() {
                self.deliver(to, frame);
            } else {
                let (wires, frame) = (self.clone(), Rc::<[u8]>::from(frame));
                tokio::task::spawn_local(async move {
                    tokio::time::sleep(delay).await;
                    wires.deliver(to, &frame);
                });
            }
        }
    }

    /// A number from 0 to 1: xorshift64* (Marsaglia 2003), whose start is constant.
    fn roll(&self) -> f64 {
        let mut state = self.0.dice.get();
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        self.0.dice.set(state);
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn deliver(&self, to: Port, frame: &[u8]) {
        if to == GATEWAY_PORT {
            if let Some(gateway) = &*self.0.gateway.borrow() {
                gateway.receive(frame);
            }
            return;
        }
        let wires = self.0.wires.borrow();
        let Some(wire) = wires.iter().find(|wire| wire.port == to) else { return };
        let mut waiting = wire.waiting.borrow_mut();
        if waiting.is_empty() {
            match wire.socket.try_send_to(frame, &wire.node) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // A node that is down loses its frames.
                _ => return,
            }
        }
        if waiting.len() < QUEUE_MAX {
            waiting.push_back(frame.into());
            wire.filled.notify_one();
        }
    }

    async fn receive(self, wire: Rc<Wire>) {
        // The byte behind the longest frame shows that one is longer.
        let mut buffer = vec![0; MTU.frame_len() + 1];
        loop {
            // The socket is bound, so receiving can only fail for want of memory.
            match wire.socket.recv(&mut buffer).await {
                Ok(len) if len > MTU.frame_len() => {} // lost, as on any wire
                Ok(len) => self.forward(wire.port, &buffer[..len]),
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }

    /// Sends what had to wait.
    async fn drain(self, wire: Rc<Wire>) {
        loop {
            let next = wire.waiting.borrow().front().cloned();
            match next {
                None => wire.filled.notified().await,
                Some(frame) => {
                    let _ = wire.socket.send_to(&frame, &wire.node).await;
                    wire.waiting.borrow_mut().pop_front();
                }
            }
        }
    }
}
