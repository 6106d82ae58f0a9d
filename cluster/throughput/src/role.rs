//! Which end a machine is.

use core::net::Ipv4Addr;

/// Which end a machine is, as it is told: `serve`, or `ask@10.77.0.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It answers whoever asks.
    Serve,
    /// It asks the one at this address.
    Ask(Ipv4Addr),
}

impl Role {
    /// What `text` names; none if it is neither.
    pub fn parse(text: &str) -> Option<Role> {
        match text.split_once('@') {
            None if text == "serve" => Some(Role::Serve),
            Some(("ask", ip)) => Some(Role::Ask(ip.parse().ok()?)),
            _ => None,
        }
    }
}
