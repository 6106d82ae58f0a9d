//! Before a node is restarted: if it leads, another takes over first, so that nobody waits for an election.

use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::control;
use crate::error::Failure;
use crate::layout::Layout;
use crate::status;

/// How long another may take to lead; then the node is restarted anyway.
const HANDED_OVER_WITHIN: Duration = Duration::from_secs(3);

/// A leader gives a transfer up after an election timeout, for instance when who was to take over lags: it is
/// asked again.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(700);

/// How long a node may take to say whether it leads, which includes half a second's wait for nodes that are down.
/// One that hangs is restarted because it does.
const ANSWER_WITHIN: Duration = Duration::from_millis(1_000);

/// Lets the leader, if it is `node`, hand over. What fails here does not keep a node from being restarted.
pub fn hand_over(layout: &Layout, node: u8) -> Result<(), Failure> {
    let cluster = Cluster::expect(layout)?;
    cluster.check_node(node)?;
    let start = Instant::now();
    let mut ask_at = start;
    while start.elapsed() < HANDED_OVER_WITHIN {
        let machines = control::machines(layout)?;
        let answers = status::ask_all(&cluster, &machines, ANSWER_WITHIN)?;
        let nodes = || {
            machines.iter().zip(&answers).filter_map(|(machine, answer)| Some((machine.id, answer.as_ref()?)))
        };
        if !nodes().any(|(id, answer)| id == node && answer.role == "leader") {
            break;
        }
        if Instant::now() >= ask_at {
            // By name: if one leads already, it is not asked to hand over in turn.
            let voters = nodes().filter(|(id, answer)| *id != node && answer.role == "follower");
            let successor = voters.max_by_key(|(_, answer)| answer.applied).map(|(id, _)| id);
            if !successor.is_some_and(|to| ask_to_hand_over(cluster.sql_port(node), to)) {
                println!(
                    "Nobody can take over from node {node} now: clients wait until it is back or another leads."
                );
                break;
            }
            ask_at = Instant::now() + ASK_AGAIN_AFTER;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// False if it refuses: it is alone, or without a quorum.
fn ask_to_hand_over(port: u16, to: u8) -> bool {
    status::does(port, &format!("CALL sys.transfer_leadership({to})"), HANDED_OVER_WITHIN)
}
