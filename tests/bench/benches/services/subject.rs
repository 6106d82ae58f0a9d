//! What is measured: a cluster, and how it keeps its promise.

use tests_bench::report::print_aligned;
use tests_vm::Cluster;

use crate::session::take_conflicts;

/// A cluster, and where its nodes serve.
pub struct Subject {
    pub name: &'static str,
    pub cluster: Cluster,
    pub ports: Vec<u16>,
}

impl Subject {
    /// Three nodes that `up_options` start, and that serve.
    ///
    /// # Panics
    /// If they do not.
    pub fn start(name: &'static str, key: &str, up_options: &[&str]) -> Subject {
        let cluster = Cluster::start(&format!("bench-services-{key}"), up_options);
        let nodes: Vec<u8> = cluster.status().nodes.iter().map(|node| node.id).collect();
        let ports = nodes.iter().map(|node| cluster.port(*node)).collect();
        Subject { name, cluster, ports }
    }

    /// The port of who leads now.
    pub fn leader(&self) -> u16 {
        self.cluster.port(self.cluster.leader())
    }

    /// The port that the client of this number is to use: they are spread over the nodes.
    pub fn port(&self, client: usize) -> u16 {
        self.ports[client % self.ports.len()]
    }

    /// Prints a table of what was measured here, under a heading that says what stands behind each figure.
    pub fn print(&self, part: &str, table: &[Vec<String>]) {
        let replicas = self.ports.len();
        println!();
        println!(
            "{part}: {}, {replicas} replicas, flushed by a majority before it is acknowledged",
            self.name
        );
        print_aligned(table);
        println!("statements sent again after a conflict (40001): {}", take_conflicts());
    }
}
