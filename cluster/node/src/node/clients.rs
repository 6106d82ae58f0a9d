//! Clients: where they come in, and what they speak.

use cluster_gateway::Connection;
use cluster_net::Stack;
use rand_chacha::rand_core::Rng;

use super::Node;
use crate::session::Client;

/// Bits of a session's number that are its own; those above are its node's.
pub(super) const BACKEND_BITS: u32 = 23;

/// The port for SQL, and the sockets that wait there: a driver opens its connections at once.
const SQL_PORT: u16 = 5432;
const SQL_LISTENING_MAX: usize = 32;

/// The port for HTTP, and the sockets that wait there.
const HTTP_PORT: u16 = 80;
pub(super) const HTTP_LISTENING_MAX: usize = 8;

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Postgres's wire protocol.
    Postgres,
    /// HTTP/1.1.
    Http,
}

/// Waits for clients.
pub(super) fn listen(stack: &mut Stack) {
    stack.listen(SQL_PORT, SQL_LISTENING_MAX);
    stack.listen(HTTP_PORT, HTTP_LISTENING_MAX);
}

impl Node {
    pub(super) fn accept_clients(&mut self) {
        while let Some((port, connection)) = Stack::accept(&self.stack) {
            let protocol = if port == HTTP_PORT { Protocol::Http } else { Protocol::Postgres };
            self.serve(protocol, Client(connection));
        }
    }

    /// Serves a client until it leaves. Those that come over the wire are accepted by the node itself; the root of a
    /// node may bring others, which it has to bound: to as many as the node serves, and [`REFUSALS_MAX`].
    pub fn serve(&mut self, protocol: Protocol, connection: impl Connection + 'static) {
        // Postgres clients take process ids for positive 32-bit integers, and know their own notifications by them.
        let backend = u32::from(self.config.node.0) << BACKEND_BITS | self.next_backend;
        self.next_backend = self.next_backend % ((1 << BACKEND_BITS) - 1) + 1;
        let secret = self.rng.next_u32();
        let (database, registry) = (self.database.for_users(), self.registry.clone());
        match protocol {
            Protocol::Postgres => {
                self.tasks.spawn(cluster_gateway::serve(connection, database, registry, backend, secret));
            }
            Protocol::Http => {
                self.tasks
                    .spawn(cluster_gateway::serve_http(connection, database, registry, backend, secret));
            }
        }
    }
}
