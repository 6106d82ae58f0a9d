//! Orders, one connection after the other.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::cluster::Cluster;
use crate::control::{Answer, DhcpMode, FaultOrder, LinksStatus, NetworkOrder, Order};
use crate::error::Failure;
use crate::fabric::Parts;
use crate::fabric::switch::{SEED, Switch};
use crate::links::{GATEWAY_PORT, LinkSelection, Port};

/// A client that says nothing does not keep others waiting for longer.
const ORDER_WITHIN: Duration = Duration::from_secs(2);

/// Takes orders until one is to stop.
pub async fn serve(listener: &UnixListener, parts: &Parts) {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            // Out of descriptors, perhaps: those in use will be freed.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(Some(order)) = tokio::time::timeout(ORDER_WITHIN, read(&mut stream)).await else { continue };
        let stop = matches!(order, Order::Down);
        let answer = match perform(order, parts).await {
            Ok(answer) => answer,
            Err(failure) => Answer::Refused(failure.to_string()),
        };
        if let Ok(mut line) = serde_json::to_vec(&answer) {
            line.push(b'\n');
            // Whoever asked may have gone.
            let _ = stream.write_all(&line).await;
        }
        if stop {
            return;
        }
    }
}

async fn read(stream: &mut UnixStream) -> Option<Order> {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).await.ok()?;
    serde_json::from_str(&line).ok()
}

async fn perform(order: Order, parts: &Parts) -> Result<Answer, Failure> {
    match order {
        Order::Status => return Ok(Answer::Machines(parts.machines.status())),
        Order::Start => {
            parts.machines.start_all().await?;
            tell_faults(parts).await?;
        }
        Order::Grow { nodes, disk_mib } => {
            parts.grow(nodes, disk_mib).await?;
            tell_faults(parts).await?;
        }
        Order::Fault(fault) => return inflict(fault, parts).await,
        Order::Down => {
            parts.machines.stop_all().await;
            if let Some(captured) = parts.wires.stop_capture().await {
                return captured.map(Answer::Captured);
            }
        }
    }
    Ok(Answer::Done)
}

async fn inflict(fault: FaultOrder, parts: &Parts) -> Result<Answer, Failure> {
    let Parts { machines, gateway, .. } = parts;
    let cluster = machines.cluster();
    match fault {
        FaultOrder::Kill { node } => {
            cluster.check_node(node)?;
            machines.kill(node).await;
            gateway.node_ended(node);
        }
        FaultOrder::Restart { node } => {
            cluster.check_node(node)?;
            machines.stop(node).await;
            gateway.node_ended(node);
            machines.start(node).await?;
            tell_faults(parts).await?;
        }
        FaultOrder::Pause { node } => {
            cluster.check_node(node)?;
            machines.pause(node, true)?;
        }
        FaultOrder::Resume { node } => {
            cluster.check_node(node)?;
            machines.pause(node, false)?;
            machines.measure_disk(node).await?;
            let unplugged = unplugged(parts);
            for fabric in cluster.fabric_ids() {
                machines.set_link(fabric, node, !unplugged.contains(&(fabric, node))).await?;
            }
            machines.tell_disk_speed(node).await?;
        }
        FaultOrder::Disk { node, iops } => {
            cluster.check_node(node)?;
            machines.set_disk_speed(node, iops).await?;
        }
        FaultOrder::Clock { node, ahead_s } => {
            cluster.check_node(node)?;
            machines.kill(node).await;
            gateway.node_ended(node);
            machines.set_clock(node, ahead_s);
            machines.start(node).await?;
            tell_faults(parts).await?;
        }
        FaultOrder::Network(order) => return inflict_on_network(order, parts).await,
    }
    Ok(Answer::Done)
}

async fn inflict_on_network(order: NetworkOrder, parts: &Parts) -> Result<Answer, Failure> {
    let Parts { machines, wires, gateway, .. } = parts;
    let cluster = machines.cluster();
    match order {
        NetworkOrder::Partition { groups, one_way, fabric } => {
            check_groups(&cluster, &groups, one_way)?;
            fabric.map_or(Ok(()), |fabric| cluster.check_fabric(fabric))?;
            wires.with_each_switch(fabric, |switch, _| match &groups[..] {
                [first, others @ ..] if one_way => switch.partition_one_way(first, &others.concat()),
                _ => switch.partition(&groups),
            });
        }
        NetworkOrder::Heal => {
            let unplugged = unplugged(parts);
            wires.with_each_switch(None, Switch::heal);
            for (fabric, node) in unplugged {
                machines.set_link(fabric, node, true).await?;
            }
            // A cluster that is told its addresses has none.
            gateway.set_dhcp(DhcpMode::On);
        }
        NetworkOrder::Link { links, change } => {
            check_links(&cluster, &links)?;
            change.check()?;
            wires.with_each_switch(links.fabric, |switch, now| switch.set_links(now, &links, &change));
        }
        NetworkOrder::Links => {
            let capture = wires.captured_in();
            let seed = wires.with_switches(|switches, _| switches.first().map_or(SEED, Switch::seed));
            let links = wires.with_switches(|switches, _| switches.iter().flat_map(Switch::status).collect());
            return Ok(Answer::Links(LinksStatus { seed, capture, links }));
        }
        NetworkOrder::Seed { seed } => wires.with_each_switch(None, |switch, _| switch.set_seed(seed)),
        NetworkOrder::Capture { links, path } => {
            check_links(&cluster, &links)?;
            wires.start_capture(links, &path)?;
        }
        NetworkOrder::StopCapture => match wires.stop_capture().await {
            Some(captured) => return captured.map(Answer::Captured),
            None => {
                let why = "no frames are captured: begin with 'relix fault capture --out FILE'";
                return Err(Failure::Refused(why.into()));
            }
        },
        NetworkOrder::Dhcp { mode } => {
            if !gateway.set_dhcp(mode) {
                let why = "this cluster's nodes do not ask for addresses: stop it, and start it by 'relix up --dhcp'";
                return Err(Failure::Refused(why.into()));
            }
        }
        NetworkOrder::Nic { node, fabric, up } => {
            cluster.check_node(node)?;
            cluster.check_fabric(fabric)?;
            wires.with_each_switch(Some(fabric), |switch, _| switch.plug(node, up));
            machines.set_link(fabric, node, up).await?;
        }
    }
    Ok(Answer::Done)
}

/// The fabrics and nodes of the network cards that are unplugged.
fn unplugged(parts: &Parts) -> Vec<(u8, Port)> {
    let of = |switch: &Switch| {
        switch.unplugged().into_iter().map(|port| (switch.fabric(), port)).collect::<Vec<_>>()
    };
    parts.wires.with_switches(|switches, _| switches.iter().flat_map(of).collect())
}

/// Tells VMs whose network cards are unplugged, and those whose disks are slow: those that have just been started do not know.
async fn tell_faults(parts: &Parts) -> Result<(), Failure> {
    for (fabric, node) in unplugged(parts) {
        parts.machines.set_link(fabric, node, false).await?;
    }
    parts.machines.slow_disks().await
}

/// An error unless each node is in one group at most, and there are two groups for one way.
fn check_groups(cluster: &Cluster, groups: &[Vec<u8>], one_way: bool) -> Result<(), Failure> {
    let mut seen = BTreeSet::new();
    for node in groups.iter().flatten() {
        cluster.check_node(*node)?;
        if !seen.insert(node) {
            return Err(Failure::Argument(format!(
                "node {node} is named twice: it can be in one group only"
            )));
        }
    }
    if one_way && groups.len() < 2 {
        let why = "--one-way takes two groups, those whose frames are lost and those who miss them, as 1/2,3";
        return Err(Failure::Argument(why.into()));
    }
    Ok(())
}

/// An error unless the ends of these links are two ports that there are.
fn check_links(cluster: &Cluster, links: &LinkSelection) -> Result<(), Failure> {
    let mut ends = [links.from, links.to].into_iter().flatten().filter(|port| *port != GATEWAY_PORT);
    ends.try_for_each(|node| cluster.check_node(node))?;
    links.fabric.map_or(Ok(()), |fabric| cluster.check_fabric(fabric))?;
    links.check()
}
