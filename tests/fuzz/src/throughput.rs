//! What is sent to the end that serves a measurement of the network, and what stands on a console.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use cluster_throughput::{Connection, Failure, Measured, Request, Role, serve};

/// Bytes of answers that the asker takes before it goes.
const ANSWERS_LEN_MAX: usize = 1 << 20;

/// An asker that sends these bytes, a few at a time, and goes when it has nothing left, or has had enough.
struct Asker<'a> {
    sends: &'a [u8],
    taken: usize,
}

struct Gone;

impl Connection for Asker<'_> {
    type Error = Gone;

    async fn read(&mut self, into: &mut Vec<u8>) -> Result<(), Gone> {
        let (now, later) = self.sends.split_at(self.sends.len().min(40));
        into.extend_from_slice(now);
        self.sends = later;
        if now.is_empty() { Err(Gone) } else { Ok(()) }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        self.taken += bytes.len();
        if self.taken > ANSWERS_LEN_MAX { Err(Gone) } else { Ok(()) }
    }
}

/// Requests, or anything else.
pub fn requests(bytes: &[u8]) {
    let serving = pin!(serve(Asker { sends: bytes, taken: 0 }));
    let ended = serving.poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(ended, Poll::Ready(Failure::Connection(Gone) | Failure::Protocol)), "it never waits");
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Role::parse(text);
        if let Some(measured) = Measured::parse(text) {
            assert_eq!(Measured::parse(&measured.to_string()), Some(measured));
        }
    }
}

/// Requests for little, for much, and a line.
pub fn seeds() -> Vec<Vec<u8>> {
    let requests =
        [0, 1, 64, 65, 1 << 17, u64::MAX].map(|answer_len| Request { answer_len, number: 7 }.encode());
    let line = b"throughput: 64 connections, 32000 answers of 64 bytes, 1234567 us";
    vec![requests.concat(), requests[2].to_vec(), line.to_vec(), b"ask@10.77.0.1".to_vec()]
}
