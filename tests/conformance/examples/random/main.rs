//! Asks Relix and a real PostgreSQL random SQL, and says where they first differ.
//!
//! `cargo run --release -p tests-conformance --example random -- [OPTION...]`; `--help` lists the options. The last line of a
//! failure is the command that repeats it.

mod progress;
mod report;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use progress::Progress;
use report::{Counts, Finding};
use tests_conformance::postgres::Postgres;
use tests_conformance::random::case::{Case, Statement, case};
use tests_conformance::random::features::{FEATURES, Features, LATER};
use tests_conformance::random::judge::{INTENDED, Outcome, Verdict, judge, signature};
use tests_conformance::random::side::Side;
use tests_conformance::session::Failure;
use tests_vm::Cluster;
use tokio::sync::mpsc;

/// What PostgreSQL is told: not to wait for its disk, not to compile what runs once, nor to go on with a product of too many tables.
const GREETING: &str = "SET synchronous_commit = off; SET statement_timeout = '5s'; SET jit = off; \
                        SET timezone = 'UTC'; SET client_min_messages = error";

/// The same server in another schema, which plans differently: what differs then is undefined in SQL, and a mistake of the
/// generator.
const OTHER_PLANS: &str = "SET enable_hashagg = off; SET enable_hashjoin = off; SET enable_nestloop = off; \
                           SET enable_material = off; SET synchronous_commit = off; SET statement_timeout = '5s'; \
                           SET jit = off; SET timezone = 'UTC'; SET join_collapse_limit = 1; SET from_collapse_limit = 1; \
                           SET client_min_messages = error; SET search_path = other_plans";

/// How often the minimiser asks both servers, at most.
const TRIALS_MAX: usize = 2000;

const USAGE: &str = "\
--seed N           the seed of the first case (1)
--queries N        how many statements (100000)
--per-case N       statements of a case, which has tables of its own (100)
--features LIST    only these, as joins,subqueries=80 with a weight in percent
--without LIST     all but these
--weights LIST     all, some with other weights
--only postgres    PostgreSQL alone: which share of statements it runs without an error
--only plans       PostgreSQL and itself with other plans: differences are mistakes of the generator
--missing LIST     SQLSTATEs by which Relix says what it lacks, as 0A000,42883: counted, not reported
--report NAME      an intended difference that is to be reported as others are, such as \"evaluation order\"
--differences N    go on until so many different differences are found (1)
--connections N    to each server (3)
--relix PORT       a server that runs already, in place of a new node
--print            only print the statements of the first case";

struct Options {
    seed: u64,
    queries: u64,
    per_case: usize,
    features: Features,
    /// As they were given, to repeat them.
    feature_words: String,
    only_postgres: bool,
    other_plans: bool,
    missing: Vec<String>,
    report: Option<usize>,
    differences: usize,
    connections: usize,
    relix: Option<u16>,
    print: bool,
}

impl Options {
    fn read() -> Result<Options, String> {
        let mut options = Options {
            seed: 1,
            queries: 100_000,
            per_case: 100,
            features: Features::default(),
            feature_words: String::new(),
            only_postgres: false,
            other_plans: false,
            missing: Vec::new(),
            report: None,
            differences: 1,
            connections: 3,
            relix: None,
            print: false,
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            if word == "--print" {
                options.print = true;
                continue;
            }
            let value = words.next().ok_or_else(|| format!("{word}: a value is missing"))?;
            let number = || value.parse::<u64>().map_err(|_| format!("{word} {value}: not a number"));
            match word.as_str() {
                "--seed" => options.seed = number()?,
                "--queries" => options.queries = number()?,
                "--per-case" => options.per_case = number()?.max(1) as usize,
                "--features" => options.features = Features::only(&value)?,
                "--without" => options.features.leave_out(&value)?,
                "--weights" => options.features.set(&value)?,
                "--only" if value == "postgres" => options.only_postgres = true,
                "--only" if value == "plans" => options.other_plans = true,
                "--missing" => options.missing = value.split(',').map(str::to_string).collect(),
                "--report" => {
                    let known = INTENDED.iter().position(|intended| intended.0 == value);
                    options.report = Some(known.ok_or_else(|| format!("no difference is named {value}"))?);
                }
                "--differences" => options.differences = number()?.max(1) as usize,
                "--connections" => options.connections = number()?.clamp(1, 64) as usize,
                "--relix" => options.relix = Some(number()? as u16),
                _ => return Err(format!("{word} {value} is not an option")),
            }
            if matches!(word.as_str(), "--features" | "--without" | "--weights" | "--missing") {
                options.feature_words.push_str(&format!(" {word} {value}"));
            }
        }
        Ok(options)
    }
}

/// Both servers, as one worker sees them.
struct Pair {
    /// None if PostgreSQL is asked alone.
    ours: Option<Side>,
    theirs: Side,
    /// An intended difference that is not to be taken for one.
    report: Option<usize>,
}

impl Pair {
    async fn connect(ours: Option<(u16, &'static str)>, postgres: u16) -> Result<Pair, Failure> {
        let ours = match ours {
            Some((port, greeting)) => Some(Side::connect(port, greeting).await?),
            None => None,
        };
        Ok(Pair { ours, theirs: Side::connect(postgres, GREETING).await?, report: None })
    }

    fn judge(&self, statement: &Statement, ours: &Outcome, theirs: &Outcome) -> Verdict {
        match judge(statement, ours, theirs) {
            Verdict::Intended(which) if self.report == Some(which) => Verdict::Different,
            verdict => verdict,
        }
    }

    /// Runs a case on both. PostgreSQL alone agrees with itself.
    async fn run(&mut self, case: &Case) -> Result<Vec<(Outcome, Outcome)>, Failure> {
        let Some(ours) = &mut self.ours else {
            self.theirs.prepare(case).await?;
            let outcomes = self.theirs.run(&case.statements).await;
            self.theirs.clear(case).await?;
            return Ok(outcomes.into_iter().map(|outcome| (outcome.clone(), outcome)).collect());
        };
        let (one, other) = tokio::join!(ours.prepare(case), self.theirs.prepare(case));
        one.and(other)?;
        let (ours_said, theirs_said) =
            tokio::join!(ours.run(&case.statements), self.theirs.run(&case.statements));
        // A server that is gone is a finding; what it has left behind is none.
        let _ = tokio::join!(ours.clear(case), self.theirs.clear(case));
        Ok(ours_said.into_iter().zip(theirs_said).collect())
    }

    /// Whether the last statement of a case differs, also if its values are sent as text: what is meant is seen there.
    async fn last(&mut self, case: &Case) -> Result<(Verdict, Outcome, Outcome), Failure> {
        let (ours, theirs) = self.run(case).await?.pop().expect("a case has a statement");
        let statement = case.statements.last().expect("a case has a statement");
        let verdict = self.judge(statement, &ours, &theirs);
        if verdict == Verdict::Different && statement.extended {
            let mut as_text = case.clone();
            as_text.statements.iter_mut().for_each(|statement| statement.extended = false);
            let (one, other) = self.run(&as_text).await?.pop().expect("a case has a statement");
            let text_verdict = self.judge(statement, &one, &other);
            if matches!(text_verdict, Verdict::Intended(_)) {
                return Ok((text_verdict, one, other));
            }
        }
        Ok((verdict, ours, theirs))
    }

    /// The smallest case that still differs in the same way, with what both say.
    async fn minimise(&mut self, mut case: Case) -> Result<(Case, Outcome, Outcome), Failure> {
        let (_, mut ours, mut theirs) = self.last(&case).await?;
        let wanted = signature(&ours, &theirs);
        let mut trials = 0;
        'smaller: loop {
            for smaller in case.smaller() {
                trials += 1;
                if trials > TRIALS_MAX {
                    break 'smaller;
                }
                // Rows that a smaller case cannot have, such as those of a table that it lacks, are no difference.
                let Ok((verdict, one, other)) = self.last(&smaller).await else { continue };
                if verdict == Verdict::Different && signature(&one, &other) == wanted {
                    (case, ours, theirs) = (smaller, one, other);
                    continue 'smaller;
                }
            }
            break;
        }
        if case.statements.iter().any(|statement| statement.extended) {
            let mut as_text = case.clone();
            as_text.statements.iter_mut().for_each(|statement| statement.extended = false);
            if let Ok((Verdict::Different, one, other)) = self.last(&as_text).await {
                (case, ours, theirs) = (as_text, one, other);
            }
        }
        Ok((case, ours, theirs))
    }
}

/// What a worker tells.
enum Told {
    Case(Counts),
    /// A difference of a new kind, made small.
    Difference(Box<Finding>),
    /// A server that could not be asked.
    Lost(u64, Failure),
}

/// What the workers share.
struct Shared {
    options: Options,
    /// The number of the next case.
    next: AtomicU64,
    /// Kinds of differences, and how often they were seen.
    seen: Mutex<BTreeMap<String, u64>>,
}

impl Shared {
    /// Whether a difference is worth a look: rows may differ for many reasons, errors of the same text hardly.
    fn is_new(&self, kind: String) -> bool {
        let is_rows = kind == "rows / rows";
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let times = seen.entry(kind).or_default();
        *times += 1;
        *times <= if is_rows { 20 } else { 1 }
    }
}

/// Runs cases until there are no more.
async fn work(mut pair: Pair, shared: Arc<Shared>, tell: mpsc::Sender<Told>) {
    let options = &shared.options;
    let cases = options.queries.div_ceil(options.per_case as u64);
    loop {
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        if number >= cases {
            return;
        }
        let seed = options.seed + number;
        let case = case(seed, &options.features, options.per_case);
        let told = match run_case(&mut pair, &case, &shared, &tell).await {
            Ok(counts) => Told::Case(counts),
            // Not even the tables can be made.
            Err(failure) if options.missing.contains(&failure.state) => {
                let mut counts = Counts::default();
                case.statements.iter().for_each(|_| counts.add_missing(&failure));
                Told::Case(counts)
            }
            Err(failure) => Told::Lost(seed, failure),
        };
        let is_lost = matches!(told, Told::Lost(..));
        if tell.send(told).await.is_err() || is_lost {
            return;
        }
    }
}

async fn run_case(
    pair: &mut Pair,
    case: &Case,
    shared: &Shared,
    tell: &mpsc::Sender<Told>,
) -> Result<Counts, Failure> {
    let said = pair.run(case).await?;
    let mut counts = Counts::default();
    for (at, (statement, (ours, theirs))) in case.statements.iter().zip(&said).enumerate() {
        let mut verdict = pair.judge(statement, ours, theirs);
        let lacks = ours.as_ref().err().filter(|failure| shared.options.missing.contains(&failure.state));
        if let (Verdict::Different, Some(failure)) = (verdict, lacks) {
            counts.add_missing(failure);
            if statement.changes {
                break;
            }
            continue;
        }
        if verdict == Verdict::Different {
            // Alone, with the tables as they were: later statements were sent before this one was answered.
            let alone = case.up_to(at);
            let (again, one, other) = pair.last(&alone).await?;
            verdict = again;
            if verdict == Verdict::Different && shared.is_new(signature(&one, &other)) {
                let (case, ours, theirs) = pair.minimise(alone).await?;
                // Whoever is told no longer listens once there are enough.
                let _ = tell.send(Told::Difference(Box::new(Finding { case, ours, theirs }))).await;
            }
        }
        counts.add(statement, verdict, theirs);
        if verdict == Verdict::Different && statement.changes {
            // What follows may only follow from it.
            break;
        }
    }
    Ok(counts)
}

/// Asks both servers; what was counted, and what was found.
async fn compare(
    options: Options,
    ours: Option<(u16, &'static str)>,
    postgres: u16,
) -> Result<(Counts, Vec<Finding>), Failure> {
    let mut progress = Progress::new(options.queries);
    let (connections, most) = (options.connections, options.differences);
    let shared = Arc::new(Shared { options, next: AtomicU64::new(0), seen: Mutex::default() });
    let (tell, mut told) = mpsc::channel(64);
    let mut workers = Vec::new();
    for _ in 0..connections {
        let mut pair = Pair::connect(ours, postgres).await?;
        pair.report = shared.options.report;
        workers.push(tokio::spawn(work(pair, shared.clone(), tell.clone())));
    }
    drop(tell);
    let (mut counts, mut findings): (Counts, Vec<Finding>) = Default::default();
    while let Some(told) = told.recv().await {
        match told {
            Told::Case(more) => counts.merge(&more),
            Told::Lost(seed, failure) => {
                progress.end();
                println!("the case of seed {seed} could not be run");
                return Err(failure);
            }
            Told::Difference(finding) => {
                progress.say(&format!("a difference in the case of seed {}", finding.case.seed));
                findings.push(*finding);
                if findings.len() >= most {
                    break;
                }
            }
        }
        progress.show(counts.statements);
    }
    progress.end();
    for worker in workers.into_iter().filter(|worker| worker.is_finished()) {
        worker.await.expect("a worker comes to its end");
    }
    Ok((counts, findings))
}

#[tokio::main]
async fn main() -> ExitCode {
    if std::env::args().any(|word| word == "--help") {
        println!("{USAGE}\n\nFeatures, and how often each is used where it can be:");
        for (feature, word, weight, what) in FEATURES {
            let later = if LATER.contains(feature) { " Later: only if asked for." } else { "" };
            println!("{word:20} {weight:3} % {what}{later}");
        }
        return ExitCode::SUCCESS;
    }
    let options = match Options::read() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    if options.print {
        print!("{}", report::script(&case(options.seed, &options.features, options.per_case)));
        return ExitCode::SUCCESS;
    }
    let Some(postgres) = Postgres::start() else {
        eprintln!("PostgreSQL is not installed: apt install postgresql");
        return ExitCode::FAILURE;
    };
    println!("{}; seed {} and on, {} statements", postgres.version(), options.seed, options.queries);
    let starts_node = options.relix.is_none() && !options.only_postgres && !options.other_plans;
    let cluster = starts_node.then(|| Cluster::start("random", &["--host", "--nodes", "1"]));
    let relix = options.relix.or(cluster.as_ref().map(|cluster| cluster.port(1)));
    let ours = match (options.only_postgres, options.other_plans) {
        (true, _) => None,
        (_, true) => Some((postgres.port, OTHER_PLANS)),
        _ => relix.map(|port| (port, "")),
    };
    if options.other_plans
        && let Err(failure) = Side::connect(postgres.port, "CREATE SCHEMA other_plans").await
    {
        eprintln!("{failure}");
        return ExitCode::FAILURE;
    }
    let (words, per_case, began) = (options.feature_words.clone(), options.per_case, Instant::now());
    let (counts, findings) = match compare(options, ours, postgres.port).await {
        Ok(done) => done,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{}", counts.report(began.elapsed()));
    for finding in &findings {
        println!("{finding}");
        let seed = finding.case.seed;
        println!("again: just random --seed {seed} --queries {per_case} --per-case {per_case}{words}\n");
    }
    if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
