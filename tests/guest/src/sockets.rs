//! Both ends over Linux's sockets, as is quickest there: a thread for each connection, which waits in the kernel.

use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Instant;

use cluster_throughput::{Connection, Failure, Measured, PARTS, PORT, Part, ROUNDS};
use rustix::buffer::spare_capacity;

/// Bytes that are read at once, at most.
const READ_LEN: usize = 64 * 1024;

struct Stream(TcpStream);

impl Stream {
    fn new(stream: TcpStream) -> io::Result<Stream> {
        // As at the other system: what is written is sent.
        stream.set_nodelay(true)?;
        Ok(Stream(stream))
    }
}

impl Connection for Stream {
    type Error = io::Error;

    async fn read(&mut self, into: &mut Vec<u8>) -> io::Result<()> {
        into.reserve(READ_LEN);
        match rustix::io::read(&self.0, spare_capacity(into))? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }
}

/// Runs a future of connections as they are here: they wait in the system, not by being asked again.
fn complete<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("a read or write returns when it is done"),
    }
}

/// Serves for ever.
pub fn serve(ip: Ipv4Addr) -> Result<(), String> {
    let listener = TcpListener::bind((ip, PORT)).map_err(|error| error.to_string())?;
    println!("throughput is served at {ip}:{PORT}");
    loop {
        let accepted = listener.accept().and_then(|(stream, _)| Stream::new(stream));
        let stream = accepted.map_err(|error| error.to_string())?;
        thread::spawn(move || complete(cluster_throughput::serve(stream)));
    }
}

/// Asks for everything, and prints how long each part took.
pub fn ask(server: Ipv4Addr) -> Result<(), String> {
    for _ in 0..ROUNDS {
        for part in PARTS {
            let began = Instant::now();
            let asking = (0..part.connections).map(|_| thread::spawn(move || connect_and_ask(server, part)));
            for thread in asking.collect::<Vec<_>>() {
                thread.join().map_err(|_| "a thread has panicked")?.map_err(|error| error.to_string())?;
            }
            println!("{}", Measured { part, took: began.elapsed() });
        }
    }
    Ok(())
}

fn connect_and_ask(server: Ipv4Addr, part: Part) -> Result<(), Failure<io::Error>> {
    let stream = TcpStream::connect((server, PORT)).and_then(Stream::new);
    let mut stream = stream.map_err(Failure::Connection)?;
    complete(cluster_throughput::ask(&mut stream, part.requests_each(), part.answer_len))
}
