//! asyncpg against three host processes.

#[test]
fn asyncpg_finds_what_it_expects() {
    tests_conformance::clients::test_python("asyncpg");
}
