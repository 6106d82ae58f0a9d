//! Who listens to what, on one node.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::mem;
use core::task::{Context, Poll, Waker};

use spin::Mutex;

use super::{Notification, check_channel};
use crate::error::{SqlError, SqlResult, SqlState};

/// Bytes that wait for one session.
const INBOX_LEN_MAX: usize = 1 << 20;

/// Channels that one session listens to.
const LISTENED_MAX: usize = 1000;

/// Why a session has not been told all that it listens to. It cannot know what else has changed: it is to begin anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// It has taken what it was told too slowly.
    TooSlow,
    /// The node has taken the tables of another, without the transactions that led there.
    Replaced,
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Missed::TooSlow => "notifications came faster than the client took them",
            Missed::Replaced => "notifications were missed while this node was behind the others",
        })
    }
}

/// The sessions of a node that listen, by channel.
#[derive(Default)]
pub struct Channels {
    by_name: Mutex<BTreeMap<String, Vec<Arc<Inbox>>>>,
}

impl Channels {
    /// A transaction has taken place: whoever listens is told what it tells, in its order.
    pub fn tell(&self, notifications: Vec<Notification>) {
        let by_name = self.by_name.lock();
        for notification in notifications {
            let Some(inboxes) = by_name.get(&notification.channel) else { continue };
            let notification = Arc::new(notification);
            inboxes.iter().for_each(|inbox| inbox.put(&notification));
        }
    }

    /// There may have been transactions that nobody here was told of.
    pub fn miss(&self) {
        let by_name = self.by_name.lock();
        by_name.values().flatten().for_each(|inbox| inbox.close(Missed::Replaced));
    }

    fn join(&self, channel: &str, inbox: &Arc<Inbox>) {
        let mut by_name = self.by_name.lock();
        let inboxes = by_name.entry(channel.into()).or_default();
        if !inboxes.iter().any(|known| Arc::ptr_eq(known, inbox)) {
            inboxes.push(inbox.clone());
        }
    }

    fn leave(&self, channel: &str, inbox: &Arc<Inbox>) {
        let mut by_name = self.by_name.lock();
        let Some(inboxes) = by_name.get_mut(channel) else { return };
        inboxes.retain(|known| !Arc::ptr_eq(known, inbox));
        if inboxes.is_empty() {
            by_name.remove(channel);
        }
    }
}

/// What a session is to be told, the oldest first.
#[derive(Default)]
struct Inbox(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    queue: VecDeque<Arc<Notification>>,
    len: usize,
    missed: Option<Missed>,
    waker: Option<Waker>,
}

impl Inbox {
    fn put(&self, notification: &Arc<Notification>) {
        let waker = {
            let mut waiting = self.0.lock();
            if waiting.missed.is_some() {
                return;
            }
            let len = waiting.len + len_of(notification);
            if len > INBOX_LEN_MAX {
                waiting.close(Missed::TooSlow);
            } else {
                waiting.len = len;
                waiting.queue.push_back(notification.clone());
            }
            waiting.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    fn close(&self, why: Missed) {
        let waker = {
            let mut waiting = self.0.lock();
            waiting.close(why);
            waiting.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    fn take(&self) -> Result<Option<Arc<Notification>>, Missed> {
        let mut waiting = self.0.lock();
        if let Some(missed) = waiting.missed {
            return Err(missed);
        }
        let next = waiting.queue.pop_front();
        waiting.len -= next.as_ref().map_or(0, |next| len_of(next));
        Ok(next)
    }
}

impl Waiting {
    fn close(&mut self, why: Missed) {
        self.missed.get_or_insert(why);
        (self.queue, self.len) = (VecDeque::new(), 0);
    }
}

fn len_of(notification: &Notification) -> usize {
    notification.channel.len() + notification.payload.len() + 96
}

fn too_many() -> SqlError {
    let message = format!("a session that listens to more than {LISTENED_MAX} channels exceeds the limit");
    SqlError::new(SqlState::LIMIT_EXCEEDED, message)
}

/// What a session listens to.
pub(crate) struct Listening {
    node: Arc<Channels>,
    inbox: Arc<Inbox>,
    channels: BTreeSet<String>,
    /// What the open transaction has asked for, in order.
    asked: Vec<Asked>,
    /// Channels whose notifications reach the inbox: those, and any that the transaction has asked for.
    joined: BTreeSet<String>,
}

/// What a transaction asks for, that holds if it commits.
enum Asked {
    Listen(String),
    Unlisten(String),
    UnlistenAll,
}

impl Listening {
    pub(crate) fn new(node: Arc<Channels>) -> Listening {
        let (channels, joined) = (BTreeSet::new(), BTreeSet::new());
        Listening { node, inbox: Arc::default(), channels, asked: Vec::new(), joined }
    }

    /// `LISTEN`. What is told from now on is kept already: the transaction may tell something itself.
    pub(crate) fn listen(&mut self, channel: &str) -> SqlResult<()> {
        check_channel(channel)?;
        if !self.joined.contains(channel) && self.joined.len() >= LISTENED_MAX {
            return Err(too_many());
        }
        self.ask(Asked::Listen(channel.into()))?;
        self.node.join(channel, &self.inbox);
        self.joined.insert(channel.into());
        Ok(())
    }

    /// `UNLISTEN`, of one channel or all.
    pub(crate) fn unlisten(&mut self, channel: Option<&str>) -> SqlResult<()> {
        self.ask(channel.map_or(Asked::UnlistenAll, |channel| Asked::Unlisten(channel.into())))
    }

    fn ask(&mut self, asked: Asked) -> SqlResult<()> {
        // As many as there may be, and none of them: more is of no use.
        if self.asked.len() > 2 * LISTENED_MAX {
            return Err(too_many());
        }
        self.asked.push(asked);
        Ok(())
    }

    /// How much the transaction has asked for.
    pub(crate) fn asked(&self) -> usize {
        self.asked.len()
    }

    /// The transaction comes back to where it had asked for so much.
    pub(crate) fn roll_back_to(&mut self, asked: usize) {
        self.asked.truncate(asked);
    }

    /// The transaction has ended.
    pub(crate) fn end_transaction(&mut self, is_committed: bool) {
        if self.asked.is_empty() && self.joined.len() == self.channels.len() {
            return;
        }
        for asked in mem::take(&mut self.asked).into_iter().filter(|_| is_committed) {
            match asked {
                Asked::Listen(channel) => _ = self.channels.insert(channel),
                Asked::Unlisten(channel) => _ = self.channels.remove(&channel),
                Asked::UnlistenAll => self.channels.clear(),
            }
        }
        for channel in self.joined.difference(&self.channels) {
            self.node.leave(channel, &self.inbox);
        }
        self.joined.clone_from(&self.channels);
        if self.channels.is_empty() {
            // Whatever was missed, nobody listens to it any more.
            self.inbox = Arc::default();
        }
    }

    /// Listens to nothing any more.
    pub(crate) fn forget(&mut self) {
        self.channels.clear();
        self.end_transaction(false);
    }

    /// What the session is told next, if it waits already.
    pub(crate) fn take(&self) -> Result<Option<Arc<Notification>>, Missed> {
        while let Some(next) = self.inbox.take()? {
            // Not what came before the session listened to it, or after.
            if self.channels.contains(&next.channel) {
                return Ok(Some(next));
            }
        }
        Ok(None)
    }

    /// Waits for what the session is told next.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<Result<Arc<Notification>, Missed>> {
        self.inbox.0.lock().waker = Some(context.waker().clone());
        match self.take().transpose() {
            Some(next) => Poll::Ready(next),
            None => Poll::Pending,
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tell(node: &Channels, channel: &str, payload: &str) {
        let (channel, payload) = (channel.into(), payload.into());
        node.tell([Notification { backend: 1, channel, payload }].into());
    }

    fn taken(listening: &Listening) -> Vec<String> {
        core::iter::from_fn(|| listening.take().unwrap()).map(|one| one.payload.clone()).collect()
    }

    #[test]
    fn what_a_transaction_asks_for_holds_once_it_has_committed() {
        let node = Arc::<Channels>::default();
        let mut listening = Listening::new(node.clone());
        listening.listen("a").unwrap();
        tell(&node, "a", "told by the transaction itself, perhaps");
        listening.end_transaction(true);
        assert_eq!(taken(&listening).len(), 1);
        listening.listen("b").unwrap();
        tell(&node, "b", "rolled back");
        listening.end_transaction(false);
        assert_eq!(taken(&listening), [""; 0]);
        let at = listening.asked();
        listening.unlisten(None).unwrap();
        listening.roll_back_to(at);
        listening.end_transaction(true);
        tell(&node, "a", "still");
        assert_eq!(taken(&listening), ["still"]);
        listening.listen("c").unwrap();
        listening.unlisten(Some("a")).unwrap();
        listening.end_transaction(true);
        tell(&node, "a", "no more");
        tell(&node, "c", "one");
        assert_eq!(taken(&listening), ["one"]);
        drop(listening);
        assert!(node.by_name.lock().is_empty(), "nobody listens");
    }

    #[test]
    fn who_is_too_slow_or_was_left_out_is_told_that() {
        let node = Arc::<Channels>::default();
        let mut slow = Listening::new(node.clone());
        slow.listen("a").unwrap();
        slow.end_transaction(true);
        for _ in 0..INBOX_LEN_MAX / 1000 {
            tell(&node, "a", &"x".repeat(1000));
        }
        assert_eq!(slow.take(), Err(Missed::TooSlow));
        let mut other = Listening::new(node.clone());
        other.listen("a").unwrap();
        other.end_transaction(true);
        node.miss();
        tell(&node, "a", "too late");
        assert_eq!(other.take(), Err(Missed::Replaced));
        assert_eq!(slow.take(), Err(Missed::TooSlow));
        slow.unlisten(None).unwrap();
        slow.end_transaction(true);
        assert_eq!(slow.take(), Ok(None), "it is not listening any more");
    }

    #[test]
    fn a_session_listens_to_so_many_channels() {
        let mut listening = Listening::new(Arc::default());
        for number in 0..LISTENED_MAX {
            listening.listen(&format!("channel {number}")).unwrap();
        }
        listening.end_transaction(true);
        assert_eq!(listening.listen("one more").unwrap_err().state, SqlState::LIMIT_EXCEEDED);
        listening.listen("channel 1").unwrap();
        listening.unlisten(Some("channel 7")).unwrap();
        listening.end_transaction(true);
        listening.listen("one more").unwrap();
    }
}
