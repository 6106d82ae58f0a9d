//! Stories of one row that everybody changes: each client gets on, at whichever node it is.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tests_sim::{Client, Cluster, ask};
use tests_workloads::Failure;

const MINUTE: Duration = Duration::from_secs(60);

const CLIENTS: usize = 8;

/// Changes of all clients, in the end.
const CHANGES: u64 = 800;

/// What each client has done.
#[derive(Debug, Default)]
struct Done {
    committed: [u64; CLIENTS],
    /// What they were refused with.
    refused: Vec<Failure>,
}

/// Changes the row until all clients together have changed it often enough.
async fn change(mut connection: Client, client: usize, block: bool, done: Rc<RefCell<Done>>) {
    let update = "UPDATE counter SET n = n + 1 WHERE id = 1";
    let statements: &[&str] = if block { &["BEGIN", update, "COMMIT"] } else { &[update] };
    while done.borrow().committed.iter().sum::<u64>() < CHANGES {
        let mut changed = Ok(());
        for statement in statements {
            changed = changed.and(connection.query(statement).await.map(drop));
        }
        match changed {
            Ok(()) => done.borrow_mut().committed[client] += 1,
            Err(failure) => done.borrow_mut().refused.push(failure),
        }
    }
}

fn connect(cluster: &mut Cluster, client: usize) -> Client {
    let (host, node) = (cluster.host(), (client % 3) as u8 + 1);
    let connected = cluster.run_until(MINUTE, async move { Client::connect(&host, node).await });
    connected.expect("an answer").expect("nothing is in the way")
}

fn everybody_gets_on(seed: u64, block: bool) -> (Done, Duration) {
    let mut cluster = Cluster::new(3, seed);
    ask(&mut cluster, 1, "CREATE TABLE counter (id int PRIMARY KEY, n int)").unwrap();
    ask(&mut cluster, 1, "INSERT INTO counter VALUES (1, 0)").unwrap();
    let done = Rc::new(RefCell::new(Done::default()));
    // All are there before the first begins.
    let connected: Vec<Client> = (0..CLIENTS).map(|client| connect(&mut cluster, client)).collect();
    let started = cluster.now();
    for (client, connection) in connected.into_iter().enumerate() {
        cluster.spawn(change(connection, client, block, done.clone()));
    }
    let have_ended = cluster.run_until_so(10 * MINUTE, |_| Rc::strong_count(&done) == 1);
    assert!(have_ended, "{:?}", done.borrow());
    let took = cluster.now().since(started);
    let rows = ask(&mut cluster, 2, "SELECT n FROM counter").unwrap();
    let committed: u64 = done.borrow().committed.iter().sum();
    assert_eq!(rows, [[Some(committed.to_string())]], "none is lost, and none is done twice");
    (Rc::try_unwrap(done).expect("all have ended").into_inner(), took)
}

/// Nobody is refused anything, because of `why`, and each client does its part.
fn all_get_on_alike(block: bool, why: &str) {
    for seed in 60..63 {
        let (done, took) = everybody_gets_on(seed, block);
        println!("{took:?}: {done:?}");
        assert_eq!(done.refused, [], "{why}");
        let fair = CHANGES / CLIENTS as u64;
        assert!(done.committed.iter().all(|count| (fair / 2..fair * 2).contains(count)), "{done:?}");
    }
}

#[test]
fn single_statements_of_all_nodes_get_on_alike() {
    all_get_on_alike(false, "a single statement is not refused because of others");
}

#[test]
fn blocks_of_all_nodes_get_on_alike() {
    all_get_on_alike(true, "a block that would have said the same is done again");
}
