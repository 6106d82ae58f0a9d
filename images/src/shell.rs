//! SQL: a shell with history on a terminal, or statements from the command line, a file or a pipe.

use std::io::{IsTerminal, Read};
use std::process::ExitCode;

use rustyline::error::ReadlineError;
use tokio_postgres::SimpleQueryMessage;

use crate::cli::SqlOptions;
use crate::cluster::Cluster;
use crate::error::Failure;
use crate::layout::Layout;
use crate::session::{Session, connect};
use crate::table;

const HELP: &str = "\
Type SQL, ended by a semicolon. Arrow keys recall earlier lines.
  \\q      leave (the cluster goes on; 'relix down' stops it)
  \\n      ask the next node
  \\?      this help
Try:  SELECT * FROM sys.nodes;   SELECT * FROM sys.devices;";

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
    Ok(if execute(&session, &text) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Opens the shell after `relix up`.
pub fn open(layout: &Layout, cluster: &Cluster) -> Result<(), Failure> {
    let session = connect(layout, cluster, None)?;
    interact(layout, cluster, session).map(drop)
}

/// Runs statements and prints their results; false if one failed.
fn execute(session: &Session, text: &str) -> bool {
    match session.runtime.block_on(session.client.simple_query(text)) {
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
                        execute(&session, &text);
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
