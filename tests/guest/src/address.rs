//! The address of a network card, by rtnetlink (rtnetlink(7)).

use std::ffi::CStr;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

const NEW_LINK: u16 = 16;
const NEW_ADDRESS: u16 = 20;
/// A request whose answer says whether it has been done.
const REQUEST_AND_ACKNOWLEDGE: u16 = 1 | 4;
/// And that creates what it names.
const CREATE: u16 = 0x400;
const HEADER_LEN: usize = 16;
const INTERNET: u8 = 2;
const UP: u32 = 1;
const ATTRIBUTE_LOCAL: u16 = 2;

/// Gives the card its address and prefix, and switches it on.
pub fn set(name: &CStr, ip: Ipv4Addr, prefix_len: u8) -> io::Result<()> {
    // The protocol that is none is NETLINK_ROUTE.
    let socket =
        rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    let name = name.to_str().map_err(io::Error::other)?;
    let index = rustix::net::netdevice::name_to_index(socket.as_fd(), name)?;
    let mut address = vec![INTERNET, prefix_len, 0, 0];
    address.extend(index.to_ne_bytes());
    address.extend([8u16.to_ne_bytes(), ATTRIBUTE_LOCAL.to_ne_bytes()].concat());
    address.extend(ip.octets());
    request(&socket, NEW_ADDRESS, CREATE, &address)?;
    let mut link = vec![0; 4];
    link.extend([index.to_ne_bytes(), UP.to_ne_bytes(), UP.to_ne_bytes()].concat());
    request(&socket, NEW_LINK, 0, &link)
}

/// Sends a request, and waits until it has been done or refused.
fn request(socket: &OwnedFd, kind: u16, more_flags: u16, body: &[u8]) -> io::Result<()> {
    let mut message = ((HEADER_LEN + body.len()) as u32).to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend((REQUEST_AND_ACKNOWLEDGE | more_flags).to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    rustix::net::sendto(socket, &message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut answer = [0; 512];
    let (_, len) = rustix::net::recv(socket, &mut answer[..], RecvFlags::empty())?;
    let error = answer[..len].get(HEADER_LEN..).and_then(|body| body.first_chunk());
    match error.map(|error| i32::from_ne_bytes(*error)) {
        Some(0) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(-error)),
        None => Err(io::Error::other("the answer is too short")),
    }
}
