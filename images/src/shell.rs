//! SQL: a shell with history on a terminal, or statements from the command line, a file or a pipe.

use std::io::{IsTerminal, Read};
use std::process::ExitCode;

use rustyline::error::ReadlineError;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::cli::SqlOptions;
use crate::cluster::Cluster;
use crate::control::{self, MachineState};
use crate::error::Failure;
use crate::layout::Layout;
use crate::{status, table};

const HELP: &str = "\
Type SQL, ended by a semicolon. Arrow keys recall earlier lines.
  \\q      leave (the cluster goes on; 'relix down' stops it)
  \\n      ask the next node
  \\?      this help
Try:  SELECT * FROM sys.nodes;   SELECT * FROM sys.devices;";

/// A connection to one node.
struct Session {
    runtime: Runtime,
    client: Client,
    node: u8,
}

/// Runs `relix sql`.
pub fn run(layout: &Layout, options: &SqlOptions) -> Result<ExitCode, Failure> {
    let cluster = Cluster::expect(layout)?;
    if let Some(node) = options.node {
        cluster.check_node(node)?;
    }
    let session = connect(layout, &cluster, options.node)?;
    let text = match (&options.command, &options.file) {
        (Some(command), _) => command.clone(),
        (None, Some(path)) => std::fs::read_to_string(path).map_err(Failure::file("read", path))?,
        (None, None) if std::io::stdin().is_terminal() => return interact(layout, &cluster, session),
        (None, None) => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(Failure::file("read", "standard input"))?;
            text
        }
    };
    Ok(if session.execute(&text) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Opens the shell after `relix up`.
pub fn open(layout: &Layout, cluster: &Cluster) -> Result<(), Failure> {
    let session = connect(layout, cluster, None)?;
    interact(layout, cluster, session).map(drop)
}

fn connect(layout: &Layout, cluster: &Cluster, node: Option<u8>) -> Result<Session, Failure> {
    let machines = control::machines(layout)?;
    let up = machines.iter().filter(|machine| machine.state == MachineState::Up);
    let candidates: Vec<u8> = match node {
        Some(node) => vec![node],
        None => up.map(|machine| machine.id).collect(),
    };
    let mut problem = "no node is up: start one with 'relix fault restart K'".to_string();
    for node in candidates {
        match connect_to(cluster, node) {
            Ok(session) => return Ok(session),
            Err(Failure::Sql(why)) => problem = format!("node {node} does not answer: {why}"),
            Err(other) => return Err(other),
        }
    }
    Err(Failure::Sql(problem))
}

fn connect_to(cluster: &Cluster, node: u8) -> Result<Session, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Sql(error.to_string()))?;
    let connected = runtime.block_on(status::config(cluster.sql_port(node)).connect(NoTls));
    let (client, connection) = connected.map_err(|error| Failure::Sql(error.to_string()))?;
    runtime.spawn(connection);
    Ok(Session { runtime, client, node })
}

impl Session {
    /// Runs statements and prints their results; false if one failed.
    fn execute(&self, text: &str) -> bool {
        match self.runtime.block_on(self.client.simple_query(text)) {
            Ok(messages) => {
                print_results(messages);
                true
            }
            Err(error) => {
                print_error(&error);
                false
            }
        }
    }
}

fn interact(layout: &Layout, cluster: &Cluster, mut session: Session) -> Result<ExitCode, Failure> {
    let trouble = |error: ReadlineError| Failure::Sql(format!("the terminal cannot be read: {error}"));
    let mut editor = rustyline::DefaultEditor::new().map_err(trouble)?;
    let _ = editor.load_history(&layout.history());
    println!("Relix SQL on node {}. \\? for help, \\q to leave.", session.node);
    let mut statement = String::new();
    loop {
        let prompt =
            if statement.is_empty() { format!("relix {}> ", session.node) } else { "      -> ".into() };
        match editor.readline(&prompt) {
            Ok(line) => match line.trim() {
                "" if statement.is_empty() => {}
                "\\q" | "exit" | "quit" if statement.is_empty() => break,
                "\\?" | "help" if statement.is_empty() => println!("{HELP}"),
                "\\n" if statement.is_empty() => session = next_node(layout, cluster, session)?,
                _ => {
                    statement.push_str(&line);
                    statement.push('\n');
                    if line.trim_end().ends_with(';') {
                        let text = std::mem::take(&mut statement);
                        let _ = editor.add_history_entry(text.trim_end());
                        session.execute(&text);
                        if session.client.is_closed() {
                            println!("Node {} is gone; asking another.", session.node);
                            session = connect(layout, cluster, None)?;
                        }
                    }
                }
            },
            Err(ReadlineError::Interrupted) => statement.clear(),
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(trouble(error)),
        }
    }
    let _ = editor.save_history(&layout.history());
    Ok(ExitCode::SUCCESS)
}

fn next_node(layout: &Layout, cluster: &Cluster, session: Session) -> Result<Session, Failure> {
    let next = session.node % cluster.nodes + 1;
    match connect(layout, cluster, Some(next)) {
        Err(Failure::Sql(why)) => {
            println!("{why}");
            Ok(session)
        }
        other => other,
    }
}

fn print_results(messages: Vec<SimpleQueryMessage>) {
    let mut header: Option<Vec<String>> = None;
    let mut rows: Vec<Vec<Option<String>>> = Vec::new();
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                header = Some(columns.iter().map(|column| column.name().to_string()).collect());
            }
            SimpleQueryMessage::Row(row) => {
                rows.push((0..row.len()).map(|index| row.get(index).map(String::from)).collect());
            }
            SimpleQueryMessage::CommandComplete(count) => match header.take() {
                Some(header) => {
                    print!("{}", table::layout(&header, &rows));
                    println!("({count} {})", if count == 1 { "row" } else { "rows" });
                    rows.clear();
                }
                None => println!("OK, {count} {}", if count == 1 { "row" } else { "rows" }),
            },
            _ => {}
        }
    }
}

fn print_error(error: &tokio_postgres::Error) {
    match error.as_db_error() {
        Some(error) => {
            eprintln!("{}:  {} (SQLSTATE {})", error.severity(), error.message(), error.code().code());
            error.detail().iter().for_each(|detail| eprintln!("DETAIL:  {detail}"));
            error.hint().iter().for_each(|hint| eprintln!("HINT:  {hint}"));
        }
        None => eprintln!("relix: {error}"),
    }
}
