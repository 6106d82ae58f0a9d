//! What commands ask nodes over HTTP.

use std::io;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use ureq::http::{Method, Request, Response};
use ureq::{Agent, AsSendBody, Body};

use crate::cluster::Cluster;
use crate::control::{self, MachineState};
use crate::error::Failure;
use crate::layout::Layout;

/// How long a node may take to accept a connection, and to begin its answer once it has all of the request.
const CONNECTED_WITHIN: Duration = Duration::from_secs(3);
const ANSWERED_WITHIN: Duration = Duration::from_secs(70);

/// Longest text of an answer that is not a file.
const TEXT_LEN_MAX: u64 = 16 << 20;

/// Speaks HTTP with nodes.
pub struct Http {
    agent: Agent,
}

/// A node's answer: a status that is no error.
pub type Answer = Response<Body>;

/// Why there is none.
#[derive(Debug)]
pub enum Problem {
    /// The node says so: its status, and its words.
    Refused(u16, String),
    /// The node cannot be spoken with. Whether it has done something is not known.
    Lost(String),
}

impl Http {
    pub fn new() -> Http {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            // The nodes are on this machine, whatever the environment says of others.
            .proxy(None)
            .timeout_connect(Some(CONNECTED_WITHIN))
            // A node that is asked whether it wants a body says so, or why it does not.
            .timeout_await_100(Some(ANSWERED_WITHIN))
            .timeout_recv_response(Some(ANSWERED_WITHIN))
            .build();
        Http { agent: config.new_agent() }
    }

    /// Asks the node at this port. The path is without escapes; what of the query needs any has them.
    pub fn ask(
        &self,
        port: u16,
        method: &str,
        path: &str,
        query: Option<&str>,
        fields: &[(&str, &str)],
        body: impl AsSendBody,
    ) -> Result<Answer, Problem> {
        let lost = |error: &dyn std::fmt::Display| Problem::Lost(error.to_string());
        let method = Method::from_bytes(method.as_bytes()).map_err(|error| lost(&error))?;
        let mut request = Request::builder().method(method).uri(url(port, path, query));
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(body).map_err(|error| lost(&error))?;
        let answer = self.agent.run(request).map_err(|error| lost(&error))?;
        let status = answer.status().as_u16();
        if status < 400 { Ok(answer) } else { Err(Problem::Refused(status, words_of(answer))) }
    }

    /// The same, and all that is answered is JSON.
    pub fn ask_json(
        &self,
        port: u16,
        method: &str,
        path: &str,
        query: Option<&str>,
    ) -> Result<Value, Problem> {
        self.ask_with_json(port, method, path, query, ())
    }

    /// The same, with a body.
    pub fn ask_with_json(
        &self,
        port: u16,
        method: &str,
        path: &str,
        query: Option<&str>,
        body: impl AsSendBody,
    ) -> Result<Value, Problem> {
        let answer = self.ask(port, method, path, query, &[], body)?;
        let text = text_of(answer).map_err(Problem::Lost)?;
        serde_json::from_str(&text).map_err(|error| Problem::Lost(error.to_string()))
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Failure {
        match problem {
            Problem::Refused(_, why) => Failure::Http(why),
            Problem::Lost(why) => {
                Failure::Http(format!("the connection to the node has failed ({why}): run the command again"))
            }
        }
    }
}

fn text_of(answer: Answer) -> Result<String, String> {
    answer.into_body().with_config().limit(TEXT_LEN_MAX).read_to_string().map_err(|error| error.to_string())
}

/// What an error says, and what to do about it.
fn words_of(answer: Answer) -> String {
    let status = answer.status();
    let text = text_of(answer).unwrap_or_default();
    let said: Value = serde_json::from_str(&text).unwrap_or_default();
    match (said["error"].as_str(), said["hint"].as_str()) {
        (Some(error), Some(hint)) => format!("{error} ({hint})"),
        (Some(error), None) => error.into(),
        (None, _) => format!("the node answers {status}"),
    }
}

/// Where a node has what is at a path. Names are anybody's: only the query is behind a question mark.
fn url(port: u16, path: &str, query: Option<&str>) -> String {
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("http://127.0.0.1:{port}{}{query}", escaped(path))
}

/// What is escaped of a path that is part of a URL.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A path as it is part of a URL.
pub fn escaped(path: &str) -> String {
    utf8_percent_encode(path, ESCAPED).to_string()
}

/// The port of `node`; else of the first that is up.
pub fn port_of(layout: &Layout, node: Option<u8>) -> Result<u16, Failure> {
    let cluster = Cluster::expect(layout)?;
    if let Some(node) = node {
        cluster.check_node(node)?;
        return Ok(cluster.http_port(node));
    }
    let machines = control::machines(layout)?;
    let up = machines.iter().find(|machine| machine.state == MachineState::Up);
    let none = || Failure::Http("no node is up: start one with 'relix fault restart K'".into());
    up.map(|machine| cluster.http_port(machine.id)).ok_or_else(none)
}

/// The bytes of an answer.
pub fn reader(answer: Answer) -> impl io::Read {
    answer.into_body().into_with_config().limit(u64::MAX).reader()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_path_is_one_part_of_a_url() {
        assert_eq!(super::escaped("/a b/é?#%.txt"), "/a%20b/%C3%A9%3F%23%25.txt");
    }

    #[test]
    fn a_question_mark_in_a_name_begins_no_query() {
        assert_eq!(super::url(80, "/files/notes?.txt", None), "http://127.0.0.1:80/files/notes%3F.txt");
        let url = super::url(80, "/files/d?recursive", Some("stat"));
        assert_eq!(url, "http://127.0.0.1:80/files/d%3Frecursive?stat");
    }
}
