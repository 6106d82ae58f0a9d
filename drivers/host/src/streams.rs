//! TCP connections of clients on this machine: sockets of the system, beside the wire.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};

use crate::Waiter;
use crate::waiter::LISTENERS;

/// Bytes that are read at a time, at most.
const READ_LEN: usize = 64 * 1024;

/// Ports that are listened at, and the connections that came by them.
pub struct Streams {
    listeners: Vec<Listener>,
    registry: Registry,
    open: HashMap<Token, Weak<Readiness>>,
    open_max: usize,
    next: usize,
    /// Where bytes arrive, whosever they are: a stream that is silent has no buffer.
    arriving: Arc<Mutex<Vec<u8>>>,
}

struct Listener {
    listener: TcpListener,
    /// Clients may be waiting to be accepted.
    waiting: bool,
    /// One was, and could not be: the system is out of something.
    refused: bool,
}

impl Streams {
    /// Listens at these addresses, as many as [`LISTENERS`] at most; at most `open_max` connections are open at once, and the
    /// others wait. Fails with the address where another process listens.
    pub fn listen(
        waiter: &Waiter,
        addresses: &[SocketAddr],
        open_max: usize,
    ) -> Result<Streams, (SocketAddr, io::Error)> {
        let mut listeners = Vec::new();
        let registry = waiter.registry().try_clone().map_err(|error| (addresses[0], error))?;
        for (index, address) in addresses.iter().enumerate() {
            let listen = || {
                let mut listener = TcpListener::bind(*address)?;
                registry.register(&mut listener, Token(LISTENERS.start + index), Interest::READABLE)?;
                Ok(Listener { listener, waiting: true, refused: false })
            };
            listeners.push(listen().map_err(|error| (*address, error))?);
        }
        Ok(Streams {
            listeners,
            registry,
            open: HashMap::new(),
            open_max,
            next: LISTENERS.end,
            arriving: Arc::new(Mutex::new(vec![0; READ_LEN])),
        })
    }

    /// Whether [`Streams::accept`] may have another client: no sleep is to come before it.
    pub fn may_accept(&mut self) -> bool {
        self.listeners.iter().any(|listener| listener.waiting) && self.has_room()
    }

    /// The next client, if one waits and there is room for it, and which address it came to.
    pub fn accept(&mut self) -> Option<(usize, HostStream)> {
        while self.may_accept() {
            let index = self.listeners.iter().position(|listener| listener.waiting)?;
            let waiting = &mut self.listeners[index];
            match waiting.listener.accept() {
                Ok((stream, _)) => match self.stream(stream) {
                    Ok(stream) => return Some((index, stream)),
                    // It has gone again.
                    Err(_) => continue,
                },
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    // Out of descriptors, perhaps: asking again helps when something has happened meanwhile.
                    waiting.refused = error.kind() != io::ErrorKind::WouldBlock;
                    waiting.waiting = false;
                }
            }
        }
        None
    }

    fn has_room(&mut self) -> bool {
        if self.open.len() >= self.open_max {
            self.open.retain(|_, readiness| readiness.strong_count() > 0);
        }
        self.open.len() < self.open_max
    }

    fn stream(&mut self, mut stream: TcpStream) -> io::Result<HostStream> {
        stream.set_nodelay(true)?;
        let token = Token(self.next);
        self.next += 1;
        self.registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let readiness = Arc::new(Readiness::default());
        self.open.insert(token, Arc::downgrade(&readiness));
        Ok(HostStream { stream, readiness, arriving: self.arriving.clone() })
    }

    /// Some time has passed.
    pub(crate) fn woken(&mut self) {
        for listener in &mut self.listeners {
            listener.waiting |= core::mem::take(&mut listener.refused);
        }
    }

    pub(crate) fn ready(&mut self, event: &Event) {
        let Token(token) = event.token();
        if let Some(listener) = token.checked_sub(LISTENERS.start).and_then(|at| self.listeners.get_mut(at)) {
            listener.waiting = true;
        } else if let Some(readiness) = self.open.get(&event.token()).and_then(Weak::upgrade) {
            if event.is_readable() || event.is_error() {
                readiness.input.set(event.is_read_closed() || event.is_error());
            }
            if event.is_writable() || event.is_error() {
                readiness.output.set(event.is_write_closed() || event.is_error());
            }
        } else {
            self.open.remove(&event.token());
        }
    }
}

/// What is known of a socket: the system tells of changes only.
#[derive(Default)]
struct Readiness {
    input: Direction,
    output: Direction,
}

#[derive(Default)]
struct Direction(Mutex<State>);

#[derive(Default)]
struct State {
    ready: bool,
    /// It is the end: the socket stays ready to say so.
    ended: bool,
    waiting: Option<Waker>,
}

impl Direction {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, ended: bool) {
        let mut state = self.state();
        state.ready = true;
        state.ended |= ended;
        let waiting = state.waiting.take();
        drop(state);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }

    /// Whatever was ready has been used up.
    fn exhaust(&self) {
        let mut state = self.state();
        state.ready = state.ended;
    }

    fn poll(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.ready {
            return Poll::Ready(());
        }
        state.waiting = Some(context.waker().clone());
        Poll::Pending
    }
}

/// One connection. Dropping it closes it.
pub struct HostStream {
    stream: TcpStream,
    readiness: Arc<Readiness>,
    arriving: Arc<Mutex<Vec<u8>>>,
}

impl HostStream {
    /// Waits for bytes and appends them to `into`. The end is an error, as what breaks the connection is. Lets others have
    /// their turn first: a client that is faster than its session is would leave them none.
    pub async fn read(&mut self, into: &mut Vec<u8>) -> io::Result<()> {
        let mut rests = self.readiness.input.state().ready;
        poll_fn(|context| match core::mem::take(&mut rests) {
            true => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            false => Poll::Ready(()),
        })
        .await;
        loop {
            poll_fn(|context| self.readiness.input.poll(context)).await;
            let mut arriving = self.arriving.lock().unwrap_or_else(PoisonError::into_inner);
            match self.stream.read(&mut arriving) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => {
                    if len < arriving.len() {
                        self.readiness.input.exhaust();
                    }
                    into.extend_from_slice(&arriving[..len]);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readiness.input.exhaust(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Gives all of `bytes` to the system, waiting while it has no room. Fails when the client has gone.
    pub async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            poll_fn(|context| self.readiness.output.poll(context)).await;
            match self.stream.write(bytes) {
                Ok(len) => bytes = &bytes[len..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readiness.output.exhaust(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Shutdown};
    use std::os::unix::net::UnixDatagram;
    use std::pin::pin;
    use std::time::Duration;

    use drivers_api::Mtu;

    use super::*;
    use crate::HostNic;

    struct Root {
        waiter: Waiter,
        streams: Streams,
        nic: HostNic,
        _wire: UnixDatagram,
    }

    impl Root {
        fn new(name: &str, open_max: usize) -> Root {
            let directory = std::env::temp_dir().join(format!("relix-streams-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&directory).unwrap();
            let (ours, theirs) = (directory.join("nic"), directory.join("switch"));
            let wire = UnixDatagram::bind(&theirs).unwrap();
            let nic = HostNic::open(&ours, &theirs, [2, 0, 0, 0, 0, 1], Mtu::ETHERNET).unwrap();
            let _ = std::fs::remove_dir_all(&directory);
            let waiter = Waiter::new().unwrap();
            let streams = Streams::listen(&waiter, &[(Ipv4Addr::LOCALHOST, 0).into(); 2], open_max).unwrap();
            Root { waiter, streams, nic, _wire: wire }
        }

        fn connect(&self) -> std::net::TcpStream {
            self.connect_to(0)
        }

        fn connect_to(&self, index: usize) -> std::net::TcpStream {
            let address = self.streams.listeners[index].listener.local_addr().unwrap();
            std::net::TcpStream::connect(address).unwrap()
        }

        fn accept(&mut self) -> HostStream {
            loop {
                if let Some((_, stream)) = self.streams.accept() {
                    return stream;
                }
                self.sleep();
            }
        }

        fn sleep(&mut self) {
            self.waiter.wait(&mut self.nic, &mut self.streams, Duration::from_secs(60)).unwrap();
        }

        /// Runs it to its end, asleep in between; how often it slept.
        fn run<T>(&mut self, future: impl Future<Output = T>) -> (T, usize) {
            let (mut future, waker, mut sleeps) = (pin!(future), self.waiter.waker(), 0);
            loop {
                if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return (output, sleeps);
                }
                self.sleep();
                sleeps += 1;
            }
        }
    }

    #[test]
    fn bytes_come_and_go_and_nothing_is_missed_between_sleeps() {
        let mut root = Root::new("bytes", 8);
        let mut client = root.connect();
        let mut stream = root.accept();
        for round in 0..100u32 {
            let sent = vec![round as u8; 1 + (round as usize * 7919) % (3 * READ_LEN)];
            let (mut ours, theirs) = (client.try_clone().unwrap(), sent.clone());
            let writer = std::thread::spawn(move || ours.write_all(&theirs).unwrap());
            let mut received = Vec::new();
            while received.len() < sent.len() {
                let (read, sleeps) = root.run(stream.read(&mut received));
                read.unwrap();
                assert!(sleeps > 0, "others have their turn, however much there is to read");
            }
            writer.join().unwrap();
            assert_eq!(received, sent);
            root.run(stream.write(b"ok")).0.unwrap();
            client.read_exact(&mut [0; 2]).unwrap();
        }
        // The end comes after what was said last, be it at once.
        client.write_all(b"bye").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut received = Vec::new();
        root.run(stream.read(&mut received)).0.unwrap();
        assert_eq!(received, b"bye");
        assert!(root.run(stream.read(&mut received)).0.is_err());
        drop(stream);
        assert_eq!(client.read(&mut [0; 2]).unwrap(), 0);
    }

    #[test]
    fn clients_come_to_each_address() {
        let mut root = Root::new("addresses", 8);
        let _clients = [root.connect_to(1), root.connect_to(0), root.connect_to(1)];
        let mut came = vec![];
        while came.len() < 3 {
            match root.streams.accept() {
                Some((index, _)) => came.push(index),
                None => root.sleep(),
            }
        }
        came.sort_unstable();
        assert_eq!(came, [0, 1, 1]);
    }

    #[test]
    fn who_writes_waits_for_a_client_that_does_not_read() {
        let mut root = Root::new("slow", 8);
        let mut client = root.connect();
        let mut stream = root.accept();
        let bytes = vec![7; 32 << 20];
        let reader = std::thread::spawn(move || {
            let (mut read, mut buffer) = (0, vec![0; 1 << 20]);
            while let Ok(len @ 1..) = client.read(&mut buffer) {
                read += len;
            }
            read
        });
        let (written, sleeps) = root.run(stream.write(&bytes));
        written.unwrap();
        assert!(sleeps > 0);
        drop(stream);
        assert_eq!(reader.join().unwrap(), 32 << 20);
    }

    #[test]
    fn those_beyond_the_limit_wait_until_another_has_gone() {
        let mut root = Root::new("limit", 2);
        let clients: Vec<_> = (0..3).map(|_| root.connect()).collect();
        let (first, _second) = (root.accept(), root.accept());
        assert!(root.streams.accept().is_none() && !root.streams.may_accept());
        drop(first);
        assert!(root.streams.may_accept());
        let mut third = root.accept();
        assert!(!root.streams.may_accept());
        drop(clients);
        assert!(root.run(third.read(&mut Vec::new())).0.is_err());
    }
}
