//! Relix's side: mailboxes, each with a channel that whoever waits for it listens to.

use std::collections::BTreeMap;

use tokio::task::JoinHandle;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Statement};

use super::{Message, Requester, Shape};
use crate::session::{Session, ask, run};
use crate::subject::Subject;

/// Sends messages in one transaction: to which mailboxes, with which bodies, about what; `$1` is where the answers go.
const SEND: &str = "SELECT sys.send(m.mailbox, m.body::jsonb, $1, m.about) \
     FROM (SELECT unnest($2) AS mailbox, unnest($3) AS body, unnest($4) AS about) m";

/// Takes the next `$2` messages out of a mailbox: `sys.receive`, for more than one.
const TAKE: &str = "DELETE FROM sys.messages m \
     USING (SELECT n.version, n.id FROM sys.messages n WHERE n.mailbox = $1 ORDER BY n.version, n.id LIMIT $2) next \
     WHERE m.mailbox = $1 AND m.version = next.version AND m.id = next.id \
     RETURNING m.reply_to, m.about, m.body";

/// Those who answer.
pub struct Receivers(Vec<JoinHandle<()>>);

impl Receivers {
    /// Makes the mailboxes of all, and starts who answers, on connections spread over the nodes.
    pub async fn start(subject: &Subject, shape: &Shape) -> Result<Receivers, String> {
        let mailboxes = format!(
            "DELETE FROM sys.mailboxes; \
             INSERT INTO sys.mailboxes (name, channel) \
             SELECT 'to-' || n, 'to-' || n FROM generate_series(0, {} - 1) n; \
             INSERT INTO sys.mailboxes (name, channel) \
             SELECT 'from-' || n, 'from-' || n FROM generate_series(0, {} - 1) n",
            shape.receivers, shape.requesters
        );
        run(subject.leader(), &mailboxes).await.map_err(|error| error.to_string())?;
        let mut tasks = Vec::new();
        for number in 0..shape.receivers {
            let mailbox = format!("to-{number}");
            let session = Session::listen(subject.port(number), &mailbox).await;
            let session = session.map_err(|error| error.to_string())?;
            let sql =
                format!("WITH got AS ({TAKE}) SELECT sys.send(g.reply_to, g.body, NULL, g.about) FROM got g");
            let answer = session.client.prepare_typed(&sql, &[Type::TEXT, Type::INT8]).await;
            let answer = answer.map_err(|error| error.to_string())?;
            tasks.push(tokio::spawn(answer_all(session, answer, mailbox, shape.batch as i64)));
        }
        Ok(Receivers(tasks))
    }

    /// Ends them: they wait for messages that do not come.
    pub fn stop(self) {
        self.0.into_iter().for_each(|task| task.abort());
    }
}

/// Answers what comes, as many messages in one transaction as there are: a mailbox tells once of each transaction that has
/// sent it any, which have `batch` each. So it does not look for messages behind the last, where others arrive.
async fn answer_all(mut session: Session, answer: Statement, mailbox: String, batch: i64) {
    loop {
        let wanted = batch * session.times_told().await;
        let answered =
            ask(&session.client, &answer, &[&mailbox, &wanted]).await.expect("messages are answered");
        assert_eq!(answered.len() as i64, wanted, "messages that a receiver was told of");
    }
}

/// Who sends, and waits in a mailbox of its own.
pub struct MailboxRequester {
    session: Session,
    send: Statement,
    take: Statement,
    mailbox: String,
    batch: i64,
}

/// All of a shape, on connections spread over the nodes.
pub async fn requesters(subject: &Subject, shape: &Shape) -> Result<Vec<MailboxRequester>, String> {
    let mut requesters = Vec::new();
    for number in 0..shape.requesters {
        // The first is not where the first receiver is.
        let requester = MailboxRequester::open(subject.port(number + 1), format!("from-{number}"), shape);
        requesters.push(requester.await.map_err(|error| error.to_string())?);
    }
    Ok(requesters)
}

impl MailboxRequester {
    async fn open(port: u16, mailbox: String, shape: &Shape) -> Result<MailboxRequester, Error> {
        let session = Session::listen(port, &mailbox).await?;
        let texts = Type::TEXT_ARRAY;
        let send =
            session.client.prepare_typed(SEND, &[Type::TEXT, texts.clone(), texts.clone(), texts]).await?;
        let take = format!("WITH got AS ({TAKE}) SELECT g.about, g.body #>> '{{}}' FROM got g");
        let take = session.client.prepare_typed(&take, &[Type::TEXT, Type::INT8]).await?;
        Ok(MailboxRequester { session, send, take, mailbox, batch: shape.batch as i64 })
    }

    async fn send(&self, messages: &[Message]) -> Result<(), Error> {
        let to: Vec<String> = messages.iter().map(|message| format!("to-{}", message.to)).collect();
        let bodies: Vec<String> = messages.iter().map(|message| format!("\"{}\"", message.body)).collect();
        let about: Vec<&str> = messages.iter().map(|message| &*message.about).collect();
        ask(&self.session.client, &self.send, &[&self.mailbox, &to, &bodies, &about]).await.map(drop)
    }
}

impl Requester for MailboxRequester {
    async fn round(&mut self, messages: &[Message]) -> Result<BTreeMap<String, String>, String> {
        self.send(messages).await.map_err(|error| error.to_string())?;
        let mut answers = BTreeMap::new();
        let mut taken = 0;
        while taken < messages.len() {
            let wanted = self.batch * self.session.times_told().await;
            let rows = ask(&self.session.client, &self.take, &[&self.mailbox, &wanted]).await;
            let rows = rows.map_err(|error| error.to_string())?;
            taken += rows.len();
            answers.extend(rows.iter().map(|row| (row.get(0), row.get(1))));
        }
        // Less are different than there were if any came twice.
        if taken == answers.len() { Ok(answers) } else { Err("a message has come twice".into()) }
    }
}
