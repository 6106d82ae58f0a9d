//! Both ends of a connection.

use alloc::vec::Vec;
use core::fmt;

use crate::request::{REQUEST_LEN, Request};

/// Bytes of an answer that are written at once.
const PIECE_LEN: u64 = 64 * 1024;

/// A stream of bytes in both directions. Errors are what is said if a connection does not do.
pub trait Connection {
    /// What may befall it.
    type Error;

    /// Waits for bytes and appends at least one to `into`.
    fn read(&mut self, into: &mut Vec<u8>) -> impl Future<Output = Result<(), Self::Error>>;

    /// Sends all of `bytes`, in order; waits while there is no room for them.
    fn write(&mut self, bytes: &[u8]) -> impl Future<Output = Result<(), Self::Error>>;
}

/// Why a connection has ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure<E> {
    /// The connection's own reason; also if the other end has closed it.
    Connection(E),
    /// The other end speaks something else.
    Protocol,
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Connection(error) => error.fmt(f),
            Failure::Protocol => f.write_str("the other end does not speak this protocol"),
        }
    }
}

/// Answers what is asked over `connection`, until the asker closes it: with the reason that it gives for that.
pub async fn serve<C: Connection>(mut connection: C) -> Failure<C::Error> {
    let mut received = Vec::new();
    loop {
        while received.len() < REQUEST_LEN {
            if let Err(error) = connection.read(&mut received).await {
                return Failure::Connection(error);
            }
        }
        let request = received.first_chunk().and_then(Request::parse);
        let Some(request) = request else { return Failure::Protocol };
        received.drain(..REQUEST_LEN);
        if let Err(error) = answer(&mut connection, request).await {
            return Failure::Connection(error);
        }
    }
}

async fn answer<C: Connection>(connection: &mut C, request: Request) -> Result<(), C::Error> {
    let bytes = request.encode();
    if request.answer_len <= REQUEST_LEN as u64 {
        return connection.write(&bytes[..request.answer_len as usize]).await;
    }
    let piece = bytes.repeat((request.answer_len.min(PIECE_LEN) as usize).div_ceil(REQUEST_LEN));
    let mut left = request.answer_len;
    while left > 0 {
        let len = left.min(piece.len() as u64);
        connection.write(&piece[..len as usize]).await?;
        left -= len;
    }
    Ok(())
}

/// Asks `requests` times for answers of `answer_len` bytes, each when the one before is complete.
pub async fn ask<C: Connection>(
    connection: &mut C,
    requests: u64,
    answer_len: u64,
) -> Result<(), Failure<C::Error>> {
    let mut received = Vec::new();
    for number in 0..requests {
        let request = Request { answer_len, number }.encode();
        connection.write(&request).await.map_err(Failure::Connection)?;
        let mut left = answer_len;
        while left > 0 {
            received.clear();
            connection.read(&mut received).await.map_err(Failure::Connection)?;
            // Of a long answer, looking at all of it would be most of the work: its pieces' lengths are summed up.
            let begins = received.iter().zip(&request).all(|(have, want)| have == want);
            let has_begun = left < answer_len;
            left = left.checked_sub(received.len() as u64).ok_or(Failure::Protocol)?;
            if !begins && !has_begun {
                return Err(Failure::Protocol);
            }
        }
    }
    Ok(())
}
