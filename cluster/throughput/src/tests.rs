//! Two TCP stacks joined by hand, and what is said over them.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use cluster_net::{Addressing, Stack, StackConfig, TcpConnection, TcpError};
use drivers_api::{Instant, Mtu};
use proptest::prelude::*;
use spin::Mutex;

use super::*;

impl Connection for TcpConnection {
    type Error = TcpError;

    async fn read(&mut self, into: &mut Vec<u8>) -> Result<(), TcpError> {
        TcpConnection::read(self, into).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), TcpError> {
        TcpConnection::write(self, bytes).await
    }
}

fn address(node: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, node)
}

fn stack(node: u8) -> Arc<Mutex<Stack>> {
    let config = StackConfig {
        hardware_address: [2, 0, 0, 0, 0, node],
        mtu: Mtu::JUMBO,
        addressing: Addressing::Static { ip: address(node), prefix_len: 24 },
        ip6: None,
        seed: node.into(),
        connections_max: CONNECTIONS_MAX,
        buffers_len_max: 16 << 20,
    };
    Arc::new(Mutex::new(Stack::new(config, Instant::ZERO)))
}

type Asking = Pin<Box<dyn Future<Output = Result<(), Failure<TcpError>>>>>;

/// Asks over so many connections at once, over a wire that takes 100 us: how long it took, and what came of each.
fn run(part: Part) -> (Duration, Vec<Result<(), Failure<TcpError>>>) {
    let [server, asker] = [1, 2].map(stack);
    server.lock().listen(PORT, CONNECTIONS_MAX);
    let mut context = Context::from_waker(Waker::noop());
    let mut serving: Vec<Pin<Box<dyn Future<Output = Failure<TcpError>>>>> = vec![];
    let connect = |_| -> Asking {
        let mut connection = Stack::connect(&asker, address(1).into(), PORT).expect("there is room");
        Box::pin(async move { ask(&mut connection, part.requests_each(), part.answer_len).await })
    };
    let mut asking: Vec<Asking> = (0..part.connections).map(connect).collect();
    let mut results = vec![];
    let mut now = Instant::ZERO;
    while !asking.is_empty() {
        now = now + Duration::from_micros(100);
        assert!(now < Instant::ZERO + Duration::from_secs(60), "it comes to an end");
        for (from, to) in [(&server, &asker), (&asker, &server)] {
            let mut from = from.lock();
            from.poll(now);
            while let Some(frame) = from.take_frame() {
                to.lock().receive(frame);
            }
        }
        [&server, &asker].into_iter().for_each(|stack| stack.lock().poll(now));
        while let Some((_, connection)) = Stack::accept(&server) {
            serving.push(Box::pin(serve(connection)));
        }
        serving.retain_mut(|task| task.as_mut().poll(&mut context).is_pending());
        asking.retain_mut(|task| match task.as_mut().poll(&mut context) {
            Poll::Ready(result) => {
                results.push(result);
                false
            }
            Poll::Pending => true,
        });
    }
    (now.since(Instant::ZERO), results)
}

#[test]
fn everything_that_is_asked_for_arrives() {
    for part in PARTS {
        // A stream of a hundredth is long enough; requests, some for each connection.
        let answer_len = part.answer_len.min(640_001);
        let requests = part.requests.min(4 * part.connections);
        let (_, results) = run(Part { requests, answer_len, ..part });
        assert_eq!(results, vec![Ok(()); part.connections as usize], "{part:?}");
    }
}

#[test]
fn an_answer_may_have_any_length() {
    for answer_len in [0, 1, 63, 64, 65, 127, 128, 65_535, 65_537] {
        let (_, results) = run(Part { connections: 1, requests: 3, answer_len });
        assert_eq!(results, [Ok(())], "{answer_len}");
    }
}

/// A connection whose other end is a script: what it sends, and what it has heard.
struct Script {
    sends: Vec<u8>,
    heard: Vec<u8>,
}

impl Connection for &mut Script {
    type Error = &'static str;

    async fn read(&mut self, into: &mut Vec<u8>) -> Result<(), &'static str> {
        if self.sends.is_empty() {
            return Err("over");
        }
        into.append(&mut self.sends);
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        self.heard.extend_from_slice(bytes);
        Ok(())
    }
}

fn complete<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match core::pin::pin!(future).poll(&mut context) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a script never waits"),
    }
}

#[test]
fn what_is_no_request_or_no_answer_ends_the_connection() {
    let mut script = Script { sends: vec![7; 64], heard: vec![] };
    assert_eq!(complete(serve(&mut script)), Failure::Protocol);
    assert!(script.heard.is_empty());
    for sends in [vec![7; 64], vec![7; 65], Request { answer_len: 64, number: 0 }.encode().repeat(2)] {
        let mut script = Script { sends, heard: vec![] };
        assert_eq!(complete(ask(&mut &mut script, 1, 64)), Err(Failure::Protocol));
    }
    let mut script = Script { sends: vec![], heard: vec![] };
    assert_eq!(complete(ask(&mut &mut script, 1, 64)), Err(Failure::Connection("over")));
}

#[test]
fn roles_are_told_by_name() {
    assert_eq!(Role::parse("serve"), Some(Role::Serve));
    assert_eq!(Role::parse("ask@10.77.0.1"), Some(Role::Ask(address(1))));
    for text in ["", "ask", "ask@", "ask@here", "serve@10.77.0.1", "served"] {
        assert_eq!(Role::parse(text), None, "{text}");
    }
}

#[test]
fn what_was_measured_is_read_from_a_console() {
    let part = Part { connections: 64, requests: 32_000, answer_len: 64 };
    let measured = Measured { part, took: Duration::from_micros(1_234_567) };
    assert_eq!(measured.to_string(), "throughput: 64 connections, 32000 answers of 64 bytes, 1234567 us");
    let line = alloc::format!("[    1.5] node 2: {measured}");
    assert_eq!(Measured::parse(&line), Some(measured));
    assert_eq!(Measured::parse("throughput: 64 connections, 32000 answers"), None);
    assert_eq!(Measured::parse("machine ready"), None);
}

proptest! {
    /// Requests are read as they were written, and any other bytes are none, or the same once more.
    #[test]
    fn requests_are_read_as_written(answer_len in any::<u64>(), number in any::<u64>()) {
        let request = Request { answer_len, number };
        prop_assert_eq!(Request::parse(&request.encode()), Some(request));
    }

    #[test]
    fn any_bytes_are_a_request_or_none(bytes in prop::array::uniform32(any::<u16>()), has_magic in any::<bool>()) {
        let mut all = [0; REQUEST_LEN];
        for (at, word) in bytes.iter().enumerate() {
            all[2 * at..2 * at + 2].copy_from_slice(&word.to_le_bytes());
        }
        if has_magic {
            all[..8].copy_from_slice(b"RLXWIRE1");
        }
        prop_assert_eq!(Request::parse(&all).is_some(), has_magic);
    }

    #[test]
    fn any_line_is_measured_or_not(line in ".*") {
        let _ = Measured::parse(&line);
        let _ = Role::parse(&line);
    }
}
