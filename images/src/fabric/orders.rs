//! Orders, one connection after the other.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::control::{Answer, FaultOrder, Order};
use crate::error::Failure;
use crate::fabric::Parts;

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
        Order::Start => parts.machines.start_all()?,
        Order::Grow { nodes, disk_mib } => parts.grow(nodes, disk_mib).await?,
        Order::Fault(fault) => inflict(fault, parts).await?,
        Order::Down => parts.machines.stop_all().await,
    }
    Ok(Answer::Done)
}

async fn inflict(fault: FaultOrder, parts: &Parts) -> Result<(), Failure> {
    let Parts { machines, switch, gateway, .. } = parts;
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
            machines.start(node)?;
        }
        FaultOrder::Pause { node } => {
            cluster.check_node(node)?;
            machines.pause(node, true)?;
        }
        FaultOrder::Resume { node } => {
            cluster.check_node(node)?;
            machines.pause(node, false)?;
            machines.measure_disk(node).await?;
        }
        FaultOrder::Partition { groups } => {
            groups.iter().flatten().try_for_each(|node| cluster.check_node(*node))?;
            switch.borrow_mut().partition(&groups);
        }
        FaultOrder::Heal => switch.borrow_mut().heal(),
        FaultOrder::Link(order) => {
            if let Some((a, b)) = order.between {
                [a, b].into_iter().try_for_each(|node| cluster.check_node(node))?;
            }
            switch.borrow_mut().set_links(&order);
        }
    }
    Ok(())
}
