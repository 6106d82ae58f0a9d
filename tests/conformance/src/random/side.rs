//! A server that is asked.

use std::time::Duration;

use futures_util::future::join_all;

use crate::random::case::{Case, Statement};
use crate::random::judge::Outcome;
use crate::session::{Failure, Session};

/// How long a server may take for all statements of a case.
const PATIENCE: Duration = Duration::from_secs(60);

/// One of the servers, by a connection of its own.
pub struct Side {
    port: u16,
    /// What is sent at the start of a session.
    greeting: &'static str,
    session: Session,
}

impl Side {
    /// Connects to a server on 127.0.0.1.
    pub async fn connect(port: u16, greeting: &'static str) -> Result<Side, Failure> {
        let session = Session::connect(port).await?;
        if !greeting.is_empty() {
            session.text(greeting).await?;
        }
        Ok(Side { port, greeting, session })
    }

    /// Sends all statements at once, each a transaction of its own; what came of each.
    pub async fn run(&mut self, statements: &[Statement]) -> Vec<Outcome> {
        let all = join_all(statements.iter().map(|statement| self.run_one(statement)));
        match tokio::time::timeout(PATIENCE, all).await {
            Ok(outcomes) => outcomes,
            Err(_) => {
                let message = format!("no answer within {PATIENCE:?} to a case");
                vec![Err(Failure { state: String::new(), message }); statements.len()]
            }
        }
    }

    async fn run_one(&self, statement: &Statement) -> Outcome {
        let text = statement.tree.to_string();
        match statement.extended {
            true => self.session.binary(&text).await,
            false => self.session.text(&text).await,
        }
    }

    /// Makes the tables of a case, with nothing in them but their rows. A connection that has broken is made anew.
    pub async fn prepare(&mut self, case: &Case) -> Result<(), Failure> {
        if self.session.is_closed() {
            *self = Side::connect(self.port, self.greeting).await?;
        }
        let drops = case.tables.iter().map(|table| table.drop());
        let setups = case.tables.iter().flat_map(|table| table.setup());
        let texts: Vec<String> = drops.chain(setups).collect();
        self.run_texts(&texts).await
    }

    /// Removes the tables of a case.
    pub async fn clear(&mut self, case: &Case) -> Result<(), Failure> {
        let texts: Vec<String> = case.tables.iter().map(|table| table.drop()).collect();
        self.run_texts(&texts).await
    }

    async fn run_texts(&mut self, texts: &[String]) -> Result<(), Failure> {
        let all = join_all(texts.iter().map(|text| self.session.text(text)));
        let nothing = |_| Failure { state: String::new(), message: format!("no answer within {PATIENCE:?}") };
        let answers = tokio::time::timeout(PATIENCE, all).await.map_err(nothing)?;
        for (text, answer) in texts.iter().zip(answers) {
            answer.map_err(|failure| {
                let message = format!("{} ({text})", failure.message);
                Failure { message, ..failure }
            })?;
        }
        Ok(())
    }
}
