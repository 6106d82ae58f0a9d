//! A cluster under load, to which things happen.

use std::sync::Arc;
use std::time::Duration;

use tests_vm::{Cluster, Discrepancies, InsertStream, Load, SocketWorld, ids_at};
use tests_workloads::{Appends, Bank, Files, Queue, Workload};

use crate::timeline::{Recorder, Timeline};

/// The table of the probe: without a primary key, so that what is done twice is there twice.
const PROBED: &str = "probed";

/// What runs before anything happens, for a picture of how it is usually.
const USUAL: Duration = Duration::from_secs(2);

/// A workload and how many clients it has.
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    clients: u64,
    make: fn() -> Arc<dyn Workload<SocketWorld>>,
}

/// All workloads.
pub const KINDS: [Kind; 4] = [
    Kind { name: "bank", clients: 3, make: || Arc::new(Bank::default()) },
    Kind { name: "append", clients: 3, make: || Arc::new(Appends::default()) },
    Kind { name: "queue", clients: 3, make: || Arc::new(Queue::default()) },
    Kind { name: "files", clients: 3, make: || Arc::new(Files::default()) },
];

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, since the recorder began.
    pub at: Duration,
    /// What.
    pub what: String,
}

/// What a run has shown.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// How all workloads and the probe went on.
    pub timeline: Timeline,
    /// What happened meanwhile.
    pub events: Vec<Event>,
    /// When the last thing that was to happen was over.
    pub end: Duration,
    /// Rows whose insert was acknowledged and that a node does not show, summed over the nodes.
    pub lost: usize,
    /// How often rows are there more often than they were inserted, summed likewise.
    pub doubled: usize,
    /// What else was found wrong.
    pub anomalies: Vec<String>,
}

impl Outcome {
    /// The longest time without service from the first event on, for each series.
    pub fn silences(&self) -> Vec<Duration> {
        let from = self.events.first().map_or(self.end, |event| event.at);
        (0..self.timeline.names.len()).map(|series| self.timeline.silence(series, from, self.end)).collect()
    }

    fn note(&mut self, node: u8, found: Discrepancies) {
        self.lost += found.lost.len();
        self.doubled += found.doubled.len();
        self.anomalies.extend(found.wrong.into_iter().map(|wrong| format!("node {node}: {wrong}")));
    }

    /// Whether nothing was lost, doubled or wrong.
    pub fn is_clean(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.anomalies.is_empty()
    }
}

/// A cluster under load.
pub struct Stage {
    cluster: Cluster,
    loads: Vec<(&'static str, Load)>,
    probe: InsertStream,
    recorder: Recorder,
    events: Vec<Event>,
}

impl Stage {
    /// Starts a cluster of three nodes, the workloads that are named, and the probe: one client that inserts row
    /// after row, at another node whenever one fails it or says nothing for two seconds.
    pub fn start(name: &str, up_options: &[&str], workloads: &[&str]) -> Stage {
        let cluster = Cluster::start(name, up_options);
        let ports: Vec<u16> = (1..=3).map(|node| cluster.port(node)).collect();
        let kinds = KINDS.iter().filter(|kind| workloads.contains(&kind.name));
        let loads: Vec<(&str, Load)> =
            kinds.map(|kind| (kind.name, Load::start((kind.make)(), &ports, kind.clients))).collect();
        cluster.client(1).query(&format!("CREATE TABLE {PROBED} (id bigint)")).expect("CREATE TABLE");
        let probe = InsertStream::start(PROBED, 1, ports);
        let mut counters: Vec<_> = loads.iter().map(|(name, load)| (*name, load.counter())).collect();
        counters.push(("one client", probe.counter()));
        let recorder = Recorder::start(counters);
        let stage = Stage { cluster, loads, probe, recorder, events: Vec::new() };
        stage.goes_on();
        stage.passes(USUAL);
        stage
    }

    /// The node that leads.
    pub fn leader(&self) -> u8 {
        self.cluster.leader()
    }

    /// Those that do not lead.
    pub fn followers(&self) -> Vec<u8> {
        self.cluster.others(self.leader())
    }

    /// Has a node lead.
    pub fn leads(&mut self, node: u8) {
        self.events.push(Event { at: self.recorder.now(), what: format!("{node} is to lead") });
        let call = format!("CALL sys.transfer_leadership({node})");
        self.cluster.wait("the node leads", || {
            // Refused while it lags.
            let _ = self.cluster.client(node).query(&call);
            (self.cluster.leader() == node).then_some(())
        });
    }

    /// Runs `relix fault`, and notes it as something that happens.
    pub fn fault(&mut self, words: &[&str]) {
        self.events.push(Event { at: self.recorder.now(), what: words.join(" ") });
        self.cluster.fault(words);
    }

    /// Does something to one node.
    pub fn fault_node(&mut self, what: &str, node: u8) {
        self.fault(&[what, &node.to_string()]);
    }

    /// Ends a node and starts it with a blank disk.
    pub fn wipe(&mut self, node: u8) {
        self.events.push(Event { at: self.recorder.now(), what: format!("wipe {node}") });
        self.cluster.wipe(node);
    }

    /// Lets time pass.
    pub fn passes(&self, span: Duration) {
        std::thread::sleep(span);
    }

    /// Waits until every workload and the probe were served some more.
    pub fn goes_on(&self) {
        let served = || -> Vec<u64> {
            let loads = self.loads.iter().map(|(_, load)| load.committed());
            loads.chain([self.probe.acknowledged() as u64]).collect()
        };
        let before = served();
        self.cluster.wait("all to go on", || {
            served().iter().zip(&before).all(|(now, before)| *now > before + 2).then_some(())
        });
    }

    /// Waits until a node has applied what the others have now.
    pub fn catches_up(&self, node: u8) {
        self.cluster.catches_up(node);
    }

    /// Ends all clients and looks at what every node shows.
    pub fn finish(self) -> Outcome {
        self.passes(USUAL);
        let end = self.recorder.now();
        let timeline = self.recorder.finish();
        let mut outcome = Outcome { timeline, events: self.events, end, ..Outcome::default() };
        let records = self.probe.finish();
        for (name, load) in self.loads {
            if let Err(wrong) = load.verdict() {
                outcome.anomalies.push(format!("{name}: {wrong}"));
            }
        }
        for node in 1..=3 {
            match ids_at(&self.cluster, node, PROBED) {
                Ok(seen) => outcome.note(node, Discrepancies::of(&records, &seen)),
                Err(failure) => outcome.anomalies.push(format!("node {node}: {failure}")),
            }
        }
        outcome
    }
}
