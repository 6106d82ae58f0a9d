//! What is notified, as server-sent events: `GET /events?channel=NAME&channel=...`.
//!
//! ```text
//! event: NAME
//! data: the payload, line by line
//!
//! ```
//! Nothing is kept for who is not there: an event `missed` is the last one of a client that was too slow, or whose node was
//! behind the others. It looks at the tables, and asks again.

use alloc::format;
use alloc::string::String;
use core::time::Duration;

use cluster_sql::Notification;
use cluster_sql::database::Database;

use super::exchange::Exchange;
use super::head::Head;
use super::response::{Response, Stop};
use crate::Connection;

/// A line that says nothing, so often: whoever stands between does not take the silence for the end.
const SILENCE: Duration = Duration::from_secs(15);

/// Channels that one client listens to.
const CHANNELS_MAX: usize = 64;

impl<C: Connection, D: Database> Exchange<C, D> {
    /// Tells a client what it listens to, until it goes.
    pub(super) async fn events(&mut self, head: &Head) -> Result<(), Stop> {
        if !matches!(head.method.as_str(), "GET" | "HEAD") {
            return self.respond(super::not_allowed("GET, HEAD")).await;
        }
        let channels = || head.query.iter().filter(|(name, _)| name == "channel").map(|(_, channel)| channel);
        let count = channels().count();
        if count == 0 || count > CHANNELS_MAX {
            let message = format!("say which channels, 1 to {CHANNELS_MAX}, as /events?channel=orders does");
            return Err(Response::error(400, &message, None).into());
        }
        for channel in channels() {
            let listen = format!("LISTEN \"{}\"", channel.replace('"', "\"\""));
            if let Err(error) = self.run(&listen, Default::default()).await {
                // The next request is not to be told of what this one wanted.
                self.session.forget();
                return Err(error.into());
            }
        }
        let response = Response::empty(200)
            .with("Content-Type", "text/event-stream")
            .with("Cache-Control", "no-store")
            .with("X-Accel-Buffering", "no");
        if !self.begin_endless(&response).await? {
            return Ok(());
        }
        // The first line tells that it listens.
        self.write(b": listening\n\n").await?;
        loop {
            let told = self.meanwhile(SILENCE, |session, context| session.poll_notification(context)).await?;
            match told {
                None => self.write(b":\n\n").await?,
                Some(Ok(notification)) => self.write(event(&notification).as_bytes()).await?,
                Some(Err(missed)) => {
                    self.write(format!("event: missed\ndata: {missed}\n\n").as_bytes()).await?;
                    return Err(Stop::Closed);
                }
            }
        }
    }
}

/// An event as it is sent. Lines end as they may in such a stream: a payload has no way to say that another event begins.
fn event(notification: &Notification) -> String {
    let channel: String = notification.channel.chars().filter(|letter| !letter.is_control()).collect();
    let mut event = format!("event: {channel}\n");
    for line in notification.payload.replace("\r\n", "\n").split(['\n', '\r']) {
        event.push_str(&format!("data: {line}\n"));
    }
    event.push('\n');
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_cannot_end_its_event() {
        let told = |channel: &str, payload: &str| {
            event(&Notification { channel: channel.into(), payload: payload.into(), backend: 1 })
        };
        assert_eq!(
            told("a\nb", "x\r\ny\n\nevent: z\r"),
            "event: ab\ndata: x\ndata: y\ndata: \ndata: event: z\ndata: \n\n"
        );
        assert_eq!(told("a", ""), "event: a\ndata: \n\n");
    }
}
