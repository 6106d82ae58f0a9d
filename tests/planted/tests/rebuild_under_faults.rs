//! One node loses a row while faults happen: it takes the others' tables all the same. (If it is restarted before
//! anyone has noticed, its journal brings the row back.)

use std::sync::Arc;
use std::time::Duration;

use cluster_format::{Mistake, Planted};
use drivers_api::Level;
use tests_sim::{Cluster, FaultKind, Host, Injector, Options};
use tests_workloads::{Connection, Inserts, Pace, Workload, World, query_anywhere, run_client};

/// The node that makes the mistake.
const PLANTED: u8 = 2;

const SEEDS: u64 = 4;

/// Faults that destroy nothing: what the row's loss takes from a majority is enough.
const FAULTS: [FaultKind; 12] = [
    FaultKind::Crash,
    FaultKind::CrashInBurst,
    FaultKind::CrashLeader,
    FaultKind::CrashAll,
    FaultKind::IsolatedLeader,
    FaultKind::Pause,
    FaultKind::Partition,
    FaultKind::LossyWire,
    FaultKind::JitteryWire,
    FaultKind::SlowDisk,
    FaultKind::StuckDisk,
    FaultKind::Transfer,
];

#[test]
fn a_rebuild_completes_under_faults() {
    let rebuilt: Vec<u64> = (0..SEEDS).filter(|seed| run(*seed)).collect();
    println!("rebuilt while faults happened: seeds {rebuilt:?}");
    assert!(rebuilt.len() as u64 * 2 > SEEDS, "only seeds {rebuilt:?} rebuilt tables while faults happened");
}

/// Runs one seed; whether the tables were rebuilt while faults happened.
fn run(seed: u64) -> bool {
    let faults = FAULTS.to_vec();
    let fault_pause = Duration::from_secs(3);
    let options = Options { faults, fault_pause, beyond_bound: false, ..Options::of_seed(seed, Some(3)) };
    let mut cluster = Cluster::new(3, seed);
    cluster.crash(PLANTED);
    cluster.options(PLANTED).planted = Planted::new(Mistake::RowLost);
    cluster.start(PLANTED);
    let (host, inserts) = (cluster.host(), Arc::new(Inserts::default()));
    let pace = start(&mut cluster, &inserts);
    let mut injector = Injector::new(&options);
    let end = cluster.now() + Duration::from_secs(60);
    while cluster.now() < end {
        injector.disturb(&mut cluster);
    }
    let rebuilt = says(&cluster, PLANTED, "the tables are rebuilt as of version");
    injector.mend_all(&mut cluster);
    cluster.run(Duration::from_secs(20));
    pace.stop();
    // Clients end what they have begun.
    cluster.run(Duration::from_secs(20));
    let healths = |cluster: &Cluster| [1, 2, 3].map(|id| cluster.health(id));
    let agreed = cluster.run_until_so(Duration::from_secs(60), |cluster| {
        let healths = healths(cluster);
        healths.iter().all(|one| one.is_some_and(|one| one.is_member && one.is_whole) && *one == healths[0])
    });
    assert!(agreed, "seed {seed}: the nodes do not agree: {:?}", healths(&cluster));
    assert_eq!(cluster.violation(), None, "seed {seed}");
    for id in 1..=3 {
        let alarm = |(level, line): &&(Level, String)| {
            *level == Level::Error && !(id == PLANTED && line.contains("the tables differ from a quorum's"))
        };
        assert_eq!(cluster.console(id).iter().find(alarm), None, "seed {seed}, node {id}");
    }
    for id in 1..=3 {
        let (host, inserts) = (host.clone(), inserts.clone());
        let checked = cluster.run_until(Duration::from_secs(30), async move {
            let mut connection = host.connect(id).await.map_err(|failure| failure.to_string())?;
            let kept = connection.query("SELECT id FROM keepsakes").await;
            let kept = kept.map_err(|failure| failure.to_string())?.number(0, 0);
            kept.filter(|id| *id == 1).ok_or("the row is still lost")?;
            inserts.check(&host, &mut connection).await
        });
        assert_eq!(checked, Some(Ok(())), "seed {seed}, node {id}");
    }
    rebuilt
}

/// Makes the table and starts three clients.
fn start(cluster: &mut Cluster, inserts: &Arc<Inserts>) -> Arc<Pace> {
    let (host, setting_up) = (cluster.host(), inserts.clone());
    let made = cluster.run_until(Duration::from_secs(30), async move { setting_up.setup(&host).await });
    made.expect("the table is made");
    // Nobody touches this row again, and it is the last: the one that is lost, and does not come back by itself.
    let host = cluster.host();
    let kept = async move {
        query_anywhere(&host, "CREATE TABLE keepsakes (id bigint PRIMARY KEY)").await;
        query_anywhere(&host, "INSERT INTO keepsakes VALUES (1)").await;
    };
    cluster.run_until(Duration::from_secs(30), kept).expect("the row is kept");
    let pace = Arc::new(Pace::new(Duration::from_millis(30)));
    for client in 0..3 {
        let (host, inserts, pace): (Host, _, _) = (cluster.host(), inserts.clone(), pace.clone());
        cluster.spawn(async move { run_client(&*inserts, &host, client, &pace).await });
    }
    pace
}

fn says(cluster: &Cluster, id: u8, what: &str) -> bool {
    cluster.console(id).iter().any(|(_, line)| line.contains(what))
}
