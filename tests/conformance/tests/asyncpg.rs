//! asyncpg against three host processes.

#[test]
fn asyncpg_finds_what_it_expects() {
    tests_conformance::clients::test_python("asyncpg");
}

#[test]
fn asyncpg_finds_every_type_in_binary() {
    tests_conformance::clients::test_python("asyncpg_types");
}
