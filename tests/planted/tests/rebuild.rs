//! One node loses a row. It finds out from the others, stops serving, and takes their tables.

use std::sync::Arc;
use std::time::Duration;

use cluster_format::{Mistake, Planted};
use tests_sim::Cluster;
use tests_workloads::{Connection, Inserts, Pace, Workload, World, run_client};

#[test]
fn a_node_whose_tables_differ_takes_the_others() {
    let mut cluster = Cluster::new(3, 1);
    cluster.crash(2);
    cluster.options(2).planted = Planted::new(Mistake::RowLost);
    cluster.start(2);
    let (host, inserts) = (cluster.host(), Arc::new(Inserts::default()));
    let setup = {
        let (host, inserts) = (host.clone(), inserts.clone());
        async move { inserts.setup(&host).await }
    };
    cluster.run_until(Duration::from_secs(30), setup).expect("the table is made");
    let pace = Arc::new(Pace::new(Duration::from_millis(20)));
    let (client, running) = (inserts.clone(), pace.clone());
    let clients = cluster.host();
    cluster.spawn(async move { run_client(&*client, &clients, 1, &running).await });
    cluster.run(Duration::from_secs(20));
    pace.stop();
    cluster.run(Duration::from_secs(20));

    let said = |cluster: &Cluster, what: &str| cluster.console(2).iter().any(|(_, line)| line.contains(what));
    assert!(said(&cluster, "the tables differ from a quorum's at version"));
    assert!(said(&cluster, "the tables are rebuilt as of version"));
    for other in [1, 3] {
        let complaints = cluster.console(other).iter().filter(|(_, line)| line.contains("differ")).count();
        assert_eq!(complaints, 0, "node {other} is in the majority");
        assert_eq!(cluster.health(2), cluster.health(other));
    }
    let checked = cluster.run_until(Duration::from_secs(30), async move {
        let mut connection = host.connect(2).await.map_err(|failure| failure.to_string())?;
        let states = connection.query("SELECT id FROM sys.nodes WHERE state = 'up'").await;
        assert_eq!(states.map_err(|failure| failure.to_string())?.rows.len(), 3);
        inserts.check(&host, &mut connection).await
    });
    assert_eq!(checked, Some(Ok(())));
}
