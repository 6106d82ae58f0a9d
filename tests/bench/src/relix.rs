//! Relix as the subject.

use std::time::{Duration, Instant};

use tests_vm::{Cluster, InsertStream, State, longest_silence, resident_kib};
use tokio::runtime::Runtime;

use crate::load::{self, CLIENTS, Session, SqlSession, Work};
use crate::report::{BOOT, FAILOVER, Figures, MEMORY, RESIDENT, RESTART};

/// Clients that insert through the survivors while the leader is killed.
const FAILOVER_CLIENTS: i64 = 8;

/// How much work a run is.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// How long each load lasts; zero for none.
    pub load: Duration,
    /// How often a boot is measured; the median counts.
    pub boots: usize,
    /// How often the leader is killed; the median counts.
    pub failovers: usize,
}

/// Measures everything of three nodes that `up_options` start.
///
/// # Panics
/// If the cluster does not do what it is asked.
pub fn measure(runtime: &Runtime, name: &str, up_options: &[&str], effort: Effort) -> Figures {
    let mut figures = Figures::default();
    let boots = (0..effort.boots).map(|_| {
        let cluster = Cluster::new(name, up_options);
        seconds_to_serving(&cluster.up())
    });
    figures.set(BOOT, median(boots.collect()));
    let cluster = Cluster::start(name, up_options);
    let ports: Vec<u16> = (1..=3).map(|node| cluster.port(node)).collect();
    runtime.block_on(load::prepare(ports[0])).expect("the table");
    memory(&cluster, &mut figures);
    if effort.load > Duration::ZERO {
        loads::<SqlSession>(runtime, &ports, effort, &mut figures);
    }
    let failovers = (0..effort.failovers).map(|round| failover(&cluster, round as i64));
    let (failovers, restarts): (Vec<f64>, Vec<f64>) = failovers.unzip();
    println!("{name}: leader killed to next write, s: {failovers:.2?}");
    figures.set(FAILOVER, median(failovers));
    figures.set(RESTART, median(restarts));
    figures
}

/// Runs every load on a table that is there.
///
/// # Panics
/// If a client cannot connect.
pub fn loads<S: Session>(runtime: &Runtime, ports: &[u16], effort: Effort, figures: &mut Figures) {
    for work in [Work::Insert, Work::Read] {
        for (clients, run) in CLIENTS.into_iter().zip(1..) {
            let load = runtime.block_on(load::measure::<S>(ports, clients, work, effort.load, run));
            figures.set_load(work, clients, load.expect("clients connect and prepare"));
        }
    }
}

/// What `relix up` says it took, from launch.
fn seconds_to_serving(said: &str) -> f64 {
    let words: Vec<&str> = said.split_whitespace().collect();
    let after = words.iter().position(|word| *word == "after").expect("'after N s'");
    words[after + 1].parse().expect("seconds")
}

fn memory(cluster: &Cluster, figures: &mut Figures) {
    let used = cluster.client(1).row("SELECT max(memory_used) FROM sys.nodes").expect("sys.nodes");
    figures.set(MEMORY, used.parse::<f64>().unwrap_or(f64::NAN) / 1048576.0);
    let nodes = cluster.status().nodes;
    let resident = nodes.iter().filter_map(|node| resident_kib(node.pid?)).max();
    figures.set(RESIDENT, resident.unwrap_or(0) as f64 / 1024.0);
}

/// Kills the leader under load and starts it again: how long both took.
fn failover(cluster: &Cluster, round: i64) -> (f64, f64) {
    let leader = cluster.leader();
    let others: Vec<u16> = cluster.others(leader).iter().map(|node| cluster.port(*node)).collect();
    let stream = |client: i64| {
        let first_id = -(round * FAILOVER_CLIENTS + client + 1) * 1_000_000;
        let turned = others.iter().cycle().skip(client as usize).take(others.len()).copied();
        InsertStream::start("bench", first_id, turned.collect())
    };
    let streams: Vec<InsertStream> = (0..FAILOVER_CLIENTS).map(stream).collect();
    std::thread::sleep(Duration::from_millis(500));
    let killed = Instant::now();
    cluster.fault(&["kill", &leader.to_string()]);
    std::thread::sleep(Duration::from_secs(3));
    let restarted = Instant::now();
    cluster.fault(&["restart", &leader.to_string()]);
    // It refuses while it reads its journal.
    cluster.wait("the restarted node answers", || {
        cluster.try_client(leader).ok()?.row("SELECT count(*) FROM bench WHERE id = 1").ok()
    });
    let restart = restarted.elapsed();
    let mut records: Vec<_> = streams.into_iter().flat_map(InsertStream::finish).collect();
    records.sort_by_key(|record| record.at);
    let silence = longest_silence(&records, killed, restarted);
    assert!(silence < restarted - killed, "no write was acknowledged while the leader was down");
    cluster.wait("all are up", || {
        cluster.status().nodes.iter().all(|node| node.state == State::Up && node.role.is_some()).then_some(())
    });
    (silence.as_secs_f64(), restart.as_secs_f64())
}

/// The one in the middle.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
