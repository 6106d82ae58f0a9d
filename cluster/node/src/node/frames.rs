//! What comes and goes over the NICs.

use core::task::{Context, Poll};

use cluster_format::{NodeId, encode};
use cluster_net::discovery::{self, Call};
use drivers_api::{Level, Machine, Nic, Now};

use super::{FRAMES_PER_ROUND, LogLine, Node};
use crate::message::PeerMessage;

impl Node {
    /// Takes in what has come over all NICs; whether there may be more.
    pub(super) fn take_frames(
        &mut self,
        now: Now,
        machine: &mut Machine<'_>,
        context: &mut Context<'_>,
    ) -> bool {
        let mut more = false;
        for number in 0..machine.nics.count() {
            let nic = machine.nics.nic(number);
            more |= self.take_frames_of(now, number, nic, context);
            self.follow_link(number, nic.link_is_up());
        }
        more
    }

    /// Whether there may be more of them.
    fn take_frames_of(
        &mut self,
        now: Now,
        number: usize,
        nic: &mut dyn Nic,
        context: &mut Context<'_>,
    ) -> bool {
        for _ in 0..FRAMES_PER_ROUND {
            let Poll::Ready(frame) = nic.poll_receive(context) else { return false };
            // Over the others come peers only.
            if self.peers.receive(now.monotonic, number, frame.bytes()) || number > 0 {
                continue;
            }
            match discovery::heard(self.cluster, frame.bytes()) {
                Some((from, Call::Looks { .. })) => self.machine_looks(nic.hardware_address(), from),
                Some(_) => {}
                None => self.stack.lock().receive(frame),
            }
        }
        true
    }

    /// Says when a NIC's link goes up or down, and has peers know.
    fn follow_link(&mut self, nic: usize, is_up: bool) {
        if core::mem::replace(&mut self.links_up[nic], is_up) != is_up {
            self.peers.set_link(nic, is_up);
            let (level, state) = if is_up { (Level::Info, "up") } else { (Level::Warn, "down") };
            self.replica.log_lines.push(LogLine(level, alloc::format!("nic{nic}: link {state}")));
        }
    }

    /// Sends what there is for peers, machines that look, and clients.
    pub(super) fn send(&mut self, now: Now, machine: &mut Machine<'_>) {
        if let Some(raft) = self.replica.raft_mut() {
            let messages = raft.take_messages();
            self.outbox.extend(messages.into_iter().map(|(to, message)| (to, PeerMessage::Raft(message))));
        }
        self.outbox.append(&mut self.replica.outbox);
        for (to, message) in self.outbox.drain(..) {
            let bytes = encode(&message);
            // A message to a peer that cannot be reached is lost, as any may be.
            let _ = match to {
                NodeId::EVERYONE => self.peers.send_to_all(&bytes),
                to => self.peers.send(to, bytes),
            };
        }
        let nics = &mut *machine.nics;
        self.peers.poll(now.monotonic, &mut |number, frame| {
            // A full queue loses the frame; the link sends it again.
            let _ = nics.nic(number).transmit(frame);
        });
        let nic = nics.nic(0);
        let own = nic.hardware_address();
        for call in self.take_calls(now) {
            let _ = nic.transmit(discovery::call(self.cluster, own, &call));
        }
        let mut stack = self.stack.lock();
        stack.poll(now.monotonic);
        while nic.can_transmit()
            && let Some(frame) = stack.take_frame()
        {
            let _ = nic.transmit(frame);
        }
        (0..nics.count()).for_each(|number| nics.nic(number).kick());
    }
}
