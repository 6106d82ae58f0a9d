//! The node's own address: told, or granted by a server.

use alloc::string::ToString;
use core::net::Ipv4Addr;

use drivers_api::Level;

use super::{LogLine, Node};

impl Node {
    /// Peers learn the address that the stack has by now, and the stack those of the peers; what there is to say of it is said.
    pub(super) fn follow_address(&mut self) {
        let mut stack = self.stack.lock();
        stack.note_peers(self.peers.addresses());
        self.peers.set_ip(stack.ip().unwrap_or(Ipv4Addr::UNSPECIFIED));
        for notice in stack.take_notices() {
            let level = if notice.is_good() { Level::Info } else { Level::Warn };
            self.replica.log_lines.push(LogLine(level, notice.to_string()));
        }
    }
}
