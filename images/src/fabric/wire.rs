//! The sockets that are the nodes' wires, and the carrying of frames between them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use drivers_api::Instant;
use drivers_host::HostClock;
use tokio::net::UnixDatagram;
use tokio::sync::Notify;

use crate::cluster::{Cluster, MTU};
use crate::control::Captured;
use crate::error::Failure;
use crate::fabric::capture::Capture;
use crate::fabric::gateway::Gateway;
use crate::fabric::switch::{Arrival, Switch};
use crate::layout::Layout;
use crate::links::{GATEWAY_PORT, LinkSelection, Port};

/// Frames that wait for a node to take them, at most; then they are lost.
const QUEUE_MAX: usize = 2048;

struct Wire {
    fabric: u8,
    port: Port,
    socket: UnixDatagram,
    /// The node's end.
    node: PathBuf,
    /// With the ports that they came from.
    waiting: RefCell<VecDeque<(Port, Rc<[u8]>)>>,
    filled: Notify,
}

/// All wires. Cloning shares them.
#[derive(Clone)]
pub struct Wires(Rc<Inner>);

struct Inner {
    clock: HostClock,
    /// One for each fabric, from the first.
    switches: RefCell<Vec<Switch>>,
    wires: RefCell<Vec<Rc<Wire>>>,
    gateway: RefCell<Option<Gateway>>,
    capture: RefCell<Option<Capture>>,
    /// The next frame that is late is due at another time than before.
    rescheduled: Notify,
}

impl Wire {
    /// Binds the switch's end.
    fn open(layout: &Layout, fabric: u8, port: Port) -> Result<Wire, Failure> {
        let path = layout.switch_socket(fabric, port);
        let _ = std::fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).map_err(Failure::file("bind", path))?;
        let node = layout.node_socket(fabric, port);
        Ok(Wire { fabric, port, socket, node, waiting: RefCell::default(), filled: Notify::new() })
    }
}

impl Wires {
    /// Binds the switch's end of each wire.
    pub fn open(layout: &Layout, cluster: &Cluster) -> Result<Wires, Failure> {
        let ends = cluster.fabric_ids().flat_map(|fabric| cluster.node_ids().map(move |port| (fabric, port)));
        let wires = ends.map(|(fabric, port)| Wire::open(layout, fabric, port).map(Rc::new));
        let wires = RefCell::new(wires.collect::<Result<_, Failure>>()?);
        let switches = cluster.fabric_ids().map(|fabric| Switch::new(fabric, cluster.nodes));
        let inner = Inner {
            clock: HostClock::new(),
            switches: RefCell::new(switches.collect()),
            wires,
            gateway: RefCell::default(),
            capture: RefCell::default(),
            rescheduled: Notify::new(),
        };
        Ok(Wires(Rc::new(inner)))
    }

    /// Starts to carry frames.
    pub fn start(&self, gateway: Gateway) {
        *self.0.gateway.borrow_mut() = Some(gateway);
        self.0.wires.borrow().iter().for_each(|wire| self.carry(wire));
        tokio::task::spawn_local(self.clone().deliver_late());
    }

    /// Reads or changes the switches, those of all fabrics in their order; what is due by that arrives.
    pub fn with_switches<T>(&self, act: impl FnOnce(&mut [Switch], Instant) -> T) -> T {
        let now = self.0.clock.now().monotonic;
        let result = act(&mut self.0.switches.borrow_mut(), now);
        self.deliver_due(now);
        self.0.rescheduled.notify_one();
        result
    }

    /// Changes the switch of one fabric, or of each; what is due by that arrives.
    pub fn with_each_switch(&self, fabric: Option<u8>, mut act: impl FnMut(&mut Switch, Instant)) {
        self.with_switches(|switches, now| {
            let meant = switches.iter_mut().filter(|switch| fabric.is_none_or(|it| it == switch.fabric()));
            meant.for_each(|switch| act(switch, now));
        });
    }

    /// A further node's wires.
    pub fn add(&self, layout: &Layout, port: Port) -> Result<(), Failure> {
        for switch in self.0.switches.borrow_mut().iter_mut() {
            let wire = Rc::new(Wire::open(layout, switch.fabric(), port)?);
            self.carry(&wire);
            self.0.wires.borrow_mut().push(wire);
            switch.add_port(port);
        }
        Ok(())
    }

    /// Captures what arrives on these links, in a file that must not be there. There is one capture at a time.
    pub fn start_capture(&self, links: LinkSelection, path: &Path) -> Result<(), Failure> {
        let mut capture = self.0.capture.borrow_mut();
        if let Some(running) = &*capture {
            let path = running.path().display();
            return Err(Failure::Refused(format!(
                "frames are captured in {path} already: end that with 'relix fault capture --stop'"
            )));
        }
        *capture = Some(Capture::start(links, path)?);
        Ok(())
    }

    /// Ends the capture, if there is one; what it has come to.
    pub async fn stop_capture(&self) -> Option<Result<Captured, Failure>> {
        let capture = self.0.capture.borrow_mut().take();
        Some(capture?.stop().await)
    }

    /// The file of the capture that runs.
    pub fn captured_in(&self) -> Option<PathBuf> {
        self.0.capture.borrow().as_ref().map(|capture| capture.path().into())
    }

    fn carry(&self, wire: &Rc<Wire>) {
        tokio::task::spawn_local(self.clone().receive(wire.clone()));
        tokio::task::spawn_local(self.clone().drain(wire.clone()));
    }

    /// A frame has come in at `from`, on a fabric.
    pub fn forward(&self, fabric: u8, from: Port, frame: &[u8]) {
        let now = self.0.clock.now().monotonic;
        self.deliver_due(now);
        let routed = self.with_switch(fabric, |switch| {
            let deadline = switch.deadline();
            let ports = switch.route(now, from, frame);
            (ports, switch.deadline() != deadline)
        });
        let Some((ports, is_rescheduled)) = routed else { return };
        ports.into_iter().for_each(|to| self.deliver(fabric, from, to, frame));
        if is_rescheduled {
            self.0.rescheduled.notify_one();
        }
    }

    /// Delivers frames that are late, whenever one is due.
    async fn deliver_late(self) {
        loop {
            let now = self.0.clock.now().monotonic;
            self.deliver_due(now);
            let deadline = self.0.switches.borrow().iter().filter_map(Switch::deadline).min();
            let pause = deadline.map_or(Duration::from_secs(3600), |deadline| deadline.since(now));
            tokio::select! {
                () = self.0.rescheduled.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn deliver_due(&self, now: Instant) {
        loop {
            let mut switches = self.0.switches.borrow_mut();
            let due = switches.iter_mut().find_map(|switch| Some((switch.fabric(), switch.take_due(now)?)));
            drop(switches);
            let Some((fabric, Arrival { from, to, frame })) = due else { return };
            self.deliver(fabric, from, to, &frame);
        }
    }

    fn with_switch<T>(&self, fabric: u8, act: impl FnOnce(&mut Switch) -> T) -> Option<T> {
        self.0.switches.borrow_mut().iter_mut().find(|switch| switch.fabric() == fabric).map(act)
    }

    fn deliver(&self, fabric: u8, from: Port, to: Port, frame: &[u8]) {
        if !self.hand_over(fabric, from, to, frame) {
            self.with_switch(fabric, |switch| switch.count_untaken(from, to));
        } else if let Some(capture) = &*self.0.capture.borrow() {
            capture.see(fabric, from, to, self.0.clock.now().wall, frame);
        }
    }

    /// Whether the receiver takes it, or may once it is ready.
    fn hand_over(&self, fabric: u8, from: Port, to: Port, frame: &[u8]) -> bool {
        if to == GATEWAY_PORT {
            if let Some(gateway) = &*self.0.gateway.borrow() {
                gateway.receive(frame);
            }
            return true;
        }
        let wires = self.0.wires.borrow();
        let Some(wire) = wires.iter().find(|wire| (wire.fabric, wire.port) == (fabric, to)) else {
            return false;
        };
        let mut waiting = wire.waiting.borrow_mut();
        if waiting.is_empty() {
            match wire.socket.try_send_to(frame, &wire.node) {
                Ok(_) => return true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // A node that is down loses its frames.
                Err(_) => return false,
            }
        }
        if waiting.len() >= QUEUE_MAX {
            return false;
        }
        waiting.push_back((from, frame.into()));
        wire.filled.notify_one();
        true
    }

    async fn receive(self, wire: Rc<Wire>) {
        // The byte behind the longest frame shows that one is longer.
        let mut buffer = vec![0; MTU.frame_len() + 1];
        loop {
            // The socket is bound, so receiving can only fail for want of memory.
            match wire.socket.recv(&mut buffer).await {
                Ok(len) if len > MTU.frame_len() => {} // lost, as on any wire
                Ok(len) => self.forward(wire.fabric, wire.port, &buffer[..len]),
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
                Some((from, frame)) => {
                    if wire.socket.send_to(&frame, &wire.node).await.is_err() {
                        self.with_switch(wire.fabric, |switch| switch.count_untaken(from, wire.port));
                    }
                    wire.waiting.borrow_mut().pop_front();
                }
            }
        }
    }
}
