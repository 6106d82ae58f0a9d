//! What befalls a cluster.

use std::time::Duration;

use crate::stage::Stage;

/// Something that befalls a cluster under load, and is over in the end.
pub struct Scenario {
    /// Its name, for the command line.
    pub name: &'static str,
    /// What happens, in a line.
    pub story: &'static str,
    /// What it is played on.
    pub machines: Machines,
    /// Makes it happen.
    pub play: fn(&mut Stage),
}

/// What a scenario can be played on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machines {
    /// VMs, or host processes.
    Any,
    /// VMs only.
    Vms,
    /// VMs with a network card on each of two fabrics.
    OnTwoFabrics,
}

/// How long a fault lasts at least: longer than an election.
const LASTS: Duration = Duration::from_secs(3);

/// All of them.
pub const SCENARIOS: [Scenario; 19] = [
    Scenario {
        name: "leader-killed",
        story: "The leader loses its power, and comes back.",
        machines: Machines::Any,
        play: |stage| killed(stage, stage.leader()),
    },
    Scenario {
        name: "follower-killed",
        story: "A follower loses its power, and comes back.",
        machines: Machines::Any,
        play: |stage| killed(stage, stage.followers()[0]),
    },
    Scenario {
        name: "leader-paused",
        story: "The leader stands still for three seconds, and goes on as if nothing had been.",
        machines: Machines::Any,
        play: |stage| {
            let leader = stage.leader();
            stage.fault_node("pause", leader);
            stage.passes(LASTS);
            stage.goes_on();
            stage.fault_node("resume", leader);
            stage.catches_up(leader);
        },
    },
    Scenario {
        name: "leader-cut-off",
        story: "A partition with the leader on the minority's side.",
        machines: Machines::Any,
        play: |stage| cut_off(stage, stage.leader()),
    },
    Scenario {
        name: "follower-cut-off",
        story: "A partition with the leader on the majority's side.",
        machines: Machines::Any,
        play: |stage| cut_off(stage, stage.followers()[0]),
    },
    Scenario {
        name: "leader-unheard",
        story: "A partition in one direction: the leader hears the others, who do not hear it.",
        machines: Machines::Any,
        play: |stage| one_way(stage, |leader, others| format!("{leader}/{others}")),
    },
    Scenario {
        name: "leader-deaf",
        story: "A partition in one direction: the others hear the leader, who does not hear them.",
        machines: Machines::Any,
        play: |stage| one_way(stage, |leader, others| format!("{others}/{leader}")),
    },
    Scenario {
        name: "fabric-cut",
        story: "Of two fabrics, the one that is used is cut between the nodes, and mended.",
        machines: Machines::OnTwoFabrics,
        play: |stage| {
            stage.fault(&["link", "--fabric", "1", "--down"]);
            stage.passes(LASTS);
            stage.goes_on();
            stage.fault(&["link", "--fabric", "1", "--up"]);
            stage.passes(LASTS);
            stage.goes_on();
        },
    },
    Scenario {
        name: "link-flaps",
        story: "The link between the leader and a follower goes down and up, five times.",
        machines: Machines::Any,
        play: |stage| {
            let (leader, follower) = (stage.leader(), stage.followers()[0]);
            let ends = format!("{leader},{follower}");
            for _ in 0..5 {
                stage.fault(&["link", "--between", &ends, "--down"]);
                stage.passes(Duration::from_millis(400));
                stage.fault(&["link", "--between", &ends, "--up"]);
                stage.passes(Duration::from_millis(400));
            }
            stage.catches_up(follower);
        },
    },
    Scenario {
        name: "leader-unplugged",
        story: "The leader's network card is unplugged, from its clients too, and plugged in again.",
        machines: Machines::Any,
        play: |stage| {
            let leader = stage.leader().to_string();
            stage.fault(&["nic", &leader, "down"]);
            stage.passes(LASTS);
            stage.goes_on();
            stage.fault(&["nic", &leader, "up"]);
        },
    },
    Scenario {
        name: "loss",
        story: "Every link loses a frame in twenty, for five seconds.",
        machines: Machines::Any,
        play: |stage| {
            stage.fault(&["link", "--loss", "0.05"]);
            stage.passes(Duration::from_secs(5));
            stage.goes_on();
            stage.fault(&["heal"]);
        },
    },
    Scenario {
        name: "slow-leader",
        story: "The leader stands still for nine tenths of the time, for some seconds.",
        machines: Machines::Any,
        play: |stage| {
            let leader = stage.leader();
            for _ in 0..20 {
                stage.fault_node("pause", leader);
                stage.passes(Duration::from_millis(180));
                stage.fault_node("resume", leader);
                stage.passes(Duration::from_millis(20));
            }
            stage.goes_on();
            stage.catches_up(leader);
        },
    },
    Scenario {
        name: "leader-disk-slow",
        story: "The leader's disk does ten operations a second, for some seconds.",
        machines: Machines::Vms,
        play: |stage| disk_slow(stage, stage.leader()),
    },
    Scenario {
        name: "follower-disk-slow",
        story: "A follower's disk does ten operations a second, for some seconds.",
        machines: Machines::Vms,
        play: |stage| disk_slow(stage, stage.followers()[0]),
    },
    Scenario {
        name: "clocks-jump",
        story: "The leader comes back with a clock that is a day ahead, leads again, and comes back with a right one.",
        machines: Machines::Any,
        play: |stage| {
            let leader = stage.leader();
            for ahead in ["86400", "0"] {
                stage.fault(&["clock", &leader.to_string(), "--ahead-s", ahead]);
                stage.catches_up(leader);
                stage.goes_on();
                stage.leads(leader);
                stage.passes(LASTS);
            }
        },
    },
    Scenario {
        name: "two-in-turn",
        story: "The leader is killed, and the next one as soon as the first has caught up.",
        machines: Machines::Any,
        play: |stage| {
            killed(stage, stage.leader());
            killed(stage, stage.leader());
        },
    },
    Scenario {
        name: "all-killed",
        story: "All nodes lose their power at once, and come back.",
        machines: Machines::Any,
        play: |stage| {
            (1..=3).for_each(|node| stage.fault_node("kill", node));
            (1..=3).for_each(|node| stage.fault_node("restart", node));
            stage.goes_on();
        },
    },
    Scenario {
        name: "follower-wiped",
        story: "A follower comes back with a blank disk, and is given everything anew.",
        machines: Machines::Any,
        play: |stage| {
            let follower = stage.followers()[0];
            stage.wipe(follower);
            stage.catches_up(follower);
        },
    },
    Scenario {
        name: "rolling-restart",
        story: "Every node is restarted, one after the other, the leader last; a leader hands over before.",
        machines: Machines::Any,
        play: |stage| {
            let leader = stage.leader();
            for node in stage.followers().into_iter().chain([leader]) {
                stage.fault_node("restart", node);
                stage.catches_up(node);
                stage.goes_on();
            }
        },
    },
];

fn killed(stage: &mut Stage, node: u8) {
    stage.fault_node("kill", node);
    stage.passes(LASTS);
    stage.goes_on();
    stage.fault_node("restart", node);
    stage.catches_up(node);
}

fn disk_slow(stage: &mut Stage, node: u8) {
    let node = node.to_string();
    stage.fault(&["disk", &node, "--iops", "10"]);
    stage.passes(LASTS * 2);
    stage.fault(&["disk", &node, "--iops", "0"]);
    stage.goes_on();
}

fn cut_off(stage: &mut Stage, node: u8) {
    stage.fault(&["partition", &format!("{node}/{}", others_than(node))]);
    stage.passes(LASTS);
    stage.goes_on();
    stage.fault(&["heal"]);
    stage.catches_up(node);
}

/// The others than a node.
fn others_than(node: u8) -> String {
    let others: Vec<String> = (1..=3).filter(|other| *other != node).map(|other| other.to_string()).collect();
    others.join(",")
}

/// What the first of two groups sends, the second does not get.
fn one_way(stage: &mut Stage, groups: fn(u8, &str) -> String) {
    let leader = stage.leader();
    stage.fault(&["partition", &groups(leader, &others_than(leader)), "--one-way"]);
    stage.passes(LASTS);
    stage.goes_on();
    stage.fault(&["heal"]);
    stage.catches_up(leader);
}
