//! Connections between two stacks, by IPv4 and by IPv6.

use alloc::sync::Arc;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use drivers_api::{Instant, Mtu};
use spin::Mutex;

use super::{Addressing, Stack, StackConfig};

fn stack(last: u8, ip6: Option<Ipv6Addr>) -> Arc<Mutex<Stack>> {
    let config = StackConfig {
        hardware_address: [2, 0, 0, 0, 0, last],
        mtu: Mtu::ETHERNET,
        addressing: Addressing::Static { ip: Ipv4Addr::new(10, 0, 0, last), prefix_len: 24 },
        ip6: ip6.map(|ip| (ip, 64)),
        seed: last.into(),
        connections_max: 8,
        buffers_len_max: 0,
    };
    Arc::new(Mutex::new(Stack::new(config, Instant::ZERO)))
}

/// Whether somebody gets through to an address of the server within two seconds, and what address that one has.
fn reach(server: &Arc<Mutex<Stack>>, client: &Arc<Mutex<Stack>>, ip: IpAddr) -> Option<IpAddr> {
    server.lock().listen(5432, 1);
    let _connection = Stack::connect(client, ip, 5432).ok()?;
    for millis in 0..2000 {
        for (from, to) in [(client, server), (server, client)] {
            from.lock().poll(Instant::ZERO + Duration::from_millis(millis));
            while let Some(frame) = { from.lock().take_frame() } {
                to.lock().receive(frame);
            }
        }
        if let Some((port, connection)) = Stack::accept(server) {
            assert_eq!(port, 5432);
            let remote = server.lock().sockets().find_map(|socket| socket.remote);
            drop(connection);
            return remote.map(|remote| remote.ip());
        }
    }
    None
}

#[test]
fn who_listens_is_reached_by_each_address() {
    let told = |last| Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, last);
    // Of its MAC address, with the bit turned that says who has given it.
    let link_local = |last| Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, last);
    let reached = |ip: IpAddr, told: [Option<Ipv6Addr>; 2]| reach(&stack(1, told[0]), &stack(2, told[1]), ip);
    let (both, none) = ([Some(told(1)), Some(told(2))], [None, None]);
    let ip4 = |last| IpAddr::from([10, 0, 0, last]);
    assert_eq!(reached(ip4(1), both), Some(ip4(2)));
    assert_eq!(reached(told(1).into(), both), Some(told(2).into()));
    assert_eq!(reached(link_local(1).into(), both), Some(link_local(2).into()));
    assert_eq!(reached(link_local(1).into(), none), Some(link_local(2).into()), "it is always there");
    assert_eq!(reached(told(3).into(), both), None, "nobody has it");
}
