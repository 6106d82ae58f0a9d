//! psycopg against three host processes.

#[test]
fn psycopg_finds_what_it_expects() {
    tests_conformance::clients::test_python("psycopg");
}
