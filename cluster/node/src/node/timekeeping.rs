//! The node's wall clock, where time servers are named.

use alloc::string::ToString;

use cluster_net::TimeNotice;
use cluster_net::ntp::NTP_PORT;
use drivers_api::{Level, Now};

use super::{LogLine, Node};

impl Node {
    /// Asks time servers, hears them, and says what there is to say of the time.
    pub(super) fn keep_time(&mut self, now: Now) {
        let mut stack = self.stack.lock();
        let ask = &mut |server, question: [u8; _]| stack.send_datagram(server, NTP_PORT, &question);
        self.timekeeper.poll(now.monotonic, ask);
        while let Some((from, port, bytes)) = stack.take_datagram() {
            if port == NTP_PORT {
                self.timekeeper.receive(now.monotonic, from, &bytes);
            }
        }
        for notice in self.timekeeper.take_notices() {
            let level = if matches!(notice, TimeNotice::Set { .. }) { Level::Info } else { Level::Warn };
            self.replica.log_lines.push(LogLine(level, notice.to_string()));
        }
    }
}
