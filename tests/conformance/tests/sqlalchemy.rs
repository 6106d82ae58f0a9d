//! SQLAlchemy, by psycopg, against three host processes.

#[test]
fn sqlalchemy_finds_what_it_expects() {
    tests_conformance::clients::test_python("sqlalchemy");
}
