//! The time server of the virtual network: this machine's clock. Pure: a frame and the time in, a frame out.

use cluster_net::ntp::{self, NTP_PORT};
use drivers_api::WallTime;

use super::datagram::{self, End};

/// What is answered to a frame that asks for the time.
pub fn answer(frame: &[u8], now: WallTime) -> Option<Vec<u8>> {
    let ([from, to], question) = datagram::read(frame, NTP_PORT)?;
    if to != End::gateway(NTP_PORT) {
        return None;
    }
    let reply = ntp::reply(question, now.unix_micros)?;
    Some(datagram::write(End::gateway(NTP_PORT), from, reply.len(), |bytes| bytes.copy_from_slice(&reply)))
}

#[cfg(test)]
mod tests {
    use smoltcp::wire::EthernetAddress;

    use super::*;
    use crate::cluster::{hardware_address_of, ip_of};

    #[test]
    fn who_asks_is_told_where_it_asks_from() {
        let node = End { hardware: EthernetAddress(hardware_address_of(2)), ip: ip_of(2), port: 50_000 };
        let ask = |port| {
            let question = ntp::question(7);
            datagram::write(node, End::gateway(port), question.len(), |bytes| {
                bytes.copy_from_slice(&question)
            })
        };
        let now = WallTime { unix_micros: 1_795_953_600_000_000 };
        let told = answer(&ask(NTP_PORT), now).expect("an answer");
        let (ends, reply) = datagram::read(&told, node.port).expect("a datagram");
        assert_eq!(ends, [End::gateway(NTP_PORT), node]);
        assert_eq!(
            ntp::answer(reply, 7).and_then(Result::ok).map(|it| it.sent_micros),
            Some(now.unix_micros)
        );
        assert_eq!(answer(&ask(124), now), None);
    }
}
