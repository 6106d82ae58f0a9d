//! Consensus by itself: `cargo bench -p tests-bench --bench consensus [-- --quick]`.
//!
//! Three voters in one thread and in memory, Relix's and those of TiKV's `raft` crate, driven alike: a turn
//! hands every member its messages, makes durable (at once) what it asks for, and takes what is committed;
//! before each turn the leader is offered proposals until so many are under way. One is done when all three
//! members have it committed. No message is encoded, no time passes, so nobody sends a heartbeat.

mod relix;
mod tikv;

use std::time::Instant;

use tests_bench::report::shown;

/// Bytes of what is proposed, as each crate would send it.
const PAYLOAD_LEN: usize = 100;

/// Proposals under way at once.
const IN_FLIGHT: [usize; 3] = [1, 64, 1024];

/// Runs of each kind, one after the other in turn; the median counts.
const REPEATS: usize = 5;

/// Three members that one thread drives.
trait Trio {
    /// Offers the leader a payload that is not like any other.
    fn propose(&mut self, number: u64);
    /// Lets every member work once, and delivers what it sends.
    fn turn(&mut self);
    /// How many proposals each member has committed: the fewest.
    fn committed(&self) -> usize;
}

/// Proposals a second.
fn measure(trio: &mut dyn Trio, in_flight: usize, count: usize) -> f64 {
    let before = trio.committed();
    let mut proposed = 0;
    let started = Instant::now();
    loop {
        let done = trio.committed() - before;
        if done == count {
            return count as f64 / started.elapsed().as_secs_f64();
        }
        let due = count.min(done + in_flight);
        (proposed..due).for_each(|number| trio.propose((before + number) as u64));
        proposed = proposed.max(due);
        trio.turn();
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let has = |word: &str| words.iter().any(|other| other == word);
    // The other bench's options are not for this one.
    if has("--only") && !has("consensus") {
        return;
    }
    let count = if has("--quick") { 20_000 } else { 200_000 };
    let peer_too = !has("--no-peer");
    println!("Consensus in memory: proposals/s, three voters in one thread, {PAYLOAD_LEN} bytes each,");
    println!("median of {REPEATS} runs of {count}; Relix chains entries by a hash, raft-rs does not\n");
    println!("{:>10}  {:>12}  {:>14}  {:>6}", "in flight", "Relix", "raft-rs 0.7", "ratio");
    for in_flight in IN_FLIGHT {
        let (mut own, mut peer) = (Vec::new(), Vec::new());
        for _ in 0..REPEATS {
            own.push(measure(&mut relix::Members::elect(), in_flight, count));
            if peer_too {
                peer.push(measure(&mut tikv::Members::elect(), in_flight, count));
            }
        }
        let (own, peer) = (median(own), if peer_too { median(peer) } else { f64::NAN });
        println!("{in_flight:>10}  {own:>12.0}  {peer:>14.0}  {:>6}", shown(Some(own / peer)));
    }
}
