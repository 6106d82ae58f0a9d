//! Programs that mean harm, on VMs of 128 MiB: the cluster answers all the while, and what others ask for is done.

use std::time::{Duration, Instant};

use tests_vm::{Cluster, turn};
use tests_workloads::{add_program, add_statement_program};

/// Tasks beside them.
const NEIGHBOURS: usize = 60;

/// How many of each there are.
const OF_EACH: usize = 2;

/// Most bytes of memory for sessions that may be in use afterwards, beyond what was before.
const KEPT_MAX: i64 = 2 << 20;

/// Modules, and what ends each of their tasks.
const PROGRAMS: [(&str, &str, &str); 5] = [
    ("loops", r#"(func (export "run") (loop (br 0)))"#, "the program used up all its fuel%"),
    (
        "grows",
        r#"(func (export "run") (loop (drop (memory.grow (i32.const 1))) (br 0)))"#,
        "the program used up all its fuel%",
    ),
    ("deep", r#"(func $f (export "run") (call $f))"#, "the program has too many calls in one another%"),
    (
        "wild",
        r#"(func (export "run") (drop (i32.load (i32.const -4))))"#,
        "the program read or wrote outside its memory",
    ),
    ("starts", r#"(func $f (export "run")) (start $f)"#, "%the module has a start function%"),
];

/// Statements, and what ends each task that runs one.
const STATEMENTS: [(&str, &str); 6] = [
    ("INSERT INTO v SELECT repeat('x', 1073741824)", "%exceeds the limit of%"),
    ("SELECT g FROM generate_series(1, 1000000000) g", "%the rows take more than%"),
    ("SELECT array_agg(g) FROM generate_series(1, 1000000000) g", "%SQLSTATE 53%"),
    ("INSERT INTO v SELECT g FROM generate_series(1, 1000000000) g", "%SQLSTATE 5%"),
    ("INSERT INTO sys.tasks (program) SELECT 'statement' FROM generate_series(1, 1000000)", "%SQLSTATE 5%"),
    ("INSERT INTO sys.messages (mailbox) SELECT 'm' FROM generate_series(1, 1000000)", "%SQLSTATE 5%"),
];

/// One that is never done, and makes two of itself each time.
const TWICE: &str = "INSERT INTO sys.tasks (queue, program, arguments) \
                     SELECT t.queue, t.program, t.arguments FROM sys.tasks t, generate_series(1, 2) WHERE t.id = \
                     (SELECT min(id) FROM sys.tasks WHERE queue = 'twice')";

fn run_all(cluster: &Cluster, sql: &str) {
    cluster.client(1).query(sql).unwrap_or_else(|failure| panic!("{sql}: {failure}"));
}

/// A task that runs a statement.
fn add_statement(cluster: &Cluster, queue: &str, count: usize, statement: &str) {
    let statement = statement.replace('\'', "''");
    run_all(
        cluster,
        &format!(
            "INSERT INTO sys.tasks (queue, program, arguments, attempts_max) \
             SELECT '{queue}', 'statement', '\"{statement}\"', 1 FROM generate_series(1, {count})"
        ),
    );
}

fn sessions_memory(cluster: &Cluster) -> Vec<i64> {
    let sql = "SELECT used_bytes FROM sys.memory WHERE area = 'sessions' ORDER BY node";
    let rows = cluster.client(1).query(sql).expect("a live table");
    rows.iter().map(|row| row[0].as_deref().expect("a number").parse().expect("a number")).collect()
}

fn add_harm(cluster: &Cluster) {
    run_all(cluster, &add_statement_program());
    run_all(cluster, "CREATE TABLE t (a integer)");
    run_all(cluster, "CREATE TABLE v (a text)");
    run_all(cluster, "INSERT INTO sys.mailboxes (name) VALUES ('m')");
    run_all(cluster, "INSERT INTO sys.queues (name, concurrency) VALUES ('twice', 2)");
    run_all(cluster, "INSERT INTO sys.programs (name, module) VALUES ('garbage', 'garbage')");
    for (name, functions, _) in PROGRAMS {
        run_all(
            cluster,
            &add_program(name, &format!(r#"(module (memory (export "memory") 1) {functions})"#)),
        );
    }
    run_all(cluster, "UPDATE sys.programs SET fuel_max = 20000000 WHERE name IN ('loops', 'grows')");
    let modules = PROGRAMS.iter().map(|(name, ..)| format!("'{name}'")).collect::<Vec<_>>().join(", ");
    let add = format!(
        "INSERT INTO sys.tasks (program, attempts_max) SELECT p, 1 FROM generate_series(1, {OF_EACH}), \
         unnest(ARRAY['garbage', {modules}]) p"
    );
    add_statement(cluster, "twice", 1, TWICE);
    run_all(cluster, &add);
    for (statement, _) in STATEMENTS {
        add_statement(cluster, "default", OF_EACH, statement);
    }
}

#[test]
fn vms_live_with_programs_that_mean_harm() {
    let _turn = turn();
    let cluster = Cluster::start("hostile", &[]);
    cluster.client(1).query("SELECT 1").expect("an answer");
    let before = cluster
        .wait("the memory of all nodes", || Some(sessions_memory(&cluster)).filter(|all| all.len() == 3));
    add_harm(&cluster);
    add_statement(&cluster, "default", NEIGHBOURS, "INSERT INTO t VALUES (1)");
    let started = Instant::now();
    let mut longest = Duration::ZERO;
    let neighbours = "queue = 'default' AND arguments = '\"INSERT INTO t VALUES (1)\"'";
    let mut all_end = |what: &str, which: &str| {
        let left = format!("SELECT count(*) FROM sys.tasks WHERE {which} AND state IN ('ready', 'running')");
        cluster.wait(what, || {
            let asked = |node: u8| {
                let asked = Instant::now();
                let left = cluster.client(node).row(&left).expect("an answer all the while");
                longest = longest.max(asked.elapsed());
                left
            };
            let left: Vec<String> = (1..=3).map(asked).collect();
            left.iter().all(|left| left == "0").then_some(())
        });
        println!("hostile: {what} after {:.2?}", started.elapsed());
    };
    all_end("the neighbours have ended", neighbours);
    all_end("all have ended", "queue = 'default'");
    println!("hostile: the longest answer took {longest:.2?}");
    run_all(&cluster, "UPDATE sys.queues SET paused = true WHERE name = 'twice'");
    let client = cluster.client(2);
    let bombs = client.row("SELECT count(*) FROM sys.tasks WHERE queue = 'twice'");
    println!("hostile: tasks of the one that makes two of itself: {}", bombs.expect("a count"));
    let expect = |sql: &str, expected: usize| {
        assert_eq!(client.row(sql), Ok(expected.to_string()), "{sql}");
    };
    expect("SELECT count(*) FROM t", NEIGHBOURS);
    expect("SELECT count(*) FROM v", 0);
    expect("SELECT count(*) FROM sys.messages", 0);
    expect("SELECT count(*) FROM sys.tasks WHERE queue = 'default' AND state = 'done'", NEIGHBOURS);
    for (name, _, error) in PROGRAMS {
        let failed = format!(
            "SELECT count(*) FROM sys.tasks WHERE program = '{name}' AND state = 'failed' AND error LIKE '{error}'"
        );
        expect(&failed, OF_EACH);
    }
    for (statement, error) in STATEMENTS {
        let statement = statement.replace('\'', "''");
        let failed = format!(
            "SELECT count(*) FROM sys.tasks WHERE arguments = '\"{statement}\"' AND state = 'failed' AND error LIKE '{error}'"
        );
        expect(&failed, OF_EACH);
    }
    cluster.wait("memory is given back", || {
        let after = sessions_memory(&cluster);
        (after.len() == 3 && after.iter().zip(&before).all(|(after, before)| *after <= before + KEPT_MAX))
            .then_some(())
    });
    println!("hostile: memory of sessions before {before:?}, after {:?}", sessions_memory(&cluster));
    let restarts = cluster.status().nodes.iter().filter(|node| node.state != tests_vm::State::Up).count();
    assert_eq!(restarts, 0, "all nodes are up");
    for node in 1..=3 {
        assert!(
            !cluster.log(node).contains("PANIC") && !cluster.log(node).contains("panicked"),
            "node {node}"
        );
    }
}
