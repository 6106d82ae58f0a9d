//! node-postgres against three host processes.

#[test]
fn node_postgres_finds_what_it_expects() {
    tests_conformance::clients::test_node("node_postgres");
}
