//! Plays the failover suite and reports what it has measured.

#![forbid(unsafe_code)]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use tests_failover::report::{self, Result};
use tests_failover::scenario::{Machines, SCENARIOS, Scenario};
use tests_failover::stage::KINDS;
use tests_vm::repository;

/// Breaks clusters under load in every way there is: how long are clients without service, is anything lost?
#[derive(Parser)]
struct Options {
    /// Plays these scenarios only, by name, separated by commas.
    #[arg(long, value_delimiter = ',')]
    scenarios: Vec<String>,
    /// Runs these workloads only: bank, append, queue, files.
    #[arg(long, value_delimiter = ',')]
    workloads: Vec<String>,
    /// How often each scenario is played.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    repeats: u32,
    /// On host processes instead of VMs.
    #[arg(long)]
    host: bool,
    /// Where the report goes [default: target/failover.html]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Says what scenarios there are.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("failover: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Those of `all` that are asked for: all of them if none is.
fn chosen<'a>(asked: &[String], all: Vec<&'a str>) -> std::result::Result<Vec<&'a str>, String> {
    if let Some(unknown) = asked.iter().find(|name| !all.contains(&name.as_str())) {
        return Err(format!("there is no '{unknown}': choose from {}", all.join(", ")));
    }
    Ok(all.into_iter().filter(|name| asked.is_empty() || asked.iter().any(|asked| asked == name)).collect())
}

/// Whether nothing went wrong.
fn run(options: &Options) -> std::result::Result<bool, String> {
    // Not everything befalls host processes.
    let can_be_played = |scenario: &&Scenario| !options.host || scenario.machines == Machines::Any;
    let all = SCENARIOS.iter().filter(can_be_played).map(|scenario| scenario.name);
    let names = chosen(&options.scenarios, all.collect())?;
    let workloads = chosen(&options.workloads, KINDS.iter().map(|kind| kind.name).collect())?;
    let scenarios: Vec<&'static Scenario> =
        SCENARIOS.iter().filter(|scenario| names.contains(&scenario.name)).collect();
    if options.list {
        scenarios.iter().for_each(|scenario| println!("{:<18} {}", scenario.name, scenario.story));
        return Ok(true);
    }
    let progress = ProgressBar::new(scenarios.len() as u64 * u64::from(options.repeats));
    progress.set_style(
        ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}")
            .map_err(|error| error.to_string())?,
    );
    let mut results = Vec::new();
    for scenario in scenarios {
        let mut outcomes = Vec::new();
        for _ in 0..options.repeats {
            progress.set_message(scenario.name);
            let outcome = tests_failover::play(scenario, options.host, &workloads);
            progress.suspend(|| {
                outcome.anomalies.iter().for_each(|wrong| println!("{}: {wrong}", scenario.name));
            });
            outcomes.push(outcome);
            progress.inc(1);
        }
        results.push(Result { scenario, outcomes });
    }
    progress.finish_and_clear();
    println!("{}", report::table(&results));
    let out = options.out.clone().unwrap_or_else(|| repository().join("target/failover.html"));
    fs::write(&out, report::page(&setup(options, &workloads), &results))
        .map_err(|error| format!("cannot write {}: {error}", out.display()))?;
    println!("{}", out.display());
    Ok(results.iter().flat_map(|result| &result.outcomes).all(|outcome| outcome.is_clean()))
}

/// How it was measured.
fn setup(options: &Options, workloads: &[&str]) -> String {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let date = Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]).output();
    let date = date.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let nodes = if options.host { "host processes" } else { "VMs of 128 MiB and one core" };
    format!(
        "just failover {}\n{}, {cores} cores; three {nodes}, every commit flushed by a majority.\nWorkloads, all at once: {}; \
         and one client that inserts rows, and turns to another node after two seconds of silence.",
        words.join(" "),
        date.unwrap_or_default(),
        workloads.join(", "),
    )
}
