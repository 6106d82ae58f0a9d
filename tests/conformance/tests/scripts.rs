//! The scripts, against one host process.

use tests_conformance::script;
use tests_vm::Cluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_are_answered_as_postgres_answered_them() {
    let cluster = Cluster::start("scripts", &["--host", "--nodes", "1"]);
    let scripts = script::all();
    assert!(!scripts.is_empty(), "there are scripts");
    let mut wrong = Vec::new();
    for path in &scripts {
        wrong.extend(script::run(path, cluster.port(1)).await.err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
