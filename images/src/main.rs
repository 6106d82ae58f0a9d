//! `relix`: builds the kernel, launches virtual clusters, and talks to them.
//!
//! `up` starts one background process, the *fabric*, which owns the machines (VMs, or host processes with
//! `--host`), the Ethernet switch between them and the gateway to 127.0.0.1. Every other command is a
//! short-lived client of it, or of the SQL ports.

#![forbid(unsafe_code)]

mod backup;
mod checked;
mod cli;
mod cluster;
mod control;
mod demo;
mod disks;
mod down;
mod error;
mod fabric;
mod fault;
mod fs;
mod host_node;
mod http;
mod image;
mod kernel_image;
mod layout;
mod links;
mod logs;
mod packages;
mod part_file;
mod program;
mod progress;
mod qemu;
mod restore;
mod session;
mod shell;
mod sim;
mod status;
mod table;
mod up;

use std::process::ExitCode;

use clap::Parser;
use drivers_host::HostClock;

use crate::cli::{Cli, Command, DemoCommand, ImageCommand, ProgramCommand};
use crate::error::Failure;
use crate::layout::Layout;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            eprintln!("relix: {}", one_line(&error.to_string()));
            return ExitCode::from(2);
        }
        // Help or version, as asked.
        Err(error) => error.exit(),
    };
    match run(cli) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("relix: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// What clap has to say, without its paragraphs on usage.
fn one_line(message: &str) -> String {
    let lines =
        message.lines().take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let words: Vec<&str> = lines.map(str::trim).filter(|line| !line.is_empty()).collect();
    format!("{} (see 'relix --help')", words.join(" ").trim_start_matches("error: "))
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let layout = Layout::new(&cli.dir)?;
    match cli.command.unwrap_or_default() {
        Command::Up(options) => up::run(&layout, &options)?,
        Command::Status { json } => status::run(&layout, json)?,
        Command::Sql(options) => return shell::run(&layout, &options),
        Command::Backup(options) => backup::run(&layout, &options)?,
        Command::Restore(options) => restore::run(&layout, &options)?,
        Command::Program(ProgramCommand::Add(options)) => program::add(&layout, &options)?,
        Command::Fs { node, command } => fs::run(&layout, node, &command)?,
        Command::Demo(DemoCommand::Orders(options)) => demo::orders(&layout, &options)?,
        Command::Image(ImageCommand::Build(options)) => image::build(&options)?,
        Command::Image(ImageCommand::Config(options)) => image::config(&options)?,
        Command::Image(ImageCommand::Inspect { file }) => image::inspect(&file)?,
        Command::Fault(command) => fault::run(&layout, command)?,
        Command::Logs { node, follow } => logs::run(&layout, node, follow)?,
        Command::Sim(options) => return sim::run(&options),
        Command::Down { wipe } => down::run(&layout, wipe)?,
        Command::Fabric => fabric::run(&layout)?,
        Command::HostNode { machine, words, tables_len_max, sql_port, http_port, clock_ahead_s } => {
            let clock = HostClock::ahead_by(clock_ahead_s);
            host_node::run(&layout, machine, clock, &words, tables_len_max, [sql_port, http_port])?
        }
    }
    Ok(ExitCode::SUCCESS)
}
