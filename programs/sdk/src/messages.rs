//! Messages, which are rows that whoever receives one deletes.

use std::time::SystemTime;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Json, Result, imports, moment, query};

/// A message that was received.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Message<T> {
    /// Its number.
    pub id: i64,
    /// Where it was published, if it was.
    pub topic: Option<String>,
    /// The mailbox that an answer is to be sent to.
    pub reply_to: Option<String>,
    /// What it is about, as its sender says.
    pub about: Option<String>,
    /// What it says.
    pub body: T,
}

/// Sends a message to a mailbox, once what the run has done takes place; its number.
pub fn send(mailbox: &str, body: &impl Serialize) -> Result<i64> {
    query("SELECT sys.send($1, $2)", (mailbox, Json::of(body)?))?.only()
}

/// Takes the next message out of a mailbox, if there is one.
pub fn receive<T: DeserializeOwned>(mailbox: &str) -> Result<Option<Message<T>>> {
    query("SELECT id, topic, reply_to, about, body FROM sys.receive($1)", (mailbox,))?.first()
}

/// Ends the run, which begins again when a message is sent to that mailbox.
pub fn wait_for(mailbox: &str) -> ! {
    imports::wait_for(mailbox, i64::MAX)
}

/// Ends the run, which begins again when a message is sent to that mailbox, or at that time.
pub fn wait_for_until(mailbox: &str, until: SystemTime) -> ! {
    imports::wait_for(mailbox, moment::micros(until))
}
