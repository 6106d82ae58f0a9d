//! A server that is asked.

use std::time::Duration;

use futures_util::future::join_all;

use crate::random::case::{Case, Statement};
use crate::random::judge::Outcome;
use crate::session::{Failure, Session};

/// How long a server may take for all statements of a case.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a definition is run, at most, until it meets no other one.
const RUNS_MAX: u64 = 200;

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
        // A transaction may still be open.
        let end = ["ROLLBACK".to_string()].into_iter();
        let drops = case.tables.iter().map(|table| table.drop());
        let setups = case.tables.iter().flat_map(|table| table.setup());
        let texts: Vec<String> = end.chain(drops).chain(setups).collect();
        self.run_texts(&texts).await
    }

    /// Removes the tables of a case.
    pub async fn clear(&mut self, case: &Case) -> Result<(), Failure> {
        let drops = case.tables.iter().map(|table| table.drop());
        let texts: Vec<String> = ["ROLLBACK".to_string()].into_iter().chain(drops).collect();
        self.run_texts(&texts).await
    }

    /// Definitions of several sessions at once may be told to run again.
    async fn run_again(&self, text: &str) -> Result<(), Failure> {
        let mut runs = 0;
        loop {
            runs += 1;
            match self.session.text(text).await {
                Err(failure) if failure.state == "40001" && runs < RUNS_MAX => {
                    tokio::time::sleep(Duration::from_millis(runs)).await;
                }
                done => return done.map(|_| ()),
            }
        }
    }

    async fn run_texts(&mut self, texts: &[String]) -> Result<(), Failure> {
        // One after the other, as what is run again would come too late.
        let all = async {
            for text in texts {
                self.run_again(text).await.map_err(|failure| {
                    let message = format!("{} ({text})", failure.message);
                    Failure { message, ..failure }
                })?;
            }
            Ok(())
        };
        let nothing = |_| Failure { state: String::new(), message: format!("no answer within {PATIENCE:?}") };
        tokio::time::timeout(PATIENCE, all).await.map_err(nothing)?
    }
}
