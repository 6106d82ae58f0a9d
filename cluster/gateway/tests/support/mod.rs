//! A node for tests: the gateway over threads and the sockets of 127.0.0.1.

#![allow(dead_code, reason = "each test root uses its part")]

use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use cluster_gateway::{Closed, Connection, Registry, serve};
use cluster_sql::memory::MemoryDatabase;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs `future` on this thread.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// A socket; its thread may block.
pub struct Socket(pub TcpStream);

impl Connection for Socket {
    async fn read(&mut self, into: &mut Vec<u8>) -> Result<(), Closed> {
        let mut buffer = [0; 16 * 1024];
        match self.0.read(&mut buffer) {
            Ok(0) | Err(_) => Err(Closed),
            Ok(len) => {
                into.extend_from_slice(&buffer[..len]);
                Ok(())
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Closed> {
        self.0.write_all(bytes).map_err(|_| Closed)
    }
}

/// Listens on a free port of 127.0.0.1 until the process ends.
pub fn listen() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listen_on(listener)
}

/// Serves the connections of `listener`.
pub fn listen_on(listener: TcpListener) -> SocketAddr {
    let address = listener.local_addr().expect("bound");
    let database = MemoryDatabase::new(1_700_000_000_000_000);
    let registry = Arc::new(Registry::new());
    static BACKEND: AtomicU32 = AtomicU32::new(1);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { continue };
            let _ = stream.set_nodelay(true);
            let (database, registry) = (database.clone(), registry.clone());
            let backend = BACKEND.fetch_add(1, Ordering::Relaxed);
            thread::spawn(move || {
                block_on(serve(Socket(stream), database, registry, backend, backend ^ 0x5eed))
            });
        }
    });
    address
}
