//! `relix sim`: whole clusters in this process, from a seed.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use drivers_api::Entropy;
use drivers_host::HostEntropy;
use indicatif::{ProgressBar, ProgressStyle};
use tests_sim::{Failed, Fleet, Options, Simulation, Summary, Told, run_fleet};

use crate::cli::SimOptions;
use crate::error::Failure;

/// Without a terminal, progress is printed this often.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// Runs `relix sim`.
pub fn run(options: &SimOptions) -> Result<ExitCode, Failure> {
    let seed = match options.seed {
        Some(seed) => seed,
        None => random_seed()?,
    };
    let failed = match (options.seeds, options.hours) {
        (None, None) => run_one(seed, options.nodes),
        (seeds, hours) => run_many(seed, seeds, time_limit(hours)?, options.nodes),
    };
    let Some(failed) = failed else { return Ok(ExitCode::SUCCESS) };
    eprintln!("\n{failed}\nTo repeat it:\n{}", command_of(failed.options.seed, options.nodes));
    Ok(ExitCode::FAILURE)
}

/// Short, so that it is easily passed on.
fn random_seed() -> Result<u64, Failure> {
    let mut bytes = [0; 8];
    HostEntropy.fill(&mut bytes[..4]);
    Ok(u64::from_le_bytes(bytes))
}

fn time_limit(hours: Option<f64>) -> Result<Option<Duration>, Failure> {
    let wrong = || Failure::Argument("--hours takes a positive number of hours, as 0.5".into());
    let span = |hours: f64| Duration::try_from_secs_f64(hours * 3600.0).ok().filter(|span| !span.is_zero());
    hours.map(|hours| span(hours).ok_or_else(wrong)).transpose()
}

/// The command that runs one seed again, as this one was called.
fn command_of(seed: u64, nodes: Option<u8>) -> String {
    let program = std::env::args().next().unwrap_or_else(|| "relix".into());
    let nodes = nodes.map(|nodes| format!(" --nodes {nodes}")).unwrap_or_default();
    format!("{program} sim --seed {seed}{nodes}")
}

/// Runs a seed twice: it must be the same simulation.
fn run_one(seed: u64, nodes: Option<u8>) -> Option<Failed> {
    let options = Options::of_seed(seed, nodes);
    println!("{options}\n");
    let began = Instant::now();
    let outcome = match Simulation::run_twice(&options) {
        Ok(outcome) => outcome,
        Err(failed) => return Some(failed),
    };
    let mut summary = Summary::default();
    summary.add(&outcome);
    summary.repeated = 1;
    println!("{}", summary.report(began.elapsed() / 2));
    println!("trace          {:016x}", outcome.trace.hash);
    println!("run again      the same trace");
    None
}

fn run_many(first: u64, seeds: Option<u64>, limit: Option<Duration>, nodes: Option<u8>) -> Option<Failed> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let many = seeds.map_or("as many seeds as fit".into(), |seeds| format!("{seeds} seeds"));
    let within = limit.map(|limit| format!(" within {limit:?}")).unwrap_or_default();
    println!("seed {first} and on: {many}{within}, {threads} at a time");
    let began = Instant::now();
    let fleet = Fleet {
        first,
        seeds: seeds.unwrap_or(u64::MAX),
        until: limit.map(|limit| began + limit),
        nodes,
        threads,
    };
    let mut progress = Progress::new(seeds, began);
    let (summary, failed) = run_fleet(&fleet, &mut |event| match event {
        Told::Progress(summary) => progress.show(summary),
        Told::Slow(seed) => progress.say(&format!("slow: {}", command_of(seed, nodes))),
    });
    progress.end();
    println!("{}", summary.report(began.elapsed()));
    failed
}

/// A bar on a terminal, now and then a line elsewhere.
struct Progress {
    bar: Option<ProgressBar>,
    began: Instant,
    next_line: Instant,
}

impl Progress {
    fn new(seeds: Option<u64>, began: Instant) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| match seeds {
            Some(seeds) => {
                let template = "{bar:40} {pos}/{len} seeds, {elapsed}, {eta} to go: {msg}";
                let style = ProgressStyle::with_template(template);
                ProgressBar::new(seeds).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
            }
            None => {
                let style = ProgressStyle::with_template("{spinner} {pos} seeds, {elapsed}: {msg}");
                ProgressBar::new_spinner()
                    .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
            }
        });
        Progress { bar, began, next_line: began + LINE_EVERY }
    }

    fn show(&mut self, summary: &Summary) {
        let simulated = format!("{:.1} simulated hours", summary.hours());
        match &self.bar {
            Some(bar) => {
                bar.set_position(summary.seeds);
                bar.set_message(simulated);
            }
            None if Instant::now() >= self.next_line => {
                self.next_line += LINE_EVERY;
                println!("{:5} s: {} seeds, {simulated}", self.began.elapsed().as_secs(), summary.seeds);
            }
            None => {}
        }
    }

    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => println!("{:5} s: {line}", self.began.elapsed().as_secs()),
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
