//! One machine of the cluster, and the node that runs on it.

use std::task::{Context, Poll};
use std::time::Duration;

use cluster_node::{Looked, Looking, Node, NodeConfig, NodeOptions, Raft, Told};
use drivers_api::{Disk, DiskCompletion, DiskGeometry, DiskOperation, DiskRequest, Instant, Machine};
use drivers_sim::{SimConsole, SimDisk, SimEntropy, SimInventory};

use crate::clock::SimClock;
use crate::cluster::nobody;
use crate::nics::MachineNics;
use crate::trace::{Event, Trace};

/// Who is shown the disk whenever what a power failure would leave of it is about to change.
pub(crate) type Observer = Box<dyn FnMut(&SimDisk)>;

/// A machine.
pub(crate) struct Member {
    port: usize,
    pub(crate) node: Option<Node>,
    /// Until it knows which node it is.
    looking: Option<Looking>,
    entropy: SimEntropy,
    pub(crate) disk: SimDisk,
    pub(crate) console: SimConsole,
    pub(crate) clock: SimClock,
    pub(crate) options: NodeOptions,
    /// Further settings of the node.
    pub(crate) settings: String,
    pub(crate) starts: u64,
    /// What the node reached in earlier lives.
    marks: Vec<(&'static str, bool)>,
    paused: bool,
    /// The simulated time at which the node wants to be called again.
    deadline: Instant,
    /// The machine loses its power when it submits this many more requests to its disk.
    dies_after_requests: Option<u32>,
    pub(crate) observer: Option<Observer>,
    /// Lines of the console that the trace has seen.
    lines_noted: usize,
}

impl Member {
    pub(crate) fn new(port: usize, disk: SimDisk, options: NodeOptions) -> Member {
        Member {
            port,
            node: None,
            looking: None,
            entropy: SimEntropy::new(0),
            disk,
            console: SimConsole::default(),
            clock: SimClock::new(),
            options,
            settings: String::new(),
            starts: 0,
            marks: Vec::new(),
            paused: false,
            deadline: Instant::ZERO,
            dies_after_requests: None,
            observer: None,
            lines_noted: 0,
        }
    }

    /// Boots the machine.
    pub(crate) fn start(&mut self, now: Instant, told: Told, seed: u64, nics: &mut MachineNics<'_>) {
        self.starts += 1;
        self.clock.boot(now);
        self.disk.advance(now);
        nics.start();
        self.entropy = SimEntropy::new(seed ^ self.starts << 40);
        match told {
            Told::Node(config) => self.start_node(now, config, nics),
            Told::Seeker(seeker) => {
                let Member { disk, console, .. } = self;
                let mut machine = Machine { disk, nics, console, inventory: &SimInventory };
                self.looking = Some(Looking::new(seeker, &mut machine));
            }
        }
        self.deadline = now;
    }

    fn start_node(&mut self, now: Instant, config: NodeConfig, nics: &mut MachineNics<'_>) {
        let Member { disk, console, entropy, .. } = self;
        let mut machine = Machine { disk, nics, console, inventory: &SimInventory };
        self.node = Some(Node::new(config, self.options, self.clock.now(now), &mut machine, entropy));
    }

    /// Looks for the machine's place.
    fn look(&mut self, now: Instant, nics: &mut MachineNics<'_>) {
        let Member { disk, console, looking: Some(looking), .. } = self else { return };
        let mut machine = Machine { disk, nics, console, inventory: &SimInventory };
        match looking.poll(self.clock.now(now), &mut machine, &mut nobody()) {
            Looked::Waits(deadline) => {
                self.deadline = self.clock.when(deadline).max(now + Duration::from_micros(1));
            }
            Looked::Found(config) => {
                self.looking = None;
                self.start_node(now, config, nics);
                self.deadline = now;
            }
            Looked::Failed(error) => panic!("the machine's disk: {error}"),
        }
    }

    /// Whether the machine has power.
    pub(crate) fn is_on(&self) -> bool {
        self.node.is_some() || self.looking.is_some()
    }

    /// Takes the machine's power.
    pub(crate) fn crash(&mut self, nics: &mut MachineNics<'_>) {
        self.marks = self.marks().collect();
        (self.node, self.looking) = (None, None);
        self.paused = false;
        self.dies_after_requests = None;
        self.disk.crash();
        nics.crash();
    }

    /// The node's consensus, while it runs and takes part.
    pub(crate) fn raft(&self) -> Option<&Raft> {
        self.node.as_ref()?.raft()
    }

    /// Rare branches by name, and whether the node has taken them in any of its lives.
    pub(crate) fn marks(&self) -> impl Iterator<Item = (&'static str, bool)> {
        let now = self.node.iter().flat_map(|node| node.marks());
        let mut all: Vec<(&'static str, bool)> = self.marks.clone();
        for (name, hit) in now {
            match all.iter_mut().find(|(known, _)| *known == name) {
                Some((_, earlier)) => *earlier |= hit,
                None => all.push((name, hit)),
            }
        }
        all.into_iter()
    }

    /// Asks the node to leave.
    pub(crate) fn press_power_button(&mut self, now: Instant) {
        if let Some(node) = &mut self.node {
            node.leave(self.clock.now(now));
            self.deadline = now;
        }
    }

    /// Whether the node has left since.
    pub(crate) fn has_left(&self) -> bool {
        self.node.as_ref().is_some_and(Node::has_left)
    }

    /// Takes the machine's power amid a burst of requests to its disk.
    pub(crate) fn crash_after_requests(&mut self, requests: u32) {
        self.dies_after_requests = Some(requests);
    }

    /// Gives the disk so many sectors, and lets the node look.
    pub(crate) fn resize_disk(&mut self, now: Instant, sectors: u64) {
        self.disk.resize(sectors);
        self.deadline = now;
    }

    pub(crate) fn pause(&mut self, now: Instant, paused: bool) {
        self.paused = paused;
        // What has arrived meanwhile waits.
        self.deadline = now;
    }

    pub(crate) fn set_clock(&mut self, now: Instant, set: impl FnOnce(&mut SimClock)) {
        set(&mut self.clock);
        // The deadline was counted at the old rate.
        self.deadline = now;
    }

    /// When the machine has something to do by itself, if ever.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let runs = self.is_on() && !self.paused;
        runs.then(|| self.disk.next_due().map_or(self.deadline, |due| due.min(self.deadline)))
    }

    /// One turn, if it has something to do; whether its power failed in it.
    pub(crate) fn turn(
        &mut self,
        now: Instant,
        has_frames: bool,
        nics: &mut MachineNics<'_>,
        trace: &mut Trace,
    ) -> bool {
        if self.next_due().is_none_or(|due| due > now && !has_frames) {
            return false;
        }
        self.disk.advance(now);
        self.look(now, nics);
        let Some(node) = &mut self.node else { return false };
        let requests_left = self.dies_after_requests.as_mut();
        let observer = self.observer.as_mut();
        let mut disk = WatchedDisk {
            disk: &mut self.disk,
            port: self.port,
            now,
            trace,
            requests_left,
            observer,
            died: false,
        };
        let mut machine =
            Machine { disk: &mut disk, nics, console: &mut self.console, inventory: &SimInventory };
        let deadline = node.poll(self.clock.now(now), &mut machine, &mut nobody());
        let died = disk.died;
        // A node that has more to do at once is given a microsecond of time for it.
        self.deadline = self.clock.when(deadline).max(now + Duration::from_micros(1));
        died
    }

    /// Shows the trace, and the user if wanted, what the node has printed.
    pub(crate) fn note_lines(&mut self, now: Instant, trace: &mut Trace, verbose: bool) {
        for (level, line) in &self.console.lines[self.lines_noted..] {
            trace.note(Event::Line, now, self.port, line.as_bytes());
            if verbose {
                let seconds = now.as_micros() as f64 / 1e6;
                println!("[{seconds:9.6}] n{} {} {line}", self.port, level.label());
            }
        }
        self.lines_noted = self.console.lines.len();
    }
}

/// The disk as its node sees it: completions are noted, and the power may fail between two requests.
struct WatchedDisk<'a> {
    disk: &'a mut SimDisk,
    port: usize,
    now: Instant,
    trace: &'a mut Trace,
    requests_left: Option<&'a mut u32>,
    observer: Option<&'a mut Observer>,
    died: bool,
}

impl WatchedDisk<'_> {
    fn show(&mut self) {
        if let Some(observer) = &mut self.observer {
            observer(self.disk);
        }
    }
}

impl Disk for WatchedDisk<'_> {
    fn geometry(&self) -> DiskGeometry {
        self.disk.geometry()
    }

    fn submit(&mut self, request: DiskRequest) -> Result<(), DiskRequest> {
        if let Some(left) = self.requests_left.as_deref_mut() {
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => {
                    // What the machine still does in this turn, nobody will know of.
                    self.died = true;
                    return Ok(());
                }
            }
        }
        if !matches!(request.operation, DiskOperation::Read { .. }) {
            self.show();
        }
        self.disk.submit(request)
    }

    fn kick(&mut self) {
        self.disk.kick();
    }

    fn poll_completion(&mut self, context: &mut Context<'_>) -> Poll<DiskCompletion> {
        if self.disk.is_about_to_write() {
            self.show();
        }
        let completion = self.disk.poll_completion(context);
        if let Poll::Ready(DiskCompletion { id, operation, result }) = &completion {
            let contents: &[u8] = match operation {
                DiskOperation::Read { buffer, .. } | DiskOperation::Write { buffer, .. } => buffer,
                DiskOperation::Flush => &[],
            };
            let whose = self.port | usize::from(result.is_err()) << 7 | (*id as usize) << 8;
            self.trace.note(Event::Disk, self.now, whose, contents);
        }
        completion
    }
}
