//! The services beside what does the same elsewhere, in the shapes in which the DBOS papers measured theirs: tasks, messages
//! (gRPC), files (a file system of the host) and workflows.
//!
//! `cargo bench -p tests-bench --bench services [-- --quick] [--only services] [--parts tasks,messages,files,workflows]
//! [--subjects host,vm]`

mod files;
mod messages;
mod session;
mod subject;
mod tasks;
mod workflows;

use std::time::Duration;

use tests_bench::report::print_header;
use tokio::runtime::Runtime;

use subject::Subject;

/// What the clusters are: three host processes, three VMs.
const SUBJECTS: [(&str, &str, &[&str]); 2] = [("3 processes", "host", &["--host"]), ("3 VMs", "vm", &[])];

/// The options of a run.
struct Options {
    words: Vec<String>,
}

impl Options {
    fn has(&self, word: &str) -> bool {
        self.words.iter().any(|other| other == word)
    }

    /// Whether a list that an option names has this; so it is if there is no such option.
    fn wants(&self, option: &str, name: &str) -> bool {
        let list = self.words.iter().position(|word| word == option).and_then(|at| self.words.get(at + 1));
        list.is_none_or(|list| list.split(',').any(|word| word == name))
    }
}

/// Measures one cluster.
fn measure(runtime: &Runtime, subject: &Subject, options: &Options) {
    let is_quick = options.has("--quick");
    let answered = "the cluster does what it is asked";
    if options.wants("--parts", "tasks") {
        let effort = match is_quick {
            true => tasks::Effort {
                policies: 1,
                queues: &[1, 40],
                bursts: 1,
                tasks: 300,
                offered: Duration::from_secs(1),
            },
            false => tasks::Effort {
                policies: 3,
                queues: &[1, 10, 40],
                bursts: 5,
                tasks: 2000,
                offered: Duration::from_secs(4),
            },
        };
        runtime.block_on(tasks::measure(subject, &effort)).expect(answered);
    }
    if options.wants("--parts", "messages") {
        let effort = match is_quick {
            true => messages::Effort {
                load: Duration::from_millis(500),
                lengths: 1,
                outstanding: &[1, 10],
                receivers: &[40],
            },
            false => messages::Effort {
                load: Duration::from_millis(1500),
                lengths: 3,
                outstanding: &[1, 10, 100],
                receivers: &[1, 10, 40],
            },
        };
        runtime.block_on(messages::measure(subject, &effort)).expect(answered);
    }
    if options.wants("--parts", "files") {
        let effort = match is_quick {
            true => files::Effort {
                short: 50,
                long: 5,
                long_within: Duration::from_secs(1),
                summed: 1000,
                sums: 5,
            },
            false => files::Effort {
                short: 400,
                long: 30,
                long_within: Duration::from_secs(4),
                summed: 10_000,
                sums: 30,
            },
        };
        files::measure(subject, &effort).expect(answered);
    }
    if options.wants("--parts", "workflows") {
        let effort = match is_quick {
            true => workflows::Effort { load: Duration::from_secs(1), clients: &[1, 8] },
            false => workflows::Effort { load: Duration::from_secs(4), clients: &[1, 8, 32] },
        };
        runtime.block_on(workflows::measure(subject, &effort)).expect(answered);
    }
}

fn main() {
    // Cargo adds '--bench'.
    let words = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let options = Options { words };
    // The other benches' options are not for this one.
    if options.has("--only") && !options.has("services") {
        return;
    }
    let command = format!("cargo bench -p tests-bench --bench services -- {}", options.words.join(" "));
    let peers = [
        "gRPC by tonic, one answer to each call, over the loopback device, kept nowhere".into(),
        "the file system that the cluster's disks are in, each file and each change of names flushed".into(),
    ];
    print_header(command.trim_end_matches(" -- "), &peers);
    let runtime = Runtime::new().expect("a runtime");
    for (name, key, up_options) in SUBJECTS {
        if options.wants("--subjects", key) {
            measure(&runtime, &Subject::start(name, key, up_options), &options);
        }
    }
}
