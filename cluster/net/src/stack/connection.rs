//! One connection, as whoever speaks over it has it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::future::poll_fn;
use core::task::Poll;

use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp;
use spin::Mutex;

use super::Stack;

/// The other side is gone, or was never there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpError;

impl fmt::Display for TcpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is closed")
    }
}

/// One connection. Dropping it closes it, after what was written. One task may read while another writes.
pub struct TcpConnection {
    pub(super) stack: Arc<Mutex<Stack>>,
    pub(super) handle: SocketHandle,
}

impl TcpConnection {
    /// Waits until the other side has accepted the connection.
    pub async fn established(&self) -> Result<(), TcpError> {
        poll_fn(|context| {
            let mut stack = self.stack.lock();
            let socket = stack.sockets.get_mut::<tcp::Socket<'_>>(self.handle);
            if is_opening(socket) {
                socket.register_send_waker(context.waker());
                return Poll::Pending;
            }
            Poll::Ready(if socket.may_send() { Ok(()) } else { Err(TcpError) })
        })
        .await
    }

    /// Appends what has arrived to `into`, at least a byte. Waits for it.
    pub async fn read(&self, into: &mut Vec<u8>) -> Result<(), TcpError> {
        poll_fn(|context| {
            let mut stack = self.stack.lock();
            let socket = stack.sockets.get_mut::<tcp::Socket<'_>>(self.handle);
            let before = into.len();
            while socket.can_recv() {
                let taken = socket.recv(|bytes| {
                    into.extend_from_slice(bytes);
                    (bytes.len(), bytes.len())
                });
                if !matches!(taken, Ok(1..)) {
                    break;
                }
            }
            if into.len() > before {
                // There is room again, which is to be announced.
                stack.stirred = true;
                return Poll::Ready(Ok(()));
            }
            if !socket.may_recv() && !is_opening(socket) {
                return Poll::Ready(Err(TcpError));
            }
            socket.register_recv_waker(context.waker());
            Poll::Pending
        })
        .await
    }

    /// Writes all of `bytes`. Waits while the buffer is full.
    pub async fn write(&self, bytes: &[u8]) -> Result<(), TcpError> {
        let mut written = 0;
        poll_fn(|context| {
            let mut stack = self.stack.lock();
            let socket = stack.sockets.get_mut::<tcp::Socket<'_>>(self.handle);
            if !socket.may_send() && !is_opening(socket) {
                return Poll::Ready(Err(TcpError));
            }
            while written < bytes.len() && socket.can_send() {
                match socket.send_slice(&bytes[written..]) {
                    Ok(0) => break,
                    Ok(len) => written += len,
                    Err(_) => return Poll::Ready(Err(TcpError)),
                }
            }
            let done = written == bytes.len();
            if !done {
                socket.register_send_waker(context.waker());
            }
            stack.stirred = true;
            if done { Poll::Ready(Ok(())) } else { Poll::Pending }
        })
        .await
    }

    /// Says that nothing more will be written.
    pub fn finish(&self) {
        let mut stack = self.stack.lock();
        stack.sockets.get_mut::<tcp::Socket<'_>>(self.handle).close();
        stack.stirred = true;
    }

    /// Breaks the connection off.
    pub fn abort(&self) {
        let mut stack = self.stack.lock();
        stack.sockets.get_mut::<tcp::Socket<'_>>(self.handle).abort();
        stack.stirred = true;
    }
}

impl Drop for TcpConnection {
    fn drop(&mut self) {
        self.stack.lock().release(self.handle);
    }
}

fn is_opening(socket: &tcp::Socket<'_>) -> bool {
    matches!(socket.state(), tcp::State::SynSent | tcp::State::SynReceived)
}
