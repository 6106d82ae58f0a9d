//! What the nodes print.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::time::Duration;

use crate::cluster::Cluster;
use crate::error::Failure;
use crate::layout::Layout;

/// How often a followed log is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Prints the logs, and goes on if told to.
pub fn run(layout: &Layout, node: Option<u8>, follow: bool) -> Result<(), Failure> {
    let cluster = Cluster::expect(layout)?;
    if let Some(node) = node {
        cluster.check_node(node)?;
    }
    let nodes: Vec<u8> = cluster.node_ids().filter(|id| node.is_none_or(|node| node == *id)).collect();
    let mut positions = vec![0; nodes.len()];
    loop {
        for (node, position) in nodes.iter().zip(&mut positions) {
            *position += print_from(layout, *node, *position)?;
        }
        if !follow {
            return Ok(());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Prints a node's log from `position` on; how many bytes it was.
fn print_from(layout: &Layout, node: u8, position: u64) -> Result<u64, Failure> {
    let path = layout.node_log(node);
    let Ok(mut file) = File::open(&path) else { return Ok(0) };
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(position)).map_err(Failure::file("read", &path))?;
    file.read_to_end(&mut bytes).map_err(Failure::file("read", &path))?;
    let written = std::io::stdout().write_all(&bytes).and_then(|()| std::io::stdout().flush());
    written.map_err(Failure::file("write to", "standard output"))?;
    Ok(bytes.len() as u64)
}

/// The last line a node printed at level ERROR since `position`.
pub fn last_error(layout: &Layout, node: u8, position: u64) -> Option<String> {
    let bytes = std::fs::read(layout.node_log(node)).ok()?;
    let text = String::from_utf8_lossy(bytes.get(usize::try_from(position).ok()?..)?).into_owned();
    let line = text.lines().rev().find(|line| line.contains("ERROR") || line.contains("PANIC"))?;
    Some(line.to_string())
}
